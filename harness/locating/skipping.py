"""Finds an operation of the reference that the subject skips: a residual that is not added, a scale
that is left out.

The reference applies an operation to an array, and gives its result to a reader. The subject gives
the array itself to a reader of the same kind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from harness.locating.alike import (
    are_equal,
    hold_equal,
    list_readers,
    list_results,
    name_kind,
    read_inputs,
)
from harness.locating.arrivals import is_one_of
from harness.locating.mending import Mended, Search, is_alike, is_explained, repeat_with
from harness.shadow.places import Place
from harness.shadow.recording import Operation
from harness.shadow.replay import Replay
from harness.shadow.shadow import Shadow

COPIES = ("clone", "copy")


class Skip(NamedTuple):
    """An operation of the reference that the subject skips, and the subject's operation that reads
    the unchanged array.
    """

    skipped: Operation
    reader: Operation

    def name_reader(self, side: Replay) -> Operation:
        """Return the reader; if it only copies, the reader of the copy."""
        return _pass_copies(side, self.reader)


def find_skip(
    subject: Shadow, reference: Shadow, lacking: Sequence[Operation], known: dict[Skip, bool]
) -> Skip | None:
    """Return the first skip of one of the operations `lacking` that explains the whole difference;
    None if none does. `known` says which skips do, and is filled.
    """
    for skip in _list_skips(subject.replay, reference.replay, lacking):
        if skip not in known:
            known[skip] = any(
                is_explained(
                    subject,
                    reference,
                    skip.reader,
                    "",
                    _find_skipped(reference.replay, skip, later),
                )
                for later in (False, True)
            )
        if known[skip]:
            return skip
    return None


def _list_skips(subject: Replay, reference: Replay, lacking: Sequence[Operation]) -> Iterator[Skip]:
    """Yield those of the operations `lacking` that the subject skips.

    `lacking` are operations of the reference whose inputs the subject computes, and whose results
    it does not. An operation that the subject has elsewhere is moved, not skipped.
    """
    for operation in lacking:
        if operation.backward or _is_moved(subject, reference, operation):
            continue
        for mine in subject.run.operations:
            for _ in _mend(subject, reference, operation, mine):
                yield Skip(operation, mine)


def _find_skipped(reference: Replay, skip: Skip, later: bool) -> Search:
    """Return a search for operations that read an array which the reference transforms first, by
    the skipped operation or another of its line. With `later`, later readers of the array get the
    transformed one too: after a residual, the norm reads it, and the next residual.
    """
    alike = [each for each in reference.run.operations if is_alike(each, skip.skipped)]

    def search(side: Replay, operation: Operation) -> Iterator[Mended]:
        for each in alike:
            for mended in _mend(side, reference, each, operation):
                yield mended if later else mended._replace(arrays=())

    return search


def _mend(side: Replay, reference: Replay, skipped: Operation, mine: Operation) -> Iterator[Mended]:
    """Yield the results of the operation `mine`, and its arrays, as they would be without the
    skip.
    """
    given = read_inputs(reference, skipped)
    results = {place.version for place in skipped.results if place is not None}
    for theirs in list_readers(reference, skipped):
        if _calls_alike(mine, theirs) and _reads_instead(
            side, reference, mine, theirs, results, given
        ):
            pairs = list(zip(mine.places, theirs.places, strict=True))
            transformed = [
                (place, reference.read(other)) for place, other in pairs if other.version in results
            ]
            better = dict(transformed)
            arrays = [better[place] if place in better else side.read(place) for place, _ in pairs]
            yield Mended("", repeat_with(mine, arrays), transformed)


def _pass_copies(side: Replay, operation: Operation) -> Operation:
    """Return an operation. If it only copies, return its only reader instead."""
    while name_kind(operation) in COPIES:
        readers = list_readers(side, operation)
        if len(readers) != 1:
            break
        operation = readers[0]
    return operation


def _is_moved(subject: Replay, reference: Replay, operation: Operation) -> bool:
    """Has the subject as many operations of this kind in the layer of this name? Without such a
    layer all operations count.
    """
    named = any(each.layer == operation.layer for each in subject.run.operations)
    mine, theirs = (
        [
            each
            for each in side.run.operations
            if name_kind(each) == name_kind(operation)
            and each.backward == operation.backward
            and (each.layer == operation.layer or not named)
        ]
        for side in (subject, reference)
    )
    return len(mine) >= len(theirs)


def _calls_alike(one: Operation, other: Operation) -> bool:
    """Are two operations of the same kind and way, with the same numbers beside arrays?"""
    return (
        name_kind(one) == name_kind(other)
        and one.backward == other.backward
        and _without_places((*one.args, one.kwargs)) == _without_places((*other.args, other.kwargs))
    )


def _without_places(given: Any) -> Any:
    """Return arguments with "array" for each array."""
    if isinstance(given, Place):
        return "array"
    if isinstance(given, dict):
        return {name: _without_places(each) for name, each in given.items()}
    if isinstance(given, tuple | list):
        return [_without_places(each) for each in given]
    return given


def _reads_instead(
    subject: Replay,
    reference: Replay,
    mine: Operation,
    theirs: Operation,
    results: set[int],
    given: Sequence[Tensor],
) -> bool:
    """Does `mine` read one of the arrays `given` where `theirs` reads one of the versions
    `results`, and is all else that they read the same? The reference must not compute its result.
    """
    for place, other in zip(mine.places, theirs.places, strict=True):
        array = subject.read(place).detach()
        if other.version in results:
            if place[1:] == other[1:]:  # the same view, of all that is there
                array = subject.get(place.version).detach()
            if not any(hold_equal(array, each) for each in given):
                return False
        elif not are_equal(array.double(), reference.read(other).detach().double()):
            return False
    computed = [each for _, each in list_results(reference, reference.run.operations, False)]
    return not all(is_one_of(each, computed) for _, each in list_results(subject, [mine], False))
