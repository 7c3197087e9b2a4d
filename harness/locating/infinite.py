"""Finds the operation that gives the first infinity or NaN of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor

from harness.locating.alike import name_kind
from harness.shadow.recording import Operation, Run
from harness.shadow.shadow import Shadow

UNWRITTEN = ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided")


def find_first_infinite(shadow: Shadow, other: Shadow) -> list[Operation]:
    """Return the first operation that gives infinities though its inputs are finite, or NaN though
    its inputs have none, as a list of one; empty if there is none.

    If an operation of the other model gives infinities, they are not looked for: they may be a
    mask. The same holds for NaN.
    """
    sought: list[Callable[[Tensor], Tensor]] = [
        is_right
        for is_right in (lambda x: x.isfinite().all(), lambda x: ~x.isnan().any())
        if all(all(map(is_right, results)) for _, _, results in _list_numbers(other.watched.run))
    ]
    for operation, given, results in _list_numbers(shadow.watched.run):
        for is_right in sought:
            if not all(map(is_right, results)) and all(map(is_right, given)):
                return [operation]
    return []


def _list_numbers(run: Run) -> Iterator[tuple[Operation, list[Tensor], list[Tensor]]]:
    """Yield each operation with the arrays that it reads and gives, but for memory that nothing was
    written to.
    """
    for operation in run.operations:
        if name_kind(operation) not in UNWRITTEN:
            results = [run.read(place) for place in filter(None, operation.results)]
            yield operation, [run.read(place) for place in operation.places], results
