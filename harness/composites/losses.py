"""Rules for losses of differences (squares, Huber, smooth L1) and their gradients.

A rule bounds the rounding errors of one operation of torch. `reduction` is 0 for the losses
themselves, 1 for their mean and 2 for their sum. In a dtype narrower than float32, torch rounds
each number on the way to a loss to that dtype, but keeps sums in float32. In formulas, z is input -
target, and g the gradient by the loss. delta and beta are the arguments of the same name.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.rules.registry import Call, Error, rule
from harness.rules.steps import Number, Steps

NONE, MEAN, SUM = 0, 1, 2


def reduce_exactly(losses: Tensor, reduction: int) -> Tensor:
    """Return losses (`reduction` 0), or their mean (1) or sum (2), computed in their own dtype
    (float64).
    """
    if reduction == NONE:
        return losses
    return losses.mean() if reduction == MEAN else losses.sum()


def reduce(steps: Steps, losses: Number, reduction: int) -> Error:
    """Return a bound on the error of losses (`reduction` 0), or of their mean (1) or sum (2).

    The result is rounded to the dtype of the operation's result.
    """
    if reduction == NONE:
        return losses.error
    return steps.store(steps.mean(losses) if reduction == MEAN else steps.sum(losses))


def share_slope(steps: Steps, slope: Number, call: Call) -> Number:
    """Return the gradient by the input, given the slopes of the losses, with its error.

    It is the slopes times the gradient by the loss, divided by the number of losses for a mean. The
    error covers both orders: the division may come first or last.
    """
    g = steps.exact(call["grad_output"])
    last = share(steps, steps.mul(slope, g), call["reduction"])
    if call["reduction"] != MEAN:
        return last
    first = steps.mul(share(steps, slope, MEAN), g)
    return Number(last.value, torch.maximum(last.error, first.error))


def share(steps: Steps, slope: Number, reduction: int) -> Number:
    """Return slopes with their errors, divided by the number of losses for a mean (`reduction` 1).

    The reciprocal of this number may be rounded, and the product or quotient with it rounds.
    """
    if reduction != MEAN:
        return slope
    losses = slope.value.numel()
    return steps.round(slope.value / losses, slope.error / losses, 3)


def differ(steps: Steps, call: Call) -> Number:
    """Return input - target, with its error."""
    return steps.sub(steps.exact(call["self"]), steps.exact(call["target"]))


@rule("mse_loss")
def square_loss(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of (input - target)^2, or of its mean or sum."""
    stepwise = steps.stepwise()
    return reduce(steps, stepwise.square(differ(stepwise, call)), call["reduction"])


@rule("mse_loss_backward")
def square_loss_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of 2 g z, with z = input - target and the gradient g by the loss.

    For a mean it is divided by the number of losses.
    """
    steps = steps.stepwise()
    slope = steps.scale(differ(steps, call), 2.0)
    return steps.store(share_slope(steps, slope, call))


@rule("huber_loss")
def huber_loss(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of Huber's loss, or of its mean or sum.

    With z = input - target, it is z^2 / 2 for |z| <= delta, else delta (|z| - delta / 2).
    """
    stepwise = steps.stepwise()
    z, delta = take_size(stepwise, call), stepwise.scalar(call["delta"], call["self"])
    small = stepwise.scale(stepwise.square(z), 0.5)
    large = stepwise.mul(delta, stepwise.sub(z, stepwise.scale(delta, 0.5)))
    return reduce(steps, join(z, delta, small, large), call["reduction"])


@rule("smooth_l1_loss")
def smooth_loss(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the smooth L1 loss, or of its mean or sum.

    With z = input - target, it is z^2 / (2 beta) for |z| < beta, else |z| - beta / 2.
    """
    stepwise = steps.stepwise()
    z, beta = take_size(stepwise, call), stepwise.scalar(call["beta"], call["self"])
    large = stepwise.sub(z, stepwise.scale(beta, 0.5))
    if call["beta"] == 0:
        return reduce(steps, z, call["reduction"])
    small = stepwise.div(stepwise.scale(stepwise.square(z), 0.5), beta)
    return reduce(steps, join(z, beta, small, large), call["reduction"])


def take_size(steps: Steps, call: Call) -> Number:
    """Return |input - target|, with its error."""
    z = differ(steps, call)
    return Number(abs(z.value), z.error)


def join(z: Number, end: Number, small: Number, large: Number) -> Number:
    """Return `small` if |z| is at most `end`, else `large`, element by element, with errors.

    If rounding may decide which of them is taken, the error covers both.
    """
    inside = z.value <= end.value
    near = abs(z.value - end.value) <= z.error + end.error
    value = torch.where(inside, small.value, large.value)
    error = torch.where(inside, small.error, large.error)
    either = torch.maximum(small.error, large.error) + abs(small.value - large.value)
    return Number(value, torch.where(near, either, error))


@rule("huber_loss_backward")
def huber_loss_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of Huber's loss's gradient.

    With z = input - target and the gradient g by the loss, it is g z for |z| <= delta, else delta g
    sign(z). For a mean it is divided by the number of losses.
    """
    steps = steps.stepwise()
    z, delta = differ(steps, call), steps.scalar(call["delta"], call["self"])
    size = Number(abs(z.value), z.error)
    slope = join(size, delta, size, delta)
    return steps.store(share_slope(steps, slope, call))


@rule("smooth_l1_loss_backward")
def smooth_loss_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the smooth L1 loss's gradient.

    With z = input - target and the gradient g by the loss, it is g z / beta for |z| < beta, else g
    sign(z). For a mean it is divided by the number of losses.
    """
    steps = steps.stepwise()
    z, beta = differ(steps, call), steps.scalar(call["beta"], call["self"])
    size = Number(abs(z.value), z.error)
    slope = steps.exact(torch.ones_like(z.value))
    if call["beta"] != 0:
        slope = join(size, beta, steps.div(size, beta), slope)
    return steps.store(share_slope(steps, slope, call))
