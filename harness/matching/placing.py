"""Locates the cause of a difference: the first operations that differ, or an operation that is left
out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.evaluating.evaluation import BUFFER, BY_INPUT, GRADIENT
from harness.locating.arrivals import trace_arrivals
from harness.locating.frontier import Pool, find_frontier, list_numbers
from harness.locating.infinite import find_first_infinite
from harness.locating.norms import read_norm
from harness.locating.own_backward import list_wrong_backwards
from harness.locating.scaling import follow_scales
from harness.locating.skipping import Skip, find_skip
from harness.locating.stopping import list_stops
from harness.locating.viewing import name_views
from harness.matching.compare import Compared
from harness.shadow.recording import Operation
from harness.shadow.shadow import Shadow
from harness.waiting.progress import Say, silent

MOST = 3  # answers that are traced in one evaluation


class Tracer:
    """Finds the operations to blame for answers that differ, once for each answer in a setting.

    A difference of an output explains those of the gradients. Gradients are traced only if no
    output and no loss differs, and at most MOST answers of one evaluation. An answer that the
    subject does not have is traced in any case.
    """

    def __init__(self, say: Say = silent) -> None:
        """`say` gets progress messages."""
        self.say = say
        self.asked: set[str] = set()
        self.forward = False

    def find(
        self, subject: Shadow, reference: Shadow, differing: Sequence[Compared]
    ) -> dict[str, list[Operation]]:
        """Return the operations to blame (`find_first`) by the name of the answer: for those of the
        answers `differing` that are traced in this evaluation.
        """
        chosen = self._choose(differing)
        if not chosen:
            return {}
        self._tell()
        pools = tuple(Pool(list_numbers(side.replay), 0.0) for side in (subject, reference))
        explained: dict[Skip, bool] = {}
        found = {}
        for one in chosen:
            self._tell()
            found[one.answer] = find_first(subject, reference, one, pools, explained)
        return found

    def _choose(self, differing: Sequence[Compared]) -> list[Compared]:
        """Return the answers to trace, in their order."""
        lacking = [one for one in differing if one.outcome == "shape"]
        ahead = [one for one in differing if not one.answer.startswith((GRADIENT, BY_INPUT))]
        self.forward |= any(not one.answer.startswith(BUFFER) for one in ahead)
        others = ahead if self.forward else differing
        wanted = {one.answer for one in (*lacking[:1], *others[:MOST])} - self.asked
        self.asked |= wanted
        return [one for one in differing if one.answer in wanted]

    def _tell(self) -> None:
        self.say("looking for the first operation that differs")


def find_first(
    subject: Shadow,
    reference: Shadow,
    differs: Compared,
    pools: Sequence[Pool] = (),
    explained: dict[Skip, bool] | None = None,
) -> list[Operation]:
    """Return the operations to blame for an answer that differs, in the order in which they ran.

    They are the subject's first operations, on the way to the answer, that compute numbers which
    the reference does not compute. They are operations that cut off a gradient, which the reference
    carries on, if that explains the numbers that the subject lacks and no hook changes a gradient.
    They are operations of the reference that the subject lacks if a layer before them lacks numbers
    of the reference, or if all the subject's numbers occur in the reference. If the difference is
    as small as rounding, it is the operation that computed the answer. `pools` have all numbers of
    the subject and of the reference, if they are known, and `explained` is filled with the skips
    that were looked into.
    """
    if differs.outcome == "not finite":
        mine = find_first_infinite(subject, reference)
        return mine or find_first_infinite(reference, subject)
    near = _find_nearness(reference, differs)
    pools = pools or [Pool(list_numbers(side.replay), near) for side in (subject, reference)]
    known, pool = (each.within(near) for each in pools)
    first: list[Operation] = []
    place = subject.watched.answers.get(differs.answer)
    if place is not None:
        first = find_frontier(subject.replay, place, pool)
        first = trace_arrivals(subject.replay, reference.replay, first)
        first = follow_scales(subject.replay, reference.replay, first)
        first = name_views(subject.replay, reference.replay, first)
    place = reference.watched.answers[differs.answer]
    lacking = find_frontier(reference.replay, place, known)
    is_cut = not first or (first[0].backward and not first[0].hooked)
    if is_cut and not list_wrong_backwards(subject):
        stops = list_stops(subject, reference, lacking, known, differs.answer)
        if stops:
            return stops
    if not first:
        return lacking or _find_last(subject, differs)
    skip = find_skip(subject, reference, lacking, {} if explained is None else explained)
    if skip is not None:
        return [skip.skipped]
    if not lacking or _is_begun_by_hand(reference, lacking[0], known):
        return first
    return lacking if _is_left_out(subject, reference, pool, lacking, first) else first


def _find_last(subject: Shadow, differs: Compared) -> list[Operation]:
    """Return the operation that computed the answer, as a list of one; empty if there is none."""
    place = subject.watched.answers.get(differs.answer)
    for operation in reversed(subject.watched.run.operations):
        if any(each and place and each.version == place.version for each in operation.results):
            return [operation]
    return []


def _is_begun_by_hand(reference: Shadow, operation: Operation, known: Pool) -> bool:
    """Does the subject compute the variance inside a norm of the reference? `known` has all numbers
    of the subject.
    """
    norm = read_norm(reference.replay, operation)
    return norm is not None and known.has(norm.variance)


def _is_left_out(
    subject: Shadow,
    reference: Shadow,
    pool: Pool,
    lacking: Sequence[Operation],
    first: Sequence[Operation],
) -> bool:
    """Is an operation of the reference left out in the subject?

    `lacking` are the reference's operations whose numbers the subject does not compute, `first` the
    subject's whose numbers the reference does not compute. `pool` has all numbers of the reference.

    It must come before the first operation that differs, in a layer that computes no number of its
    own in the subject.
    """
    omitted, layer = lacking[0], (first[0].layer, first[0].backward)
    operations = reference.watched.run.operations
    alike = [one for one in operations if (one.layer, one.backward) == layer]
    if not alike or operations.index(omitted) >= operations.index(alike[0]):
        return False
    for operation, results in zip(
        subject.watched.run.operations, subject.replay.results, strict=True
    ):
        if (operation.layer, operation.backward) == (omitted.layer, omitted.backward):
            floats = [each for each in results if each is not None and each.is_floating_point()]
            if not all(map(pool.has, floats)):
                return False
    return True


def _find_nearness(reference: Shadow, differs: Compared) -> float:
    """Return the relative difference up to which two numbers count as the same, when the cause of
    the difference is searched.
    """
    expected = reference.read(differs.answer).detach()
    largest = float(abs(expected).max())
    difference = abs(differs.actual - differs.expected)
    return difference / largest / 100 if largest and math.isfinite(difference) else math.inf
