"""Mends a mistake in the repetition of a run, to see whether it explains the whole difference.

A cause is one only if the answers agree without it. A mistake is mended wherever the same line of
source makes it, as in a loop or in each block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from harness.locating.arrivals import is_equal, is_one_of
from harness.shadow.recording import Operation
from harness.shadow.replay import Replay, Results, fill, fill_gaps, repeat_operation
from harness.shadow.shadow import Shadow


class Mended(NamedTuple):
    """A mistake, in a sentence with {} for an operation, and the results of the operation without
    it.
    """

    said: str
    results: Results


# Yields the mistakes of an operation of a replay, in which its inputs and results can be read.
Search = Callable[[Replay, Operation], Iterator[Mended]]


def is_explained(
    subject: Shadow, reference: Shadow, at: Operation, said: str, search: Search
) -> bool:
    """Do the answers agree without the mistake `said`, which `search` finds in the operation `at`?

    A forward operation is judged by all answers but gradients, others by gradients. Gradients that
    the map of parameters computes from several ones are not compared.
    """

    def mend(replay: Replay, operation: Operation) -> Results | None:
        if not is_alike(operation, at):
            return None
        found = search(replay, operation)
        return next((each.results for each in found if each.said == said), None)

    try:
        with torch.no_grad():
            mended = _replay_mended(subject.replay, at.backward, mend)
            before = _list_wrong(subject, subject.replay, reference, at.backward)
            after = _list_wrong(subject, mended, reference, at.backward)
    except (IndexError, RuntimeError, TypeError, ValueError):  # shapes that do not fit
        return False
    return set(after) < set(before) and (at.backward or not any(map(_is_output, after)))


def is_alike(one: Operation, other: Operation) -> bool:
    """Does a line of source run the same kind of operation in both cases?"""
    return (one.functional, one.line, one.backward) == (
        other.functional,
        other.line,
        other.backward,
    )


def repeat_with(operation: Operation, arrays: Sequence[Tensor]) -> Results:
    """Return the results of an operation in float64 for other arrays, in the order in which it
    reads them.
    """
    given = iter(arrays)
    return repeat_operation(operation, *fill(operation, lambda place: next(given)))


def _replay_mended(
    side: Replay, backward: bool, mend: Callable[[Replay, Operation], Results | None]
) -> Replay:
    """Return a run repeated in float64 with other results where `mend` returns some; without the
    way back, unless `backward` is True.
    """
    operations = [each for each in side.run.operations if backward or not each.backward]
    computed = {place.version for one in operations for place in filter(None, one.results)}
    kept = {number: each for number, each in side.numbers.items() if number not in computed}
    mended = Replay(side.run, {number: each.detach() for number, each in kept.items()})
    for operation in operations:
        repeated = repeat_operation(operation, *fill(operation, mended.read))
        _put(mended, operation, fill_gaps(side.run, operation, repeated))
        better = mend(mended, operation)
        if better is not None:
            _put(mended, operation, better)
    return mended


def _put(replay: Replay, operation: Operation, results: Results) -> None:
    for place, result in zip(operation.results, results, strict=False):
        if place is not None and result is not None:
            if result.shape != place.size:
                raise ValueError("a result of another shape")
            replay.put(place, result.detach())
            replay.forget(place.version)


def _list_wrong(subject: Shadow, replay: Replay, reference: Shadow, backward: bool) -> list[str]:
    """Return the names of the answers of a repetition that are none of the reference's."""
    theirs = {
        name: reference.read(name).detach()
        for name in reference.watched.answers
        if name.startswith("gradient") == backward
    }
    wrong = []
    for name, other in theirs.items():
        place = subject.watched.answers.get(name)
        if place is not None and other.is_floating_point():
            mine = replay.read(place).detach()
            if not _are_alike(mine, other) and not is_one_of(mine, list(theirs.values())):
                wrong.append(name)
    return wrong


def _are_alike(mine: Tensor, theirs: Tensor) -> bool:
    return mine.shape == theirs.shape and is_equal(mine, theirs)


def _is_output(name: str) -> bool:
    return name.startswith(("output", "loss"))
