"""Losses of classes: negative logarithms of probabilities, cross entropies of two classes, margins.

See the module on losses for `reduction`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harness.composites.losses import MEAN, NONE, reduce, share, share_slope
from harness.rules.registry import Call, Error, repeat, rule
from harness.rules.steps import Number, Steps

STEP, LEVELS = 16, 8  # of the sums in torch's LossNLL.cpp
LEAST_LOG = -100.0  # of a probability in binary_cross_entropy
LEAST_SLOPE = 1e-12  # of p (1 - p) in its slope; torch holds it in float32


def take_classes(x: Tensor, target: Tensor, ignored: int) -> tuple[Tensor, Tensor]:
    """Return the numbers of the classes that are meant (0 for ignored ones), and which count."""
    counts = target != ignored
    axis = 1 if x.ndim > 1 else 0
    places = torch.where(counts, target, 0).unsqueeze(axis)
    taken = x.gather(axis, places).squeeze(axis)
    return torch.where(counts, taken, 0.0), counts


def take_weights(weight: Tensor | None, target: Tensor, counts: Tensor, like: Tensor) -> Tensor:
    """Return the weight of each row: of its class, or 1; 0 for rows that are ignored."""
    if weight is None:
        return counts.to(like.dtype)
    found: Tensor = weight[torch.where(counts, target, 0)]
    return torch.where(counts, found, 0.0)


@repeat("nll_loss_forward", "nll_loss2d_forward")
def repeat_nll(
    x: Tensor, target: Tensor, weight: Tensor | None, reduction: int, ignored: int
) -> tuple[Tensor, Tensor]:
    """Return the loss, and the sum of the weights."""
    taken, counts = take_classes(x, target, ignored)
    weights = take_weights(weight, target, counts, x)
    losses = -taken * weights
    if reduction == NONE and x.ndim > 1:
        return losses, torch.zeros((), dtype=x.dtype, device=x.device)
    total = weights.sum()
    return (losses.sum() / total if reduction == MEAN else losses.sum()), total


@rule("nll_loss_forward", "nll_loss2d_forward")
def negative_logarithm(steps: Steps, call: Call) -> list[Error]:
    """Return the sum of -w x, over the sum of w for a mean; and the latter.

    A narrow dtype holds each partial sum. torch adds 16 terms, then 16 such sums, and so on, as
    long as it ignores none.
    """
    steps = steps.stepwise()
    taken, counts = take_classes(call["self"], call["target"], call["ignore_index"])
    weights = steps.exact(take_weights(call["weight"], call["target"], counts, taken))
    losses = steps.exact(-taken)
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
    """Return how many additions a term goes through at most."""
    terms = counts.numel()
    if terms < STEP or not bool(counts.all()):
        return terms
    levels = 1
    while STEP**levels < terms:
        levels = levels + 1
    return min(terms, STEP * levels + LEVELS)


def add_in_turn(steps: Steps, a: Number, depth: int) -> Number:
    """Return the sum of numbers each of which goes through at most `depth` additions.

    Kernels for float32 and wider dtypes may add in any order.
    """
    if steps.precision.dtype in ("float64", "float32"):
        return steps.sum(a)
    value, carried = a.value.sum(), a.error.sum()
    size = abs(a.value).sum() + carried
    return steps.within(value, carried + depth * steps.u * size, size)


@repeat("nll_loss_backward", "nll_loss2d_backward")
def repeat_nll_backward(*given: Any) -> Tensor:
    """Return -g w, over the sum of the weights, in the places of the classes that are meant."""
    g, x, target, weight, reduction, ignored, total = given
    counts = target != ignored
    slopes = -take_weights(weight, target, counts, x) * g
    if reduction == MEAN:
        slopes = slopes / total
    return put_back(x, target, counts, slopes)


def put_back(x: Tensor, target: Tensor, counts: Tensor, slopes: Tensor) -> Tensor:
    """Return zeros with numbers in the places of the classes that are meant."""
    axis = 1 if x.ndim > 1 else 0
    places = torch.where(counts, target, 0).unsqueeze(axis)
    slopes = torch.where(counts, slopes, 0.0)
    return torch.zeros_like(x).scatter(axis, places, slopes.unsqueeze(axis))


@rule("nll_loss_backward", "nll_loss2d_backward")
def negative_logarithm_backward(steps: Steps, call: Call) -> Error:
    """Return -g w, over the sum of the weights for a mean."""
    roundings = 0
    if call["weight"] is not None:
        roundings = 1
    if call["reduction"] == MEAN:
        roundings = roundings + 1
    return steps.stepwise().rounded(call.result, roundings)


@rule("binary_cross_entropy")
def cross_entropy_of_two(steps: Steps, call: Call) -> Error:
    """Return -w (t max(log p, -100) + (1 - t) max(log(1 - p), -100))."""
    stepwise = steps.stepwise()
    p, t = stepwise.exact(call["self"]), stepwise.exact(call["target"])
    one = stepwise.exact(torch.ones_like(p.value))
    yes = stepwise.mul(t, hold_above(stepwise.log(p), LEAST_LOG))
    no = hold_above(stepwise.log1p(stepwise.neg(p)), LEAST_LOG)
    losses = stepwise.add(yes, stepwise.mul(stepwise.sub(one, t), no))
    return reduce(steps, weigh(stepwise, losses, call["weight"]), call["reduction"])


def hold_above(a: Number, least: float) -> Number:
    """Return numbers, or `least` where they are below it."""
    near = a.value + a.error > least
    value = a.value.clamp(min=least)
    return Number(value, torch.where(near, a.error, 0.0))


def weigh(steps: Steps, losses: Number, weight: Tensor | None) -> Number:
    """Return losses times their weights, if there are any."""
    return losses if weight is None else steps.mul(losses, steps.exact(weight))


@repeat("binary_cross_entropy_backward")
def repeat_cross_entropy_backward(
    g: Tensor, p: Tensor, t: Tensor, weight: Tensor | None = None, reduction: int = MEAN
) -> Tensor:
    """Return g w (p - t) / max(p (1 - p), 1e-12), over the number of losses."""
    slope = (p - t) / torch.clamp(p * (1 - p), min=LEAST_SLOPE) * g
    if weight is not None:
        slope = slope * weight
    return slope / p.numel() if reduction == MEAN else slope


@rule("binary_cross_entropy_backward")
def cross_entropy_of_two_backward(steps: Steps, call: Call) -> Error:
    """Return g w (p - t) / max(p (1 - p), 1e-12), over the number of losses for a mean."""
    steps = steps.stepwise()
    p, t = steps.exact(call["self"]), steps.exact(call["target"])
    one = steps.exact(torch.ones_like(p.value))
    least = steps.scalar(LEAST_SLOPE, p.value)
    least = Number(least.value, torch.maximum(least.error, 2.0**-24 * least.value))
    width = steps.mul(p, steps.sub(one, p))
    wide = width.value > least.value
    held = Number(
        torch.where(wide, width.value, least.value),
        torch.maximum(width.error, least.error.expand_as(width.error)),
    )
    product = steps.mul(steps.sub(p, t), steps.exact(call["grad_output"]))
    slope = weigh(steps, steps.div(product, held), call["weight"])
    return steps.store(share(steps, slope, call["reduction"]))


@rule("binary_cross_entropy_with_logits")
def cross_entropy_of_logits(steps: Steps, call: Call) -> Error:
    """Return (1 - t) z - l log(logistic(z)), with l = 1 + t (c - 1) for a weight c of ones.

    Each step is stored, since torch composes the loss of operations.
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


@rule("soft_margin_loss")
def soft_margin_loss(steps: Steps, call: Call) -> Error:
    """Return log(1 + exp(-t x)), each step stored."""
    stepwise = steps.stepwise()
    product = stepwise.mul(stepwise.exact(call["self"]), stepwise.exact(call["target"]))
    losses = stepwise.log1p(stepwise.exp(stepwise.neg(product)))
    return reduce(steps, losses, call["reduction"])


@rule("soft_margin_loss_backward")
def soft_margin_loss_backward(steps: Steps, call: Call) -> Error:
    """Return -g t e / (1 + e) with e = exp(-t x), over the number of losses."""
    stepwise = steps.stepwise()
    t = stepwise.exact(call["target"])
    power = stepwise.exp(stepwise.neg(stepwise.mul(stepwise.exact(call["self"]), t)))
    one = stepwise.exact(torch.ones_like(power.value))
    share = stepwise.div(stepwise.mul(t, power), stepwise.add(one, power))
    return stepwise.store(share_slope(stepwise, share, call))
