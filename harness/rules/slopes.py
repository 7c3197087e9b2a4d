"""Repeats the gradients of activations by their formulas, where torch cannot differentiate its
own.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from harness.rules.registry import repeat


@repeat("silu_backward")
def repeat_silu_backward(slope: Tensor, x: Tensor) -> Tensor:
    """Return silu's gradient slope s (1 + x (1 - s)), where s is the logistic of the input x, and
    `slope` the gradient by the result x s.
    """
    s = torch.sigmoid(x)
    return slope * s * (1 + x * (1 - s))


@repeat("mish_backward")
def repeat_mish_backward(slope: Tensor, x: Tensor) -> Tensor:
    """Return mish's gradient slope (t + x s (1 - t^2)), where `slope` is the gradient by the result
    x t.

    t = tanh(softplus(x)), and s is the logistic of the input x.
    """
    t, s = torch.tanh(functional.softplus(x)), torch.sigmoid(x)
    return slope * (t + x * s * (1 - t * t))


@repeat("hardsigmoid_backward")
def repeat_hardsigmoid_backward(slope: Tensor, x: Tensor) -> Tensor:
    """Return hardsigmoid's gradient: slope / 6 for |x| < 3, else 0. `slope` is the gradient by the
    result, and x the input.
    """
    return torch.where((x > -3) & (x < 3), slope / 6, torch.zeros_like(slope))
