"""Rules for layer norm, group norm and the root-mean-square norm, and for their gradients.

A rule bounds the rounding errors of one operation of torch. In formulas x is the input, g the
gradient by the result, s the saved scale 1 / sqrt(variance + eps), and h the normalised input.
Functions with `given` take the operation's arguments in their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from harness.composites.moments import (
    bound_moments,
    invert_deviation,
    keep_needed,
    normalise,
    slope_by_input,
    slope_by_weight,
    take_moments,
    transform,
)
from harness.rules.registry import Call, Error, repeat, rule
from harness.rules.steps import Number, Steps


def list_last(x: Tensor, shape: Sequence[int]) -> list[int]:
    """Return the numbers of the last axes of x, as many as the shape has."""
    return list(range(x.ndim - len(shape), x.ndim))


def list_first(x: Tensor, shape: Sequence[int]) -> list[int]:
    """Return the numbers of the axes of x before the last ones, which the shape describes."""
    return list(range(x.ndim - len(shape)))


@repeat("native_layer_norm")
def repeat_layer_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the result, the means and the scales 1 / sqrt(variance + eps) of layer norm."""
    mean, variance = take_moments(x, list_last(x, shape))
    scale = (variance + eps).rsqrt()
    result = (x - mean) * scale
    if weight is not None:
        result = result * weight
    return (result if bias is None else result + bias), mean, scale


@rule("native_layer_norm")
def layer_norm(steps: Steps, call: Call) -> list[Error]:
    """Return bounds on the errors of the result (x - mean) scale weight + bias, the means and the
    scales.
    """
    x = call["input"]
    mean, variance = bound_moments(steps, x, list_last(x, call["normalized_shape"]))
    scale = invert_deviation(steps, variance, call["eps"])
    result = transform(steps, normalise(steps, x, mean, scale), call["weight"], call["bias"])
    return [steps.store(result), steps.store(mean), steps.store(scale)]


@repeat("native_layer_norm_backward")
def repeat_layer_norm_backward(*given: Any) -> list[Tensor | None]:
    """Return the gradients of layer norm by input, weight and bias, from the saved means and
    scales.

    Gradients that are not needed are None.
    """
    g, x, shape, mean, scale, weight, _, output_mask = given
    last, first = list_last(x, shape), list_first(x, shape)
    unit = (x - mean) * scale
    by_input = take_slope(g if weight is None else g * weight, unit, scale, last)
    by_weight = add_up(g * unit, first)
    gradients = [by_input, by_weight, add_up(g, first)]
    return keep_needed(gradients, output_mask)


def add_up(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Return the sum over some axes; x itself for an empty list."""
    return x.sum(tuple(axes)) if axes else x


def take_slope(g: Tensor, unit: Tensor, scale: Tensor, axes: Sequence[int]) -> Tensor:
    """Return the gradient by the input of a norm, s (g - mean(g) - h mean(g h)), with means over
    `axes`.

    g is the gradient by the normalised input h, which is `unit`; s is `scale`.
    """
    every = tuple(axes)
    along = (g * unit).mean(every, keepdim=True)
    return scale * (g - g.mean(every, keepdim=True) - unit * along)


@rule("native_layer_norm_backward")
def layer_norm_backward(steps: Steps, call: Call) -> list[Error]:
    """Return bounds on the errors of the gradients of layer norm by input, weight and bias, from
    the saved means and scales.
    """
    x, g, weight = call["input"], call["grad_out"], call["weight"]
    mean, scale = call["mean"], call["rstd"]
    last = list_last(x, call["normalized_shape"])
    first = list_first(x, call["normalized_shape"])
    weighed = steps.exact(g)
    if weight is not None:
        weighed = steps.mul(weighed, steps.exact(weight))
    by_input = Number(x, slope_by_input(steps, weighed, x, (mean, scale), last))
    stepwise = steps.stepwise()  # torch adds up rows in the dtype of the weights
    by_weight = slope_by_weight(stepwise, g, x, (mean, scale), first)
    by_bias = stepwise.sum(steps.exact(g), first) if first else steps.exact(g)
    gradients = call.results
    errors: list[Error] = [None, None, None]
    if gradients[0] is not None:
        errors[0] = steps.store(Number(gradients[0], by_input.error))
    if gradients[1] is not None:
        errors[1] = steps.store(by_weight).reshape(gradients[1].shape)
    if gradients[2] is not None:
        errors[2] = steps.store(by_bias).reshape(gradients[2].shape)
    return errors


def as_groups(x: Tensor, sizes: Sequence[int]) -> Tensor:
    """Reshape a tensor to (rows, groups, channels of a group, places).

    `sizes` are the numbers of rows, channels, places and groups.
    """
    rows, channels, places, groups = sizes
    return x.reshape(rows, groups, channels // groups, places)


def as_channels(weight: Tensor | None, sizes: Sequence[int]) -> Tensor | None:
    """Reshape one number per channel so that it broadcasts with a result of `as_groups`; None stays
    None.
    """
    if weight is None:
        return None
    return weight.reshape(1, sizes[3], sizes[1] // sizes[3], 1)


@repeat("native_group_norm")
def repeat_group_norm(*given: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Return the result, the means and the scales 1 / sqrt(variance + eps) of group norm."""
    x, weight, bias, *sizes, eps = given
    grouped = as_groups(x, sizes)
    mean, variance = take_moments(grouped, (2, 3))
    scale = (variance + eps).rsqrt()
    result = (grouped - mean) * scale
    if weight is not None:
        result = result * as_channels(weight, sizes)
    if bias is not None:
        result = result + as_channels(bias, sizes)
    return result.reshape(x.shape), mean[:, :, 0, 0], scale[:, :, 0, 0]


def list_sizes(call: Call) -> list[int]:
    """Return the numbers of rows, channels, places and groups of a call of group norm."""
    return [call["N"], call["C"], call["HxW"], call["group"]]


@rule("native_group_norm")
def group_norm(steps: Steps, call: Call) -> list[Error]:
    """Return bounds on the errors of the result (x - mean) scale weight + bias, the means and the
    scales.
    """
    sizes = list_sizes(call)
    grouped = as_groups(call["input"], sizes)
    mean, variance = bound_moments(steps, grouped, (2, 3))
    scale = invert_deviation(steps, variance, call["eps"])
    weight, bias = as_channels(call["weight"], sizes), as_channels(call["bias"], sizes)
    result = transform(steps, normalise(steps, grouped, mean, scale), weight, bias)
    by_group = [steps.store(each)[:, :, 0, 0] for each in (mean, scale)]
    return [steps.store(result).reshape(call["input"].shape), *by_group]


@repeat("native_group_norm_backward")
def repeat_group_norm_backward(*given: Any) -> list[Tensor | None]:
    """Return the gradients of group norm by input, weight and bias, from the saved means and
    scales.

    Gradients that are not needed are None.
    """
    g, x, mean, scale, weight, *sizes, output_mask = given
    grouped, slopes = as_groups(x, sizes), as_groups(g, sizes)
    mean, scale = mean[:, :, None, None], scale[:, :, None, None]
    unit = (grouped - mean) * scale
    by_channel = as_channels(weight, sizes)
    weighed = slopes if by_channel is None else slopes * by_channel
    by_input = take_slope(weighed, unit, scale, (2, 3)).reshape(x.shape)
    by_weight = (slopes * unit).sum((0, 3)).reshape(-1)
    gradients = [by_input, by_weight, slopes.sum((0, 3)).reshape(-1)]
    return keep_needed(gradients, output_mask)


@rule("native_group_norm_backward")
def group_norm_backward(steps: Steps, call: Call) -> list[Error]:
    """Return bounds on the errors of the gradients of group norm by input, weight and bias, from
    the saved means and scales.
    """
    sizes = list_sizes(call)
    x, g = as_groups(call["input"], sizes), as_groups(call["grad_out"], sizes)
    mean, scale = call["mean"][:, :, None, None], call["rstd"][:, :, None, None]
    weight = as_channels(call["weight"], sizes)
    weighed = steps.exact(g) if weight is None else steps.mul(steps.exact(g), steps.exact(weight))
    held = steps.precision.stored if steps.precision.narrow else 0.0  # of sums by channel
    saved = mean, scale
    lost = slope_by_input(steps, weighed, x, saved, (2, 3), held).reshape(call["input"].shape)
    by_weight = slope_by_weight(steps, g, x, saved, (0, 3), held)
    by_bias = steps.sum(steps.hold(steps.sum(steps.exact(g), 3)), 0)
    errors: list[Error] = [None, None, None]
    if call.results[0] is not None:
        errors[0] = steps.store(Number(call.results[0], lost))
    if call.results[1] is not None:
        errors[1] = steps.store(by_weight).reshape(-1)
    if call.results[2] is not None:
        errors[2] = steps.store(by_bias).reshape(-1)
    return errors


@repeat("_fused_rms_norm")
def repeat_root_mean_square_norm(
    x: Tensor, shape: Sequence[int], weight: Tensor | None, eps: float | None
) -> tuple[Tensor, Tensor]:
    """Return the result x weight / sqrt(mean(x^2) + eps), and the scale 1 / sqrt(mean(x^2)
    + eps).
    """
    least = torch.finfo(x.dtype).eps if eps is None else eps
    scale = (x.square().mean(list_last(x, shape), keepdim=True) + least).rsqrt()
    result = x * scale
    return (result if weight is None else result * weight), scale


@rule("_fused_rms_norm")
def root_mean_square_norm(steps: Steps, call: Call) -> list[Error]:
    """Return bounds on the errors of x weight / sqrt(mean(x^2) + eps) and of the scale.

    They are infinite if eps is not given.
    """
    x = steps.exact(call["input"])
    if call["eps"] is None:
        return [torch.full_like(each, torch.inf) for each in call.results]
    squares = steps.mean(steps.square(x), list_last(x.value, call["normalized_shape"]), True)
    scale = invert_deviation(steps, squares, call["eps"])
    result = transform(steps, steps.mul(x, scale), call["weight"], None)
    return [steps.store(result), steps.store(scale)]


@repeat("_fused_rms_norm_backward")
def repeat_root_mean_square_norm_backward(*given: Any) -> list[Tensor | None]:
    """Return the gradients of the root-mean-square norm by input and weight, from a saved scale.

    Gradients that are not needed are None.
    """
    g, x, shape, scale, weight, output_mask = given
    last = list_last(x, shape)
    unit, weighed = x * scale, g if weight is None else g * weight
    along = (weighed * unit).mean(last, keepdim=True)
    gradients = [scale * (weighed - unit * along), add_up(g * unit, list_first(x, shape))]
    return keep_needed(gradients, output_mask)


@rule("_fused_rms_norm_backward")
def root_mean_square_norm_backward(steps: Steps, call: Call) -> list[Error]:
    """Return bounds on the errors of the gradients by input x and weight.

    Let g be the gradient by the result, s the saved scale and h = x s. By the input the gradient is
    s (g w - h mean(g w h)), with the weight w. By the weight it is the sum of g h.
    """
    x, scale = steps.exact(call["input"]), steps.exact(call["rstd"])
    g = steps.exact(call["grad_out"])
    last = list_last(x.value, call["normalized_shape"])
    first = list_first(x.value, call["normalized_shape"])
    unit = steps.mul(x, scale)
    weighed = g if call["weight"] is None else steps.mul(g, steps.exact(call["weight"]))
    along = steps.mean(steps.mul(weighed, unit), last, True)
    by_input = steps.mul(scale, steps.sub(weighed, steps.mul(unit, along)))
    product = steps.mul(g, unit)
    by_weight = steps.sum(product, first) if first else product
    errors: list[Error] = [steps.store(by_input), steps.store(by_weight)]
    output_mask = call["output_mask"]
    return [each if needed else None for each, needed in zip(errors, output_mask, strict=True)]
