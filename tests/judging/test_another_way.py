"""A right model in another formulation passes by its own operations; a wrong one never does."""

from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from harness import Case, Status, Subject, Verdict
from harness.calling import watching
from harness.calling.watching import shadow_draw
from harness.core.contract import DTYPES
from harness.core.problem import Problem
from harness.judging.cache import Cache
from harness.model.module import Model
from harness.running.trial import run
from harness.shadow.shadow import Shadow
from reference import Network, numpy_net, probes
from tests.conftest import Approved

LOGISTIC = Network(3, 4, 2, "logistic")
TANH = Network(3, 4, 2, "tanh")


class Net(nn.Module):
    """Two layers; subclasses say how the hidden one is activated."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(3, 4), nn.Linear(4, 2)

    def activate(self, z: Tensor) -> Tensor:
        return torch.sigmoid(z)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.activate(self.hidden(x)))


class HalfTanh(Net):
    def activate(self, z: Tensor) -> Tensor:
        return 0.5 + 0.5 * torch.tanh(0.5 * z)


class TwiceLogistic(Net):
    def activate(self, z: Tensor) -> Tensor:
        return 2 * torch.sigmoid(2 * z) - 1


class MultipliedOut(Net):
    def forward(self, x: Tensor) -> Tensor:
        z = (x[:, :, None] * self.hidden.weight.t()).sum(1) + self.hidden.bias
        h = torch.sigmoid(z)
        twice = 2 * (h @ self.out.weight.t()) + 2 * self.out.bias
        return twice * 0.5


class SlightlyOff(Net):
    def activate(self, z: Tensor) -> Tensor:
        z = z * (1 + 1e-9)
        return 0.5 + 0.5 * torch.tanh(0.5 * z)


class WrongConstant(Net):
    def activate(self, z: Tensor) -> Tensor:
        return 0.5 + 0.5 * torch.tanh(0.5000001 * z)


class LastBit(Net):
    """Its outputs are off by their last bit, which exact numbers show."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 + 2.0**-52)


class Shifted(Net):
    """The right function, in a form that loses digits."""

    def activate(self, z: Tensor) -> Tensor:
        far = z + 4096.0
        return 0.5 + 0.5 * torch.tanh(0.5 * (far - 4096.0))


class ThroughSingle(Net):
    """The right function, rounded to float32 on the way."""

    def activate(self, z: Tensor) -> Tensor:
        half = (0.5 * z).float().double()
        return 0.5 + 0.5 * torch.tanh(half)


class WithoutRule(Net):
    """The right function, by an operation that has no rule."""

    def activate(self, z: Tensor) -> Tensor:
        mixed = torch.vander(torch.linspace(0.5, 2, 4, dtype=z.dtype))
        return torch.sigmoid(z @ torch.linalg.inv(mixed) @ mixed)


class WrittenOutside(Net):
    """The right function, of which NumPy changes a number behind torch's back."""

    def activate(self, z: Tensor) -> Tensor:
        h = 0.5 + 0.5 * torch.tanh(0.5 * z)
        h.detach().numpy()[0, 0] += 1e-9
        return h


def judge(model: type[nn.Module], network: Network, dtype: str = "float64") -> list[Verdict]:
    case = Case("net", network, [model], [numpy_net], probes(seed=1, draws=4), dtypes=[dtype])
    cache = Cache(case)
    return [run(trial, cache) for trial in case.trials()]


RIGHT = [(HalfTanh, LOGISTIC), (MultipliedOut, LOGISTIC)]
WIDE = [(*each, dtype) for each in [*RIGHT, (TwiceLogistic, TANH)] for dtype in DTYPES]


@pytest.mark.parametrize(
    ("model", "network", "dtype"), [*WIDE, *((*each, "bfloat16") for each in RIGHT)]
)
def test_another_formulation_passes(model: type[nn.Module], network: Network, dtype: str) -> None:
    """The same function in other operations is inside what these may lose, in every dtype."""
    assert Counter(verdict.status for verdict in judge(model, network, dtype)) == {Status.PASS: 4}


@pytest.mark.parametrize(("kept", "made_again"), [(watching.MOST_NUMBERS, False), (0, True)])
def test_each_shadow_is_made_once_while_there_is_room(
    monkeypatch: pytest.MonkeyPatch, kept: int, made_again: bool
) -> None:
    """All trials share it, and its numbers are those of a shadow that is made anew."""
    made: list[tuple[Problem, int]] = []

    def note(model: Model, problem: Problem, number: int) -> Shadow:
        made.append((problem, number))
        return shadow_draw(model, problem, number)

    used = [verdict.budget_used for verdict in judge(HalfTanh, LOGISTIC)]
    monkeypatch.setattr(watching, "shadow_draw", note)
    monkeypatch.setattr(watching, "MOST_NUMBERS", kept)
    assert [verdict.budget_used for verdict in judge(HalfTanh, LOGISTIC)] == used
    assert (len(made) > len(set(made))) is made_again


def test_a_form_that_loses_a_loss_fails(approved: Approved) -> None:
    """2 sigmoid(2 z) - 1 is no tanh in bfloat16 where z is small."""
    failed = [one for one in judge(TwiceLogistic, TANH, "bfloat16") if one.status is Status.FAIL]
    assert [one.check for one in failed] == ["loss"]
    approved(failed[0].why, mask_figures=True)


def test_the_oracles_failure_stays_in_the_report(approved: Approved) -> None:
    """A verdict by its own operations says so, and how far outside the network's own bounds it
    is.
    """
    verdicts = [one for one in judge(HalfTanh, LOGISTIC) if "another way" in one.why]
    assert verdicts
    approved([verdicts[0].why, verdicts[0].caveat], mask_figures=True)


@pytest.mark.parametrize(
    "model",
    [LastBit, SlightlyOff, WrongConstant, Shifted, ThroughSingle, WithoutRule, WrittenOutside],
)
def test_a_wrong_model_is_not_overturned(model: type[nn.Module], approved: Approved) -> None:
    """Another function, lost digits and unknown operations fail, each with its reason and place."""
    verdicts = judge(model, LOGISTIC)
    forward = next(one for one in verdicts if one.check == "forward")
    assert forward.status is Status.FAIL
    approved(forward.why, mask_figures=True)


def test_a_declared_model_is_not_asked_twice() -> None:
    """A model inside the oracle's bounds is judged by them alone."""
    subject = Subject(Net, name="Net")
    case = Case("net", LOGISTIC, [subject], [numpy_net], probes(seed=1, draws=4))
    cache = Cache(case)
    assert all("another way" not in run(trial, cache).why for trial in case.trials())
