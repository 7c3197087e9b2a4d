"""A mistake in a norm written by hand is found though the other model's norm is one operation."""

from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from harness.core.verdict import Status, Verdict
from harness.judging.cache import Cache
from harness.locating.alike import are_equal
from harness.locating.norms import read_norm
from harness.running.trial import run
from harness.same.case import same
from harness.shadow.shadow import Shadow
from harness.shadow.watch import watch
from tests.conftest import Approved

FUSED: dict[str, Callable[[], nn.Module]] = {
    "layer": lambda: nn.LayerNorm(8),
    "batch": lambda: nn.BatchNorm1d(8, track_running_stats=False),
    "group": lambda: nn.GroupNorm(2, 8),
}


def divide_rows(y: Tensor, eps: float, correction: int = 0) -> Tensor:
    y = y - y.mean(-1, keepdim=True)
    return y / torch.sqrt(y.var(-1, keepdim=True, correction=correction) + eps)


def divide_columns(y: Tensor, eps: float) -> Tensor:
    y = y - y.mean(0)
    return y * torch.rsqrt(y.square().mean(0) + eps)


def divide_groups(y: Tensor, eps: float) -> Tensor:
    return divide_rows(y.unflatten(-1, (2, 4)), eps).flatten(1)


BY_HAND: dict[str, Callable[[Tensor, float], Tensor]] = {
    "layer": divide_rows,
    "batch": divide_columns,
    "group": divide_groups,
}


class Fused(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.fc, self.norm = nn.Linear(6, 8), FUSED[kind]()

    def forward(self, x: Tensor) -> Any:
        return self.norm(self.fc(x)).tanh()


class ByHand(nn.Module):
    def __init__(self, divide: Callable[[Tensor, float], Tensor], eps: float = 1e-5) -> None:
        super().__init__()
        self.fc, self.divide, self.eps = nn.Linear(6, 8), divide, eps
        self.weight, self.bias = nn.Parameter(torch.ones(8)), nn.Parameter(torch.zeros(8))

    def forward(self, x: Tensor) -> Tensor:
        return (self.divide(self.fc(x), self.eps) * self.weight + self.bias).tanh()


NAMES = {"weight": "norm.weight", "bias": "norm.bias"}
BACK = {theirs: mine for mine, theirs in NAMES.items()}


def compare(
    subject: Callable[[], nn.Module], reference: Callable[[], nn.Module], parameters: Any
) -> Verdict:
    """Are both the same function in float64?"""
    asked: Any = {"modes": ["train"], "dtypes": ["float64"], "parameters": parameters}
    case = same(subject, reference, data=(6, 6), **asked)
    return run(case.trials()[0], Cache(case))


@pytest.mark.parametrize("kind", FUSED)
def test_another_eps_is_named_with_both_numbers(kind: str, approved: Approved) -> None:
    """Whichever of the two models computes the whole norm by one operation."""
    by_hand, fused = lambda: ByHand(BY_HAND[kind], 1e-3), lambda: Fused(kind)
    whys = compare(by_hand, fused, NAMES).why, compare(fused, by_hand, BACK).why
    assert "eps is 0.001 in add, in Fused it is 1e-05 (" in whys[0]
    assert "in norm, in ByHand it is 0.001 (add)" in whys[1]
    for why in whys:
        approved(why, mask_figures=True)


@pytest.mark.parametrize("kind", FUSED)
def test_a_norm_by_hand_is_the_same(kind: str) -> None:
    """With the eps of torch's, so that nothing else was wrong above."""
    verdict = compare(lambda: ByHand(BY_HAND[kind]), lambda: Fused(kind), NAMES)
    assert verdict.status is Status.PASS


def test_a_variance_with_another_divisor_is_named(approved: Approved) -> None:
    """By its line, and by the factor to the variance inside the norm."""
    wrong = ByHand(lambda y, eps: divide_rows(y, eps, correction=1))
    why = compare(lambda: wrong, lambda: Fused("layer"), NAMES).why
    assert f"the result of var is {8 / 7:.7g} times that of Fused" in why
    approved(why, mask_figures=True)


class Shifted(nn.Module):
    def __init__(self, constant: float) -> None:
        super().__init__()
        self.fc, self.constant = nn.Linear(6, 8), constant

    def forward(self, x: Tensor) -> Tensor:
        return (self.fc(x) + self.constant).tanh()


def test_another_constant_is_no_eps() -> None:
    """Only one that a norm adds to a variance is."""
    why = compare(lambda: Shifted(0.5), lambda: Shifted(1.0), None).why
    assert "likely: other of add is 0.5, in Shifted-reference 1.0" in why


def read_variance_inside(norm: nn.Module, x: Tensor) -> Tensor:
    """The variance by which a norm divides."""
    shadow = Shadow(watch(lambda: {"output": norm(x)}, norm), "float64")
    found = [read_norm(shadow.replay, one) for one in shadow.watched.run.operations]
    (inside,) = filter(None, found)
    return inside.variance


def test_statistics_that_a_norm_keeps_are_those_of_eval_alone() -> None:
    """In train() its operation returns them too, beside those of the batch."""
    norm, x = nn.BatchNorm1d(3).double(), torch.randn(5, 3, dtype=torch.float64)
    assert are_equal(read_variance_inside(norm, x), x.var(0, correction=0))
    assert are_equal(read_variance_inside(norm.eval(), x), cast(Tensor, norm.running_var))


def test_an_eps_after_the_root_is_named(approved: Approved) -> None:
    """The standard deviation before it is that inside the norm."""

    def divide(y: Tensor, eps: float) -> Tensor:
        y = y - y.mean(-1, keepdim=True)
        return y / (y.std(-1, keepdim=True, correction=0) + eps)

    approved(compare(lambda: ByHand(divide), lambda: Fused("layer"), NAMES).why, mask_figures=True)
