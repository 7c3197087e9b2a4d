"""Finds a wrong view in the layer of the operation that reads it: other rows, another step."""

from __future__ import annotations

from collections.abc import Sequence

from harness.locating.arrivals import is_equal
from harness.shadow.places import Place
from harness.shadow.recording import Operation
from harness.shadow.replay import Replay


def name_views(
    subject: Replay, reference: Replay, operations: Sequence[Operation]
) -> list[Operation]:
    """Return operations with each of them replaced by the view that it reads, if that is wrong.

    It is if an operation of the reference reads the same arrays, another part of one of them, and
    the reference makes no such view of that array.
    """
    found = [_find_view(subject, reference, each) or each for each in operations]
    return list(dict.fromkeys(found))


def _find_view(subject: Replay, reference: Replay, operation: Operation) -> Operation | None:
    """Return the wrong view that an operation reads, if it reads one."""
    for theirs in reference.run.operations:
        if theirs.functional != operation.functional or theirs.backward != operation.backward:
            continue
        if len(theirs.places) != len(operation.places):
            continue
        pairs = zip(operation.places, theirs.places, strict=True)
        apart = [pair for pair in pairs if not _are_equal(subject, reference, *pair)]
        if len(apart) != 1:
            continue
        mine, other = apart[0]
        whole = subject.get(mine.version), reference.get(other.version)
        if whole[0].numel() == whole[1].numel() and is_equal(*(each.flatten() for each in whole)):
            made = _list_views(subject, mine)
            if made and not _has_view(reference, other.version, mine):
                return next(
                    view
                    for view in made
                    if not _has_view(reference, other.version, view.results[0])
                )
    return None


def _list_views(side: Replay, place: Place) -> list[Operation]:
    """Return the views by which a place was made, one after the other, from the array itself on."""
    made: list[Operation] = []
    for _, view in reversed(side.run.views):
        if place in view.results:
            made.insert(0, view)
            place = view.args[0]
    return made


def _are_equal(subject: Replay, reference: Replay, mine: Place, theirs: Place) -> bool:
    one, other = subject.read(mine), reference.read(theirs)
    return one.shape == other.shape and is_equal(one, other)


def _has_view(side: Replay, version: int, place: Place | None) -> bool:
    """Does a run make the view of this size, these strides and this offset of a version?"""
    made = [each for _, view in side.run.views for each in view.results if each is not None]
    return place is not None and any(
        each.version == version and each[1:] == place[1:] for each in made
    )
