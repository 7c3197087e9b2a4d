"""An offer of a likely mistake names the mistake that was made, in modules as people write them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness import Case
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, numpy_net, probes
from tests.conftest import Approved

DUAL = Network((3, 2), 4, (2, 3), "tanh")
SINGLE = Network(3, 4, 2, "tanh")
Blocks = dict[str, Tensor]


class Port(nn.Module):
    """A right port; each mistake replaces one of its methods."""

    network = DUAL

    def __init__(self) -> None:
        super().__init__()
        for block in self.network.layout.blocks:
            self.register_parameter(block.name, nn.Parameter(torch.zeros(block.places.shape)))

    def blocks(self) -> Blocks:
        return dict(self.named_parameters())

    def inputs(self, x: Tensor) -> Tensor:
        return x

    def outputs(self, o: Tensor) -> Tensor:
        return o

    def hidden(self, h: Tensor) -> Tensor:
        return h

    def forward(self, *xs: Tensor) -> Any:
        p = self.blocks()
        first = torch.cat([p["W1"], p["V1"]], dim=1) if len(xs) > 1 else p["W1"]
        h = self.hidden(torch.tanh(self.inputs(torch.cat(xs, dim=1)) @ first.T + p["b"]))
        o1 = self.outputs(h @ p["W2"].T + p["b_w"])
        return (o1, h @ p["V2"].T + p["b_v"]) if len(xs) > 1 else o1


def without(*names: str) -> type[Port]:
    """A port that gives no gradient to some parameters."""

    class Detached(Port):
        def blocks(self) -> Blocks:
            found = super().blocks()
            for name in names:
                found[name] = found[name].detach() + 0 * found[name]
            return found

    return Detached


class HiddenLayer(Port):
    def hidden(self, h: Tensor) -> Tensor:
        return h.detach() + 0 * self.W1.sum() + 0 * self.V1.sum() + 0 * self.b.sum()


class Single(Port):
    network = SINGLE


class WithoutColumn(Single):
    def inputs(self, x: Tensor) -> Tensor:
        return torch.cat([x[:, :1], 0 * x[:, 1:2], x[:, 2:]], dim=1)


class ColumnOfOnes(Single):
    def inputs(self, x: Tensor) -> Tensor:
        return torch.cat([x[:, :1], 0 * x[:, 1:2] + 1, x[:, 2:]], dim=1)


class OutputForgotten(Single):
    def outputs(self, o: Tensor) -> Tensor:
        return torch.cat([o[:, :1], 0 * o[:, 1:]], dim=1)


def offers(model: type[Port]) -> list[str]:
    """What is offered for the first trial that fails."""
    problems = probes(seed=0, draws=20, rows=4)
    case = Case("port", model.network, [model], [numpy_net], problems, dtypes=["float64"])
    cache = Cache(case)
    verdicts = (run(trial, cache) for trial in case.trials())
    failed = next(verdict for verdict in verdicts if verdict.status.fails)
    assert failed.finding is not None
    return [hint.cause for hint in failed.finding.hints]


@pytest.mark.parametrize("names", [("W1",), ("V1",), ("W2",), ("V2",), ("W1", "V1", "b")])
def test_a_detached_weight_is_not_a_detached_layer(
    names: tuple[str, ...], approved: Approved
) -> None:
    """The offer names the parameters without a gradient."""
    approved(offers(without(*names)), mask_figures=True)


def test_a_detached_layer_is_named(approved: Approved) -> None:
    """No gradient goes through the hidden layer, also none to the inputs."""
    approved(offers(HiddenLayer), mask_figures=True)


@pytest.mark.parametrize("model", [WithoutColumn, ColumnOfOnes, OutputForgotten])
def test_a_scale_of_nothing_is_a_column_left_out(model: type[Port], approved: Approved) -> None:
    """A factor that is 0 but for rounding is not told as a number."""
    (said,) = offers(model)
    assert "e-" not in said
    approved(said, mask_figures=True)


UNLISTED: dict[str, dict[str, Callable[..., Tensor]]] = {
    "one unit is dead": {"hidden": lambda self, h: torch.cat([0 * h[:, :1], h[:, 1:]], dim=1)},
    "one unit is negated": {"hidden": lambda self, h: torch.cat([-h[:, :1], h[:, 1:]], dim=1)},
    "units are normed": {"hidden": lambda self, h: h / (h.norm(dim=1, keepdim=True) + 1e-6)},
    "tanh twice": {"hidden": lambda self, h: torch.tanh(h)},
    "units in another order": {"hidden": lambda self, h: h.roll(1, 1)},
    "inputs are squared": {"inputs": lambda self, x: x * x},
    "inputs are clamped": {"inputs": lambda self, x: x.clamp(-1, 1)},
    "the first row is lost": {"outputs": lambda self, o: torch.cat([0 * o[:1], o[1:]])},
    "outputs are clamped": {"outputs": lambda self, o: o.clamp(-1, 1)},
    "outputs are rounded": {"outputs": lambda self, o: torch.round(1e3 * o) / 1e3},
}


@pytest.mark.parametrize("name", UNLISTED)
def test_a_mistake_that_nobody_lists_is_offered_nothing(name: str) -> None:
    """No fault and no scaling explains it, so none is named."""
    assert offers(type("Wrong", (Single,), UNLISTED[name])) == []


def test_a_scaling_must_explain_every_stack() -> None:
    """Inputs that are doubled in the stack of the largest numbers are not scaled in all stacks."""

    class SomeRows(Single):
        network = Network(3, 4, 2, "relu")

        def inputs(self, x: Tensor) -> Tensor:
            return 2 * x if len(x) in (2, 4, 64) else x

        def forward(self, x: Tensor) -> Tensor:
            h = torch.relu(self.inputs(x) @ self.W1.T + self.b)
            return h @ self.W2.T + self.b_w

    assert offers(SomeRows) == []
