"""Rules for softmax, log-softmax and logsumexp along an axis, and for their gradients.

A rule bounds the rounding errors of one operation of torch. All are computed from x - m, where m is
the largest number of a row: Blanchard, Higham and Higham, "Accurately computing the log-sum-exp and
softmax functions", IMA J. Numer. Anal. 41 (2021). A class of minus infinity has the probability 0.
In the gradients p is softmax(x), h is log p, and g the gradient by the result. Sums are over the
operation's axis.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.rules.numbers import list_axes
from harness.rules.registry import Call, Error, rule
from harness.rules.steps import Number, Steps


def take_off_largest(steps: Steps, x: Tensor, axes: Sequence[int]) -> tuple[Number, Tensor]:
    """Return x - m, with its error, and m, the largest number along `axes` (0 if it is
    infinite).
    """
    largest = x.amax(list(axes), keepdim=True) if x.numel() else x.sum(list(axes), keepdim=True)
    largest = torch.where(largest.isinf(), 0.0, largest)
    return steps.sub(steps.exact(x), steps.exact(largest)), largest


def exp_of_shifted(steps: Steps, shifted: Number) -> Number:
    """Return exp(x - m), with its error, for numbers x - m that are at most 0.

    A mask may set x to the lowest number of a dtype. Then x - m may overflow to minus infinity, but
    the exponential of both is 0.
    """
    lowest = shifted.value < -steps.largest / 2
    return steps.exp(Number(shifted.value, torch.where(lowest, 0.0, shifted.error)))


def list_own_axes(call: Call) -> list[int]:
    """Return the axes along which the called operation works, as numbers from 0."""
    return list_axes(call["self"], call["dim"])


@rule("_softmax", "_safe_softmax")
def softmax(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of exp(x - m) divided by the sum of exp(x - m).

    m is the largest number x of a row. A kernel may multiply by the reciprocal of the sum, and
    round the exponentials to a narrow dtype.
    """
    shifted, _ = take_off_largest(steps, call["self"], list_own_axes(call))
    powers = steps.hold(exp_of_shifted(steps, shifted))
    total = steps.sum(powers, list_own_axes(call), keepdim=True)
    share = steps.div(powers, total)
    error = steps.store(steps.round(share.value, share.error))
    masked = call["self"] == -torch.inf
    return torch.where(masked, 0.0, error)


@rule("_log_softmax")
def log_softmax(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of (x - m) - log(sum(exp(x - m))), where m is the largest x of a
    row.

    A kernel may round the sum and its logarithm to a narrow dtype.
    """
    axes = list_own_axes(call)
    shifted, _ = take_off_largest(steps, call["self"], axes)
    total = steps.hold(steps.sum(exp_of_shifted(steps, shifted), axes, keepdim=True))
    return steps.store(steps.sub(shifted, steps.hold(steps.log(total))))


@rule("logsumexp")
def sum_exponentials(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of m + log(sum(exp(x - m))), where m is the largest x of a row.

    torch rounds each intermediate number to the dtype of the result.
    """
    steps = steps.stepwise()
    axes = list_own_axes(call)
    shifted, largest = take_off_largest(steps, call["self"], axes)
    total = steps.sum(exp_of_shifted(steps, shifted), axes, keepdim=True)
    result = steps.add(steps.exact(largest), steps.log(total))
    error = torch.where(result.value == -torch.inf, 0.0, steps.store(result))
    return error if call["keepdim"] or not axes else squeeze(error, axes)


def squeeze(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Return a tensor without the given axes, which have the length 1."""
    return torch.squeeze(x, tuple(axes))


@rule("_softmax_backward_data")
def softmax_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of p (g - sum(g p)), softmax's gradient by its input.

    p is the softmax, and g the gradient by p. A kernel may compute it as g p - p sum(g p).
    """
    p, g = steps.exact(call["output"]), steps.exact(call["grad_output"])
    product = steps.mul(g, p)
    total = steps.sum(product, call["dim"], keepdim=True)
    return steps.store(steps.sub(product, steps.mul(p, total)))


@rule("_log_softmax_backward_data")
def log_softmax_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of g - exp(h) sum(g), log-softmax's gradient by its input.

    h is the log-softmax, and g the gradient by h.
    """
    h, g = steps.exact(call["output"]), steps.exact(call["grad_output"])
    total = steps.sum(g, call["dim"], keepdim=True)
    return steps.store(steps.sub(g, steps.mul(steps.exp(h), total)))
