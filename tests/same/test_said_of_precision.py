"""Where precision is lost is said: the cast, the line of a bad form, and the first number that is
not finite.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.core.verdict import Status
from harness.same.case import same
from tests.conftest import Approved
from tests.same.models import judge


class Normal(nn.Module):
    """A layer whose outputs are normalised, and a layer after it."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(6, 16), nn.Linear(16, 3)

    def measure(self, h: Tensor) -> Tensor:
        return h.var(-1, keepdim=True, unbiased=False)

    def forward(self, x: Tensor) -> Tensor:
        h = self.a(x) + 10
        return self.b((h - h.mean(-1, keepdim=True)) / torch.sqrt(self.measure(h) + 1e-5))


class Squares(Normal):
    """E[h^2] - E[h]^2, which rounding makes negative."""

    def measure(self, h: Tensor) -> Tensor:
        return (h * h).mean(-1, keepdim=True) - h.mean(-1, keepdim=True) ** 2


class Autocast(Normal):
    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return super().forward(x)


LOST = [
    (Autocast, "float32", "precision-kept"),
    (Squares, "float32", "precision-kept"),
    (Squares, "bfloat16", "well-computed"),
]


@pytest.mark.parametrize(("model", "dtype", "question"), LOST)
def test_the_line_that_loses_precision_is_named(
    model: Any, dtype: str, question: str, approved: Approved
) -> None:
    """By a cast, by a form, and by the square root of a difference that rounding made negative."""
    case = same(model, Normal, data=(16, 6), dtypes=[dtype], modes=["eval"], draws=1)
    verdict = judge(case)[f"{dtype} {question}-eval"]
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)
