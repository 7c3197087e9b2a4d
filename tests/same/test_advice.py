"""A question that cannot be answered says why, and what to do."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.evaluating.data import WrongData, draw_words
from harness.running.check import check
from harness.same.case import same
from tests.conftest import Approved
from tests.same.models import judge


class Net(nn.Module):
    """One layer, and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.norm = nn.Linear(6, 4), nn.LayerNorm(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.fc1(x))


class Other(Net):
    """The same."""


@pytest.mark.parametrize("data", [torch.full((4, 6), torch.nan), (0, 6)])
def test_data_that_answer_nothing_are_the_reason(data: Any) -> None:
    """The reference is not."""
    result = check(same(Other, Net, data=data))
    assert not result
    said = " ".join(str(result).split())
    assert "nothing could be checked" in said
    assert "give it other data" in said
    assert "a reference that can answer" not in said


@pytest.mark.parametrize("text", ["(32 6)", "(0, 6)"])
def test_a_wrong_shape_is_said(text: str, approved: Approved) -> None:
    """What was found, and what is expected."""
    with pytest.raises(WrongData) as raised:
        draw_words(text, torch.Generator())
    approved(str(raised.value))


def test_a_converter_is_told_the_names(approved: Approved) -> None:
    """It asked for one that is not there."""
    case = same(
        Other, Net, data=(4, 6), parameters=lambda state: {"fc1.weight": state["fc.weight"]}
    )
    approved(judge(case)["float64 same-function-eval"].why, mask_figures=True)
