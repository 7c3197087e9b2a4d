"""Places an answer that differs: at the first operations, and what was left out."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.same.compare import Compared
from harness.shadow.arrivals import trace_arrivals
from harness.shadow.frontier import Pool, find_frontier, list_numbers
from harness.shadow.recording import Operation
from harness.shadow.shadow import Shadow


def find_first(subject: Shadow, reference: Shadow, differs: Compared) -> list[Operation]:
    """Return the subject's operations at which an answer leaves what the reference computes, in the
    order in which they ran.

    If a layer before them lacks numbers of the reference, or all the subject's numbers are the
    reference's, they are the operations of the reference that the subject lacks; the answer's own
    if the difference is as small as rounding between them.
    """
    near = _find_nearness(reference, differs)
    pool = Pool(list_numbers(reference.replay), near)
    first: list[Operation] = []
    place = subject.watched.answers.get(differs.answer)
    if place is not None:
        first = find_frontier(subject.replay, place, pool)
        first = trace_arrivals(subject.replay, reference.replay, first)
    place = reference.watched.answers[differs.answer]
    lacking = find_frontier(reference.replay, place, Pool(list_numbers(subject.replay), near))
    if not first:
        return lacking or _find_last(subject, differs)
    return lacking if lacking and _is_left_out(subject, reference, pool, lacking, first) else first


def _find_last(subject: Shadow, differs: Compared) -> list[Operation]:
    """Return the operation that made an answer."""
    place = subject.watched.answers.get(differs.answer)
    for operation in reversed(subject.watched.run.operations):
        if any(each and place and each.version == place.version for each in operation.results):
            return [operation]
    return []


def _is_left_out(
    subject: Shadow,
    reference: Shadow,
    pool: Pool,
    lacking: Sequence[Operation],
    first: Sequence[Operation],
) -> bool:
    """Is an operation of the reference left out: before the first that differs, in a layer that has
    no number of its own in the subject?
    """
    left, layer = lacking[0], (first[0].layer, first[0].backward)
    operations = reference.watched.run.operations
    alike = [one for one in operations if (one.layer, one.backward) == layer]
    if not alike or operations.index(left) >= operations.index(alike[0]):
        return False
    for operation, results in zip(
        subject.watched.run.operations, subject.replay.results, strict=True
    ):
        if (operation.layer, operation.backward) == (left.layer, left.backward):
            floats = [each for each in results if each is not None and each.is_floating_point()]
            if not all(map(pool.has, floats)):
                return False
    return True


def _find_nearness(reference: Shadow, differs: Compared) -> float:
    """Return the share of an answer within which numbers count as the same, when it differs."""
    expected = reference.read(differs.answer).detach()
    largest = float(abs(expected).max())
    apart = abs(differs.actual - differs.expected)
    return apart / largest / 100 if largest and math.isfinite(apart) else math.inf
