"""A cause is one only if it explains the whole difference."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.core.finding import HintKind
from harness.same.case import same
from tests.same.models import judge


class Right(nn.Module):
    """A GRU cell in a loop, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.GRUCell(5, 8), nn.Linear(8, 8)

    def start(self, x: Tensor) -> Tensor:
        return x.new_zeros(len(x), 8)

    def steps(self, x: Tensor) -> range:
        return range(x.shape[1])

    def end(self, x: Tensor) -> Tensor:
        return torch.softmax(self.out(x) / 2, -1)

    def forward(self, x: Tensor) -> Tensor:
        state = self.start(x)
        for step in self.steps(x):
            state = self.cell(x[:, step], state)
        return self.end(state)


class Ones(Right):
    def start(self, x: Tensor) -> Tensor:
        return x.new_ones(len(x), 8)


class FirstLeftOut(Right):
    def steps(self, x: Tensor) -> range:
        return range(1, x.shape[1])


class LastLeftOut(Right):
    def steps(self, x: Tensor) -> range:
        return range(x.shape[1] - 1)


class NotScaled(Right):
    def end(self, x: Tensor) -> Tensor:
        return torch.softmax(self.out(x), -1)


class NotScaledAndMore(NotScaled):
    def end(self, x: Tensor) -> Tensor:
        return super().end(x) ** 2


class OtherAxis(Right):
    def end(self, x: Tensor) -> Tensor:
        return torch.softmax(self.out(x) / 2, 0)


class OtherAxisAndMore(OtherAxis):
    def end(self, x: Tensor) -> Tensor:
        return super().end(x) ** 2


def list_likely(model: Any) -> list[str]:
    """The likely causes of a difference from the right model."""
    case = same(model, Right, data=(3, 4, 5), dtypes=["float64"], modes=["eval"], draws=0)
    finding = judge(case)["float64 same-function-eval"].finding
    return [hint.cause for hint in finding.hints if hint.kind is HintKind.LIKELY]


@pytest.mark.parametrize("model", [Ones, FirstLeftOut, LastLeftOut])
def test_a_state_that_is_off_is_no_exchange(model: Any) -> None:
    """Numbers of a gate may fit by chance; the answers then still differ."""
    assert list_likely(model) == []


@pytest.mark.parametrize(
    ("one", "two"), [(NotScaled, NotScaledAndMore), (OtherAxis, OtherAxisAndMore)]
)
def test_a_cause_explains_the_whole_difference(one: Any, two: Any) -> None:
    """A scale or an axis is likely alone, and not beside a second mistake."""
    assert len(list_likely(one)) == 1
    assert list_likely(two) == []
