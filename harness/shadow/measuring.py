"""Measures how much of their bounds the errors of results use.

Many small results are measured at once: an operation of torch on a few numbers takes as long as one
on a thousand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from harness.rules.registry import (
    Error,
    flatten,
    flatten_errors,
    list_largest,
    make_sound,
)

LEAST = 5e-324  # makes 0 / 0 a share of 0


class Measured(NamedTuple):
    """The largest error of a result divided by its bound (`share`), and the number of elements that
    are undefined.

    An element that is exactly right counts as 0, even without a bound. An element is undefined if
    exact arithmetic gives none, or if it is not finite and may be beyond the range of the dtype.
    """

    share: float
    undefined: int


class Result(NamedTuple):
    """A result of an operation (`found`), the same in float64 (`exact`), and the bound on its
    error; both results have one shape.
    """

    found: Tensor
    exact: Tensor
    error: Error


def measure_results(results: Sequence[Result]) -> list[Measured]:
    """Return for each result how much of its bound its largest error uses.

    Nearly always all numbers are finite: such results are measured together.
    """
    measured: dict[int, Measured] = {}
    by_device: dict[torch.device, list[int]] = defaultdict(list)
    for number, result in enumerate(results):
        if result.error is not None and result.found.numel() and result.exact.is_floating_point():
            by_device[result.found.device].append(number)
    for numbers in by_device.values():
        shares = _measure_together([results[number] for number in numbers])
        measured |= {
            number: Measured(share, 0)
            for number, share in zip(numbers, shares, strict=True)
            if share < torch.inf
        }
    return [measured.get(number) or measure(result) for number, result in enumerate(results)]


def _measure_together(results: Sequence[Result]) -> list[float]:
    """Return the largest share of each result; it is infinite or NaN if not all is finite."""
    found, exact = flatten([each.found for each in results]), [each.exact for each in results]
    errors = flatten_errors([each.error for each in results], exact)
    shares = (found - flatten(exact)).abs_().div_(errors + LEAST)
    largest: list[float] = list_largest(shares, [each.numel() for each in exact])
    return largest


def measure(result: Result) -> Measured:
    """Return the same for one result, whose elements may be infinite or have no error."""
    found, exact, error = result
    if not exact.is_floating_point():
        return Measured(0.0 if torch.equal(found, exact) else torch.inf, 0)
    if torch.equal(found, exact):
        return Measured(0.0, 0)
    equal = found == exact
    undefined = torch.isnan(exact)
    if error is None:
        wrong = ~(equal | undefined)
        return Measured(torch.inf if bool(wrong.any()) else 0.0, int(undefined.sum()))
    error = make_sound(error)
    undefined = undefined | (torch.isinf(error) & ~torch.isfinite(found))
    share = torch.where(equal | undefined, 0.0, abs(found - exact) / error)
    share = share.nan_to_num(nan=torch.inf, posinf=torch.inf)
    return Measured(float(share.max()), int(undefined.sum()))
