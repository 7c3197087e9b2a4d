"""Products, and what is carried along an axis: products of many numbers, sums of exponentials."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.kernels.again import step_roundoff
from harness.rules.registry import Call, Error, rule
from harness.rules.steps import Number, Steps, count_terms, list_axes


@rule("prod")
def multiply_up(steps: Steps, call: Call) -> Error:
    """Return a product of n numbers, in any order: n - 1 roundings, each in the dtype of the result
    (ATen/native/cpu/ReduceOpsKernel.cpp).
    """
    x, dim = call["self"], call.given.get("dim")
    terms = count_terms(x, list_axes(x, dim))
    above = torch.clamp(abs(x), min=1.0)
    keepdim = bool(call.given.get("keepdim", False))
    largest = above.prod() if dim is None else above.prod(dim, keepdim)
    return bound_product(steps, call.result, torch.tensor(terms - 1.0), largest)


@rule("cumprod")
def multiply_along(steps: Steps, call: Call) -> Error:
    """Return the error of products of all numbers so far."""
    x, dim = call["self"], call["dim"]
    above = torch.clamp(abs(x), min=1.0).cumprod(dim)
    return bound_product(steps, call.result, count_before(x, dim), above)


def bound_product(steps: Steps, value: Tensor, roundings: Tensor, largest: Tensor) -> Error:
    """Return the error of products that round some times.

    A part of a product may underflow before it is multiplied by others, which are at most
    `largest`.
    """
    share = torch.expm1(roundings.to(value.device) * step_roundoff(steps))
    acts = (value != 0) & (share > 0)
    return share * abs(value) + roundings.to(value.device) * steps.precision.tiny * largest * acts


def count_before(x: Tensor, dim: int) -> Tensor:
    """Return for each number how many stand before it along an axis, in float64."""
    if x.ndim == 0:
        return torch.zeros_like(x)
    shape = [1] * x.ndim
    shape[dim] = x.shape[dim]
    return torch.arange(x.shape[dim], dtype=torch.float64, device=x.device).reshape(shape)


@rule("logcumsumexp")
def add_exponentials_along(steps: Steps, call: Call) -> Error:
    """Return log(sum of exp) of all numbers so far, one after the other in any tree.

    Each step is max(a, b) + log1p(exp(-|a - b|)): the difference, which is at most |a| + |b| and
    counts only where its exponential is not 0, moves the logarithm by no more than itself; exp and
    log1p, which is at most log 2, are right to some units in the last place; the sum rounds. The
    derivative of later steps by an earlier one is at most 1, so the errors of the steps add up.
    """
    x, dim = call["self"], call["dim"]
    if x.ndim == 0:
        return steps.store(steps.exact(x))
    size = torch.where(torch.isfinite(x), abs(x), 0.0).cummax(dim).values
    reached = torch.where(torch.isfinite(call.result), abs(call.result), 0.0).cummax(dim).values
    function = 4 * steps.precision.ulp + 1
    each = steps.u * (2 * (size + reached) + function)
    return steps.store(Number(call.result, count_before(x, dim) * each))
