"""Models that are asked a stack of draws in one call; every sixteenth draw is asked alone too."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import Case, Status, Subject, Verdict
from harness.judging.cache import Cache
from harness.model.losses import compute_errors
from harness.running.trial import run
from reference import Network, numpy_net, probes
from tests.conftest import Approved

NETWORK = Network(3, 6, 2, "logistic")
TWO_HEADS = Network((3, 2), 5, (2, 1), "tanh")
ASKED = probes(draws=20, kinds=["random"])


class Regressor(nn.Module):
    """A right model, which counts its calls."""

    calls = 0

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(3, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Any:
        type(self).calls += 1
        return self.fc2(torch.sigmoid(self.fc1(x)))


def right(inputs: Sequence[Tensor], p: Mapping[str, Tensor]) -> Tensor:
    """The stack of Regressor by hand."""
    h = torch.sigmoid(inputs[0] @ p["fc1.weight"].mT + p["fc1.bias"].unsqueeze(1))
    return h @ p["fc2.weight"].mT + p["fc2.bias"].unsqueeze(1)


def verdicts(
    subject: Subject, network: Network = NETWORK, asked: Any = ASKED, **given: Any
) -> list[Verdict]:
    """Of every trial that a case of this subject has."""
    case = Case("stacked", network, [subject], [numpy_net], asked, **given)
    cache = Cache(case)
    return [run(trial, cache) for trial in case.trials()]


def passes(subject: Subject, network: Network = NETWORK, **given: Any) -> bool:
    """Does every trial pass? Says why one does not."""
    for verdict in verdicts(subject, network, **given):
        assert verdict.status is Status.PASS, verdict.why
    return True


def failures(subject: Subject, **given: Any) -> dict[str, str]:
    """The sentences of the trials in float64 that do not pass, by check."""
    found = verdicts(subject, dtypes=["float64"], **given)
    return {v.check: v.why for v in found if v.status is not Status.PASS}


@pytest.mark.parametrize("stacked", [True, right], ids=["vmap", "by hand"])
def test_a_right_model_passes_in_stacks(stacked: Any) -> None:
    """Once by torch.vmap, once by a function of its user's, on every kind of probes."""
    assert passes(Subject(Regressor, stacked=stacked), asked=probes(draws=3))


def test_the_model_is_called_for_few_draws() -> None:
    """A stack of 320 draws takes fewer calls than draws, where it took more."""
    many, counts = probes(draws=320, kinds=["few-term"]), []
    for stacked in (False, True):
        Regressor.calls = 0
        assert passes(Subject(Regressor, stacked=stacked), asked=many, dtypes=["float64"])
        counts.append(Regressor.calls)
    assert counts[0] > 320 > 2 * counts[1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_squares_have_the_bits_of_their_formula(dtype: torch.dtype) -> None:
    """They and their gradients, whatever the numbers: subnormal, too large, infinite or NaN."""
    least, most = torch.finfo(dtype).tiny, torch.finfo(dtype).max
    special = [0.0, -0.0, 1.5, least, least / 8, most, -most, math.inf, -math.inf, math.nan]
    numbers = torch.tensor([*special, *np.random.default_rng(0).normal(0, 1e3, 20)], dtype=dtype)
    targets, slopes = numbers.expand(30, 30), numbers.roll(7).expand(30, 30)
    found = []
    for errors in (partial(compute_errors, "squares", False), lambda o, t: (o - t) ** 2):
        outputs = numbers[:, None].expand(30, 30).contiguous().requires_grad_()
        squares = errors(outputs, targets)
        found.append([squares.detach(), *torch.autograd.grad(squares, outputs, slopes)])
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one.numpy(), other.numpy(), equal_nan=True)
        assert torch.equal(one.signbit()[~one.isnan()], other.signbit()[~other.isnan()])


class TwoHeads(nn.Module):
    """Two groups of inputs, two heads, given by name."""

    def __init__(self) -> None:
        super().__init__()
        self.W1, self.V1 = nn.Linear(3, 5), nn.Linear(2, 5, bias=False)
        self.W2, self.V2 = nn.Linear(5, 2), nn.Linear(5, 1)

    def forward(self, x1: Tensor, x2: Tensor) -> dict[str, Tensor]:
        h = torch.tanh(self.W1(x1) + self.V1(x2))
        return {"o1": self.W2(h), "o2": self.V2(h)}


def test_groups_heads_and_functions_are_stacked() -> None:
    """Heads by name, outputs of rows alone, a function of tensors, a loss of one's own."""
    words = {"W1": "W1.weight", "V1": "V1.weight", "b": "W1.bias"}
    words |= {"W2": "W2.weight", "V2": "V2.weight", "b_w": "W2.bias", "b_v": "V2.bias"}
    assert passes(Subject(TwoHeads, parameters=words, stacked=True), TWO_HEADS)

    def flat(x: Tensor, W1: Tensor, b: Tensor, W2: Tensor, b_w: Tensor) -> Tensor:
        return (torch.sigmoid(x @ W1.T + b) @ W2.T + b_w).squeeze(-1)

    shapes = {"W1": (4, 3), "b": (4,), "W2": (1, 4), "b_w": (1,)}
    one = Network(3, 4, 1, "logistic")
    assert passes(Subject(flat, shapes=shapes, stacked=True), one)
    squares = Subject(Regressor, loss=lambda o, t: ((o - t) ** 2).sum(), stacked=True)
    assert passes(squares)


class Doubled(Regressor):
    """A hook on its bias doubles that gradient: torch.func.functional_call never runs it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1.bias.register_hook(lambda g: 2 * g)  # type: ignore[no-untyped-call]


def test_a_fault_that_only_a_call_alone_has_is_found() -> None:
    """The stack is right, the draws that are asked alone are not."""
    assert list(failures(Subject(Doubled, stacked=True))) == ["gradient"]


def scaled(factor: float, inputs: Sequence[Tensor], p: Mapping[str, Tensor]) -> Tensor:
    """A stack whose outputs are off."""
    return factor * right(inputs, p)


def mixed(inputs: Sequence[Tensor], p: Mapping[str, Tensor]) -> Tensor:
    """A stack in which the last draw has the biases of the one before it."""
    bias = p["fc1.bias"]
    return right(inputs, {**p, "fc1.bias": torch.cat([bias[:-1], bias[-2:-1]])})


@pytest.mark.parametrize(
    "stacked", [partial(scaled, 1 + 1e-9), mixed], ids=["all draws", "the last draw"]
)
def test_a_fault_that_only_the_stack_has_is_found(stacked: Any, approved: Approved) -> None:
    """It says so: the model is right alone."""
    approved(failures(Subject(Regressor, stacked=stacked))["forward"], mask_figures=True)


def test_a_fault_of_both_is_diagnosed_as_ever() -> None:
    """A model that is wrong in every draw does not fail for its stack."""

    class Off(Regressor):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + 1e-6

    found = failures(Subject(Off, stacked=True))
    assert "forward differs by" in found["forward"]
    assert "stack of draws" not in found["forward"]


class Branching(Regressor):
    """What torch.vmap does not take: a branch on a number."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) if x.sum() < 1e9 else x


class Sparse(Regressor):
    def forward(self, x: Tensor) -> Any:
        h = torch.sigmoid(torch.sparse.mm(x.to_sparse(), self.fc1.weight.T) + self.fc1.bias)
        return self.fc2(h)


@pytest.mark.parametrize("model", [Branching, Sparse])
def test_a_model_that_vmap_does_not_take_is_refused(model: Any, approved: Approved) -> None:
    """In a sentence that says what to do, and it is BROKEN, not judged by some draws."""
    assert passes(Subject(model))
    found = verdicts(Subject(model, stacked=True), dtypes=["float64"])
    assert {v.status for v in found} == {Status.BROKEN}
    begin, _, end = found[0].why.partition("raised")
    approved([begin, end.rpartition(";")[2]])  # between them stand torch's own words


def test_a_compiled_model_is_refused(approved: Approved) -> None:
    """It would be another program: torch.vmap of what is compiled."""
    compiled = Subject(
        lambda: torch.compile(Regressor(), backend="eager"), "Compiled", stacked=True
    )
    approved(failures(compiled)["forward"])


def to_half(inputs: Sequence[Tensor], p: Mapping[str, Tensor]) -> Tensor:
    """A stack in float32."""
    return right(inputs, p).float()


def test_a_stack_is_counted_among_the_ways_of_calling(approved: Approved) -> None:
    """The report lists it."""
    subject = Subject(Regressor, stacked=True)
    case = Case("stacked", NETWORK, [subject], [numpy_net], ASKED, dtypes=["float64"])
    cache = Cache(case)
    problem = cache.stacks(case.trials()[0])[0]
    approved(sorted(cache.subject(subject, problem, "float64", "cpu").asked))


def test_a_stack_of_another_form_is_refused(approved: Approved) -> None:
    """Outputs of another shape or dtype, a loss that is not one number a draw, no function."""
    turned = Subject(Regressor, stacked=lambda inputs, p: right(inputs, p).mT)
    of_rows = Subject(Regressor, loss=by_rows, stacked=True)
    for subject in (turned, Subject(Regressor, stacked=to_half)):
        approved(failures(subject)["forward"])
    approved(failures(of_rows)["forward"])
    with approved.raises(TypeError):
        Subject(Regressor, stacked=3)  # type: ignore[arg-type]


def by_rows(outputs: Tensor, targets: Tensor) -> Any:
    """One number alone, two in a stack."""
    squares = ((outputs - targets) ** 2).sum()
    return (
        torch.stack([squares, squares])
        if torch._C._functorch.is_batchedtensor(squares)
        else squares
    )


def test_layers_are_judged_draw_by_draw() -> None:
    """In a narrow dtype no stack is asked: each layer is judged by the model's own numbers."""

    def never(inputs: Any, p: Any) -> Any:
        raise AssertionError

    assert passes(Subject(Regressor, stacked=never), dtypes=["bfloat16"])
