"""Rules for batch norm: statistics over rows and places for each channel, running statistics, and
gradients.

A rule bounds the rounding errors of one operation of torch. The scale is 1 / sqrt(variance + eps).
A number is stored if it is rounded to the dtype of the result.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harness.composites.moments import (
    bound_moments,
    invert_deviation,
    keep_needed,
    normalise,
    take_moments,
    transform,
)
from harness.rules.numbers import count_terms
from harness.rules.registry import Call, Error, repeat, rule
from harness.rules.steps import Number, Steps

UPDATING = ("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_functional")


def list_axes_but_channels(x: Tensor) -> list[int]:
    """Return the numbers of all axes but the second, which has the channels."""
    return [axis for axis in range(x.ndim) if axis != 1]


def by_channel(x: Tensor | None, like: Tensor) -> Tensor | None:
    """Reshape one number per channel (C,) so that it broadcasts with the tensor `like` (N, C, ...);
    None stays None.
    """
    return None if x is None else x.reshape([1, -1] + [1] * (like.ndim - 2))


def spread(x: Tensor, like: Tensor) -> Tensor:
    """Reshape one number per channel (C,) so that it broadcasts with the tensor `like` (N,
    C, ...).
    """
    return x.reshape([1, -1] + [1] * (like.ndim - 2))


@repeat(*UPDATING)
def repeat_batch_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, *given: Any
) -> list[Tensor | None]:
    """Return the normalised result, the batch's mean and scale, and the new running mean and
    variance.

    The scale is 1 / sqrt(variance + eps). The batch's mean and scale are empty unless in training.
    `given` are the operation's other arguments, in their order.
    """
    *running, training, momentum, eps = given
    held_mean, held_variance = running or (None, None)
    axes = list_axes_but_channels(x)
    saved, updated = [x.new_zeros(0), x.new_zeros(0)], [held_mean, held_variance]
    if training:
        mean, variance = take_moments(x, axes)
        scale = (variance + eps).rsqrt()
        saved = [mean.reshape(-1), scale.reshape(-1)]
        if held_mean is not None:
            updated[0] = momentum * mean.reshape(-1) + (1 - momentum) * held_mean
        if held_variance is not None:
            terms = count_terms(x, axes)
            whole = variance.reshape(-1) * (terms / (terms - 1) if terms > 1 else torch.nan)
            updated[1] = momentum * whole + (1 - momentum) * held_variance
    else:
        assert held_mean is not None
        assert held_variance is not None
        mean, scale = spread(held_mean, x), spread((held_variance + eps).rsqrt(), x)
    result = (x - mean) * scale
    if weight is not None:
        result = result * spread(weight, x)
    if bias is not None:
        result = result + spread(bias, x)
    return [result, *saved, *updated]


def stores_statistics(steps: Steps, call: Call) -> bool:
    """Are the mean and the scale rounded to a dtype narrower than float32?

    They have the dtype of the weight, the bias and the running statistics. This dtype is a wider
    one if any of these holds a number that the narrow dtype cannot.
    """
    if not steps.precision.narrow:
        return False
    for name in ("weight", "bias", "running_mean", "running_var"):
        given = call.given.get(name)
        if given is not None and bool((steps.cast(given) > 0).any()):
            return False
    return True


@rule(*UPDATING)
def batch_norm(steps: Steps, call: Call) -> list[Error]:
    """Return bounds on the errors of the normalised result, of the batch's mean and scale, and of
    the running mean and variance.

    The result is (x - mean) scale weight + bias, with scale = 1 / sqrt(variance + eps). In a narrow
    dtype every intermediate number may be rounded to it.
    """
    x, stepwise = call["input"], steps.stepwise()
    errors: list[Error] = [None, None]
    updated: list[Error] = [None, None]
    if call["training"]:
        narrow = stores_statistics(steps, call)
        mean, variance = bound_moments(steps, x, list_axes_but_channels(x), narrow)
        scale = invert_deviation(steps, variance, call["eps"])
        if narrow:
            scale = steps.hold(scale)
        errors = [steps.store(each).reshape(-1) for each in (mean, scale)]
        if call.given.get("running_mean") is not None:
            updated = update(stepwise if narrow else steps, call, mean, variance)
    else:
        old = steps.exact(spread(call["running_var"], x))
        mean = steps.exact(spread(call["running_mean"], x))
        scale = invert_deviation(stepwise, old, call["eps"])
    result = normalise(stepwise, x, mean, scale)
    result = transform(stepwise, result, by_channel(call["weight"], x), by_channel(call["bias"], x))
    return [steps.store(result), *errors, *updated]


def update(steps: Steps, call: Call, mean: Number, variance: Number) -> list[Error]:
    """Return bounds on the errors of the new running mean and running variance.

    They are momentum new + (1 - momentum) old, where the new ones are the batch's `mean` and
    `variance`.
    """
    x = call["input"]
    terms = count_terms(x, list_axes_but_channels(x))
    ratio = terms / (terms - 1) if terms > 1 else torch.nan
    whole = steps.round(variance.value * ratio, variance.error * ratio, 3)
    momentum = steps.scalar(call["momentum"], x)
    rest = steps.sub(steps.exact(torch.ones_like(momentum.value)), momentum)
    errors: list[Error] = []
    for new, name in ((mean, "running_mean"), (whole, "running_var")):
        flat = Number(new.value.reshape(-1), new.error.reshape(-1))
        old = steps.mul(rest, steps.exact(call[name]))
        errors.append(steps.store(steps.add(steps.mul(momentum, flat), old)))
    return errors


@repeat("native_batch_norm_backward")
def repeat_batch_norm_backward(*given: Any) -> list[Tensor | None]:
    """Return the gradients by input, weight and bias, from the saved mean and scale.

    The scale is 1 / sqrt(variance + eps). Gradients that are not needed are None. `given` are the
    operation's arguments, in their order.
    """
    g, x, weight, held_mean, held_variance, mean, scale, training, eps, output_mask = given
    axes = list_axes_but_channels(x)
    if not training:
        mean, scale = held_mean, (held_variance + eps).rsqrt()
    mean, scale = spread(mean, x), spread(scale, x)
    unit = (x - mean) * scale
    slope = g
    if training:
        along = (g * unit).mean(axes, keepdim=True)
        slope = g - g.mean(axes, keepdim=True) - unit * along
    slope = slope * scale
    if weight is not None:
        slope = slope * spread(weight, x)
    gradients = [slope, (g * unit).sum(axes), g.sum(axes)]
    return keep_needed(gradients, output_mask)


@rule("native_batch_norm_backward")
def batch_norm_backward(steps: Steps, call: Call) -> list[Error]:
    """Return bounds on the errors of the gradients by input, weight and bias.

    For an input x, weight w, gradient g by the result, mean m and scale s, the gradients are as
    follows. By the input: s w (g - mean(g) - (x - m) k) with k = mean(g (x - m)) s^2, or s w g if
    the statistics are not the batch's. By the weight: the sum of g (x - m) s. By the bias: the sum
    of g.
    """
    x, g = call["input"], steps.exact(call["grad_out"])
    axes, stepwise = list_axes_but_channels(x), steps.stepwise()
    if call["train"]:
        mean, scale = (steps.exact(spread(call[each], x)) for each in ("save_mean", "save_invstd"))
    else:
        mean = steps.exact(spread(call["running_mean"], x))
        running = steps.exact(spread(call["running_var"], x))
        scale = stepwise.hold(invert_deviation(stepwise, running, call["eps"]))
    slope, centre = g, steps.hold(steps.sub(steps.exact(x), mean))
    along = stepwise.mul(steps.hold(steps.sum(stepwise.mul(centre, g), axes, keepdim=True)), scale)
    by_weight = along
    if call["train"]:
        along = stepwise.mul(along, scale)
        terms = count_terms(x, axes)
        along = stepwise.round(along.value / terms, along.error / terms, 2)
        bend = stepwise.mul(centre, along)
        shift = steps.hold(steps.mean(g, axes, keepdim=True))
        slope = stepwise.sub(stepwise.sub(g, shift), bend)
    slope = stepwise.mul(slope, scale)
    if call["weight"] is not None:
        slope = stepwise.mul(slope, steps.exact(spread(call["weight"], x)))
    gradients = [slope, by_weight, steps.sum(g, axes)]
    errors: list[Error] = []
    for each, result in zip(gradients, call.results, strict=True):
        errors.append(None if result is None else steps.store(each).reshape(result.shape))
    return errors
