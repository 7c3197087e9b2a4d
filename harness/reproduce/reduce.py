"""Makes a failing trial small: the fewest draws, rows, parameters and digits with which it still
fails in the same way.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.core.contract import Array
from harness.core.implementation import Observation
from harness.core.judge import Judgement
from harness.core.naming import tensors
from harness.core.problem import QUANTITIES, Problem
from harness.core.verdict import Status
from harness.judging.cache import Cache, Meaning, ReferenceAnswers
from harness.judging.comparison import Comparison
from harness.judging.store import Same

PATIENCE = 2.0  # seconds that a reduction may take
MANY = 2_000  # parameters: more of them are too slow to clear one by one
# budgets: a failure this large shows on other machines too, so no reduction may make it smaller
CLEAR = 10.0
BITS = (1, 2, 4, 8, 16)  # of a rounded number that is no multiple of a quarter
NUMBERS = ("own", "inputs", "targets")


class Reduced(NamedTuple):
    """A problem of one draw that fails, and the judgement on it."""

    problem: Problem
    judgement: Judgement


def shrink(comparison: Comparison, failed: Judgement, patience: float = PATIENCE) -> Reduced | None:
    """Find the smallest problem that fails as the trial did, in `patience` seconds.

    None if no draw fails without the others.
    """
    reference = comparison.trial.reference
    until = perf_counter() + patience
    for stack, draw in _order_draws(comparison, failed):
        observation = comparison.cache.reference(reference, comparison.problems[stack])
        answers = {name: answer[draw : draw + 1] for name, answer in observation.values.items()}
        problem = comparison.problems[stack].part(slice(draw, draw + 1))
        judged = _judge(comparison, problem, replace(observation, values=answers))
        if judged is None:
            continue
        search = _Search(comparison, Reduced(problem, judged[comparison.quantity]), judged, until)
        if reference.source != "recorded":  # a recording has no answers to other problems
            search.drop_rows()
            search.clear()
            search.round()
        return search.best
    return None


def _order_draws(comparison: Comparison, failed: Judgement) -> Iterable[tuple[int, int]]:
    """Stack and draw of the worst failures; in a large model those with the most zeros first."""
    worst = _find_worst(comparison, failed)
    if comparison.problems[0].formulation.own.size <= MANY:
        return worst

    def count_numbers(place: tuple[int, int]) -> int:
        stack, draw = place
        return int(np.count_nonzero(comparison.problems[stack].own[draw]))

    return sorted(set(worst), key=count_numbers)


def _find_worst(comparison: Comparison, failed: Judgement) -> Iterator[tuple[int, int]]:
    """Yield stack and draw of the worst failure, then of the worst in each stack that fails."""
    yield failed.stack, failed.index[0]
    for stack, problem in enumerate(comparison.problems):
        judged = comparison._replace(problems=[problem]).judged(comparison.quantity)
        if isinstance(judged, Judgement) and judged.status is Status.FAIL:
            yield stack, judged.index[0]


def _judge(
    comparison: Comparison, problem: Problem, known: Observation | None = None
) -> dict[str, Judgement] | None:
    """Judge the trial's quantity and those before it on a problem, by a subject built anew.

    `known` is the reference's answer, if there is one. Returns None unless the quantity fails and
    its two numbers differ by more than is allowed.
    """
    trial, cache = comparison.trial, Cache(comparison.trial.case)
    cache.put(Meaning(trial.subject.name), problem.formulation)
    if known is not None:
        network = Same(problem.formulation.network)
        cache.put(ReferenceAnswers(Same(trial.reference), network, problem.key), known)
    again = Comparison(trial, cache, [problem], comparison.quantity)
    judgements: dict[str, Judgement] = {}
    for quantity in QUANTITIES[: QUANTITIES.index(comparison.quantity) + 1]:
        judged = again.judged(quantity)
        if isinstance(judged, Judgement):
            judgements[quantity] = judged
    last = judgements.get(comparison.quantity)
    if last is None or last.status is not Status.FAIL:
        return None
    if abs(last.actual - last.expected) <= last.allowed:  # false for NaN
        return None
    return judgements


class _Search:
    """Holds the smallest problem so far. A change makes it smaller, and is kept if the problem
    still fails in the same way.
    """

    def __init__(
        self, comparison: Comparison, start: Reduced, judged: dict[str, Judgement], until: float
    ) -> None:
        self.comparison = comparison
        self.best = start
        self.until = until
        self.least = min(start.judgement.budget_used, CLEAR)
        self.passing = [name for name, one in judged.items() if one.status is not Status.FAIL]
        self.place = self._place(start)

    def _place(self, reduced: Reduced) -> tuple[object, ...]:
        """The way in which a problem fails: the tensor, who is outside, which numbers are
        finite.
        """
        judgement = reduced.judgement
        owners = tensors(reduced.problem, self.comparison.quantity)[1]
        finite = np.isfinite([judgement.actual, judgement.expected])
        return int(owners[judgement.index[1:]]), judgement.outside, *finite.tolist()

    @property
    def late(self) -> bool:
        """Is the time over?"""
        return perf_counter() > self.until

    def keep(self, **changed: Any) -> bool:
        """Change numbers of the best problem if it then fails in the same way; was it changed?"""
        if self.late:
            return False
        problem = replace(self.best.problem, **changed)
        judged = _judge(self.comparison, problem)
        if judged is None:
            return False
        for name in self.passing:  # a quantity before this one must not begin to fail
            if name in judged and judged[name].status is Status.FAIL:
                return False
        reduced = Reduced(problem, judged[self.comparison.quantity])
        if reduced.judgement.budget_used < self.least or self._place(reduced) != self.place:
            return False
        self.best = reduced
        return True

    def drop_rows(self) -> None:
        """Keep only the worst row; or else drop halves, quarters, ... of the rows."""
        index = self.best.judgement.index[1:]
        if self.best.problem.rows == 1:
            return
        if len(index) == 2 and self._keep_rows(np.array(index[:1])):
            return
        size = self.best.problem.rows // 2
        while size:
            start = 0
            while start < self.best.problem.rows and size < self.best.problem.rows:
                rows = np.arange(self.best.problem.rows)
                if not self._keep_rows(np.delete(rows, slice(start, start + size))):
                    start += size
            size //= 2

    def _keep_rows(self, rows: NDArray[np.intp]) -> bool:
        problem = self.best.problem
        return self.keep(inputs=problem.inputs[:, rows], targets=problem.targets[:, rows])

    def clear(self) -> None:
        """Set numbers to 0: first whole blocks and units, then halves, quarters, ... of the other
        numbers, then single ones.
        """
        for units in self._group_parameters():
            most = 1 if self.best.problem.own.size <= MANY else len(units)
            self._clear_parts("own", units, most)
        for name in NUMBERS:
            left = np.flatnonzero(getattr(self.best.problem, name))
            self._clear_parts(name, list(left[:, None]), len(left))

    def _clear_parts(self, name: str, parts: Sequence[NDArray[np.intp]], most: int) -> None:
        """Set the numbers of `most` parts at once to 0, then of half as many, ..., then of one.

        A part is an array of places.
        """
        while most:
            numbers = getattr(self.best.problem, name).ravel()
            parts = [part for part in parts if numbers[part].any()]
            for start in range(0, len(parts), most):
                if self.late:
                    return
                self._put(name, np.concatenate(parts[start : start + most]), 0)
            most //= 2

    def _group_parameters(self) -> Iterator[list[NDArray[np.intp]]]:
        """Yield lists of places that may be cleared together: first the blocks, then the units of
        each length.

        A unit is one index of all axes of a length, as a hidden unit's weights in all blocks are.
        """
        blocks = [block.places for block in self.best.problem.formulation.own.blocks]
        yield [places.ravel() for places in blocks]
        lengths: set[int] = set()
        for places in blocks:
            lengths.update(places.shape)
        for length in sorted(lengths, reverse=True):
            yield [_join_unit(blocks, length, unit) for unit in range(length)]

    def round(self) -> None:
        """Round all numbers to whole ones, halves or quarters; then each other to fewer bits."""
        for name in NUMBERS:
            numbers = getattr(self.best.problem, name).ravel()
            everywhere = np.arange(numbers.size)
            for per in (1, 2, 4):
                if self._put(name, everywhere, np.round(numbers * per) / per + 0.0):
                    break
        for name in NUMBERS:
            numbers = getattr(self.best.problem, name)
            for place in np.flatnonzero(numbers % 0.25):
                if self.late:
                    return
                mantissa, exponent = np.frexp(numbers.flat[place])
                for bits in BITS:
                    rounded = np.ldexp(np.round(mantissa * 2**bits), exponent - bits)
                    if self._put(name, place, rounded):
                        break

    def _put(self, name: str, places: Any, by: Array | float) -> bool:
        """Replace the numbers at some places, see `keep`; False if they are the same."""
        before = getattr(self.best.problem, name)
        numbers = before.copy()
        numbers.flat[places] = by
        if not (numbers != before).any():
            return False
        return self.keep(**{name: numbers})


def _join_unit(blocks: Sequence[NDArray[np.intp]], length: int, unit: int) -> NDArray[np.intp]:
    """The places, in all blocks, at index `unit` of an axis of this length."""
    parts = []
    for places in blocks:
        for axis, size in enumerate(places.shape):
            if size == length:
                parts.append(np.take(places, unit, axis).ravel())
    return np.concatenate(parts)
