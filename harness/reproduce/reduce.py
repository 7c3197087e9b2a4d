"""Reduces a failing trial to a small problem that still fails in the same way.

The small problem has one draw (a single problem of a stack), few rows of inputs, many zeros and few
digits. In what follows, own parameters are the numbers of the model's own tensors, flattened into
one vector, and places are positions in this vector, or in the flattened inputs or targets.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from harness.calling.earlier import PLAINLY
from harness.comparing.judge import Judgement
from harness.core.contract import Array, Indices
from harness.core.implementation import Observation
from harness.core.problem import QUANTITIES, Problem
from harness.core.verdict import Status
from harness.judging.cache import Cache, Meaning, SubjectAnswers, key_of_answers
from harness.judging.comparison import Comparison
from harness.judging.modes import ask_without
from harness.pytorch.subject import Subject
from harness.words.naming import tensors

# A reduction ends after so many steps, so that the same failure is made the same problem on a busy
# machine as on a quiet one. A step judges one problem; a large problem counts as several.
STEPS = 500
STEP_SIZE = 50_000  # rows times parameters of a problem that counts as two steps
DEADLINE = 60.0  # seconds: only a model that is slow by itself does not end before
MANY = 2_000  # parameters: more of them are too slow to clear one by one
# budgets: a failure this large shows on other machines too, so no reduction may make it smaller
CLEAR = 10.0
BITS = (1, 2, 4, 8, 16)  # of a rounded number that is no multiple of a quarter
NUMBERS = ("own", "inputs", "targets")


class Reduced(NamedTuple):
    """A problem of one draw that fails, and the judgement on it."""

    problem: Problem
    judgement: Judgement


def shrink(comparison: Comparison, failed: Judgement, steps: int = STEPS) -> Reduced | None:
    """Return the smallest problem that fails as the trial did, found within this number of steps.

    `failed` is the judgement of the trial. Returns None if no draw fails when it is evaluated by
    itself.
    """
    reference = comparison.trial.reference
    until = perf_counter() + DEADLINE
    for stack, draw in _order_draws(comparison, failed):
        observation = comparison.reference(comparison.problems[stack])
        answers = {name: answer[draw : draw + 1] for name, answer in observation.values.items()}
        problem = comparison.problems[stack].part(slice(draw, draw + 1))
        judged = _judge(comparison, problem, replace(observation, values=answers))
        if judged is None:
            continue
        start = Reduced(problem, judged[comparison.quantity])
        search = _Search(comparison, start, judged, steps, until)
        if reference.source != "recorded":  # a recording has no answers to other problems
            search.drop_rows()
            search.clear()
            search.round()
        return search.best
    return None


def _order_draws(comparison: Comparison, failed: Judgement) -> Iterable[tuple[int, int]]:
    """Return the draws (single problems) to try, in order, each as the number of its stack and its
    number in the stack.

    They are the draw of the worst failure, then the worst draw of each stack that fails. In a model
    of more than MANY parameters, the draw with the most parameters equal to 0 comes first.
    """
    worst = _find_worst(comparison, failed)
    if comparison.formulation.own.size <= MANY:
        return worst

    def count_numbers(place: tuple[int, int]) -> int:
        stack, draw = place
        return int(np.count_nonzero(comparison.problems[stack].own[draw]))

    return sorted(set(worst), key=count_numbers)


def _find_worst(comparison: Comparison, failed: Judgement) -> Iterator[tuple[int, int]]:
    """Yield (number of the stack, number of the draw in it) of the worst failure, then of the worst
    failure in each failing stack.

    A draw is a single problem, and a stack has several.
    """
    yield failed.stack, failed.index[0]
    for stack, problem in enumerate(comparison.problems):
        judged = comparison._replace(problems=[problem]).judged(comparison.quantity)
        if isinstance(judged, Judgement) and judged.status is Status.FAIL:
            yield stack, judged.index[0]


def _judge(
    comparison: Comparison, problem: Problem, known: Observation | None = None
) -> dict[str, Judgement] | None:
    """Judge a problem: the trial's quantity, and every quantity before it in QUANTITIES.

    QUANTITIES is the order of computation: forward, loss, gradient, input gradient. The model is
    built anew, and called as few times as possible, as a script calls it. `known` has the
    reference's answers if they are known already. Returns the judgements by quantity. Returns None
    unless the trial's quantity fails and, at its worst element, the subject's number differs from
    the reference's by more than the allowed difference.
    """
    trial, cache = comparison.trial, Cache(comparison.trial.case)
    subject = trial.subject
    cache.put(Meaning(subject.name), problem.formulation)
    if isinstance(subject, Subject):
        key = SubjectAnswers(subject.name, problem, trial.dtype, trial.device)
        cache.put(key, ask_without(trial, subject, problem, PLAINLY))
    if known is not None:
        cache.put(key_of_answers(trial.reference, problem, trial.dtype), known)
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
    """A search for the smallest problem that fails in the same way.

    `best` is the smallest problem so far. Each step makes it smaller, and is undone if the problem
    then passes or fails in another way.
    """

    def __init__(
        self,
        comparison: Comparison,
        start: Reduced,
        judged: dict[str, Judgement],
        steps: float,
        until: float,
    ) -> None:
        self.comparison = comparison
        self.best = start
        self.left, self.until = steps, until
        self.least = min(start.judgement.factor, CLEAR)
        self.passing = [name for name, one in judged.items() if one.status is not Status.FAIL]
        self.place = self._place(start)

    def _place(self, reduced: Reduced) -> tuple[object, ...]:
        """Return a key for the way in which a problem fails, from the worst element of the
        quantity.

        It holds the number of the element's tensor, the sides (subject, reference) that are outside
        their own bounds, and whether the subject's and the reference's numbers are finite.
        """
        judgement = reduced.judgement
        owners = tensors(reduced.problem, self.comparison.quantity)[1]
        finite = np.isfinite([judgement.actual, judgement.expected])
        return int(owners[judgement.index[1:]]), judgement.outside, *finite.tolist()

    @property
    def late(self) -> bool:
        """Are there no steps left?"""
        return self.left <= 0 or perf_counter() > self.until

    def keep(self, **changed: Any) -> bool:
        """Change fields of the best problem if it then still fails in the same way; return whether
        it does.
        """
        if self.late:
            return False
        problem = replace(self.best.problem, **changed)
        self.left -= 1 + problem.rows * problem.own.size / STEP_SIZE
        judged = _judge(self.comparison, problem)
        if judged is None:
            return False
        for name in self.passing:  # a quantity before this one must not begin to fail
            if name in judged and judged[name].status is Status.FAIL:
                return False
        reduced = Reduced(problem, judged[self.comparison.quantity])
        if reduced.judgement.factor < self.least or self._place(reduced) != self.place:
            return False
        self.best = reduced
        return True

    def drop_rows(self) -> None:
        """Keep only the row of the worst element. If the problem then does not fail, drop halves,
        quarters, ... of the rows.
        """
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

    def _keep_rows(self, rows: Indices) -> bool:
        problem = self.best.problem
        return self.keep(
            inputs=problem.inputs[:, rows],
            targets=problem.targets[:, rows],
            loss=problem.loss.of_rows(rows),
        )

    def clear(self) -> None:
        """Set numbers to 0 as long as the trial still fails in the same way.

        Whole tensors are tried first, then units, then halves, quarters, ... of the numbers that
        are not yet 0, and finally single numbers.
        """
        for units in self._group_parameters():
            most = 1 if self.best.problem.own.size <= MANY else len(units)
            self._clear_parts("own", units, most)
        for name in NUMBERS:
            left = np.flatnonzero(getattr(self.best.problem, name))
            self._clear_parts(name, list(left[:, None]), len(left))

    def _clear_parts(self, name: str, parts: Sequence[Indices], most: int) -> None:
        """Set the numbers of `most` parts at once to 0, then of half as many parts, and so on down
        to one part.

        A part is an array of places in the field `name` of the problem. Parts that are 0 already
        are skipped.
        """
        while most:
            numbers = getattr(self.best.problem, name).ravel()
            parts = [part for part in parts if numbers[part].any()]
            for start in range(0, len(parts), most):
                if self.late:
                    return
                self._put(name, np.concatenate(parts[start : start + most]), 0)
            most //= 2

    def _group_parameters(self) -> Iterator[list[Indices]]:
        """Yield lists of groups of the model's own parameters (its tensors, flattened) that are set
        to 0 together: first the tensors, then the units of each length.

        A group is an array of places in the vector of own parameters. A unit has the parameters at
        one index of every axis of a length: for example, all weights of one hidden unit, in all
        tensors.
        """
        blocks = [block.places for block in self.best.problem.formulation.own.blocks]
        yield [places.ravel() for places in blocks]
        lengths: set[int] = set()
        for places in blocks:
            lengths.update(places.shape)
        for length in sorted(lengths, reverse=True):
            yield [_join_unit(blocks, length, unit) for unit in range(length)]

    def round(self) -> None:
        """Round all numbers to integers, halves or quarters; then round all remaining numbers to
        few bits.

        The remaining numbers are those that are not multiples of a quarter.
        """
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
        """Set the numbers at some places of the problem's field `name` to `by`, if `keep` accepts
        this.

        `places` are positions in the flattened field. Returns whether the problem was changed.
        """
        before = getattr(self.best.problem, name)
        numbers = before.copy()
        numbers.flat[places] = by
        if not (numbers != before).any():
            return False
        return self.keep(**{name: numbers})


def _join_unit(blocks: Sequence[Indices], length: int, unit: int) -> Indices:
    """Return a unit: the places, in all tensors, at index `unit` of each axis of length `length`.

    `blocks` has for each tensor an array of the places of its numbers in the vector of own
    parameters.
    """
    parts = []
    for places in blocks:
        for axis, size in enumerate(places.shape):
            if size == length:
                parts.append(np.take(places, unit, axis).ravel())
    return np.concatenate(parts)
