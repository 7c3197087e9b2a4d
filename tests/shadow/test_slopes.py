"""Slopes of activations are repeated by formulas whose own slopes torch can compute."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from harness.rules.registry import REPEATED
from harness.rules.slopes import (
    repeat_hardsigmoid_backward,
    repeat_mish_backward,
    repeat_silu_backward,
)

REPEATS = {
    "silu_backward": repeat_silu_backward,
    "mish_backward": repeat_mish_backward,
    "hardsigmoid_backward": repeat_hardsigmoid_backward,
}


@pytest.mark.parametrize("name", REPEATS)
def test_a_slope_is_torchs_and_has_slopes(name: str) -> None:
    """A repetition has torch's numbers (1 / 6 is float32's in torch), and right derivatives."""
    repeat: Callable[[Tensor, Tensor], Tensor] = REPEATS[name]
    assert REPEATED[f"aten::{name}"] is repeat
    x = torch.linspace(-7, 7, 30, dtype=torch.float64)
    slope = torch.linspace(1, 2, 30, dtype=torch.float64)
    found = getattr(torch.ops.aten, name)(slope, x)
    torch.testing.assert_close(repeat(slope, x), found, rtol=1e-7, atol=1e-16)
    torch.autograd.gradcheck(repeat, (slope.requires_grad_(), x.requires_grad_()))
