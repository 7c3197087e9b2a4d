"""Judges each operation by itself: what it may lose on the inputs that it was observed to have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.rules import all as _rules  # noqa: F401
from harness.rules.precision import precision_of
from harness.rules.registry import Call, Error, bind, bound_errors
from harness.shadow.recording import Operation, Run
from harness.shadow.replay import observe_arguments, repeat_operation


@dataclass(frozen=True, eq=False)
class Checked:
    """One operation, judged: the bound of each result, and the largest share of it that is used.

    `errors` is None for an operation without a rule. `share` is above 1 if a result is outside its
    bound; `undefined` counts numbers that are not finite in exact arithmetic.
    """

    operation: Operation
    errors: Sequence[Error] | None
    share: float
    undefined: int = 0


def check_operations(run: Run) -> list[Checked]:
    """Judge every operation of a run by its own inputs."""
    with torch.no_grad():
        return [check_operation(run, operation) for operation in run.operations]


def check_operation(run: Run, operation: Operation) -> Checked:
    """Judge one operation; its results are repeated in float64 from the observed inputs."""
    args, kwargs = observe_arguments(run, operation)
    exact = repeat_operation(operation, args, kwargs)
    given = bind(operation.called, args, kwargs)
    call = Call(operation.functional, given, exact)
    dtype = find_dtype(run, operation)
    if dtype == "":
        return Checked(operation, [None] * len(exact), 0.0)
    errors = bound_errors(call, precision_of(dtype))
    if errors is None:
        return Checked(operation, None, torch.inf)
    share, undefined = 0.0, 0
    for place, result, error in zip(operation.results, exact, errors, strict=False):
        if place is None or result is None:
            continue
        used, lost = measure(run.read(place), result, error)
        share, undefined = max(share, used), undefined + lost
    return Checked(operation, errors, share, undefined)


def measure(found: Tensor, exact: Tensor, error: Error) -> tuple[float, int]:
    """Return the largest share of its bound that a result uses, and how many numbers are undefined.

    A number that is exactly right uses nothing, whatever its bound.
    """
    if not exact.is_floating_point():
        return (0.0 if torch.equal(found, exact) else torch.inf), 0
    apart = abs(found.double() - exact)
    right = found.double() == exact
    defined = torch.isfinite(exact)
    if error is None:
        wrong = ~right & defined
        return (torch.inf if bool(wrong.any()) else 0.0), int((~defined).sum())
    share = torch.where(right | ~defined, 0.0, apart / error)
    share = torch.nan_to_num(share, nan=torch.inf)
    return float(share.max()) if share.numel() else 0.0, int((~defined).sum())


def find_dtype(run: Run, operation: Operation) -> str:
    """Return the dtype of an operation's results; "" if they are whole numbers or truth values.

    Raises ValueError for a dtype without a contract.
    """
    for place in operation.results:
        if place is not None:
            tensor = run.versions[place.version].numbers
            if tensor.is_floating_point():
                return str(tensor.dtype).removeprefix("torch.")
    return ""
