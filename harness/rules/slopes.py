"""Slopes of activations that torch cannot differentiate again are repeated by their formulas."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from harness.rules.registry import repeat


@repeat("silu_backward")
def repeat_silu_backward(slope: Tensor, x: Tensor) -> Tensor:
    """Return the slope times that of x s(x), where s is the logistic: s (1 + x (1 - s))."""
    s = torch.sigmoid(x)
    return slope * s * (1 + x * (1 - s))


@repeat("mish_backward")
def repeat_mish_backward(slope: Tensor, x: Tensor) -> Tensor:
    """Return the slope times that of x t(x), where t is tanh(softplus(x)): t + x s (1 - t^2)."""
    t, s = torch.tanh(functional.softplus(x)), torch.sigmoid(x)
    return slope * (t + x * s * (1 - t * t))


@repeat("hardsigmoid_backward")
def repeat_hardsigmoid_backward(slope: Tensor, x: Tensor) -> Tensor:
    """Return a sixth of the slope between -3 and 3, else 0."""
    return torch.where((x > -3) & (x < 3), slope / 6, torch.zeros_like(slope))
