"""Compares the shadows of two evaluations, answer by answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from harness.same.elements import (
    Question,
    ask_element,
    blank_infinite,
    have_same_infinities,
    list_questions,
)
from harness.shadow.recording import Operation
from harness.shadow.replay import widen
from harness.shadow.shadow import Reach, Shadow

GRADIENT = "gradient of "  # begins the name of a gradient by a parameter
WIDEST = 0.1  # of an answer's size: a wider bound says nothing
RUN_SHARE = 0.125  # of an average element's bound: beyond, the element as it ran is looked into
Outcome = Literal[
    "same",
    "differs",
    "not finite",
    "shape",
    "only here",
    "no rule",
    "too wide",
    "not seen",
    "left torch",
]
Tensors = Mapping[str, Tensor]


class Carry(Protocol):
    """How the subject's parameters follow from the reference's: a linear map J of small changes."""

    def push(self, tangents: Tensors) -> Tensors:
        """Return J w: changes of the subject's parameters for changes w of the reference's."""

    def pull(self, gradients: Tensors) -> Tensors:
        """Return J^T g: the gradients by the reference's parameters for those by the subject's."""


class ByName:
    """Parameters that have the same names on both sides."""

    def push(self, tangents: Tensors) -> Tensors:
        """Return the changes as they are."""
        return tangents

    def pull(self, gradients: Tensors) -> Tensors:
        """Return the gradients as they are."""
        return gradients


@dataclass(frozen=True)
class Compared:
    """One answer of two models.

    `factor` is the largest difference of their shadows over what rounding in float64 allows, in a
    random weighted sum of the answer's elements and in the element that differs most, whose figures
    are `where`, `actual`, `expected` and `allowed`. `resolution` is the allowed difference over the
    `size` of the answer, its norm.

    `run_factor` is the largest difference of the model's answer, as it ran in its own dtype, from
    its shadow over what its operations allow; `run_resolution` is the latter over its size.
    `bits_lost` says how many more bits the subject may lose than if all its operations ran in the
    dtype that it claims, most of them in `lost_in`; `bits_worse` how many more than the reference's
    operations, if the bound of these says anything. `unruled` are operations without a rule: then
    nothing is known.
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
    bits_lost: float = 0.0
    bits_worse: float = 0.0
    lost_in: Operation | None = None
    unruled: tuple[Operation, ...] = ()


def compare(
    subject: Shadow,
    reference: Shadow,
    carry: Carry,
    generator: torch.Generator,
    ran: Tensors | None = None,
) -> list[Compared]:
    """Compare all answers of two evaluations, in the reference's parameters.

    `ran` are the subject's answers as it gives them when nobody watches; without them those that
    were observed are judged.
    """
    both = _Both(subject, reference, carry, ran)
    names = list(reference.watched.answers)
    found = {name: both.compare_shapes(name) for name in names}
    found |= {name: Compared(name, "only here", math.inf) for name in both.list_more()}
    waiting = [name for name in names if found[name] is None]
    questions = [question for name in waiting for question in both.list_questions(name, generator)]
    judged = _judge_questions(both, questions)
    judged += _judge_questions(both, both.list_run_questions(judged))
    for name in waiting:
        found[name] = _conclude(both, name, [one for one in judged if one.question.name == name])
    return [one for one in found.values() if one is not None]


@dataclass(frozen=True, eq=False)
class _Judged:
    """A question with the difference of both sums, and the reaches of both."""

    question: Question
    apart: float
    ran_apart: float  # the answer as it ran, from its shadow
    mine: Reach
    theirs: Reach

    @property
    def allowed(self) -> float:
        return self.mine.in_float64 + self.theirs.in_float64

    @property
    def factor(self) -> float:
        """The difference over the allowed one."""
        return divide(self.apart, self.allowed)

    @property
    def run_factor(self) -> float:
        """The difference of the answer as it ran from its shadow, over the allowed one."""
        return divide(self.ran_apart, self.mine.as_run)


class _Both:
    """Two shadows, and the answers of both in the reference's parameters."""

    def __init__(
        self, subject: Shadow, reference: Shadow, carry: Carry, ran: Tensors | None
    ) -> None:
        self.subject, self.reference, self.carry = subject, reference, carry
        names = list(subject.watched.answers)
        shadows = {name: subject.read(name).detach() for name in names}
        observed = ran or {name: subject.watched.observed(name) for name in names}
        self.shadows = self._pull(shadows)
        self.ran = self._pull({name: widen(tensor) for name, tensor in observed.items()})

    def _pull(self, answers: Tensors) -> Tensors:
        """Return answers with gradients by the reference's parameters."""
        mine = {
            name.removeprefix(GRADIENT): answer
            for name, answer in answers.items()
            if name.startswith(GRADIENT)
        }
        others = {name: each for name, each in answers.items() if not name.startswith(GRADIENT)}
        pulled = self.carry.pull(mine) if mine else {}
        return others | {GRADIENT + name: gradient for name, gradient in pulled.items()}

    def expected(self, name: str) -> Tensor:
        """Return the reference's answer."""
        return self.reference.read(name).detach()

    def actual(self, name: str) -> Tensor | None:
        """Return the subject's answer; None if it has none."""
        return self.shadows.get(name)

    def measure(self, question: Question) -> tuple[float, float]:
        """Return the weighted difference of both shadows, and that of the answer as it ran from its
        shadow.
        """
        name, weights = question.name, question.weights
        apart = blank_infinite(self.shadows[name]) - blank_infinite(self.expected(name))
        ran_apart = self.measure_run(name)
        ran_sum = torch.inf if ran_apart is None else (ran_apart * weights).sum()
        return abs(float((apart * weights).sum())), abs(float(ran_sum))

    def measure_run(self, name: str) -> Tensor | None:
        """Return the difference of an answer as it ran from its shadow; None for another shape."""
        shadow = self.shadows[name]
        ran = self.ran.get(name, torch.full_like(shadow, torch.nan))
        if ran.shape != shadow.shape:
            return None
        return torch.where(ran == shadow, 0.0, ran - shadow)

    def leaves(self, judged: Sequence[_Judged]) -> bool:
        """Do numbers leave torch in one of the models, which differ by no more than what both lose
        as they ran?
        """
        runs = self.subject.watched.run, self.reference.watched.run
        if not any(run.read_numbers for run in runs):
            return False
        return all(one.apart <= one.mine.as_run + one.theirs.as_run for one in judged)

    def list_more(self) -> list[str]:
        """Return the gradients other than 0 that the reference does not have at all."""
        known = self.reference.watched.answers
        return [
            name
            for name, each in self.shadows.items()
            if name.startswith("gradient ") and name not in known and bool((each != 0).any())
        ]

    def list_run_questions(self, judged: Sequence[_Judged]) -> list[Question]:
        """Return the element of each answer that, as it ran, is furthest from its shadow, where it
        is not near for its share of what the sum of all elements may lose.
        """
        questions = []
        for one in judged:
            name, weights = one.question.name, one.question.weights
            apart = None if one.question.where else self.measure_run(name)
            if apart is None or weights.numel() < 2 or one.mine.unruled:
                continue
            most = float(abs(apart).max())
            if most > RUN_SHARE * one.mine.as_run / math.sqrt(weights.numel()):
                place = int(abs(apart).argmax())
                questions.append(ask_element(name, weights, place, of_run=True))
        return questions

    def compare_shapes(self, name: str) -> Compared | None:
        """Compare what rounding has no part in; None if the answers are numbers to be judged."""
        expected, actual = self.expected(name), self.actual(name)
        if actual is None and name.startswith("gradient ") and not bool((expected != 0).any()):
            return Compared(name, "not seen")  # no gradient, and one of 0
        if actual is None or actual.shape != expected.shape:
            return Compared(name, "shape", math.inf)
        if not expected.is_floating_point():
            same = torch.equal(actual, expected)
            return Compared(name, "same" if same else "differs", 0.0 if same else math.inf)
        if not have_same_infinities(actual, expected):
            return Compared(name, "not finite", math.inf)
        if bool(torch.isnan(expected).any()) or (
            expected.numel() and not bool(torch.isfinite(expected).any())
        ):
            return Compared(name, "not finite")
        return None if expected.numel() else Compared(name, "not seen")

    def list_questions(self, name: str, generator: torch.Generator) -> list[Question]:
        """Return what is judged of an answer; what is infinite on both sides is left out."""
        expected, actual = self.expected(name), self.actual(name)
        assert actual is not None
        return list_questions(name, blank_infinite(expected), blank_infinite(actual), generator)

    def weigh(self, question: Question) -> tuple[Tensor, Tensor]:
        """Return the weighted sum of the subject's answer and of the reference's, in autograd's
        graphs.
        """
        name, weights = question.name, question.weights
        expected = (blank_infinite(self.reference.read(name)) * weights).sum()
        if not name.startswith(GRADIENT):
            return (blank_infinite(self.subject.read(name)) * weights).sum(), expected
        actual = torch.zeros((), dtype=torch.float64, device=weights.device)
        for own, changes in self.carry.push({name.removeprefix(GRADIENT): weights}).items():
            if GRADIENT + own in self.subject.watched.answers:
                actual = actual + (self.subject.read(GRADIENT + own) * changes).sum()
        return actual, expected


def _judge_questions(both: _Both, questions: Sequence[Question]) -> list[_Judged]:
    sums = [both.weigh(question) for question in questions]
    mine = both.subject.reach([actual for actual, _ in sums])
    theirs = both.reference.reach([expected for _, expected in sums])
    return [
        _Judged(question, *both.measure(question), *reaches)
        for question, *reaches in zip(questions, mine, theirs, strict=True)
    ]


def _conclude(both: _Both, name: str, judged: Sequence[_Judged]) -> Compared:
    """Return the comparison of an answer from its questions: a sum of all elements first."""
    whole = judged[0]
    elements = [one for one in judged[1:] if not one.question.of_run]
    shown = max(elements, key=lambda one: one.factor, default=whole)
    expected, actual = both.expected(name), both.actual(name)
    assert actual is not None
    size = float(torch.linalg.vector_norm(blank_infinite(expected)))
    factor = max(one.factor for one in judged)
    resolution = divide(whole.allowed, size)
    where = shown.question.where or (0,) * expected.ndim
    mine, theirs = whole.mine, whole.theirs
    known = divide(theirs.in_float64, size) <= WIDEST
    return Compared(
        name,
        _decide(
            factor, resolution, size, bool(mine.unruled or theirs.unruled), both.leaves(judged)
        ),
        factor,
        resolution,
        where,
        float(actual[where]),
        float(expected[where]),
        shown.allowed,
        size,
        max(one.run_factor for one in judged),
        divide(mine.as_run, size),
        bits(mine.as_run, mine.as_declared),
        bits(mine.in_float64, theirs.in_float64) if known else 0.0,
        mine.lost[0][1] if mine.lost else None,
        (*mine.unruled, *theirs.unruled),
    )


def _decide(factor: float, resolution: float, size: float, unruled: bool, leaves: bool) -> Outcome:
    if unruled:
        return "no rule"
    if factor > 1:
        return "left torch" if leaves else "differs"
    if not size:
        return "not seen"
    return "too wide" if resolution > WIDEST else "same"


def divide(part: float, whole: float) -> float:
    """Return part / whole, where 0 / 0 is 0 and what is not a number is infinite."""
    if part == 0:
        return 0.0
    share = part / whole if whole else math.inf
    return math.inf if math.isnan(share) else share


def bits(more: float, less: float) -> float:
    """Return how many bits one error is larger than another; 0 if it is not."""
    if more <= less or less == 0 or not math.isfinite(more):
        return 0.0
    return math.log2(more / less)
