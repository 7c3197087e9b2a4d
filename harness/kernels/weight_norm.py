"""Rules for weights that are stored as a length g and a direction v: w = v g / |v|.

A rule bounds the rounding errors of one operation of torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.kernels.distances import find_norm
from harness.rules.registry import Call, Error, repeat, rule
from harness.rules.steps import Number, Steps


def find_axes(v: Tensor, dim: int) -> list[int]:
    """Return the axes over which the length of v is computed: all but the axis `dim`."""
    return [axis for axis in range(v.ndim) if axis != dim % v.ndim]


@rule("_weight_norm_interface")
def normalise(steps: Steps, call: Call) -> Sequence[Error]:
    """Return bounds on the errors of both results: the weight w = v g / |v|, and the lengths |v|.

    v is the direction and g the length. |v| has the dtype float32 if the weights are narrower.
    """
    v = steps.exact(call["v"])
    axes = find_axes(call["v"], call["dim"])
    lengths = find_norm(steps, Number(abs(v.value), v.error), 2.0, axes, True)
    weights = steps.mul(v, steps.div(steps.exact(call["g"]), lengths))
    return [steps.store(weights), lengths.error]


@repeat("_weight_norm_interface_backward")
def repeat_backward(
    grad: Tensor, v: Tensor, g: Tensor, lengths: Tensor, dim: int
) -> tuple[Tensor, Tensor]:
    """Return the gradients by the direction v and the length g of a weight w = v g / |v|.

    `grad` is the gradient by w, and `lengths` are |v|. `dim` is the axis along which lengths
    differ.
    """
    axes = find_axes(v, dim)
    along = (grad * v).sum(axes, keepdim=True)
    lengths = lengths.to(v)
    return g / lengths * (grad - v * along / lengths**2), along / lengths


@rule("_weight_norm_interface_backward")
def normalise_backward(steps: Steps, call: Call) -> Sequence[Error]:
    """Return bounds on the errors of the gradients by the direction v and the length g of a weight
    v g / |v|.

    With the gradient `grad` by the weight, they are g (grad / |v| - v (grad v) / |v|^3) and grad v
    / |v| (ATen/native/cpu/WeightNormKernel.cpp).
    """
    names = ("grad_w", "saved_v", "saved_g", "saved_norms")
    grad, v, g, lengths = (steps.exact(call[name]) for name in names)
    along = steps.sum(steps.mul(grad, v), find_axes(v.value, call["dim"]), True)
    cubes = steps.mul(lengths, steps.square(lengths))
    part = steps.mul(v, steps.div(along, cubes))
    by_direction = steps.mul(g, steps.sub(steps.div(grad, lengths), part))
    # in another order of the products, where they may overflow
    other = steps.mul(steps.mul(steps.div(g, cubes), along), v)
    error = torch.maximum(steps.store(by_direction), other.error)
    return [error, steps.store(steps.div(along, lengths))]
