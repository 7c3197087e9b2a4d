"""Settings of layers that differ between two models are named where their answers differ."""

from typing import Any

import pytest
from torch import Tensor, nn

from harness.locating.settings import compare_settings
from harness.same.case import same
from tests.conftest import Approved
from tests.same.models import judge


class Block(nn.Module):
    """A normalised layer, as a settings table would describe it."""

    def __init__(self, eps: float = 1e-5, activation: Any = nn.ReLU, slope: float = 0.01) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 6), nn.Linear(6, 2)
        self.norm = nn.LayerNorm(6, eps=eps)
        self.act, self.leaky = activation(), nn.LeakyReLU(slope)

    def forward(self, x: Tensor) -> Any:
        return self.last(self.leaky(self.norm(self.act(self.first(x)))))


class OtherEps(Block):
    def __init__(self) -> None:
        super().__init__(eps=1e-3)


class OtherActivation(Block):
    def __init__(self) -> None:
        super().__init__(activation=nn.GELU, slope=0.2)


@pytest.mark.parametrize("model", [OtherEps, OtherActivation])
def test_a_setting_that_differs_is_the_likely_cause(model: Any, approved: Approved) -> None:
    """With its layer, if the first operation that differs runs there; others are only noted."""
    found = judge(same(model, Block, data=(8, 4), dtypes=["float64"], modes=["eval"]))
    approved(found["float64 same-function-eval"].why, mask_figures=True)


class OtherSlopeAndScale(Block):
    """Its slope differs, and so does its last layer, which computes no setting."""

    def __init__(self) -> None:
        super().__init__(slope=0.011)

    def forward(self, x: Tensor) -> Any:
        return self.last(self.leaky(self.norm(self.act(self.first(2 * x)))))


def test_a_setting_elsewhere_is_no_likely_cause() -> None:
    """The first operation that differs runs in no layer with another setting."""
    case = same(OtherSlopeAndScale, Block, data=(8, 4), dtypes=["float64"], modes=["eval"])
    said = judge(case)["float64 same-function-eval"].why
    assert "negative_slope of leaky is 0.011" in said
    assert "likely: negative_slope" not in said


def test_equal_settings_and_shapes_say_nothing() -> None:
    """Nor do layers that only one model has, of which nobody knows the counterpart."""
    assert compare_settings(Block(), Block(), "A", "B") == []
    assert compare_settings(nn.Linear(2, 3), nn.Linear(3, 3), "A", "B") == []
    two, one = nn.Sequential(nn.LayerNorm(2), nn.LayerNorm(2)), nn.LayerNorm(2, eps=0.5)
    assert compare_settings(two, one, "A", "B") == []
    drop, other = nn.Dropout(0.1), nn.Dropout(0.2)
    (setting,) = compare_settings(drop, other, "A", "B")
    assert setting.said == "p of the model is 0.1, of the model in B 0.2"
