"""Softmax, its logarithm and the sum of exponentials, along an axis, and their slopes.

All are computed from x - m, m the largest number of a row: Blanchard, Higham and Higham,
"Accurately computing the log-sum-exp and softmax functions", IMA J. Numer. Anal. 41 (2021). A class
of minus infinity has the probability 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.rules.registry import Call, Error, rule
from harness.rules.steps import Number, Steps, list_axes


def take_off_largest(steps: Steps, x: Tensor, axes: Sequence[int]) -> tuple[Number, Tensor]:
    """Return x - m, and m, the largest number of a row (0 if none is finite)."""
    largest = x.amax(list(axes), keepdim=True) if x.numel() else x.sum(list(axes), keepdim=True)
    largest = torch.where(largest.isinf(), 0.0, largest)
    return steps.sub(steps.exact(x), steps.exact(largest)), largest


def list_own_axes(call: Call) -> list[int]:
    """Return the axes of a row, at least one."""
    return list_axes(call["self"], call["dim"])


@rule("_softmax", "_safe_softmax")
def softmax(steps: Steps, call: Call) -> Error:
    """Return exp(x - m) / sum(exp(x - m)), or times the reciprocal of the sum.

    A narrow dtype may hold the exponentials.
    """
    apart, _ = take_off_largest(steps, call["self"], list_own_axes(call))
    powers = steps.hold(steps.exp(apart))
    total = steps.sum(powers, list_own_axes(call), keepdim=True)
    share = steps.div(powers, total)
    error = steps.store(steps.round(share.value, share.error))
    masked = call["self"] == -torch.inf
    return torch.where(masked, 0.0, error)


@rule("_log_softmax")
def log_softmax(steps: Steps, call: Call) -> Error:
    """Return (x - m) - log(sum(exp(x - m))); a narrow dtype may hold the sum and its
    logarithm.
    """
    axes = list_own_axes(call)
    apart, _ = take_off_largest(steps, call["self"], axes)
    total = steps.hold(steps.sum(steps.exp(apart), axes, keepdim=True))
    return steps.store(steps.sub(apart, steps.hold(steps.log(total))))


@rule("logsumexp")
def sum_exponentials(steps: Steps, call: Call) -> Error:
    """Return m + log(sum(exp(x - m))). torch stores each step."""
    steps = steps.stepwise()
    axes = list_own_axes(call)
    apart, largest = take_off_largest(steps, call["self"], axes)
    total = steps.sum(steps.exp(apart), axes, keepdim=True)
    found = steps.add(steps.exact(largest), steps.log(total))
    error = torch.where(found.value == -torch.inf, 0.0, steps.store(found))
    return error if call["keepdim"] or not axes else squeeze(error, axes)


def squeeze(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Return a tensor without some axes of length 1."""
    return torch.squeeze(x, tuple(axes))


@rule("_softmax_backward_data")
def softmax_backward(steps: Steps, call: Call) -> Error:
    """Return p (g - sum(g p)), or g p - p sum(g p)."""
    p, g = steps.exact(call["output"]), steps.exact(call["grad_output"])
    product = steps.mul(g, p)
    total = steps.sum(product, call["dim"], keepdim=True)
    return steps.store(steps.sub(product, steps.mul(p, total)))


@rule("_log_softmax_backward_data")
def log_softmax_backward(steps: Steps, call: Call) -> Error:
    """Return g - exp(h) sum(g), h the logarithms of probabilities."""
    h, g = steps.exact(call["output"]), steps.exact(call["grad_output"])
    total = steps.sum(g, call["dim"], keepdim=True)
    return steps.store(steps.sub(g, steps.mul(steps.exp(h), total)))
