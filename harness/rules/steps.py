"""Arithmetic with error bounds on tensors of torch: the building blocks of rules.

A rule is a function that bounds the rounding error of a torch operation: it writes down the
operation's equations in these steps. Its inputs are exact. Each step carries the errors of its
arguments and adds its own; products of errors are included. The error of a step that may overflow
is infinite; an infinite sum of finite errors is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from math import frexp

import torch
from torch import Tensor

from harness.arithmetic.formulas import (
    LOGISTIC,
    TANH,
    carry_product,
    carry_quotient,
    round_result,
    round_sum,
)
from harness.rules.ends import Ends
from harness.rules.numbers import (
    Dims,
    are_exact,
    carry_root,
    count_rounded,
    count_terms,
    find_steepest,
    is_ordinary,
    is_within,
    list_axes,
    may_change,
)
from harness.rules.numbers import Number as Number
from harness.rules.precision import Precision

LARGE_TINY = 1e-30  # only float16's smallest normal number is larger


class Steps(Ends):
    """The arithmetic of rules in one precision. Each step takes numbers with bounds on their
    errors, and returns the same; see the module's docstring.
    """

    def __init__(self, precision: Precision) -> None:
        super().__init__(precision)
        self.root = min(2.0, 2 * precision.ulp)  # roundings of a square root

    def stepwise(self) -> Steps:
        """Return the same steps, but with every intermediate result rounded to the dtype of the
        result.
        """
        return Steps(self.precision.stepwise()) if self.precision.narrow else self

    def add(self, a: Number, b: Number) -> Number:
        """Return a + b, with its rounding error."""
        return self._sum(a.value + b.value, a, b)

    def sub(self, a: Number, b: Number) -> Number:
        """Return a - b, with its rounding error."""
        return self._sum(a.value - b.value, a, b)

    def mul(self, a: Number, b: Number) -> Number:
        """Return a b, with its rounding error."""
        value = a.value * b.value
        exact = are_exact(a, b)
        carried = None if exact else carry_product(a.value, a.error, b.value, b.error)
        return self.round(value, carried, acts=lambda: (a.value != 0) & (b.value != 0))

    def div(self, a: Number, b: Number) -> Number:
        """Return a / b, with its rounding error."""
        value = a.value / b.value
        carried = None
        if not are_exact(a, b):
            least = torch.clamp(abs(b.value) - b.error, min=0.0)
            carried = carry_quotient(value, a.error, b.error, least)
        return self.round(value, carried, acts=lambda: (a.value != 0) & b.value.isfinite())

    def square(self, a: Number) -> Number:
        """Return a^2, with its rounding error."""
        return self.mul(a, a)

    def scale(self, a: Number, factor: float) -> Number:
        """Return a times a Python number; exact for a power of two, unless it underflows."""
        if abs(frexp(factor)[0]) == 0.5:
            value = a.value * factor
            small = (abs(value) < self.tiny) & (value != 0)
            error = a.error * abs(factor) + self.least(small)
            return self.within(value, error, abs(value) + error)
        return self.mul(a, self.scalar(factor, a.value))

    def sum(self, a: Number, dims: Dims = None, keepdim: bool = False) -> Number:
        """Return the sum over some axes with its rounding error, for any order of the terms: at
        most n u times the sum of their absolute values.

        n is the number of terms other than 0, and u the unit roundoff.
        """
        axes = list_axes(a.value, dims)
        if not axes:
            return a
        value = a.value.sum(axes, keepdim)
        size = abs(a.value).sum(axes, keepdim)
        share = count_terms(a.value, axes) * self.u
        if a.bound is None:
            error = self.u * count_rounded(a.value, axes, keepdim) * size
            return self.within(value, error, size)
        carried = a.bound.sum(axes, keepdim)
        size = size + carried
        return self.within(value, carried + share * size, size)

    def mean(self, a: Number, dims: Dims = None, keepdim: bool = False) -> Number:
        """Return the mean over some axes: a sum, divided by the number of terms or multiplied by
        its reciprocal.
        """
        total = self.sum(a, dims, keepdim)
        terms = count_terms(a.value, list_axes(a.value, dims))
        return self.round(total.value / terms, total.error / terms, 2)

    def sqrt(self, a: Number) -> Number:
        """Return the square root, with its rounding error. That of the library MKL is right to one
        ulp, not to half an ulp.
        """
        value = a.value.sqrt()
        if a.bound is None:
            return self.round(value, None, self.root)
        return self.round(value, carry_root(value, a), self.root)

    def rsqrt(self, a: Number) -> Number:
        """Return 1 / sqrt(a): a root and a quotient, or CUDA's rsqrt, right to 2 ulp."""
        value = a.value.rsqrt()
        carried = None
        if a.bound is not None:
            most = torch.clamp(a.value - a.bound, min=0.0).rsqrt()
            carried = torch.where(a.bound > 0, most - value, 0.0)
        return self.round(value, carried, max(2 * self.precision.ulp, 1 + self.root / 2))

    def exp(self, a: Number) -> Number:
        """Return exp(a). An error e of a becomes exp(a + e) - exp(a), which is at most exp(a + e):
        finite for a far below 0, even if e is large.
        """
        value = a.value.exp()
        if a.bound is None:
            return self.function(value, None)
        carried = (value * torch.expm1(a.bound)).nan_to_num(torch.inf, torch.inf)
        return self.function(value, torch.minimum(carried, torch.exp(a.value + a.bound)))

    def expm1(self, a: Number) -> Number:
        """Return exp(a) - 1, with its rounding error."""
        value = torch.expm1(a.value)
        carried = None if a.bound is None else (value + 1) * torch.expm1(a.bound)
        return self.function(value, carried)

    def log(self, a: Number) -> Number:
        """Return log(a), with its rounding error."""
        return self._log(a.value.log(), a.value, a)

    def log1p(self, a: Number) -> Number:
        """Return log(1 + a), with its rounding error."""
        return self._log(a.value.log1p(), 1 + a.value, a)

    def _log(self, value: Tensor, base: Tensor, a: Number) -> Number:
        if a.bound is None:
            return self.function(value, None)
        least = torch.clamp(base - a.bound, min=0.0)
        return self.function(value, torch.where(a.bound > 0, a.bound / least, 0.0))

    def tanh(self, a: Number) -> Number:
        """Return tanh(a), with its rounding error."""
        value = a.value.tanh()
        if a.bound is None:
            return self.function(value, None)
        slope = find_steepest(1 - value * value, a.bound, TANH, 1.0)
        return self.function(value, torch.clamp(slope * a.bound, max=2.0))

    def sigmoid(self, a: Number) -> Number:
        """Return 1 / (1 + exp(-a)), with the rounding errors of a function, an addition and a
        division.
        """
        value = a.value.sigmoid()
        slope = find_steepest(value * (1 - value), a.error, LOGISTIC, 0.25)
        moved = torch.clamp(slope * a.error, max=1.0)
        return self.round(value, moved + self.tiny, 2 * self.precision.ulp + 2)

    def where(self, mask: Tensor, a: Number, b: Number) -> Number:
        """Return torch.where(mask, a, b)."""
        if are_exact(a, b):
            return Number(torch.where(mask, a.value, b.value))
        return Number(torch.where(mask, a.value, b.value), torch.where(mask, a.error, b.error))

    def function(self, value: Tensor, carried: Tensor | None) -> Number:
        """Return the result `value` of exp, tanh or a similar function. Its error is the sum of
        `carried`, which comes from its argument, and the function's own.
        """
        return self.round(value, carried, 2 * self.precision.ulp)

    def round(
        self,
        value: Tensor,
        carried: Tensor | None,
        roundings: float = 1.0,
        acts: Callable[[], Tensor] | None = None,
    ) -> Number:
        """Return `value` with its error: `carried`, which comes from the arguments (None for exact
        ones), plus that of this number of roundings.

        The result may underflow where it is not exactly 0, or where the mask that `acts` returns is
        true.
        """
        size = least = abs(value)
        if carried is None:
            error = roundings * self.u * size
            if is_ordinary(size, roundings * self.u, self.tiny, self.largest):
                return Number(value, error, in_range=True)
        else:
            error = round_result(value, carried, roundings, self.u, 0.0)
        if may_change(error, self.tiny):
            mask = value != 0 if acts is None else acts()
            if carried is not None:
                mask, least = mask | (carried > 0), size - carried
            if self.tiny > LARGE_TINY:
                mask = mask & (least < 2 * self.tiny)
            error = error + self.least(mask)
        return self.within(value, error, size + error, True)

    def _sum(self, value: Tensor, a: Number, b: Number) -> Number:
        size = abs(value)
        carried = None if are_exact(a, b) else a.error + b.error
        error = self.u * size if carried is None else round_sum(value, carried, self.u)
        size = size + error
        if is_within(size, self.largest):
            return Number(value, error, in_range=True)
        infinite = value.isinf()
        error = torch.where(infinite, 0.0 if carried is None else carried, error)
        return self.within(value, error, torch.where(infinite, 0.0, size))

    def within(self, value: Tensor, error: Tensor, size: Tensor, in_range: bool = False) -> Number:
        """Return numbers with an infinite error where `size`, the size of an intermediate result,
        may overflow. If it is at least that of the numbers with their errors, they are `in_range`.
        """
        if is_within(size, self.largest):
            return Number(value, error, in_range)
        return Number(value, torch.where(size <= self.largest, error, torch.inf))
