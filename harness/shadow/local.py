"""Judges each operation by itself: compares its result with float64 on the inputs that it had,
within its rounding error.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from harness.kernels import all as _rules  # noqa: F401 (loads every rule)
from harness.rules.precision import precision_of
from harness.rules.registry import Call, Error, bind, bound_errors
from harness.shadow.branching import may_branch
from harness.shadow.places import Place
from harness.shadow.recording import Operation, Run
from harness.shadow.replay import (
    Results,
    fill,
    fill_gaps,
    find_gaps,
    repeat_as_run,
    repeat_operation,
)

LEAST = 5e-324  # makes 0 / 0 a share of 0


class Checked(NamedTuple):
    """One judged operation: the error bound of each result (`errors`), and the largest error
    divided by its bound (`share`).

    `share` is above 1 if a result is outside its bound; `undefined` counts numbers that were not
    judged. `ruled` is False for an operation for which no bound is known; its errors are infinite.
    `in_float64` are the errors if the same operation ran in float64. `exact` are the results in
    float64 of an operation that chooses between branches.
    """

    operation: Operation
    errors: Sequence[Error]
    in_float64: Sequence[Error]
    dtype: str
    share: float
    undefined: int = 0
    ruled: bool = True
    exact: Results = ()


def check_operations(run: Run) -> list[Checked]:
    """Judge every operation of a run by its own inputs."""
    observed = Observed(run)
    with torch.inference_mode():
        return [check_operation(observed, operation) for operation in run.operations]


class Observed:
    """The tensors of a run as they were observed, in float64."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._read: dict[Place, Tensor] = {}

    def read(self, place: Place) -> Tensor:
        """Return the tensor at a place, in float64 if it holds floating-point numbers."""
        tensor = self._read.get(place)
        if tensor is None:
            tensor = self.run.read(place)
            if tensor.is_floating_point():
                tensor = tensor.double()
            self._read[place] = tensor
        return tensor


def check_operation(observed: Observed, operation: Operation) -> Checked:
    """Judge one operation: repeat it in float64 from the observed inputs, and compare the
    results.
    """
    run = observed.run
    args, kwargs = fill(operation.args, observed.read), fill(operation.kwargs, observed.read)
    exact = repeat_operation(operation, args, kwargs)
    dtype = find_dtype(run, operation)
    if dtype == "":
        nothing: list[Error] = [None] * len(exact)
        return Checked(operation, nothing, nothing, dtype, measure_whole(run, operation))
    call = Call(operation.functional, bind(operation.called, args, kwargs), exact)
    errors = bound_errors(call, precision_of(dtype))
    if errors is None or find_gaps(run, operation, exact):
        endless = [_make_endless(result) for result in fill_gaps(run, operation, exact)]
        return Checked(operation, endless, endless, dtype, torch.inf, ruled=False)
    share, undefined = 0.0, 0
    for place, result, error in zip(operation.results, exact, errors, strict=False):
        if place is None or result is None:
            continue
        used, lost = measure(observed.read(place), result, error)
        share, undefined = max(share, used), undefined + lost
    in_float64 = _in_float64(call, dtype, errors)
    branches = exact if may_branch(run, operation) else ()
    return Checked(operation, errors, in_float64, dtype, share, undefined, exact=branches)


def _make_endless(result: Tensor | None) -> Error:
    if result is None or not result.is_floating_point():
        return None
    return torch.full_like(result, torch.inf)


def _in_float64(call: Call, dtype: str, errors: Sequence[Error]) -> Sequence[Error]:
    """Return the error bounds of a call if it ran in float64 instead of `dtype`, where its bounds
    are `errors`.

    A bound grows at least in proportion to the roundoff, so the bound of float32 may be scaled
    down. For a dtype with two roundoffs the bound is computed again. The precision of float64
    counts two evaluations, the model's and the repetition's; here it is halved.
    """
    if dtype == "float32":
        factor = 2.0**-29
    elif dtype == "float64":
        factor = 0.5
    else:
        errors, factor = bound_errors(call, precision_of("float64")) or errors, 0.5
    return [None if error is None else error * factor for error in errors]


def measure(found: Tensor, exact: Tensor, error: Error) -> tuple[float, int]:
    """Return the largest error of a result divided by its bound, and the number of undefined
    elements.

    `found` is the result, `exact` the same in float64, and `error` the bound. An element that is
    exactly right counts as 0, whatever its bound. An element is undefined if exact arithmetic gives
    none, or if it is not finite and may be beyond the range of the dtype.
    """
    if not exact.is_floating_point():
        return (0.0 if torch.equal(found, exact) else torch.inf), 0
    if not found.numel() or torch.equal(found, exact):
        return 0.0, 0
    if error is not None:  # nearly always all is finite, and found sooner
        most = (found - exact).abs_().div_(error + LEAST).max().item()
        if most < torch.inf:
            return most, 0
    return _measure_each(found, exact, error)


def _measure_each(found: Tensor, exact: Tensor, error: Error) -> tuple[float, int]:
    """Return the same as `measure`, for a result with elements that are not finite or have no
    error.
    """
    equal = found == exact
    undefined = torch.isnan(exact)
    if error is None:
        wrong = ~(equal | undefined)
        return (torch.inf if bool(wrong.any()) else 0.0), int(undefined.sum())
    undefined = undefined | (torch.isinf(error) & ~torch.isfinite(found))
    share = torch.where(equal | undefined, 0.0, abs(found - exact) / error)
    share = share.nan_to_num(nan=torch.inf, posinf=torch.inf)
    return float(share.max()), int(undefined.sum())


def measure_whole(run: Run, operation: Operation) -> float:
    """Return 0 if repeating an operation gives the same integers or booleans, else infinity.

    If they differ, something else has written into their memory.
    """
    args, kwargs = fill(operation.args, run.read), fill(operation.kwargs, run.read)
    results = repeat_as_run(operation, args, kwargs)
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
                return str(tensor.dtype).removeprefix("torch.")
    return ""
