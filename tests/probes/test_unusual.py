"""Probes of unusual numbers of rows and sizes: what they ask, and that it can be judged."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import Case, Contract, Formulation, Status, Subject
from harness.judging.cache import Cache
from harness.running.asked import collect_asked
from harness.running.trial import run
from nnet_parity import Equations, Network, numpy_net, probes
from reference.probes.unusual import ROWS
from tests.own_networks import NETWORKS
from tests.support import ACTIVATIONS, dual

SHAPES = {f"{g}, {f}": dual(g, f) for g, f in ACTIVATIONS}
SHAPES |= {"skip": Network(3, 2, (1, 2), skip=True), "one unit": Network(1, 1, 1, "relu", "relu")}
SHAPES |= {f"{name}, {g}": make(g) for name, make in NETWORKS.items() for g in ("relu", "tanh")}


class Port(nn.Module):
    """Right; what is wrong with the others stands in them."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(3, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(self.hidden(x)))


class InFloat32(Port):
    def forward(self, x: Tensor) -> Tensor:
        weight = self.out.weight + (self.out.weight.float().double() - self.out.weight).detach()
        return nn.functional.linear(torch.tanh(self.hidden(x)), weight, self.out.bias)


class WrongIf(Port):
    """Adds a thousandth where a condition holds."""

    def holds(self, x: Tensor) -> bool:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y * (1 + 1e-3) if self.holds(x) else y


class WrongFor65Rows(WrongIf):
    def holds(self, x: Tensor) -> bool:
        return len(x) == 65


class WrongForManyRows(WrongIf):
    def holds(self, x: Tensor) -> bool:
        return len(x) > 299


class WrongForLargeInputs(WrongIf):
    def holds(self, x: Tensor) -> bool:
        return bool(x.abs().max() > 5e5)


class WrongForSmallWeights(WrongIf):
    def holds(self, x: Tensor) -> bool:
        return bool(self.hidden.weight.abs().max() < 0.01)


class WrongWithoutBiases(WrongIf):
    def holds(self, x: Tensor) -> bool:
        return not (self.hidden.bias.any() or self.out.bias.any())


class WrongForOneZeroBlock(WrongIf):
    def holds(self, x: Tensor) -> bool:
        return not self.hidden.weight.any() and bool(self.out.weight.any())


class WrongForSmallArguments(WrongIf):
    def holds(self, x: Tensor) -> bool:
        return bool(self.hidden(x).abs().max() < 1e-5)


WRONG = (
    InFloat32,
    WrongFor65Rows,
    WrongForManyRows,
    WrongForLargeInputs,
    WrongForSmallWeights,
    WrongWithoutBiases,
    WrongForOneZeroBlock,
    WrongForSmallArguments,
)


def statuses(build: type[nn.Module], **given: object) -> set[Status]:
    """Of the outputs in float64, with default probes."""
    subject = Subject(build, **given)  # type: ignore[arg-type]
    case = Case("port", Network(3, 4, 2), [subject], [numpy_net], probes(seed=0))
    cache = Cache(case)
    trials = [t for t in case.trials() if t.dtype == "float64"]
    return {run(trial, cache).status for trial in trials}


@pytest.mark.parametrize("build", WRONG)
def test_a_model_that_is_wrong_for_unusual_data_fails(build: type[nn.Module]) -> None:
    """Its right twin passes."""
    assert Status.FAIL in statuses(build)
    assert statuses(Port) == {Status.PASS}


@pytest.mark.parametrize("above", [0.0, 3.0, 1e5])
def test_a_loss_that_masks_targets_fails(above: float) -> None:
    """Targets that are exactly 0, and large ones, are asked."""

    def masked(o: Tensor, t: Tensor) -> Tensor:
        kept = t != 0 if above == 0 else t.abs() <= above
        return (kept * (o - t) ** 2).sum()

    assert Status.FAIL in statuses(Port, loss=masked)


@pytest.mark.parametrize("network", SHAPES.values(), ids=SHAPES)
def test_every_answer_stays_within_the_range_of_float32(network: Network | Equations) -> None:
    """Sizes are chosen so that even squares of gradients do not overflow."""
    for seed in range(3):
        for problem in probes(seed, kinds=["unusual"])(Formulation.identity(network)):
            for name, bound in network.oracle(problem, Contract("float32")).items():
                assert abs(bound.value).max() < 2.0**64, (name, problem.kind)
                assert np.isfinite(bound.error).all(), (name, problem.kind)


@pytest.mark.parametrize("network", SHAPES.values(), ids=SHAPES)
def test_unusual_numbers_are_held_by_float32(network: Network | Equations) -> None:
    """They are scaled by powers of two: one problem serves both dtypes."""
    for problem in probes(1, kinds=["unusual"])(Formulation.identity(network)):
        for numbers in (problem.own, problem.inputs, problem.targets):
            assert (numbers == numbers.astype(np.float32)).all()


def test_numbers_of_53_bits_are_asked_in_float64_only() -> None:
    """In float32 they would be other numbers."""
    case = Case("port", Network(3, 4, 2), [Port], [numpy_net], probes(seed=0))
    cache = Cache(case)
    formulation = cache.formulation(Subject(Port))
    kinds = {
        dtype: {problem.kind for problem in cache.problems(formulation, dtype)}
        for dtype in ("float64", "float32")
    }
    assert kinds["float64"] - kinds["float32"] == {"53-bit"}


def test_the_report_names_all_that_was_asked() -> None:
    """Each number of rows, and sizes from about 2^-20 to 2^20 of every tensor."""
    case = Case("port", Network(3, 4, 2), [Port], [numpy_net], probes(seed=0), checks=["forward"])
    cache = Cache(case)
    for trial in case.trials():
        run(trial, cache)
    asked = collect_asked(cache)
    assert asked is not None
    assert {*ROWS, 1, 3, 4, 5} < set(asked.rows)
    assert 300 <= asked.rows[-1] <= 2000
    for name in ("inputs", "weights", "outputs", "targets"):
        assert asked.sizes[name].smallest < 2.0**-14, name
        assert asked.sizes[name].largest > 2.0**18, name
        assert asked.sizes[name].zero, name
    assert "transposed inputs" in asked.ways
