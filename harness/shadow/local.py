"""Judges each operation by itself: compares its result with float64 on the inputs that it had,
within its rounding error.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from harness.kernels import all as _rules  # noqa: F401 (loads every rule)
from harness.rules.precision import precision_of
from harness.rules.registry import Call, Error, bind, bound_errors
from harness.shadow.branching import may_branch
from harness.shadow.measuring import Result, measure_results
from harness.shadow.places import Place, view_place
from harness.shadow.recording import Operation, Run
from harness.shadow.replay import (
    Results,
    fill,
    fill_gaps,
    find_gaps,
    repeat_as_run,
    repeat_operation,
)

TOGETHER = 2**16  # numbers of results that are measured at once


@dataclass(eq=False, slots=True)
class Checked:
    """One judged operation: the error bound of each result (`errors`), and the largest error
    divided by its bound (`share`).

    `share` is above 1 if a result is outside its bound; `undefined` counts numbers that were not
    judged. `ruled` is False for an operation for which no bound is known; its errors are infinite.
    `wide` times `factor` are the errors if the same operation ran in float64. `exact` are the
    results in float64 of an operation that chooses between branches.
    """

    operation: Operation
    errors: Sequence[Error]
    wide: Sequence[Error]
    factor: float
    dtype: str
    share: float = 0.0
    undefined: int = 0
    ruled: bool = True
    exact: Results = ()


def check_operations(run: Run) -> list[Checked]:
    """Judge every operation of a run by its own inputs."""
    observed = Observed(run)
    checked: dict[Operation, Checked] = {}
    waiting: list[tuple[Checked, Result]] = []
    numbers = 0
    with torch.inference_mode():
        grouped = sorted(run.operations, key=lambda one: one.functional)
        for operation in grouped:
            one, results = bound_operation(observed, operation)
            checked[operation] = one
            waiting += [(one, result) for result in results]
            numbers += sum([result.found.numel() for result in results])
            if numbers > TOGETHER or operation is grouped[-1]:
                measure_operations(waiting)
                waiting, numbers = [], 0
    return [checked[operation] for operation in run.operations]


def measure_operations(waiting: Sequence[tuple[Checked, Result]]) -> None:
    """Set the shares of operations, each given with one of its results."""
    measured = measure_results([result for _, result in waiting])
    for (one, _), (share, undefined) in zip(waiting, measured, strict=True):
        one.share = max(one.share, share)
        one.undefined += undefined


class Observed:
    """The tensors of a run as they were observed, in float64."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._wide: dict[int, Tensor] = {}  # by version

    def read(self, place: Place) -> Tensor:
        """Return the tensor at a place, in float64 if it holds floating-point numbers."""
        numbers = self._wide.get(place.version)
        if numbers is None:
            numbers = self.run.versions[place.version].numbers
            if numbers.is_floating_point():
                numbers = numbers.double()
            self._wide[place.version] = numbers
        return view_place(numbers, place)


def bound_operation(observed: Observed, operation: Operation) -> tuple[Checked, Sequence[Result]]:
    """Return the error bounds of an operation, and the results by which it is judged: it is
    repeated in float64 from the observed inputs.
    """
    run = observed.run
    args, kwargs = fill(operation, observed.read)
    exact = repeat_operation(operation, args, kwargs)
    dtype = find_dtype(run, operation)
    if dtype == "":
        nothing: list[Error] = [None] * len(exact)
        return Checked(operation, nothing, nothing, 1.0, dtype, measure_whole(run, operation)), []
    call = Call(operation.functional, bind(operation.called, args, kwargs), exact)
    errors = bound_errors(call, precision_of(dtype))
    if errors is None or find_gaps(run, operation, exact):
        endless = [_make_endless(result) for result in fill_gaps(run, operation, exact)]
        return Checked(operation, endless, endless, 1.0, dtype, torch.inf, ruled=False), []
    wide, factor = _bound_in_float64(call, dtype, errors)
    branches = exact if may_branch(run, operation) else ()
    results = [
        Result(observed.read(place), result, error)
        for place, result, error in zip(operation.results, exact, errors, strict=False)
        if place is not None and result is not None
    ]
    return Checked(operation, errors, wide, factor, dtype, exact=branches), results


def _make_endless(result: Tensor | None) -> Error:
    if result is None or not result.is_floating_point():
        return None
    return torch.full_like(result, torch.inf)


def _bound_in_float64(
    call: Call, dtype: str, errors: Sequence[Error]
) -> tuple[Sequence[Error], float]:
    """Return the error bounds of a call if it ran in float64 instead of `dtype`, where its bounds
    are `errors`: other bounds, and a factor by which they are multiplied.

    A bound grows at least in proportion to the roundoff, so the bound of float32 may be scaled
    down. For a dtype with two roundoffs the bound is computed again. The precision of float64
    counts two evaluations, the model's and the repetition's; here it is halved.
    """
    if dtype == "float32":
        return errors, 2.0**-29
    if dtype == "float64":
        return errors, 0.5
    return bound_errors(call, precision_of("float64")) or errors, 0.5


def bound_again(
    checked: Checked, read: Callable[[Place], Tensor], results: Results
) -> Sequence[Error]:
    """Return the `wide` bounds of an operation at other inputs, which `read` returns: those of its
    repetition, where another branch was taken before it. `results` are the repeated ones.
    """
    operation = checked.operation
    if not checked.ruled or not checked.dtype:
        return checked.wide
    with torch.inference_mode():
        args, kwargs = fill(operation, read)
        call = Call(operation.functional, bind(operation.called, args, kwargs), results)
        errors = bound_errors(call, precision_of("float64")) or checked.wide
        share = 0.5 / checked.factor
        return [None if error is None else share * error for error in errors]


def measure_whole(run: Run, operation: Operation) -> float:
    """Return 0 if repeating an operation gives the same integers or booleans, else infinity.

    If they differ, something else has written into their memory.
    """
    results = repeat_as_run(operation, *fill(operation, run.read))
    for place, result in zip(operation.results, results, strict=False):
        if place is not None and result is not None and not torch.equal(run.read(place), result):
            return torch.inf
    return 0.0


def find_dtype(run: Run, operation: Operation) -> str:
    """Return the dtype of an operation's results; "" if they are integers or booleans.

    Raises ValueError for a dtype without a contract.
    """
    for place in operation.results:
        if place is not None:
            tensor = run.versions[place.version].numbers
            if tensor.is_floating_point():
                return name_dtype(tensor.dtype)
    return ""


@cache
def name_dtype(dtype: torch.dtype) -> str:
    """Return the name of a dtype, as "float32"."""
    return str(dtype).removeprefix("torch.")
