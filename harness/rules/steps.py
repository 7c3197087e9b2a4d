"""Bounded steps on torch's tensors: the equations inside one operation, with their rounding.

A rule writes down the equations of an operation in these steps. Its inputs are exact; each step
carries the error of those before it and adds its own; products of errors are not left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from harness.arithmetic.formulas import (
    carry_product,
    carry_quotient,
    round_result,
    round_sum,
)
from harness.rules.precision import Precision

Dims = int | Sequence[int] | None


class Number(NamedTuple):
    """Numbers in float64, and the largest error of each."""

    value: Tensor
    error: Tensor


class Steps:
    """Steps of a precision; see the module."""

    def __init__(self, precision: Precision) -> None:
        self.precision = precision
        self.u = precision.inside
        self.tiny = precision.tiny_inside

    # ------------------------------------------------------------------ the ends of a rule

    def exact(self, x: Tensor) -> Number:
        """Return numbers that are known exactly."""
        return Number(x, torch.zeros_like(x))

    def scalar(self, number: float, like: Tensor) -> Number:
        """Return a number of Python's, which a kernel rounds if its steps cannot hold it."""
        value = torch.full((), float(number), dtype=torch.float64, device=like.device)
        held = self.u < 2.0**-40 or float(value.float()) == float(number)
        return Number(value, abs(value) * (0.0 if held else self.u))

    def store(self, x: Number) -> Tensor:
        """Return the error of a result when it is stored."""
        error = x.error
        if self.precision.narrow:
            size = abs(x.value) + error
            error = error + self.precision.stored * size + self.precision.tiny * (size > 0)
        return error

    def rounded(self, result: Tensor, roundings: float = 1.0) -> Tensor:
        """Return the error of a result that one kernel computes with some roundings."""
        size = abs(result)
        share = roundings * self.u
        if self.precision.narrow:
            share = share + self.precision.stored * (1 + share)
        return share * size + self.precision.tiny * (size > 0)

    # ------------------------------------------------------------------ steps

    def add(self, a: Number, b: Number) -> Number:
        value = a.value + b.value
        return Number(value, round_sum(value, a.error + b.error, self.u))

    def sub(self, a: Number, b: Number) -> Number:
        value = a.value - b.value
        return Number(value, round_sum(value, a.error + b.error, self.u))

    def mul(self, a: Number, b: Number) -> Number:
        value = a.value * b.value
        return self.round(value, carry_product(a.value, a.error, b.value, b.error))

    def div(self, a: Number, b: Number) -> Number:
        value = a.value / b.value
        least = torch.clamp(abs(b.value) - b.error, min=0.0)
        return self.round(value, carry_quotient(value, a.error, b.error, least))

    def square(self, a: Number) -> Number:
        return self.mul(a, a)

    def neg(self, a: Number) -> Number:
        return Number(-a.value, a.error)

    def sum(self, a: Number, dims: Dims = None, keepdim: bool = False) -> Number:
        """Return the sum over some axes, in any order: n terms lose n u of their sizes."""
        axes = list_axes(a.value, dims)
        if not axes:
            return a
        value = a.value.sum(axes, keepdim)
        carried = a.error.sum(axes, keepdim)
        size = abs(a.value).sum(axes, keepdim) + carried
        terms = count_terms(a.value, axes)
        return Number(value, carried + terms * self.u * size)

    def mean(self, a: Number, dims: Dims = None, keepdim: bool = False) -> Number:
        """Return the mean over some axes: a sum, divided by their length or multiplied by its
        reciprocal.
        """
        total = self.sum(a, dims, keepdim)
        terms = count_terms(a.value, list_axes(a.value, dims))
        value = total.value / terms
        error = total.error / terms
        return self.round(value, error, 2)

    def sqrt(self, a: Number) -> Number:
        value = a.value.sqrt()
        below = torch.clamp(a.value - a.error, min=0.0).sqrt()
        carried = torch.where(a.error > 0, a.error / (value + below), 0.0)
        return self.round(value, carried)

    def exp(self, a: Number) -> Number:
        """Return exp(a): its error grows by exp of the error of a, less 1."""
        value = a.value.exp()
        return self._function(value, value * torch.expm1(a.error))

    def log(self, a: Number) -> Number:
        least = torch.clamp(a.value - a.error, min=0.0)
        return self._function(a.value.log(), a.error / least)

    def tanh(self, a: Number) -> Number:
        value = a.value.tanh()
        slope = steepest(1 - value * value, a.error, 2.0)
        return self._function(value, torch.clamp(slope * a.error, max=2.0))

    def sigmoid(self, a: Number) -> Number:
        """Return 1 / (1 + exp(-a)): a function, an addition and a division."""
        value = a.value.sigmoid()
        slope = steepest(value * (1 - value), a.error, 1.0)
        moved = torch.clamp(slope * a.error, max=1.0)
        return self.round(value, moved, 2 * self.precision.ulp + 2)

    def erf(self, a: Number) -> Number:
        """Return erf(a), whose slope is at most 2 / sqrt(pi)."""
        return self._function(torch.erf(a.value), 1.1283791670955126 * a.error)

    def where(self, mask: Tensor, a: Number, b: Number) -> Number:
        return Number(torch.where(mask, a.value, b.value), torch.where(mask, a.error, b.error))

    def _function(self, value: Tensor, carried: Tensor) -> Number:
        return self.round(value, carried, 2 * self.precision.ulp)

    def round(self, value: Tensor, carried: Tensor, roundings: float = 1.0) -> Number:
        acts = (value != 0) | (carried > 0)
        return Number(value, round_result(value, carried, roundings, self.u, self.tiny * acts))


def steepest(slope: Tensor, error: Tensor, growth: float) -> Tensor:
    """Return the largest slope of tanh or the logistic within `error` of an argument.

    |f''| is at most `growth` |f'|, so f' grows by exp(growth error) at most.
    """
    return slope * torch.exp(growth * torch.clamp(error, max=10.0))


def list_axes(x: Tensor, dims: Dims) -> list[int]:
    """Return the axes that an argument `dim` names: all of them for None or an empty list."""
    if x.ndim == 0:
        return []
    if dims is None or (not isinstance(dims, int) and len(dims) == 0):
        return list(range(x.ndim))
    named = [dims] if isinstance(dims, int) else dims
    return [axis % x.ndim for axis in named]


def count_terms(x: Tensor, axes: Sequence[int]) -> int:
    """Return the number of terms of a sum over some axes."""
    terms = 1
    for axis in axes:
        terms *= x.shape[axis]
    return terms
