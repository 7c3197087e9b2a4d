"""Compares the shadows of two evaluations, answer by answer.

A shadow is an evaluation repeated in float64, with bounds on its rounding errors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.evaluating.evaluation import GRADIENT
from harness.locating.losing import find_costliest
from harness.matching.carry import Carry, Tensors, pull_gradients
from harness.matching.elements import (
    Question,
    ask_element,
    have_same_infinities,
    is_finite,
    list_questions,
)
from harness.matching.narrow import NOTHING, Narrow, find_narrow
from harness.matching.outcomes import WIDEST, WORSE_BITS, Outcome, bits, decide, divide
from harness.shadow.adjoint import Sum
from harness.shadow.local import Observed
from harness.shadow.recording import Operation
from harness.shadow.replay import widen
from harness.shadow.shadow import Reach, Shadow

RUN_SHARE = 0.125  # of an average element's bound: beyond, the element as it ran is looked into


@dataclass(frozen=True)
class Compared:
    """The comparison of one answer (an output, the loss, a gradient) of two models.

    The shadow of a model is its evaluation, repeated in float64.

    `factor` is the largest difference of both shadows, divided by the difference that float64
    rounding allows. It is taken over a random weighted sum of the answer's elements and the element
    that differs most. `where` is the index of this element, and `actual`, `expected` and `allowed`
    are its two values and the allowed difference. `resolution` is the allowed difference divided by
    `size`, the sum of the absolute values of the answer's elements.

    `run_factor` is the largest difference between the model's answer, as it ran in its own dtype,
    and its shadow, divided by the rounding error of its operations. `run_resolution` is the latter
    divided by the size of the answer. `bits_worse` is the number of bits that the subject's form
    may lose beyond the reference's, most of them in `worse_in` if they are many. It is NaN if the
    reference's answer has no bit to keep: rounding in the claimed dtype may change it by its size.
    `narrow` and `narrow_theirs` are the digits that the subject and the reference lose in narrower
    dtypes than the claimed ones.
    `unruled` are operations for which no rounding bound is known: then there is no bound.
    """

    answer: str
    outcome: Outcome
    factor: float = 0.0
    resolution: float = 0.0
    where: tuple[int, ...] = ()
    actual: float = math.nan
    expected: float = math.nan
    allowed: float = math.nan
    size: float = 0.0
    run_factor: float = 0.0
    run_resolution: float = 0.0
    bits_worse: float = math.nan
    worse_in: Operation | None = None
    narrow: Narrow = NOTHING
    narrow_theirs: Narrow = NOTHING
    unruled: tuple[Operation, ...] = ()

    @property
    def bits_lost(self) -> float:
        """The number of bits that the subject may lose in narrower dtypes than the claimed one,
        beyond the reference's loss in the same dtypes.
        """
        return self.narrow.count_beyond(self.narrow_theirs)


def compare(
    subject: Shadow,
    reference: Shadow,
    carry: Carry,
    generator: torch.Generator,
    ran: Tensors | None = None,
    shift: Tensors | None = None,
) -> list[Compared]:
    """Compare all answers of two models, with gradients by the reference's parameters.

    `carry` is the derivative of the map from the reference's parameters to the subject's;
    `generator` draws random weights. `ran` are the subject's answers of a run without recording; by
    default the recorded answers are judged. `shift` is taken from them, by name: it is by how much
    the reference's answers are off its shadow, more than by rounding.
    """
    both = _Both(subject, reference, carry, ran, shift or {})
    names = list(reference.watched.answers)
    by_shape = {name: both.compare_shapes(name) for name in names}
    by_shape |= {name: Compared(name, "only here", math.inf) for name in both.list_more()}
    waiting = [name for name in names if by_shape[name] is None]
    both.pair_up(waiting)
    pairs = {name: (pair.expected, pair.actual) for name, pair in both.pairs.items()}
    questions = list_questions(pairs, generator)
    judged = _judge_questions(both, questions)
    judged += _judge_questions(both, both.list_run_questions(judged))
    for name in waiting:
        by_shape[name] = _conclude(both, name, [one for one in judged if one.question.name == name])
    return [one for one in by_shape.values() if one is not None]


def is_judged_as_run(one: Compared) -> bool:
    """Is the answer of a run in the model's own dtype judged? It is if its bound is narrow, or if
    it is not finite.
    """
    return one.run_resolution <= WIDEST or math.isinf(one.run_factor)


@dataclass(frozen=True, eq=False)
class _Judged:
    """A weighted sum of an answer's elements (`question`), with the differences found and the error
    bounds of both models.

    `difference` is that of both shadows (evaluations repeated in float64). `run_difference` is that
    of the subject's answer, as it ran in its own dtype, from its shadow, and `recorded_difference`
    that of the answer that was recorded.
    """

    question: Question
    difference: float
    run_difference: float  # the answer as it ran, from its shadow
    recorded_difference: float  # the answer as it was recorded, from its shadow
    mine: Reach
    theirs: Reach
    is_shifted: bool

    @property
    def allowed(self) -> float:
        return self.mine.in_float64 + self.theirs.in_float64

    @property
    def factor(self) -> float:
        """The difference of both shadows (evaluations repeated in float64), divided by the allowed
        one.
        """
        return divide(self.difference, self.allowed)

    @property
    def run_factor(self) -> float:
        """The difference of the subject's answer, as it ran in its own dtype, from its float64
        repetition, divided by the allowed one.

        The bound is of first order. The recorded run, whose operations are judged one by one, shows
        the part that this leaves out: its own difference beyond the bound.
        """
        allowed = self.mine.as_run
        if self.is_shifted:  # by what the reference gave as it ran
            allowed += self.theirs.as_run
        if allowed < self.recorded_difference < math.inf:
            allowed = self.recorded_difference
        return divide(self.run_difference, allowed)


@dataclass(frozen=True, eq=False)
class _Pair:
    """An answer in both shadows (`actual` of the subject, `expected` of the reference), with 0 in
    place of infinities and NaN, and the difference of both.

    `run_difference` is the difference of the subject's answer, as it ran in its own dtype, from its
    shadow (the run repeated in float64); None if the shapes differ. `recorded_difference` is that
    of the recorded answer.
    """

    actual: Tensor
    expected: Tensor
    difference: Tensor
    run_difference: Tensor | None
    recorded_difference: Tensor


class _Both:
    """The shadows of two models (their evaluations repeated in float64), and the answers of both,
    with gradients by the reference's parameters.

    `pairs` has the answers whose numbers are compared, by name; `endless` are the names of those
    with infinities or NaN.
    """

    def __init__(
        self,
        subject: Shadow,
        reference: Shadow,
        carry: Carry,
        ran: Tensors | None,
        shift: Tensors,
    ) -> None:
        self.subject, self.reference, self.carry = subject, reference, carry
        names = list(subject.watched.answers)
        shadows = {name: subject.read(name).detach() for name in names}
        self.known = {name: reference.read(name).detach() for name in reference.watched.answers}
        observed = Observed(subject.watched.run)
        recorded = {name: observed.read(place) for name, place in subject.watched.answers.items()}
        self.shadows = pull_gradients(carry, shadows)
        self.recorded = pull_gradients(carry, recorded)
        self.ran, self.shift = self.recorded, shift
        if ran is not None:
            answers = pull_gradients(carry, {name: widen(each) for name, each in ran.items()})
            moved = {name: answers[name] - each for name, each in shift.items() if name in answers}
            self.ran = {**answers, **moved}
        self.pairs: dict[str, _Pair] = {}
        self.endless: set[str] = set()

    def pair_up(self, names: Sequence[str]) -> None:
        """Pair the answers of both models with these names, which agree in shape."""
        for name in names:
            actual, ran, recorded = self.shadows[name], self.ran.get(name), self.recorded[name]
            recorded_difference = self._subtract(name, recorded, actual)
            difference = None
            if ran is not None and ran.shape == actual.shape:
                difference = recorded_difference
                if ran is not recorded and not torch.equal(ran, recorded):
                    difference = self._subtract(name, ran, actual)
            actual = self._blank(name, actual)
            expected = self._blank(name, self.expected(name))
            self.pairs[name] = _Pair(
                actual, expected, actual - expected, difference, recorded_difference
            )

    def _subtract(self, name: str, found: Tensor, exact: Tensor) -> Tensor:
        """Return found - exact for an answer; equal infinities do not differ."""
        difference = found - exact
        return torch.where(found == exact, 0.0, difference) if name in self.endless else difference

    def _blank(self, name: str, answer: Tensor) -> Tensor:
        """Return an answer with 0 in place of infinities and NaN."""
        return answer.nan_to_num(0.0, 0.0, 0.0) if name in self.endless else answer

    def expected(self, name: str) -> Tensor:
        """Return the reference's answer."""
        return self.known[name]

    def actual(self, name: str) -> Tensor | None:
        """Return the subject's answer; None if it has none."""
        return self.shadows.get(name)

    def measure(self, question: Question) -> tuple[float, float, float]:
        """Return three absolute differences of the weighted sum of an answer's elements.

        The first is that of both shadows (evaluations repeated in float64). The second is that of
        the subject's answer, as it ran in its own dtype, from its shadow; the third is that of the
        recorded answer.
        """
        pair, weights = self.pairs[question.name], question.weights
        difference = _add_up(pair.difference, weights)
        recorded = ran = _add_up(pair.recorded_difference, weights)
        if pair.run_difference is None:
            ran = math.inf
        elif pair.run_difference is not pair.recorded_difference:
            ran = _add_up(pair.run_difference, weights)
        return difference, ran, recorded

    def leaves(self, judged: Sequence[_Judged]) -> bool:
        """Do numbers leave torch in one of the models, so that they were not followed, while the
        models differ by no more than the rounding errors of their runs?
        """
        runs = self.subject.watched.run, self.reference.watched.run
        if not any(run.read_numbers for run in runs):
            return False
        return all(one.difference <= one.mine.as_run + one.theirs.as_run for one in judged)

    def list_more(self) -> list[str]:
        """Return the gradients of the subject other than 0 that the reference does not have."""
        known = self.reference.watched.answers
        return [
            name
            for name, each in self.shadows.items()
            if name.startswith("gradient ") and name not in known and bool((each != 0).any())
        ]

    def list_run_questions(self, judged: Sequence[_Judged]) -> list[Question]:
        """Return, for each answer, the element whose value, as the subject ran in its own dtype, is
        furthest from its float64 repetition.

        Elements with a small difference are left out, compared with the bound on the answer's sum.
        """
        questions = []
        for one in judged:
            name, weights = one.question.name, one.question.weights
            difference = None if one.question.where else self.pairs[name].run_difference
            if difference is None or weights.numel() < 2 or one.mine.unruled:
                continue
            most = float(abs(difference).max())
            if most > RUN_SHARE * one.mine.as_run / math.sqrt(weights.numel()):
                place = int(abs(difference).argmax())
                questions.append(ask_element(name, weights, place, of_run=True))
        return questions

    def compare_shapes(self, name: str) -> Compared | None:
        """Compare the shapes, integers, infinities and NaN of an answer; return None if they agree,
        and numbers remain to be compared.
        """
        expected, actual = self.expected(name), self.actual(name)
        if actual is None and name.startswith("gradient ") and not bool((expected != 0).any()):
            return Compared(name, "not seen")  # no gradient, and one of 0
        if actual is None or actual.shape != expected.shape:
            return Compared(name, "shape", math.inf)
        if not (expected.is_floating_point() and actual.is_floating_point()):
            same = torch.equal(actual.to(expected.dtype), expected)
            return Compared(name, "same" if same else "differs", 0.0 if same else math.inf)
        if is_finite(actual) and is_finite(expected):
            return None if expected.numel() else Compared(name, "not seen")
        self.endless.add(name)
        if not have_same_infinities(actual, expected):
            return Compared(name, "not finite", math.inf)
        if bool(torch.isnan(expected).any()) or not bool(torch.isfinite(expected).any()):
            return Compared(name, "not finite")
        return None

    def weigh(self, question: Question) -> tuple[Sum, Sum]:
        """Return the weighted sum of the subject's answer and that of the reference's, so that
        autograd can differentiate them.
        """
        name, weights = question.name, question.weights
        expected = [(self._blank(name, self.reference.read(name)), weights)]
        if not name.startswith(GRADIENT):
            return [(self._blank(name, self.subject.read(name)), weights)], expected
        changes = self.carry.push({name.removeprefix(GRADIENT): weights})
        known = self.subject.watched.answers
        return [
            (self.subject.read(GRADIENT + own), each)
            for own, each in changes.items()
            if GRADIENT + own in known
        ], expected


def _add_up(differences: Tensor, weights: Tensor) -> float:
    """Return the absolute value of a weighted sum."""
    return abs(float((differences * weights).sum()))


def _judge_questions(both: _Both, questions: Sequence[Question]) -> list[_Judged]:
    sums = [both.weigh(question) for question in questions]
    mine = both.subject.reach_sums([actual for actual, _ in sums])
    theirs = both.reference.reach_sums([expected for _, expected in sums])
    return [
        _Judged(question, *both.measure(question), one, other, question.name in both.shift)
        for question, one, other in zip(questions, mine, theirs, strict=True)
    ]


def _conclude(both: _Both, name: str, judged: Sequence[_Judged]) -> Compared:
    """Return the comparison of an answer from its judged weighted sums; the first of these is the
    sum of all elements.
    """
    whole = judged[0]
    elements = [one for one in judged[1:] if not one.question.of_run]
    worst = max(elements, key=lambda one: one.factor, default=whole)
    expected, actual = both.expected(name), both.actual(name)
    assert actual is not None
    size = float(abs(both.pairs[name].expected).sum())
    factor = max(one.factor for one in judged)
    resolution = divide(whole.allowed, size)
    where = worst.question.where or (0,) * expected.ndim
    mine, theirs = whole.mine, whole.theirs
    worse, worse_in = math.nan, None
    if theirs.as_declared <= size:
        worse = bits(mine.in_float64, theirs.in_float64)
    if worse > WORSE_BITS:
        worse_in = find_costliest(both.subject, both.weigh(whole.question)[0])
    return Compared(
        name,
        decide(factor, resolution, size, bool(mine.unruled or theirs.unruled), both.leaves(judged)),
        factor,
        resolution,
        where,
        float(actual[where]),
        float(expected[where]),
        worst.allowed,
        size,
        max(one.run_factor for one in judged),
        divide(mine.as_run, size),
        worse,
        worse_in,
        find_narrow(both.subject, mine, size),
        find_narrow(both.reference, theirs, size),
        (*mine.unruled, *theirs.unruled),
    )
