"""Finds the digits that a run lost by operations in a narrower dtype than the claimed one."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from harness.rules.precision import precision_of
from harness.rules.registry import Error
from harness.shadow.local import Checked, Observed
from harness.shadow.recording import Operation, Run
from harness.shadow.replay import fill, repeat_operation

BEYOND = 2.0  # times its bound in the claimed dtype: a number that is further off has lost digits


def list_lost(run: Run, checked: Sequence[Checked], dtype: str) -> dict[Operation, Sequence[Error]]:
    """Return the operations that lost digits at the observed numbers since they ran in a narrower
    dtype than the claimed one, `dtype`, in their order.

    Each has the absolute errors of its results; they are 0 for numbers that lost nothing. A result
    that is exact in the narrower dtype (a mask, a zero, 0.5) has lost nothing.
    """
    observed = Observed(run)
    lost: dict[Operation, Sequence[Error]] = {}
    for one in checked:
        if one.ruled and one.dtype and is_narrower(one.dtype, dtype):
            errors = _measure(observed, one, dtype)
            if any(error is not None and bool((error > 0).any()) for error in errors):
                lost[one.operation] = errors
    return lost


def is_narrower(dtype: str, other: str) -> bool:
    """Does a dtype round more than another one?"""
    return precision_of(dtype).stored > precision_of(other).stored


def bound_in_claimed(checked: Checked, dtype: str) -> Sequence[Error]:
    """Return the bounds on the errors of an operation if it ran in the claimed dtype, `dtype`."""
    factor = precision_of(dtype).stored / 2.0**-53 * checked.factor
    return [None if error is None else factor * error for error in checked.wide]


def _measure(observed: Observed, checked: Checked, dtype: str) -> list[Error]:
    operation = checked.operation
    args, kwargs = fill(operation, observed.read)
    exact = repeat_operation(operation, args, kwargs)
    errors: list[Error] = []
    for place, result, bound in zip(
        operation.results, exact, bound_in_claimed(checked, dtype), strict=False
    ):
        if place is None or result is None or not result.is_floating_point():
            errors.append(None)
            continue
        error = abs(observed.read(place) - result)
        errors.append(torch.where(error > BEYOND * (0.0 if bound is None else bound), error, 0.0))
    return errors
