"""Rules for products of many numbers, and for cumulative products and sums of exponentials along an
axis.

A rule bounds the rounding errors of one operation of torch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.kernels.again import step_roundoff
from harness.rules.numbers import count_terms, list_axes
from harness.rules.registry import Call, Error, rule
from harness.rules.steps import Number, Steps


@rule("prod")
def multiply_up(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of a product of n numbers, in any order.

    It rounds n - 1 times, each time to the dtype of the result
    (ATen/native/cpu/ReduceOpsKernel.cpp).
    """
    x, dim = call["self"], call.given.get("dim")
    terms = count_terms(x, list_axes(x, dim))
    above = torch.clamp(abs(x), min=1.0)
    keepdim = bool(call.given.get("keepdim", False))
    largest = above.prod() if dim is None else above.prod(dim, keepdim)
    error = bound_product(steps, call.result, torch.tensor(terms - 1.0), largest)
    return steps.limit(largest, error)


@rule("cumprod")
def multiply_along(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of cumulative products."""
    x, dim = call["self"], call["dim"]
    if x.ndim == 0:
        return None
    above = torch.clamp(abs(x), min=1.0).cumprod(dim)
    error = bound_product(steps, call.result, count_before(x, dim), above)
    return steps.limit(abs(call.result).cummax(dim).values, error)


def bound_product(steps: Steps, value: Tensor, roundings: Tensor, largest: Tensor) -> Tensor:
    """Return a bound on the error of the products `value` with these numbers of roundings.

    A part of a product may underflow before it is multiplied by the other factors, whose product is
    at most `largest`.
    """
    share = torch.expm1(roundings.to(value.device) * step_roundoff(steps))
    acts = ((value != 0) & (share > 0)).double()
    lost = roundings.to(value.device) * steps.precision.tiny * largest * acts
    return share * abs(value) + lost


def count_before(x: Tensor, dim: int) -> Tensor:
    """Return the number of elements before each element along the axis `dim`, in float64."""
    if x.ndim == 0:
        return torch.zeros_like(x)
    shape = [1] * x.ndim
    shape[dim] = x.shape[dim]
    return torch.arange(x.shape[dim], dtype=torch.float64, device=x.device).reshape(shape)


@rule("logcumsumexp")
def add_exponentials_along(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of logcumsumexp, for any order of additions.

    Two partial results a and b are added as r = max(a, b) + log1p(exp(-d)), with d = |a - b|. The
    difference d is off by u d, with the unit roundoff u, which moves the logarithm by at most u d
    exp(-d) < u. exp and log1p, of at most 1 and log 2, are right to some units in the last place;
    the sum rounds. The derivative of a later r by an earlier one is exp(earlier - later).
    """
    x, dim = call["self"], call["dim"]
    if x.ndim == 0:
        return steps.store(steps.exact(x))
    reached = call.result
    sizes = torch.where(torch.isfinite(reached), abs(reached), 0.0)
    each = torch.log(steps.u * (sizes + 2 + 4 * steps.precision.ulp))
    carried = torch.exp(torch.logcumsumexp(reached + each, dim) - reached)
    carried = torch.where(count_before(x, dim) > 0, carried.nan_to_num(0.0), 0.0)
    return steps.store(Number(reached, carried))
