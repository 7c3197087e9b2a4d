"""Rules for binary cross entropies, of probabilities or logits, and for the soft margin loss.

A rule bounds the rounding errors of one operation of torch. In formulas, p are probabilities, z
logits, x scores, t targets, w optional weights of the losses, and g the gradient by the loss. See
the module `losses` for `reduction`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.composites.losses import MEAN, reduce, reduce_exactly, share, share_slope
from harness.rules.registry import Call, Error, repeat, rule
from harness.rules.steps import Number, Steps

LEAST_LOG = -100.0  # of a probability in binary_cross_entropy
LEAST_SLOPE = 1e-12  # of p (1 - p) in its slope; torch holds it in float32


@repeat("binary_cross_entropy")
def repeat_cross_entropy(
    p: Tensor, t: Tensor, weight: Tensor | None = None, reduction: int = MEAN
) -> Tensor:
    """Return -w (t max(log p, -100) + (1 - t) max(log(1 - p), -100)), or its mean or sum.

    p are probabilities, t targets, and w is `weight`, by default 1. `reduction` is 0 for none, 1
    for the mean and 2 for the sum.
    """
    yes, no = torch.clamp(p.log(), min=LEAST_LOG), torch.clamp((-p).log1p(), min=LEAST_LOG)
    losses = -(t * yes + (1 - t) * no)
    return reduce_exactly(losses if weight is None else losses * weight, reduction)


@rule("binary_cross_entropy")
def cross_entropy_of_two(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of -w (t max(log p, -100) + (1 - t) max(log(1 - p), -100)), or of
    its mean or sum.

    p are probabilities, t targets, and w weights of the losses, by default 1.
    """
    stepwise = steps.stepwise()
    p, t = stepwise.exact(call["self"]), stepwise.exact(call["target"])
    one = stepwise.exact(torch.ones_like(p.value))
    yes = stepwise.mul(t, hold_above(stepwise.log(p), LEAST_LOG))
    no = hold_above(stepwise.log1p(negate(p)), LEAST_LOG)
    losses = stepwise.add(yes, stepwise.mul(stepwise.sub(one, t), no))
    return reduce(steps, weigh(stepwise, losses, call["weight"]), call["reduction"])


def negate(a: Number) -> Number:
    """Return -a with its errors."""
    return Number(-a.value, a.error)


def hold_above(a: Number, least: float) -> Number:
    """Return numbers with their errors, clamped to at least `least`."""
    near = a.value + a.error > least
    value = a.value.clamp(min=least)
    return Number(value, torch.where(near, a.error, 0.0))


def weigh(steps: Steps, losses: Number, weight: Tensor | None) -> Number:
    """Return losses times their weights, with their errors; `weight` None leaves them unchanged."""
    return losses if weight is None else steps.mul(losses, steps.exact(weight))


@repeat("binary_cross_entropy_backward")
def repeat_cross_entropy_backward(
    g: Tensor, p: Tensor, t: Tensor, weight: Tensor | None = None, reduction: int = MEAN
) -> Tensor:
    """Return the gradient by the probabilities p, g w (p - t) / max(p (1 - p), 1e-12).

    For a mean (`reduction` 1) it is divided by the number of losses. t are targets, w is `weight`,
    by default 1, and g is the gradient by the loss.
    """
    slope = (p - t) / torch.clamp(p * (1 - p), min=LEAST_SLOPE) * g
    if weight is not None:
        slope = slope * weight
    return slope / p.numel() if reduction == MEAN else slope


@rule("binary_cross_entropy_backward")
def cross_entropy_of_two_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the gradient by the probabilities p, g w (p - t) / max(p (1 -
    p), 1e-12).

    For a mean the gradient is divided by the number of losses. t are targets, w weights of the
    losses, by default 1, and g is the gradient by the loss.
    """
    steps = steps.stepwise()
    p, t = steps.exact(call["self"]), steps.exact(call["target"])
    one = steps.exact(torch.ones_like(p.value))
    least = steps.scalar(LEAST_SLOPE, p.value)
    least = Number(least.value, torch.maximum(least.error, 2.0**-24 * least.value))
    width = steps.mul(p, steps.sub(one, p))
    wide = width.value > least.value
    clamped = Number(
        torch.where(wide, width.value, least.value),
        torch.maximum(width.error, least.error.expand_as(width.error)),
    )
    product = steps.mul(steps.sub(p, t), steps.exact(call["grad_output"]))
    slope = weigh(steps, steps.div(product, clamped), call["weight"])
    return steps.store(share(steps, slope, call["reduction"]))


@repeat("binary_cross_entropy_with_logits")
def repeat_cross_entropy_of_logits(
    z: Tensor,
    t: Tensor,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
    reduction: int = MEAN,
) -> Tensor:
    """Return w ((1 - t) z - l log(logistic(z))), or its mean or sum, for logits z and targets t.

    w is `weight`, and l = 1 + t (c - 1), where c is `pos_weight`; w and c are 1 by default.
    `reduction` is 0 for none, 1 for the mean and 2 for the sum.
    """
    log = torch.nn.functional.logsigmoid(z)
    if pos_weight is not None:
        log = ((pos_weight - 1) * t + 1) * log
    losses = (1 - t) * z - log
    return reduce_exactly(losses if weight is None else losses * weight, reduction)


@rule("binary_cross_entropy_with_logits")
def cross_entropy_of_logits(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of w ((1 - t) z - l log(logistic(z))), or of its mean or sum.

    z are logits, t targets and w weights. l = 1 + t (c - 1), where c is `pos_weight`; w and c are 1
    by default. torch composes this loss of several operations, so each intermediate number is
    rounded to their dtype.
    """
    stepwise = steps.stepwise()
    z, t = stepwise.exact(call["self"]), stepwise.exact(call["target"])
    one = stepwise.exact(torch.ones_like(z.value))
    less = stepwise.exact(z.value.clamp(max=0.0))
    log = stepwise.sub(less, stepwise.log1p(stepwise.exp(stepwise.exact(-abs(z.value)))))
    if call["pos_weight"] is not None:
        more = stepwise.mul(stepwise.sub(stepwise.exact(call["pos_weight"]), one), t)
        log = stepwise.mul(stepwise.add(more, one), log)
    losses = stepwise.sub(stepwise.mul(stepwise.sub(one, t), z), log)
    return reduce(steps, weigh(stepwise, losses, call["weight"]), call["reduction"])


@repeat("soft_margin_loss")
def repeat_soft_margin_loss(x: Tensor, t: Tensor, reduction: int = MEAN) -> Tensor:
    """Return log(1 + exp(-t x)) for scores x and targets t (1 or -1), or its mean or sum.

    `reduction` is 0 for none, 1 for the mean and 2 for the sum.
    """
    return reduce_exactly(torch.log1p(torch.exp(-t * x)), reduction)


@repeat("soft_margin_loss_backward")
def repeat_soft_margin_loss_backward(g: Tensor, x: Tensor, t: Tensor, reduction: int) -> Tensor:
    """Return the gradient by the scores x, -g t e / (1 + e) with e = exp(-t x).

    For a mean (`reduction` 1) it is divided by the number of losses. t are targets, and g is the
    gradient by the loss.
    """
    slope = -g * t * torch.sigmoid(-t * x)
    return slope / x.numel() if reduction == MEAN else slope


@rule("soft_margin_loss")
def soft_margin_loss(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of log(1 + exp(-t x)), for scores x and targets t, or of its mean
    or sum.

    Each intermediate number is rounded to the dtype of the result.
    """
    stepwise = steps.stepwise()
    product = stepwise.mul(stepwise.exact(call["self"]), stepwise.exact(call["target"]))
    losses = stepwise.log1p(stepwise.exp(negate(product)))
    return reduce(steps, losses, call["reduction"])


@rule("soft_margin_loss_backward")
def soft_margin_loss_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the gradient by the scores x, -g t e / (1 + e) with e = exp(-t
    x).

    For a mean the gradient is divided by the number of losses. t are targets, and g is the gradient
    by the loss.
    """
    stepwise = steps.stepwise()
    t = stepwise.exact(call["target"])
    power = stepwise.exp(negate(stepwise.mul(stepwise.exact(call["self"]), t)))
    one = stepwise.exact(torch.ones_like(power.value))
    share = stepwise.div(stepwise.mul(t, power), stepwise.add(one, power))
    return stepwise.store(share_slope(stepwise, share, call))
