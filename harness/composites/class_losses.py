"""Rules for the negative log likelihood of classes.

See the module `losses` for `reduction`. The target class of a row is the class given by `target`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harness.composites.losses import MEAN, NONE
from harness.rules.registry import Call, Error, repeat, rule
from harness.rules.steps import Number, Steps

STEP, LEVELS = 16, 8  # of the sums in torch's LossNLL.cpp


def take_classes(x: Tensor, target: Tensor, ignored: int) -> tuple[Tensor, Tensor]:
    """Return x at each row's target class (0 for ignored rows), and a mask of the rows that
    count.
    """
    counts = target != ignored
    axis = 1 if x.ndim > 1 else 0
    places = torch.where(counts, target, 0).unsqueeze(axis)
    at_target = x.gather(axis, places).squeeze(axis)
    return torch.where(counts, at_target, 0.0), counts


def take_weights(weight: Tensor | None, target: Tensor, counts: Tensor, like: Tensor) -> Tensor:
    """Return the weight of each row: of its target class, else 1; 0 for ignored rows."""
    if weight is None:
        return counts.to(like.dtype)
    weights: Tensor = weight[torch.where(counts, target, 0)]
    return torch.where(counts, weights, 0.0)


@repeat("nll_loss_forward", "nll_loss2d_forward")
def repeat_nll(
    x: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignored: int
) -> tuple[Tensor, Tensor]:
    """Return the loss, and the sum of the weights."""
    at_target, counts = take_classes(x, target, ignored)
    weights = take_weights(weight, target, counts, x)
    losses = -at_target * weights
    if reduction == NONE and x.ndim > 1:
        return losses, torch.zeros((), dtype=x.dtype, device=x.device)
    total = weights.sum()
    return (losses.sum() / total if reduction == MEAN else losses.sum()), total


@rule("nll_loss_forward", "nll_loss2d_forward")
def negative_logarithm(steps: Steps, call: Call) -> list[Error]:
    """Return the errors of the loss and of the sum of weights; the loss is the sum of -w x, divided
    by the sum of w for a mean.

    A narrow dtype stores each partial sum. torch adds 16 terms, then 16 such sums, and so on,
    unless it ignores a row.
    """
    steps = steps.stepwise()
    at_target, counts = take_classes(call["self"], call["target"], call["ignore_index"])
    weights = steps.exact(take_weights(call["weight"], call["target"], counts, at_target))
    losses = steps.exact(-at_target)
    if call["weight"] is not None:
        losses = steps.mul(losses, weights)
    if call["reduction"] == NONE and call["self"].ndim > 1:
        return [steps.store(losses), None]
    depth = count_additions(counts)
    total = add_in_turn(steps, weights, depth)
    if call["weight"] is None:
        total = Number(total.value, steps.cast(total.value))
    loss = add_in_turn(steps, losses, depth)
    if call["reduction"] == MEAN:
        loss = steps.div(loss, total)
    return [steps.store(loss), steps.store(total)]


def count_additions(counts: Tensor) -> int:
    """Return the largest number of additions that a term takes part in."""
    terms = counts.numel()
    if terms < STEP or not bool(counts.all()):
        return terms
    levels = 1
    while STEP**levels < terms:
        levels = levels + 1
    return min(terms, STEP * levels + LEVELS)


def add_in_turn(steps: Steps, a: Number, depth: int) -> Number:
    """Return a sum in which each term takes part in at most `depth` additions.

    Kernels for float32 and wider dtypes may add in any order.
    """
    if steps.precision.dtype in ("float64", "float32"):
        return steps.sum(a)
    value, carried = a.value.sum(), a.error.sum()
    size = abs(a.value).sum() + carried
    return steps.within(value, carried + depth * steps.u * size, size)


@repeat("nll_loss_backward", "nll_loss2d_backward")
def repeat_nll_backward(*given: Any) -> Tensor:
    """Return -g w, divided by the sum of the weights for a mean, at the target classes, and 0
    elsewhere.
    """
    g, x, target, weight, reduction, ignored, total = given
    counts = target != ignored
    slopes = -take_weights(weight, target, counts, x) * g
    if reduction == MEAN:
        slopes = slopes / total
    return put_back(x, target, counts, slopes)


def put_back(x: Tensor, target: Tensor, counts: Tensor, slopes: Tensor) -> Tensor:
    """Return zeros in the shape of x, with the numbers `slopes` at the target classes."""
    axis = 1 if x.ndim > 1 else 0
    places = torch.where(counts, target, 0).unsqueeze(axis)
    slopes = torch.where(counts, slopes, 0.0)
    return torch.zeros_like(x).scatter(axis, places, slopes.unsqueeze(axis))


@rule("nll_loss_backward", "nll_loss2d_backward")
def negative_logarithm_backward(steps: Steps, call: Call) -> Error:
    """Return the error of -w (g / sum of the weights), or -w g unless it is a mean; each step is
    stored.
    """
    steps = steps.stepwise()
    x, target = call["self"], call["target"]
    counts = target != call["ignore_index"]
    slope = steps.exact(call["grad_output"])
    if call["reduction"] == MEAN:
        slope = steps.div(slope, steps.exact(call["total_weight"]))
    if call["weight"] is not None:
        weights = take_weights(call["weight"], target, counts, x)
        slope = steps.mul(slope, steps.exact(weights))
    return put_back(x, target, counts, steps.store(slope).expand(target.shape))
