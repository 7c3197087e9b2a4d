"""Mends a mistake in the repetition of a run, to see whether it explains the whole difference.

A cause is one only if the answers agree without it. A mistake is mended at each place where the
same line of source makes it, as in a loop or in each block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from harness.locating.arrivals import NEAR, is_one_of
from harness.shadow.places import Place
from harness.shadow.recording import Operation
from harness.shadow.replay import Replay, Results, fill, repeat_operation
from harness.shadow.shadow import Shadow

NEAREST = 1e-12  # of the size of an answer: a smaller difference is rounding
LEFT = 1e-4  # of a difference: less than that is left where a mistake is mended


class Mended(NamedTuple):
    """A mistake, in a sentence with {} for an operation, and the results of the operation without
    it.

    `arrays` are those without it in place of arrays that the operation reads, for operations after
    it that read them too.
    """

    said: str
    results: Results
    arrays: Sequence[tuple[Place, Tensor]] = ()


# Yields the mistakes of an operation of a replay, in which its inputs and results can be read.
Search = Callable[[Replay, Operation], Iterator[Mended]]


def is_explained(
    subject: Shadow, reference: Shadow, at: Operation, said: str, search: Search
) -> bool:
    """Do the answers agree without the mistake `said`, which `search` finds in the operation `at`?

    A forward operation is judged by all answers but gradients, others by gradients. Gradients that
    the map of parameters computes from several ones are not compared.
    """

    def mend(replay: Replay, operation: Operation) -> Mended | None:
        if not is_alike(operation, at):
            return None
        return next((each for each in search(replay, operation) if each.said == said), None)

    try:
        with torch.no_grad():
            mended = _replay_mended(subject.replay, at.backward, mend)
            before = _measure(subject, subject.replay, reference, at.backward)
            after = _measure(subject, mended, reference, at.backward)
    except (IndexError, RuntimeError, TypeError, ValueError):  # shapes that do not fit
        return False
    limits = {name: max(NEAREST, min(NEAR, LEFT * apart)) for name, apart in before.items()}
    was, wrong = (
        {name for name, apart in each.items() if apart > limits[name]} for each in (before, after)
    )
    return wrong < was and (at.backward or not any(map(_is_output, wrong)))


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
    side: Replay, backward: bool, mend: Callable[[Replay, Operation], Mended | None]
) -> Replay:
    """Return a run repeated in float64 without the mistakes that `mend` returns; without the way
    back, unless `backward` is True.
    """
    operations = [each for each in side.run.operations if backward or not each.backward]
    computed = {place.version for one in operations for place in filter(None, one.results)}
    kept = {number: each for number, each in side.numbers.items() if number not in computed}
    numbers = {number: each.detach() for number, each in kept.items()}
    mended = Replay(side.run, numbers, held=side.held)
    for operation in operations:
        _put(mended, operation, mended.repeat(operation))
        better = mend(mended, operation)
        if better is not None:
            _put(mended, operation, better.results)
            for place, array in better.arrays:
                mended.put(place, array.detach())
            # a new one forgets views of the old results
            mended = Replay(side.run, mended.numbers, held=side.held)
    return mended


def _put(replay: Replay, operation: Operation, results: Results) -> None:
    for place, result in zip(operation.results, results, strict=False):
        if place is not None and result is not None:
            if result.shape != place.size:
                raise ValueError(operation.name)  # it is caught: nothing is mended so
            replay.put(place, result.detach())


def _measure(
    subject: Shadow, replay: Replay, reference: Shadow, backward: bool
) -> dict[str, float]:
    """Return by which part of its size each answer of a repetition differs from the reference's.

    A gradient that is another one of the reference's, such as its transpose, does not differ.
    """
    theirs = {
        name: reference.read(name).detach()
        for name in reference.watched.answers
        if name.startswith("gradient") == backward
    }
    apart = {}
    for name, other in theirs.items():
        place = subject.watched.answers.get(name)
        if place is not None and other.is_floating_point() and other.numel():
            mine = replay.read(place).detach()
            apart[name] = torch.inf
            if mine.shape == other.shape and torch.equal(mine.isfinite(), other.isfinite()):
                finite = other.isfinite()
                difference, size = (
                    float(abs(each[finite]).max()) if bool(finite.any()) else 0.0
                    for each in (mine - other, other)
                )
                apart[name] = difference / size if size else difference
            elif is_one_of(mine, list(theirs.values())):
                apart[name] = 0.0
    return apart


def _is_output(name: str) -> bool:
    return name.startswith(("output", "loss"))
