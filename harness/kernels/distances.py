"""Rules for norms of vectors and distances of points.

A rule bounds the rounding errors of one operation of torch. A norm of order p is the p-th root of a
sum of p-th powers. A power is right to some units in the last place, and the sum of n terms is off
by n u of itself, with the unit roundoff u. The root divides the relative error by p and adds its
own rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from harness.rules.numbers import Dims, list_axes
from harness.rules.registry import Call, Error, repeat, rule
from harness.rules.steps import Number, Steps
from harness.rules.sums import add_subnormals


@rule("linalg_vector_norm", "norm")
def measure_length(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of a norm."""
    power = call.given["ord"] if "ord" in call.given else call["p"]
    keepdim = bool(call.given.get("keepdim", False))
    x = steps.exact(abs(call["self"]))
    power = 2.0 if power is None else float(power)
    return steps.store(find_norm(steps, x, power, call.given.get("dim"), keepdim))


def find_norm(steps: Steps, sizes: Number, power: float, dims: Dims, keepdim: bool) -> Number:
    """Return the norm, of order `power`, of numbers along the axes `dims`, with its error.

    `sizes` are the absolute values of the numbers. With `keepdim` the axes get the length 1.
    """
    axes = list_axes(sizes.value, dims)
    if math.isinf(power):
        largest = torch.amax if power > 0 else torch.amin
        if not axes:
            return sizes
        errors = torch.amax(sizes.error, axes, keepdim)
        return Number(largest(sizes.value, axes, keepdim), errors)
    if power == 0:
        counted = steps.exact((sizes.value != 0).double())
        return steps.sum(counted, dims, keepdim)
    if power == 1:
        return steps.sum(sizes, dims, keepdim)
    if power == 2:
        return steps.sqrt(steps.sum(steps.square(sizes), dims, keepdim))
    return find_general_norm(steps, sizes, power, dims, keepdim)


def find_general_norm(
    steps: Steps, sizes: Number, power: float, dims: Dims, keepdim: bool
) -> Number:
    """Return the p-th root of the sum S of p-th powers of absolute values, with its error.

    p is `power`, an order of the norm without a simpler rule, and the absolute values x are
    `sizes`; the sum is along the axes `dims`. The exponents are rounded, with the unit roundoff u.
    The rounding of p changes a power by the share u p |log x|. The rounding of 1 / p changes the
    root by the share 2 u |log S| / p.
    """
    u, ulp = steps.u, steps.precision.ulp
    x = sizes.value
    powers = x**power
    relative = torch.where(x > 0, sizes.error / x, 0.0)
    moved = torch.expm1(abs(power) * relative + u * abs(power) * _log(x))
    terms = steps.round(powers, powers * moved, 2 * ulp)
    total = steps.sum(terms, dims, keepdim)
    length = total.value ** (1 / power)
    share = torch.where(total.value > 0, total.error / total.value, 0.0)
    grown = torch.expm1(-torch.log1p(-torch.clamp(share, max=1.0)) / abs(power))
    carried = length * (grown + torch.expm1(2 * u / abs(power) * _log(total.value)))
    if power > 0:
        below = total.error ** (1 / power)
        carried = torch.where(share < 0.5, carried, torch.maximum(below, carried))
    return steps.round(length, carried, 2 * ulp)


def _log(x: Tensor) -> Tensor:
    """Return |log x|, but 0 for x = 0."""
    return torch.where(x > 0, abs(torch.log(x)), 0.0)


@rule("renorm")
def shorten(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of slices that are scaled to have at most the norm `maxnorm`."""
    x, dim = call["self"], call["dim"] % call["self"].ndim
    others = [axis for axis in range(x.ndim) if axis != dim]
    return bound_shorter(steps, x, float(call["p"]), float(call["maxnorm"]), others)


def bound_shorter(
    steps: Steps, x: Tensor, power: float, most: float, axes: Sequence[int]
) -> Tensor:
    """Return a bound on the error of x most / (norm + 1e-7), for slices of x whose norm is above
    `most`.

    The norm, of order `power`, is over `axes`. The norm and the factor are rounded to the dtype of
    the result (ATen/native/Normalization.cpp, Embedding.cpp). If rounding decides whether a norm is
    above `most`, the small jump between both results is part of the error.
    """
    norm = steps.hold(find_norm(steps, steps.exact(abs(x)), power, axes, True))
    longer = steps.add(norm, steps.scalar(1e-7, x))
    factor = steps.hold(steps.div(steps.scalar(most, x), longer))
    product = steps.mul(steps.exact(x), factor)
    acts = norm.value + norm.error > most
    near = acts & (norm.value - norm.error <= most)
    jump = torch.where(near, abs(x) * abs(1 - factor.value), 0.0)
    return torch.where(acts, steps.store(Number(product.value, product.error + jump)), 0.0)


@rule("_euclidean_dist")
def measure_from_products(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of Euclidean distances of points a and b, computed as the root of
    |a|^2 + |b|^2 - 2 a b, however small the distance is.

    For n coordinates this is one product of the rows (-2 a, |a|^2, 1) and (b, 1, |b|^2): a sum of
    n + 2 terms (ATen/native/Distance.cpp). Every result in between is rounded to the dtype: the
    squares of coordinates, their two sums, the product.
    """
    a, b = call["x1"], call["x2"]
    lengths = [
        steps.hold(steps.sum(steps.hold(steps.square(steps.exact(each))), -1, True))
        for each in (a, b)
    ]
    ones = [torch.ones_like(each.value) for each in lengths]
    rows = torch.cat([2 * abs(a), lengths[0].value + lengths[0].error, ones[0]], -1)
    columns = torch.cat([abs(b), ones[1], lengths[1].value + lengths[1].error], -1).mT
    carried = lengths[0].error + lengths[1].error.mT
    size = rows @ columns
    rounding = rows.shape[-1] * (steps.u * size + steps.least(size > 0))
    total = steps.hold(steps.within(call.result**2, carried + rounding, size))
    lost = add_subnormals(steps, total.error, rows, columns)
    return steps.store(steps.sqrt(Number(total.value, lost)))


@rule("_cdist_forward")
def measure_distances(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the distances of all pairs of points, computed from
    differences.
    """
    a, b = call["x1"], call["x2"]
    differences = steps.sub(steps.exact(a[..., :, None, :]), steps.exact(b[..., None, :, :]))
    sizes = Number(abs(differences.value), differences.error)
    return steps.store(find_norm(steps, sizes, float(call["p"]), -1, False))


@repeat("_cdist_backward")
def repeat_distances_backward(g: Tensor, a: Tensor, b: Tensor, p: float, distances: Tensor) -> Any:
    """Return the gradient by the points `a`, from stored distances of order p to the points `b`.

    g is the gradient by the distances.
    """
    return (g[..., None] * find_directions(a, b, p, distances)).sum(-2)


def find_directions(a: Tensor, b: Tensor, p: float, distances: Tensor) -> Tensor:
    """Return the derivatives of the distances, of order p, of all pairs of points by the point of
    `a`.
    """
    differences = a[..., :, None, :] - b[..., None, :, :]
    length = distances[..., None]
    if p == 1:
        return torch.sign(differences)
    if p == math.inf:
        return torch.sign(differences) * (
            abs(differences) == abs(differences).amax(-1, keepdim=True)
        )
    if p < 2:
        powers = torch.where(
            differences == 0, 0.0, torch.sign(differences) * abs(differences) ** (p - 1)
        )
    else:
        powers = differences * abs(differences) ** (p - 2)
    return torch.where(length == 0, 0.0, powers / length ** (p - 1))


@rule("_cdist_backward")
def bound_distances_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the gradient by the first points of all pairs.

    Each term is a product of the gradient by a distance and a power of the difference, which
    rounds. It is divided by a power of the distance. The exponents are rounded too.
    """
    g, a, b, distances = call["grad"], call["x1"], call["x2"], call["cdist"]
    p = float(call["p"])
    directions = find_directions(a, b, p, distances)
    sizes = abs(g[..., None] * directions)
    functions = 0.0 if p in (1.0, math.inf) else 4 * steps.precision.ulp + 4 + 2 * abs(p)
    exponents: Tensor | float = 0.0
    if p not in (1.0, 2.0, math.inf):
        differences = abs(a[..., :, None, :] - b[..., None, :, :])
        exponents = 2 * abs(p - 1) * (_log(differences) + _log(distances[..., None]))
    terms = sizes * (2 + functions + exponents) * steps.u
    if p == math.inf:
        terms = terms + abs(g[..., None]) * find_rivals(steps, a, b)
    lost = 3 * steps.least(sizes > 0)
    if p not in (1.0, math.inf):
        powers = distances ** (p - 1)
        beyond = (distances > 0) & ((powers < steps.tiny) | (powers > steps.largest))
        lost = torch.where(beyond[..., None], torch.inf, lost)
    total = steps.sum(Number(sizes, terms + lost), -2)
    return steps.store(Number(call.result, total.error))


def find_rivals(steps: Steps, a: Tensor, b: Tensor) -> Tensor:
    """Return 1 for each coordinate of each pair of points that may be their largest difference,
    else 0.

    It is 1 only if several coordinates of a pair are equally far apart within rounding.
    """
    differences = abs(a[..., :, None, :] - b[..., None, :, :])
    near = differences * (1 + 2 * steps.u) >= differences.amax(-1, keepdim=True) * (1 - 2 * steps.u)
    return (near & (near.sum(-1, keepdim=True) > 1)).double()
