"""Rules for the negative log likelihood of classes.

A rule bounds the rounding errors of one operation of torch. In formulas, x are log probabilities
(rows, classes), w the weight of a row, and g the gradient by the loss. `target` has the target
class of each row; a row whose target is `ignored` does not count. See the module `losses` for
`reduction`.
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
    """Return the log probability x at each row's target class, and a mask of the rows that are not
    ignored.

    A row whose target is `ignored` has 0.
    """
    counts = target != ignored
    axis = 1 if x.ndim > 1 else 0
    places = torch.where(counts, target, 0).unsqueeze(axis)
    at_target = x.gather(axis, places).squeeze(axis)
    return torch.where(counts, at_target, 0.0), counts


def take_weights(weight: Tensor | None, target: Tensor, counts: Tensor, like: Tensor) -> Tensor:
    """Return the weight of each row, which is 0 if the mask `counts` does not mark it.

    Other rows have the weight of their target class in `weight` or, if this is None, 1 in the dtype
    of `like`.
    """
    if weight is None:
        return counts.to(like.dtype)
    weights: Tensor = weight[torch.where(counts, target, 0)]
    return torch.where(counts, weights, 0.0)


@repeat("nll_loss_forward", "nll_loss2d_forward")
def repeat_nll(
    x: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignored: int
) -> tuple[Tensor, Tensor]:
    """Return the loss of log probabilities x, and the sum of the weights of all rows.

    The loss of a row is -w times x at its target class; its weight w is that of the class in
    `weight`, by default 1, and 0 if its target is `ignored`. `reduction` is 0 for no reduction, 1
    for the mean (divided by the sum of the weights) and 2 for the sum.
    """
    at_target, counts = take_classes(x, target, ignored)
    weights = take_weights(weight, target, counts, x)
    losses = -at_target * weights
    if reduction == NONE and x.ndim > 1:
        return losses, torch.zeros((), dtype=x.dtype, device=x.device)
    total = weights.sum()
    return (losses.sum() / total if reduction == MEAN else losses.sum()), total


@rule("nll_loss_forward", "nll_loss2d_forward")
def negative_logarithm(steps: Steps, call: Call) -> list[Error]:
    """Return bounds on the errors of the loss of log probabilities x, and of the sum of the rows'
    weights w.

    The loss is the sum of -w x at the target classes, divided by the sum of w for a mean. In a
    dtype narrower than float32, torch rounds each partial sum to it. It adds 16 terms, then 16 such
    sums, and so on, unless it ignores a row.
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
    """Return the largest number of additions in which any term of a sum over rows takes part.

    `counts` marks the rows that are not ignored.
    """
    terms = counts.numel()
    if terms < STEP or not bool(counts.all()):
        return terms
    levels = 1
    while STEP**levels < terms:
        levels = levels + 1
    return min(terms, STEP * levels + LEVELS)


def add_in_turn(steps: Steps, a: Number, depth: int) -> Number:
    """Return the sum of all numbers, with its error, if each takes part in at most `depth`
    additions.

    For float32 and float64 the bound holds for any order of additions.
    """
    if steps.precision.dtype in ("float64", "float32"):
        return steps.sum(a)
    value, carried = a.value.sum(), a.error.sum()
    size = abs(a.value).sum() + carried
    return steps.within(value, carried + depth * steps.u * size, size)


@repeat("nll_loss_backward", "nll_loss2d_backward")
def repeat_nll_backward(*given: Any) -> Tensor:
    """Return the gradient by the log probabilities: -g w at the target classes and 0 elsewhere.

    g is the gradient by the loss, and w the weight of a row. For a mean the gradient is divided by
    the sum of the weights. `given` are the operation's arguments, in their order.
    """
    g, x, target, weight, reduction, ignored, total = given
    counts = target != ignored
    slopes = -take_weights(weight, target, counts, x) * g
    if reduction == MEAN:
        slopes = slopes / total
    return put_back(x, target, counts, slopes)


def put_back(x: Tensor, target: Tensor, counts: Tensor, slopes: Tensor) -> Tensor:
    """Return zeros in the shape of x, but with the numbers `slopes` (rows,) at the target classes.

    Rows that the mask `counts` does not mark stay 0.
    """
    axis = 1 if x.ndim > 1 else 0
    places = torch.where(counts, target, 0).unsqueeze(axis)
    slopes = torch.where(counts, slopes, 0.0)
    return torch.zeros_like(x).scatter(axis, places, slopes.unsqueeze(axis))


@rule("nll_loss_backward", "nll_loss2d_backward")
def negative_logarithm_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the gradient by the log probabilities, -g w at the target
    classes.

    g is the gradient by the loss, and w the weight of a row. For a mean it is -w (g / sum of the
    weights). Each intermediate number is rounded to the dtype of the result.
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
