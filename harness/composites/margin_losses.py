"""Rules for losses of margins between the target class and the other classes.

A rule bounds the rounding errors of one operation of torch. In formulas, x_t is the score of the
target class t of a row, x_j the score of class j, m the margin, p the power, and g the gradient by
the loss. See the module `losses` for `reduction`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.composites.losses import MEAN, NONE, reduce, reduce_exactly
from harness.rules.registry import Call, Error, repeat, rule
from harness.rules.steps import Number, Steps


def take_margins(steps: Steps, call: Call) -> tuple[Number, Tensor]:
    """Return m - x_t + x_j, with errors, for each class j of each row, and a mask of the classes
    other than the target class t.

    x_t and x_j are the scores of the classes, and m is the margin. The scores are (rows, classes);
    a vector is one row.
    """
    x = call["self"].reshape(-1, call["self"].shape[-1])
    target = call["target"].reshape(-1)
    at_target = x.gather(1, target[:, None])
    margin = steps.scalar(call["margin"], x)
    gap = steps.add(steps.sub(margin, steps.exact(at_target)), steps.exact(x))
    counts = torch.arange(x.shape[1], device=x.device) != target[:, None]
    return gap, counts


def take_exact_margins(x: Tensor, target: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Return m - x_t + x_j in float64, for each class j of each row, and a mask of the classes
    other than the target class t.

    x_t and x_j are the scores of the classes, and m is the margin.
    """
    rows, target = x.reshape(-1, x.shape[-1]), target.reshape(-1)
    gap = margin - rows.gather(1, target[:, None]) + rows
    return gap, torch.arange(rows.shape[1], device=x.device) != target[:, None]


@repeat("multi_margin_loss")
def repeat_margin_loss(
    x: Tensor,
    target: Tensor,
    power: float = 1,
    margin: float = 1,
    weight: Tensor | None = None,
    reduction: int = MEAN,
) -> Tensor:
    """Return the mean over classes j of max(0, m - x_t + x_j)^p, as a loss for each row.

    x_t and x_j are the scores of the target class t and of class j, which is not t; m is `margin`,
    and p is `power`. The loss is multiplied by the `weight` of the target class. `reduction` is 0
    for none, 1 for the mean and 2 for the sum.
    """
    gap, counts = take_exact_margins(x, target, float(margin))
    lost = torch.where(counts, gap.clamp(min=0.0) ** float(power), 0.0)
    if weight is not None:
        lost = lost * weight[target.reshape(-1)][:, None]
    losses = lost.mean(1)
    return reduce_exactly(losses.reshape(target.shape) if reduction == NONE else losses, reduction)


@repeat("multi_margin_loss_backward")
def repeat_margin_loss_backward(
    g: Tensor,
    x: Tensor,
    target: Tensor,
    power: float,
    margin: float,
    weight: Tensor | None = None,
    reduction: int = MEAN,
) -> Tensor:
    """Return the gradient of the margin loss by each score; `g` is the gradient by the loss.

    The gradient by the target class's score is minus the sum of the gradients by the others.
    """
    gap, counts = take_exact_margins(x, target, float(margin))
    slope = 2 * gap if float(power) == 2 else torch.ones_like(gap)
    slope = torch.where((gap > 0) & counts, slope * g.reshape(-1, 1), 0.0)
    if weight is not None:
        slope = slope * weight[target.reshape(-1)][:, None]
    slope = slope / (gap.numel() if reduction == MEAN else gap.shape[1])
    return torch.where(counts, slope, -slope.sum(1, keepdim=True)).reshape(x.shape)


@rule("multi_margin_loss")
def margin_loss(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the margin loss of each row, or of its mean or sum over rows.

    It is the mean over classes j of max(0, m - x_t + x_j)^p, times the weight of the target class
    t. x_t and x_j are the scores of the classes, m is the margin and p the power.
    """
    gap, counts = take_margins(steps, call)
    value = gap.value.clamp(min=0.0)
    acts = (gap.value + gap.error > 0) & counts
    lost = Number(torch.where(counts, value, 0.0), torch.where(acts, gap.error, 0.0))
    if float(call["p"]) == 2:
        lost = steps.square(lost)
    if call["weight"] is not None:
        lost = steps.mul(lost, steps.exact(call["weight"][call["target"].reshape(-1)][:, None]))
    losses = steps.mean(lost, 1)
    if call["reduction"] == NONE:
        return losses.error.reshape(call.result.shape)
    return reduce(steps, losses, call["reduction"])


@rule("multi_margin_loss_backward")
def margin_loss_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the margin loss's gradient by each score.

    A class j adds to the gradient if m - x_t + x_j is above 0, with the margin m and the scores x_t
    of the target class and x_j of class j. If rounding may decide this, the bound covers both
    cases. The gradient by x_t is minus the sum of all others.
    """
    gap, counts = take_margins(steps, call)
    acts, near = (gap.value > 0) & counts, (abs(gap.value) <= gap.error) & (gap.error > 0) & counts
    g = steps.exact(call["grad_output"].reshape(-1, 1))
    classes, rows = gap.value.shape[1], gap.value.shape[0]
    slope = steps.exact(torch.ones_like(gap.value))
    if float(call["p"]) == 2:
        slope = steps.scale(Number(gap.value.clamp(min=0.0), gap.error), 2.0)
    if call["weight"] is not None:
        slope = steps.mul(slope, steps.exact(call["weight"][call["target"].reshape(-1)][:, None]))
    slope = steps.mul(slope, g)
    shares = classes * rows if call["reduction"] == MEAN else classes
    slope = steps.round(slope.value / shares, slope.error / shares, 4)
    error = torch.where(acts | near, slope.error, 0.0)
    error = torch.where(near, error + abs(slope.value), error)
    each = Number(torch.where(acts, slope.value, 0.0), error)
    total = steps.sum(each, 1, keepdim=True)
    error_of_all = torch.where(counts, each.error, total.error)
    return steps.store(Number(call.result, error_of_all.reshape(call.result.shape)))


@rule("multilabel_margin_loss_forward")
def label_margin_loss(steps: Steps, call: Call) -> list[Error]:
    """Return a bound on the error of the loss, and None for the second result, which is exact.

    The loss of a row is the sum of max(0, 1 - (x_t - x_j)) over all its labels t, and all classes j
    that are no label, divided by the number of classes. x_t and x_j are the scores of the classes.
    """
    gap, counts, _ = take_label_margins(steps, call)
    value = torch.where(counts, gap.value.clamp(min=0.0), 0.0)
    acts = (gap.value + gap.error > 0) & counts
    lost = Number(value, torch.where(acts, gap.error, 0.0))
    losses = steps.sum(lost, (1, 2))
    classes = gap.value.shape[1]
    losses = steps.round(losses.value / classes, losses.error / classes, 2)
    if call["reduction"] == NONE:
        return [losses.error.reshape(call.result.shape), None]
    return [reduce(steps, losses, call["reduction"]), None]


def take_label_margins(steps: Steps, call: Call) -> tuple[Number, Tensor, Tensor]:
    """Return 1 - (x_t - x_j), with errors, for the scores x_t and x_j of each label t and class j
    of a row.

    Also return a mask of the pairs of a label with a class that is no label, and the labels (rows,
    labels).
    """
    x = call["self"].reshape(-1, call["self"].shape[-1])
    counts, labels = list_label_margins(x, call["target"])
    at_labels = steps.exact(x.gather(1, labels)[:, :, None])
    one = steps.exact(torch.ones_like(at_labels.value))
    gap = steps.sub(one, steps.sub(at_labels, steps.exact(x[:, None, :])))
    return gap, counts, labels


def list_label_margins(x: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return a mask (rows, labels, classes) of the pairs of a label with a class that is no label,
    and the labels (rows, labels).

    `target` has the labels of each row of scores x, up to its first negative number.
    """
    target = target.reshape(x.shape)
    ended = (target < 0).cumsum(1) > 0
    labels = torch.where(ended, 0, target)
    is_label = torch.zeros_like(x).scatter_add(1, labels, (~ended).to(x.dtype)) > 0
    return (~ended)[:, :, None] & ~is_label[:, None, :], labels


@repeat("multilabel_margin_loss_backward")
def repeat_label_margin_loss_backward(
    g: Tensor, x: Tensor, target: Tensor, reduction: int, is_target: Tensor
) -> Tensor:
    """Return the gradient by each score; `g` is the gradient by the loss.

    Each margin above 0 of a label and a class adds -g to the gradient by the label's score. It adds
    g to the gradient by the class's score. Both are divided by the number of classes. `is_target`
    is not used.
    """
    rows = x.reshape(-1, x.shape[-1])
    counts, labels = list_label_margins(rows, target)
    gap = 1 - (rows.gather(1, labels)[:, :, None] - rows[:, None, :])
    slope = torch.where((gap > 0) & counts, g.reshape(-1, 1, 1), 0.0)
    slope = slope / (rows.numel() if reduction == MEAN else rows.shape[1])
    from_labels = torch.zeros_like(rows).scatter_add(1, labels, slope.sum(2))
    return (slope.sum(1) - from_labels).reshape(x.shape)


@rule("multilabel_margin_loss_backward")
def label_margin_loss_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the gradient by each score.

    Let g be the gradient by the loss. Each margin above 0 of a label and a class adds -g to the
    gradient by the label's score. It adds g to the gradient by the class's score. Both are divided
    by the number of classes.
    """
    gap, counts, labels = take_label_margins(steps, call)
    near = (abs(gap.value) <= gap.error) & (gap.error > 0) & counts
    acts = ((gap.value > 0) & counts) | near
    rows, classes = gap.value.shape[0], gap.value.shape[1]
    shares = classes * rows if call["reduction"] == MEAN else classes
    size = abs(call["grad_output"].reshape(-1, 1)).expand(rows, classes) / shares
    changes = acts.sum(1) + torch.zeros_like(size).scatter_add(1, labels, acts.sum(2).double())
    doubts = near.sum(1) + torch.zeros_like(size).scatter_add(1, labels, near.sum(2).double())
    error = size * (doubts + (changes + 3) * changes * steps.u) + steps.least(changes > 0)
    return steps.store(Number(call.result, error.reshape(call.result.shape)))
