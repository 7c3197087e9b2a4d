"""How numbers enter a rule and how its result is stored, with the rounding errors of both.

A rule bounds the rounding error of a torch operation.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.rules.numbers import Number, as_tensor, is_held, is_ordinary, is_within
from harness.rules.precision import Precision


class Ends:
    """The two ends of a rule in one precision: the numbers that it begins with, and the errors of
    results that are rounded to their dtype.
    """

    def __init__(self, precision: Precision) -> None:
        self.precision = precision
        self.u = precision.inside
        self.tiny = precision.tiny_inside
        self.largest = precision.largest_inside

    def exact(self, x: Tensor) -> Number:
        """Return numbers with an error of 0."""
        return Number(x)

    def scalar(self, number: float, like: Tensor) -> Number:
        """Return a Python number in the shape of `like`, with its rounding error if the dtype of
        the steps cannot hold it.
        """
        value = as_tensor(number, like)
        if is_held(float(number), "float32" if self.precision.narrow else self.precision.dtype):
            return Number(value)
        return Number(value, abs(value) * self.u + self.least(abs(value) < self.tiny))

    def constant(self, number: float, like: Tensor) -> Number:
        """Return a Python number in the shape of `like`, with the error of rounding it to the dtype
        of the result.
        """
        value = as_tensor(number, like)
        return Number(value, self.cast(value))

    def cast(self, x: Tensor) -> Tensor:
        """Return the error of rounding numbers to the dtype of the result."""
        held = x.to(getattr(torch, self.precision.dtype)).double()
        if torch.equal(held, x):
            return torch.zeros_like(x)
        size = abs(x)
        error = self.precision.stored * size + self.flush(size, size)
        return torch.where((held == x) | torch.isnan(x), 0.0, self.limit(x, error))

    def store(self, x: Number) -> Tensor:
        """Return the error of a result after it is rounded to its dtype, including the error that
        it has already.
        """
        error = x.error
        if self.precision.narrow:
            size = abs(x.value) + error
            error = error + self.precision.stored * size + self.flush(abs(x.value) - error, size)
        elif x.in_range:
            return error
        return self.limit(x.value, error)

    def flush(self, least: Tensor, most: Tensor) -> Tensor:
        """Return the error that arises if a small result is flushed to zero; its absolute value is
        between `least` and `most`.
        """
        small = (most > 0) & (least < 2 * self.precision.tiny)
        return self.precision.tiny * small.double()

    def least(self, acts: Tensor) -> Tensor:
        """Return the smallest normal number of the steps' dtype where the mask `acts` is true, else
        0.
        """
        return self.tiny * acts.double()

    def hold(self, x: Number) -> Number:
        """Return numbers rounded to the dtype of the result, with the error of this."""
        return Number(x.value, self.store(x))

    def limit(self, value: Tensor, error: Tensor) -> Tensor:
        """Return an error, replaced by infinity where the result (`value` plus or minus the error)
        may be beyond the dtype's range.

        The error of a result that is infinite itself is 0.
        """
        size = abs(value) + error
        if is_within(size, self.precision.largest):
            return error
        beyond = size > self.precision.largest
        exact = value.isinf() & error.isfinite()
        return torch.where(beyond, torch.where(exact, 0.0, torch.inf), error)

    def rounded(self, result: Tensor, roundings: float = 1.0) -> Tensor:
        """Return the error of a result that one kernel computes from exact numbers with this number
        of roundings.
        """
        size = abs(result)
        share = roundings * self.u
        if self.precision.narrow:
            share = share + self.precision.stored * (1 + share)
        elif is_ordinary(size, share, self.tiny, self.largest):
            return share * size
        return self.limit(result, share * size + self.flush(size, size))
