"""Rules (error bounds of torch operations) for sums of numbers and of products. A sum of n terms,
in any order, is off by at most n u times the sum of their absolute values, where u is the unit
roundoff.

Source: Jeannerod and Rump, "Improved error bounds for inner products in floating-point arithmetic",
SIAM J. Matrix Anal. Appl. 34 (2013).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.rules.numbers import count_terms, is_ordinary, list_axes, may_change
from harness.rules.registry import Call, Error, rule
from harness.rules.steps import Number, Steps

MANY = 16  # terms of a sum, from which on zeros among them are counted


def bound_products(
    steps: Steps, value: Tensor, size: Tensor, terms: int, plus: Tensor | None = None
) -> Tensor:
    """Return a bound on the rounding error of sums of products.

    `value` are the sums, and `size` the sums of the products' absolute values. `terms` is the
    number of products in each sum, and `plus` another term of each sum, if there is one.
    """
    if plus is not None:
        size = size + abs(plus)
        terms = terms + 1
    if is_ordinary(size, steps.u, steps.tiny, steps.largest, terms):
        return steps.store(Number(value, terms * steps.u * size, in_range=True))
    error = steps.u * size
    if may_change(error, steps.tiny):
        error = error + steps.least(size > 0)
    error = terms * error
    return steps.store(steps.within(value, error, size))


@rule("mm", "bmm", "dot", "mv")
def multiply_matrices(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of the matrix product a @ b."""
    a, b = [argument for argument in call.given.values() if isinstance(argument, Tensor)][:2]
    size = torch.matmul(abs(a), abs(b))
    error = bound_products(steps, call.result, size, count_products(a, b))
    return add_subnormals(steps, error, a, b)


def count_products(a: Tensor, b: Tensor) -> int:
    """Return the largest number of products other than 0 in a sum of a @ b: adding 0 is exact.

    Zeros are not counted in short sums, whose bound they hardly change.
    """
    terms = a.shape[-1]
    if terms < MANY or not a.numel() or not b.numel() or (a.all() and b.all()):
        return terms
    rows = torch.count_nonzero(a, -1).max()
    columns = torch.count_nonzero(b, -1 if b.ndim == 1 else -2).max()
    return int(torch.minimum(rows, columns))


def add_subnormals(
    steps: Steps, error: Tensor, a: Tensor, b: Tensor, factor: float = 1.0
) -> Tensor:
    """Return the error of a @ b times a factor, where a kernel may read subnormal numbers as 0.

    `error` is the bound without this loss. oneDNN's kernels of bfloat16 do so: they multiply 9e-39
    by 15 to 0. With the subnormal numbers s_a and s_b, sums lose |s_a| @ |b| + |a| @ |s_b|.
    """
    small = find_small(steps, a, b)
    if small is None:
        return error
    lost = torch.matmul(small[0], abs(b)) + torch.matmul(abs(a), small[1])
    return add_lost(steps, error, abs(factor) * lost)


def find_small(steps: Steps, *factors: Tensor) -> Sequence[Tensor] | None:
    """Return the sizes of subnormal numbers, with 0 for others; None if there are none, or if no
    kernel reads them as 0, as oneDNN's of bfloat16 do.
    """
    if not steps.precision.narrow:
        return None
    small = [torch.where(abs(each) < steps.tiny, abs(each), 0.0) for each in factors]
    return small if any(bool(each.any()) for each in small) else None


def add_lost(steps: Steps, error: Tensor, *lost: Tensor | None) -> Tensor:
    """Return an error plus losses that come before the result is rounded to its dtype."""
    for each in lost:
        if each is not None:
            error = error + (1 + steps.precision.stored) * each
    return error


@rule("addmm", "addmv", "baddbmm")
def multiply_and_add(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of beta c + alpha a @ b. In a narrow dtype, both terms
    may be rounded before they are added.
    """
    c, a, b = [argument for argument in call.given.values() if isinstance(argument, Tensor)][:3]
    alpha, beta = float(call["alpha"]), float(call["beta"])
    size = abs(alpha) * torch.matmul(abs(a), abs(b))
    further = 2 if alpha != 1 or beta != 1 else 0
    plus = None if beta == 0 else beta * c
    error = bound_products(steps, call.result, size, count_products(a, b) + further, plus)
    error = add_subnormals(steps, error, a, b, alpha)
    if call.name == "aten::addmv" and steps.precision.narrow:
        part = torch.zeros_like(call.result) if plus is None else plus
        return hold_parts(steps, call.result, part, error, 1 + further)
    return error


def hold_parts(steps: Steps, whole: Tensor, part: Tensor, error: Tensor, roundings: int) -> Tensor:
    """Return the error of a sum of two terms, if each term and its factors are rounded to the dtype
    before the addition.

    `whole` is the sum, `part` one of the terms, `error` the error of the sum without these
    roundings, and `roundings` their number.
    """
    size = abs(whole - part) + abs(part)
    stored = error + roundings * steps.precision.stored * size
    return torch.where(size > steps.precision.largest, torch.inf, stored)


@rule("sum")
def add_up(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of the sum over some axes."""
    return steps.store(steps.sum(steps.exact(call["self"]), call.given.get("dim"), _keeps(call)))


@rule("mean")
def average(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of the mean over some axes."""
    return steps.store(steps.mean(steps.exact(call["self"]), call.given.get("dim"), _keeps(call)))


@rule("cumsum")
def add_up_along(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of cumulative sums along an axis."""
    size = torch.cumsum(abs(call["self"]), call["dim"])
    terms = count_terms(size, list_axes(size, call["dim"]))
    return steps.store(steps.within(call.result, terms * steps.u * size, size))


def _keeps(call: Call) -> bool:
    return bool(call.given.get("keepdim", False))
