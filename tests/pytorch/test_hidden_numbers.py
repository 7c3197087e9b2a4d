"""Right models in bfloat16 whose intermediate numbers stand in unusual places, or in none: numbers
that are near by chance are not taken for them.

With one draw and few rows, a unit is one to three numbers, and among those of 64 units several are
within its bound.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from harness import Case
from harness.core.verdict import Status
from harness.judging.cache import Cache
from harness.model.intermediates import Stages
from harness.running.trial import run
from reference import Network, numpy_net, probes


class Wide(nn.Module):
    """4-64-2, its parameters named as nnet's."""

    def __init__(self) -> None:
        super().__init__()
        for name, shape in (("W1", (64, 4)), ("b", (64,)), ("W2", (2, 64)), ("b_w", (2,))):
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))

    def outputs(self, x: Any) -> Any:
        return torch.tanh(x @ self.W1.T + self.b) @ self.W2.T + self.b_w


class Convolutions(Wide):
    """Rows of channels: the hidden units are (rows, 64, 1)."""

    def forward(self, x: Any) -> Any:
        conv = nn.functional.conv1d
        h = torch.tanh(conv(x[:, :, None], self.W1[:, :, None], self.b))
        return conv(h, self.W2[:, :, None], self.b_w)[:, :, 0]


class RowByRow(Wide):
    """A loop over rows."""

    def forward(self, x: Any) -> Any:
        return torch.stack([self.outputs(row) for row in x])


class InParts(Wide):
    """All rows but the first, and the first."""

    def forward(self, x: Any) -> Any:
        return torch.cat([self.outputs(part) for part in x.split([1, len(x) - 1])])


class Twice(Wide):
    """All rows, and again, in one stack: their mean."""

    def forward(self, x: Any) -> Any:
        outputs = self.outputs(torch.cat([x, x]))
        return outputs[: len(x)] / 2 + outputs[len(x) :] / 2


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("model", [Convolutions, RowByRow, InParts, Twice])
def test_a_right_model_does_not_fail(model: type[Wide], rows: int) -> None:
    """However it lays its rows out."""
    kinds = ["few-term", "random", "saturated"]
    for seed in range(2):
        case = Case(
            "wide",
            Network(4, 64, 2, "tanh"),
            [model],
            [numpy_net],
            probes(seed, rows=rows, draws=1, kinds=kinds),
            dtypes=["bfloat16"],
        )
        cache = Cache(case)
        found = [run(trial, cache) for trial in case.trials()]
        assert {verdict.status for verdict in found} <= {Status.PASS, Status.VACUOUS}


def test_hidden_units_that_are_no_matrix_are_seen() -> None:
    """All of those of a convolution."""
    problems = probes(rows=3, draws=2, kinds=["random"])
    case = Case(
        "wide",
        Network(4, 64, 2, "tanh"),
        [Convolutions],
        [numpy_net],
        problems,
        dtypes=["bfloat16"],
    )
    cache = Cache(case)
    found = [run(trial, cache) for trial in case.trials()]
    assert {verdict.status for verdict in found} == {Status.PASS}
    assert all("all of its numbers seen" in verdict.why for verdict in found)


def test_an_axis_of_as_many_rows_may_stand_anywhere() -> None:
    """The first, the last, or one between others."""
    numbers = torch.arange(12.0)
    for axis in range(3):
        stages = Stages(3)
        with stages.record():
            numbers.reshape(3, 2, 2).movedim(0, axis) + 0
        seen = stages.columns()
        assert seen is not None
        assert {(j, 4 + j, 8 + j) for j in range(4)} <= {tuple(column) for column in seen[0].T}


def seen_of(rows: int, change: Any, *shape: int) -> bool:
    """Are the operations of `change` on a tensor of this shape recorded?"""
    stages = Stages(rows)
    x = torch.ones(shape)
    with stages.record():
        change(x * 2)
    return stages.columns() is not None


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x[1],
        lambda x: x[:2],
        lambda x: x[torch.tensor([2, 0])],
        lambda x: list(x),
        lambda x: x.split(2),
        lambda x: torch.cat([x, x]),
        lambda x: x.reshape(2, -1),
    ],
)
def test_a_model_that_takes_its_rows_apart_is_judged_as_a_whole(change: Any) -> None:
    """Or that puts them together with others: what it computes of them is in no column."""
    assert not seen_of(3, change, 3, 4)


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x[:, 1],
        lambda x: x[:, :2],
        lambda x: x[:0],
        lambda x: x.T[1:3],
        lambda x: torch.cat([x, x], 1),
        lambda x: x.flatten(),
        lambda x: x.sum(0),
        lambda x: x[[2, 0, 1]],
        lambda x: x.T.split(2),
        lambda x: torch.ones(5, 2)[1:] * x.sum(),
    ],
)
def test_what_leaves_rows_together_is_recorded(change: Any) -> None:
    """Columns, sums over rows, all numbers in a vector before a loss, and parts of parameters."""
    assert seen_of(3, change, 3, 4)


def test_of_one_row_a_vector_is_all_of_it() -> None:
    """And so is a single number."""
    assert seen_of(1, lambda x: x[0], 1, 4)
    assert seen_of(1, lambda x: x[0, 1], 1, 4)
    assert not seen_of(1, lambda x: torch.cat([x, x]), 1, 4)
