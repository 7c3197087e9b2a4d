"""If no map of parameters makes outputs agree, the likeliest one is shown, and the wrong line."""

import re
from typing import Any

import torch
from torch import Tensor, nn

from harness.core.verdict import Status
from harness.same.case import same
from tests.conftest import Approved
from tests.same.models import judge


class Fused(nn.Module):
    """One matrix for queries, keys and values; the bias of a norm has the size of a part of its."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.norm = nn.Linear(4, 12), nn.LayerNorm(4)

    def forward(self, x: Tensor) -> Any:
        q, k, v = self.inner(self.norm(x)).chunk(3, dim=-1)
        return torch.softmax(q * k / 2.0, dim=-1) * v


class Apart(nn.Module):
    """Three matrices; the scale of the softmax is wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_a = nn.LayerNorm(4)
        self.q, self.k, self.v = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Any:
        x = self.norm_a(x)
        scores = self.q(x) * self.k(x) / 2.5
        return torch.softmax(scores, dim=-1) * self.v(x)


def test_the_wrong_line_is_named_although_no_map_agrees(approved: Approved) -> None:
    """In the order of declaration the norm would take parts of the large bias."""
    case = same(Apart, Fused, data=(6, 4), dtypes=["float64"], modes=["eval"])
    found = judge(case)["float64 same-function-eval"]
    assert found.status is Status.FAIL
    assert "norm_a.weight = norm.weight, norm_a.bias = norm.bias" in found.why
    assert "q.weight = inner.weight[0:4]" in found.why
    assert "scores = self.q(x) * self.k(x) / 2.5" in found.why
    approved(re.sub(r"\d+ maps", "# maps", found.why), mask_figures=True)


class First(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Any:
        return self.two(torch.tanh(self.one(x)))


class Renamed(nn.Module):
    """Other names for the same shapes, and another activation."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = nn.Linear(4, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Any:
        return self.outer(torch.sigmoid(self.inner(x)))


def test_the_order_of_declaration_is_taken_if_all_shapes_agree(approved: Approved) -> None:
    """Of two models that differ in names, and in one operation."""
    case = same(Renamed, First, data=(6, 4), dtypes=["float64"], modes=["eval"])
    found = judge(case)["float64 same-function-eval"]
    approved(re.sub(r"\d+ maps", "# maps", found.why), mask_figures=True)
