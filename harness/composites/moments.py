"""Errors of means and variances over axes, as norms compute them: in one pass or two, in any order.

u is the unit roundoff. With two passes over n terms, the mean is off by n u times the mean size of
the terms; the variance is affected only by the square of the mean's error. Welford's updates and
the merging of groups (Chan, Golub and LeVeque, "Algorithms for computing the sample variance",
Amer. Statist. 37 (1983)) add terms d^2 n1 n2 / (n1 + n2) to the sum of squares, one for each pair
of groups. Here n1 and n2 are the sizes of the groups, and d is the difference of their means. All
these terms together are the sum of squares, n var. An error e of each mean changes them by 2 e |d|
n1 n2 / (n1 + n2). By Cauchy and Schwarz, the sum of these changes is at most 2 e sqrt(n var)
sqrt(sum of n1 n2 / (n1 + n2)); the last sum is at most n (1 + log2(n) / 2), for every order of
merging.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2, sqrt

import torch
from torch import Tensor

from harness.rules.numbers import count_terms
from harness.rules.steps import Number, Steps


def take_moments(x: Tensor, axes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return the mean and the variance over axes, without bounds on errors.

    The axes are kept, with the length 1.
    """
    mean = x.mean(tuple(axes), keepdim=True)
    return mean, (x - mean).square().mean(tuple(axes), keepdim=True)


def bound_moments(
    steps: Steps, x: Tensor, axes: Sequence[int], held: bool = False
) -> tuple[Number, Number]:
    """Return the mean and the variance over axes, with their errors; the axes are kept, with the
    length 1.

    A mean that is merged from two groups rounds four times: three times the difference that is
    added to it, and once itself. With `held`, the mean and the variance are rounded to the dtype of
    the result before they are used.
    """
    terms = count_terms(x, axes)
    mean, variance = take_moments(x, axes)
    size = abs(x).mean(tuple(axes), keepdim=True)
    deviation = variance.sqrt()
    merging = sqrt(1 + log2(max(terms, 1)) / 2)
    own = steps.u * (terms * size + 2 * abs(mean))
    moved = own + 3 * steps.u * merging * deviation + steps.least(size > 0)
    if held:
        moved = steps.store(Number(mean, moved))
    group = own + 3 * steps.u * merging * sqrt(terms) * deviation
    squares = variance + moved * moved
    lost = moved * moved + 2 * merging * group * deviation + (terms + 8) * steps.u * squares
    lost = lost + steps.least(squares > 0)
    if held:
        lost = steps.store(Number(variance, lost))
    beyond = terms * (squares + lost) > steps.largest
    lost = torch.where(beyond, torch.inf, lost)
    moved = torch.where(terms * size > steps.largest, torch.inf, moved)
    return Number(mean, moved), Number(variance, lost)


def invert_deviation(steps: Steps, variance: Number, eps: float) -> Number:
    """Return 1 / sqrt(variance + eps), the scale of a norm, with its error."""
    return steps.rsqrt(steps.add(variance, steps.scalar(eps, variance.value)))


def keep_needed(gradients: Sequence[Tensor], needed: Sequence[bool]) -> list[Tensor | None]:
    """Return the gradients that are needed, and None in the places of others."""
    return [each if needs else None for each, needs in zip(gradients, needed, strict=True)]


def normalise(steps: Steps, x: Tensor, mean: Number, scale: Number) -> Number:
    """Return (x - mean) scale, with its error; a kernel may compute it as x scale - mean scale."""
    value = x - mean.value
    lost = steps.u * (abs(x) + abs(mean.value) + mean.error)
    centre = Number(value, mean.error + 2 * lost)
    return steps.mul(centre, scale)


def transform(steps: Steps, a: Number, weight: Tensor | None, bias: Tensor | None) -> Number:
    """Return a weight + bias, with its error.

    The bound also holds if a kernel adds the bias to another term first.
    """
    if weight is not None:
        a = steps.mul(a, steps.exact(weight))
    if bias is None:
        return a
    sum_with_bias = steps.add(a, steps.exact(bias))
    return Number(sum_with_bias.value, sum_with_bias.error + steps.u * abs(bias))


def slope_by_input(
    steps: Steps,
    g: Number,
    x: Tensor,
    saved: tuple[Tensor, Tensor],
    axes: Sequence[int],
    held: float = 0.0,
) -> Tensor:
    """Return a bound on the error of a norm's gradient by its input, s (g - mean(g) - h mean(g h)).

    g is the gradient by the normalised numbers h = (x - m) s. `saved` are the mean m and the scale
    s. All means are over `axes`, n numbers each. `held` is a further relative error of the sums,
    from rounding them to the dtype of the result. On the CPU torch computes s g + b x + c, with b =
    (m sum(g) - sum(g x)) s^3 / n and c = -b m - sum(g) s / n. This loses digits if x is near m, so
    the bound is at least the error of this form.
    """
    terms, u = count_terms(x, axes), steps.u
    every, (mean, scale) = tuple(axes), saved
    size = abs(g.value) + g.error
    total, sizes = g.value.sum(every, keepdim=True), size.sum(every, keepdim=True)
    carried = g.error.sum(every, keepdim=True)
    lost = carried + (terms * u + held) * sizes  # of sum(g)
    products = (size * abs(x)).sum(every, keepdim=True)
    error = (g.error * abs(x)).sum(every, keepdim=True) + (terms * u + u + held) * products
    error = error + abs(mean) * lost + 2 * u * (abs(total * mean) + products)
    factor = abs(scale) ** 3 / terms
    bend = -(g.value * (x - mean)).sum(every, keepdim=True) * scale**3 / terms
    error = error * factor + 6 * u * abs(bend)
    part = abs(scale) / terms
    shift = (lost + 4 * u * abs(total)) * part
    rounded = 4 * abs(scale) * size + 4 * abs(bend) * (abs(x) + abs(mean)) + 4 * abs(total) * part
    bound = abs(scale) * g.error + error * abs(x - mean) + shift + u * rounded
    beyond = (products + abs(mean) * sizes) * factor * (abs(x) + abs(mean)) > steps.largest
    return torch.where(beyond, torch.inf, bound + steps.least(size > 0))


def slope_by_weight(
    steps: Steps,
    g: Tensor,
    x: Tensor,
    saved: tuple[Tensor, Tensor],
    axes: Sequence[int],
    held: float = 0.0,
) -> Number:
    """Return a norm's gradient by its weight, sum(g (x - m) s) over `axes`, with its error.

    x is the norm's input, and g the gradient by its result. `saved` are the mean m and the scale s
    = 1 / sqrt(variance + eps). A kernel may compute it as (sum(g x) - m sum(g)) s. `held` is a
    further relative error of the sums, from rounding them to the dtype of the result.
    """
    mean, scale = saved
    value = g * (x - mean) * scale
    size = abs(g) * (abs(x) + abs(mean)) * abs(scale)
    if axes:
        value, size = value.sum(tuple(axes), keepdim=True), size.sum(tuple(axes), keepdim=True)
    terms = count_terms(g, axes)
    share = (terms + 5) * steps.u + held
    return steps.round(value, share * size + 3 * terms * steps.least(size > 0))
