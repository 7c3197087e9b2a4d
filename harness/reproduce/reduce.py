"""A failing trial made small: one draw, the fewest rows, parameters and digits with which it still
fails as it did.
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
from harness.judging.cache import Cache
from harness.judging.comparison import Comparison

PATIENCE = 2.0  # seconds that a reduction may take
MANY = 2_000  # parameters: so many take longer than that one by one, or unit by unit
# budgets: what fails by so much fails on other machines too, and is not made to fail by less
CLEAR = 10.0
BITS = (1, 2, 4, 8, 16)  # of a rounder number, where it is no whole number, half or quarter
NUMBERS = ("own", "inputs", "targets")


class Reduced(NamedTuple):
    """A problem of one draw that fails, and how."""

    problem: Problem
    judgement: Judgement


def reduced(asked: Comparison, failed: Judgement, patience: float = PATIENCE) -> Reduced | None:
    """The smallest problem found that fails as the trial did; None where its worst draws do not
    fail on their own.
    """
    reference, until = asked.trial.reference, perf_counter() + patience
    worst: Iterable[tuple[int, int]] = _worst(asked, failed)
    if asked.problems[0].formulation.own.size > MANY:  # the fewest numbers first
        worst = sorted(
            set(worst), key=lambda place: np.count_nonzero(asked.problems[place[0]].own[place[1]])
        )
    for stack, draw in worst:
        known = asked.cache.reference(reference, asked.problems[stack])
        answers = {name: answer[draw : draw + 1] for name, answer in known.values.items()}
        alone = asked.problems[stack].part(slice(draw, draw + 1))
        if first := _judged(asked, alone, replace(known, values=answers)):
            search = _Search(asked, Reduced(alone, first[asked.quantity]), first, until)
            if reference.source != "recorded":  # that holds no other answer
                search.drop_rows()
                search.clear()
                search.round()
            return search.best
    return None


def _worst(asked: Comparison, failed: Judgement) -> Iterator[tuple[int, int]]:
    """Stack and draw of the worst, then of the worst in each stack that fails."""
    yield failed.stack, failed.index[0]
    for stack, problem in enumerate(asked.problems):
        judged = asked._replace(problems=[problem]).judged(asked.quantity)
        if isinstance(judged, Judgement) and judged.status is Status.FAIL:
            yield stack, judged.index[0]


def _judged(
    asked: Comparison, problem: Problem, known: Observation | None = None
) -> dict[str, Judgement] | None:
    """How every quantity up to the one asked for is judged, by a subject built anew; None where
    that does not fail.

    Its two numbers themselves are further apart than is allowed.
    """
    trial, cache = asked.trial, Cache(asked.trial.case)
    cache.get_or_make(("means", trial.subject.name), lambda: problem.formulation)
    if known is not None:
        cache.get_or_make(
            (id(trial.reference), id(problem.formulation.network), problem.key), lambda: known
        )
    alone, found = Comparison(trial, cache, [problem], asked.quantity), {}
    for quantity in QUANTITIES[: QUANTITIES.index(asked.quantity) + 1]:
        judged = alone.judged(quantity)
        if isinstance(judged, Judgement):
            found[quantity] = judged
    last = found.get(asked.quantity)
    apart = last and not abs(last.actual - last.expected) <= last.allowed  # true for NaN
    return found if last and last.status is Status.FAIL and apart else None


class _Search:
    """What is the smallest so far; every change is one that makes it smaller, and is kept where it
    fails as it did.
    """

    def __init__(
        self, asked: Comparison, start: Reduced, judged: dict[str, Judgement], until: float
    ) -> None:
        self.asked, self.best, self.until = asked, start, until
        self.least = min(start.judgement.budget_used, CLEAR)
        self.inside = [
            name for name, judgement in judged.items() if judgement.status is not Status.FAIL
        ]
        self.place = self._place(start)

    def _place(self, found: Reduced) -> tuple[object, ...]:
        """Where and how it fails: the tensor, who is outside, whether the numbers are finite."""
        owners = tensors(found.problem, self.asked.quantity)[1]
        finite = np.isfinite([found.judgement.actual, found.judgement.expected])
        return int(owners[found.judgement.index[1:]]), found.judgement.outside, *finite.tolist()

    @property
    def late(self) -> bool:
        """Is the time over?"""
        return perf_counter() > self.until

    def keeps(self, **changed: Any) -> bool:
        """Does it fail as it did with these numbers? Then it is the best from now on."""
        problem = replace(self.best.problem, **changed)
        if self.late or (judged := _judged(self.asked, problem)) is None:
            return False
        found = Reduced(problem, judged[self.asked.quantity])
        before = any(judged[name].status is Status.FAIL for name in self.inside if name in judged)
        if before or found.judgement.budget_used < self.least or self._place(found) != self.place:
            return False
        self.best = found
        return True

    def drop_rows(self) -> None:
        """The worst row alone, else what is left when halves, quarters, ... of the rows are
        dropped.
        """

        def only(rows: NDArray[np.intp]) -> bool:
            problem = self.best.problem
            return self.keeps(inputs=problem.inputs[:, rows], targets=problem.targets[:, rows])

        index = self.best.judgement.index[1:]
        if self.best.problem.rows == 1 or (len(index) == 2 and only(np.array(index[:1]))):
            return
        size = self.best.problem.rows // 2
        while size:
            start = 0
            while start < (rows := self.best.problem.rows) > size:
                start += 0 if only(np.delete(np.arange(rows), slice(start, start + size))) else size
            size //= 2

    def clear(self) -> None:
        """Zeros: whole blocks, units, then halves, quarters, ... of what is left, and single
        numbers.
        """
        for units in self._together():
            most = 1 if self.best.problem.own.size <= MANY else len(units)
            self._clear_some("own", units, most)
        for name in NUMBERS:
            left = np.flatnonzero(getattr(self.best.problem, name))
            self._clear_some(name, list(left[:, None]), len(left))

    def _clear_some(self, name: str, parts: Sequence[NDArray[np.intp]], most: int) -> None:
        """Zeros at the places of so many parts at once, then of half as many, ..., and of each."""
        while most:
            numbers = getattr(self.best.problem, name).ravel()
            parts = [part for part in parts if numbers[part].any()]
            for start in range(0, len(parts), most):
                if self.late:
                    return
                self._put(name, np.concatenate(parts[start : start + most]), 0)
            most //= 2

    def _together(self) -> Iterator[list[NDArray[np.intp]]]:
        """Places of own parameters that may go together: a block, or all that axes of one length
        have at one index.
        """
        blocks = [block.places for block in self.best.problem.formulation.own.blocks]
        yield [places.ravel() for places in blocks]
        for length in sorted(
            {length for places in blocks for length in places.shape}, reverse=True
        ):
            axes = [
                (places, axis)
                for places in blocks
                for axis, n in enumerate(places.shape)
                if n == length
            ]
            yield [
                np.concatenate([np.take(places, unit, axis).ravel() for places, axis in axes])
                for unit in range(length)
            ]

    def round(self) -> None:
        """Whole numbers, halves, quarters, all at once; then, one by one, fewer bits."""
        for name in NUMBERS:
            numbers = getattr(self.best.problem, name).ravel()
            any(
                self._put(name, np.arange(numbers.size), np.round(numbers * per) / per + 0.0)
                for per in (1, 2, 4)
            )
        for name in NUMBERS:
            numbers = getattr(self.best.problem, name)
            for place in np.flatnonzero(numbers % 0.25):
                if self.late:
                    return
                mantissa, exponent = np.frexp(numbers.flat[place])
                any(
                    self._put(name, place, np.ldexp(np.round(mantissa * 2**n), exponent - n))
                    for n in BITS
                )

    def _put(self, name: str, places: Any, by: Array | float) -> bool:
        """Other numbers at some places: are they others, and does it fail as it did?"""
        numbers = getattr(self.best.problem, name).copy()
        numbers.flat[places] = by
        return bool((numbers != getattr(self.best.problem, name)).any()) and self.keeps(
            **{name: numbers}
        )
