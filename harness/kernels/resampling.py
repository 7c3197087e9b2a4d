"""Rules for linear and cubic interpolation between the places of a grid.

A rule bounds the rounding errors of one operation of torch. Interpolation is separable: along each
axis it is a product with a matrix M of weights. torch's own operation gives M for the unit vectors.
u is the unit roundoff. The place of the output with the number o is s (o + 1/2) - 1/2 or s o, with
the ratio s of the lengths. A kernel computes it with at most four roundings of a number up to the
place itself, so a place is off by d = 4 u (s (o + 1) + 1). Then:

- Linear weights t and 1 - t are off by d, and by 2 roundings.
- Cubic weights, of Keys with A = -3/4, have slopes of at most 1.35, which is 1.5 with second-order
  terms. Horner's rule rounds (((A x - 5 A) x + 8 A) x - 4 A), x in [1, 2], by at most 37 u: its
  partial results are at most 3, 4.5, 3 and 3, so the error grows from 4.5 to 13.5, 16.5, 36 and 37
  u. The other polynomial is off by 7 u.
- A place near a whole number may fall on its other side: then the neighbours on that side have
  weights of no more than the error of a weight.
- Forward, a CPU kernel rounds weights to the dtype of the result, and takes the other linear weight
  from the rounded one (ATen/native/cpu/UpSampleKernel.cpp).

With the errors E of the weights of each axis, the result for an input x is off by (|M| + E) ... |x|
less |M| ... |x|, with a factor for each axis, and by the roundings of the sum.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.kernels.again import (
    add_sizes,
    bound_running_sums,
    count_terms_with,
    repeat_with,
    step_roundoff,
)
from harness.rules.registry import Call, Error, rule
from harness.rules.steps import Number, Steps

CUBIC = "bicubic"
SCALES = (("scales",), ("scales_h", "scales_w"), ("scales_d", "scales_h", "scales_w"))


@rule("upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d")
def interpolate(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of an interpolation: weighted sums of neighbours."""
    x = abs(call["self"])
    axes = int(call.name[-2])
    exact: Tensor = x
    widened: Tensor = x
    taps = 1
    for axis, weights, error in list_weights(steps, call, x.shape[-axes:], stored=True):
        exact = apply_along(exact, weights, axis)
        widened = apply_along(widened, weights + error, axis)
        taps *= 4 if CUBIC in call.name else 2
    roundings = (taps + axes) * (steps.u * widened + steps.least(widened > 0))
    return steps.store(Number(call.result, widened - exact + roundings))


@rule(
    "_upsample_nearest_exact1d",
    "_upsample_nearest_exact2d",
    "_upsample_nearest_exact3d",
    "upsample_nearest1d",
    "upsample_nearest2d",
    "upsample_nearest3d",
)
def copy_nearest(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of nearest-neighbour copies.

    A kernel computes the place of the copied number in float32, for dtypes up to float32. If
    float64 gives another place, both are right, and the bound covers both.
    """
    if steps.u < 2.0**-40:
        return None
    in_float32: Tensor = repeat_with(call, self=call["self"].float()).double()
    difference: Tensor = abs(in_float32 - call.result)
    return torch.where(in_float32 == call.result, 0.0, difference)


@rule(
    "_upsample_nearest_exact1d_backward",
    "_upsample_nearest_exact2d_backward",
    "_upsample_nearest_exact3d_backward",
    "upsample_nearest1d_backward",
    "upsample_nearest2d_backward",
    "upsample_nearest3d_backward",
)
def add_copies(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the gradient of nearest-neighbour copies.

    The gradient by a number is the sum of the gradients by its copies, kept in float32.
    """
    terms: Tensor = count_terms_with(call, "grad_output")
    error = bound_running_sums(steps, add_sizes(call, "grad_output"), terms, wide=True)
    if steps.u < 2.0**-40:
        return error
    ones = torch.ones_like(call["grad_output"])
    counted = repeat_with(call, grad_output=ones.float()).double()
    if torch.equal(counted, terms):
        return error
    g = call["grad_output"]
    in_float32: Tensor = repeat_with(call, grad_output=g.float()).double()
    copied: Tensor = repeat_with(call, grad_output=abs(g).float()).double()
    return error + abs(in_float32 - call.result) + 2 * terms.max() * steps.u * copied


@rule(
    "upsample_linear1d_backward",
    "upsample_bilinear2d_backward",
    "upsample_trilinear3d_backward",
    "upsample_bicubic2d_backward",
)
def interpolate_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the gradient by the input of an interpolation.

    Each output adds its gradient, times its weights, to its neighbours. A CPU keeps the sums of
    narrow dtypes in float32 (ATen/native/cpu/UpSampleMoreKernel.cpp), a GPU adds them in memory.
    """
    g = abs(call["grad_output"])
    axes = g.ndim - 2
    exact: Tensor = g
    widened: Tensor = g
    terms: Tensor = torch.ones_like(g[:1, :1])
    wide = g.device.type == "cpu"
    for axis, weights, error in list_weights(steps, call, call["input_size"][2:], stored=False):
        exact = apply_along(exact, weights.T, axis)
        widened = apply_along(widened, (weights + error).T, axis)
        terms = apply_along(terms, (weights + error != 0).double().T, axis)
    return widened - exact + bound_running_sums(steps, widened, terms, axes, wide)


def apply_along(x: Tensor, matrix: Tensor, axis: int) -> Tensor:
    """Return the product of a matrix (m, n) and each vector (n,) of x along an axis."""
    return torch.movedim(torch.movedim(x, axis, -1) @ matrix.T, -1, axis)


def list_weights(
    steps: Steps, call: Call, lengths: Sequence[int], stored: bool
) -> list[tuple[int, Tensor, Tensor]]:
    """Return for each axis its number, the absolute values of its weights (outputs, inputs), and
    their errors.

    `lengths` are the numbers of inputs along the axes. With `stored` the weights are rounded to the
    dtype of the result.
    """
    axes = len(lengths)
    weights_by_axis = []
    for place, (length, outputs) in enumerate(zip(lengths, call["output_size"], strict=True)):
        scale = call[SCALES[axes - 1][place]]
        weights = find_weights(call, length, outputs, scale)
        error = bound_weights(steps, call, weights, scale)
        if stored:
            error = error + store_weights(steps, call, weights)
        weights_by_axis.append((place - axes, abs(weights), error))
    return weights_by_axis


def find_weights(call: Call, length: int, outputs: int, scale: float | None) -> Tensor:
    """Return the weights (outputs, inputs) along one axis of `length` inputs and `outputs` outputs.

    `scale` is the call's scale for this axis, if given.
    """
    device = call.result.device
    unit = torch.eye(length, dtype=torch.float64, device=device)[None]
    corners = call["align_corners"]
    if CUBIC in call.name:
        operation = torch.ops.aten.upsample_bicubic2d
        weights: Tensor = operation(unit[..., None], [outputs, 1], corners, scale, None)[..., 0]
    else:
        weights = torch.ops.aten.upsample_linear1d(unit, [outputs], corners, scale)
    return weights[0].T


def bound_weights(steps: Steps, call: Call, weights: Tensor, scale: float | None) -> Tensor:
    """Return bounds on the errors of the weights (outputs, inputs) along one axis.

    `scale` is the call's scale for this axis, if given.
    """
    outputs, length = weights.shape
    if outputs == length and scale in (None, 1.0):
        return torch.zeros_like(weights)  # every place is a whole number
    step = length / outputs if scale is None else max(length / outputs, 1 / scale)
    step = max(step, (length - 1) / max(outputs - 1, 1))
    order = torch.arange(1, outputs + 1, dtype=torch.float64, device=weights.device)
    place = 4 * steps.u * (step * order[:, None] + 1)
    each = 1.5 * place + 37 * steps.u if CUBIC in call.name else place + 2 * steps.u
    touched = weights != 0
    near = abs(weights).amax(1, keepdim=True) >= 1 - 4 * each
    neighbours = touched.clone()
    neighbours[:, 1:] |= touched[:, :-1]
    neighbours[:, :-1] |= touched[:, 1:]
    error = each * (touched | (near & neighbours))
    error[:, [0, -1]] *= 4  # several neighbours beyond the edge are one number
    return error


def store_weights(steps: Steps, call: Call, weights: Tensor) -> Tensor:
    """Return bounds on the errors of rounding weights to the dtype of the result."""
    stored = abs(weights) if CUBIC in call.name else weights != 0
    return (step_roundoff(steps) - steps.u) * stored
