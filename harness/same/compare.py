"""Compares the shadows of two evaluations, answer by answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from harness.shadow.adjoint import draw_signs
from harness.shadow.arrivals import trace_arrivals
from harness.shadow.frontier import Pool, find_frontier, list_numbers
from harness.shadow.recording import Operation
from harness.shadow.replay import widen
from harness.shadow.shadow import Reach, Shadow

GRADIENT = "gradient of "  # begins the name of a gradient by a parameter
WIDEST = 0.1  # of an answer's size: a wider bound says nothing
NOISE = 2.0**-49  # of the largest element: smaller differences of one element are not looked into
Outcome = Literal["same", "differs", "not finite", "shape", "no rule", "too wide", "not seen"]
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
    operations. `unruled` are operations without a rule: then nothing is known.
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
    waiting = [name for name in names if found[name] is None]
    questions = [question for name in waiting for question in both.list_questions(name, generator)]
    judged = _judge_questions(both, questions)
    for name in waiting:
        found[name] = _conclude(both, name, [one for one in judged if one.question.name == name])
    return [one for name in names if (one := found[name]) is not None]


@dataclass(frozen=True, eq=False)
class _Question:
    """A weighted sum of an answer's elements; `where` is the only element with a weight."""

    name: str
    weights: Tensor
    where: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class _Judged:
    """A question with the difference of both sums, and the reaches of both."""

    question: _Question
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

    def measure(self, question: _Question) -> tuple[float, float]:
        """Return the weighted difference of both shadows, and that of the answer as it ran from its
        shadow.
        """
        name, weights = question.name, question.weights
        shadow = self.shadows[name]
        ran = self.ran.get(name, torch.full_like(shadow, torch.nan))
        apart = ((shadow - self.expected(name)) * weights).sum()
        ran_apart = ((ran - shadow) * weights).sum() if ran.shape == shadow.shape else torch.inf
        return abs(float(apart)), abs(float(ran_apart))

    def compare_shapes(self, name: str) -> Compared | None:
        """Compare what rounding has no part in; None if the answers are numbers to be judged."""
        expected, actual = self.expected(name), self.actual(name)
        if actual is None or actual.shape != expected.shape:
            return Compared(name, "shape", math.inf)
        if not expected.is_floating_point():
            same = torch.equal(actual, expected)
            return Compared(name, "same" if same else "differs", 0.0 if same else math.inf)
        finite = torch.isfinite(expected) & torch.isfinite(actual)
        if not bool(finite.all()):
            alike = torch.equal(actual.nan_to_num(), expected.nan_to_num())
            return Compared(name, "not finite", 0.0 if alike else math.inf)
        return None if expected.numel() else Compared(name, "not seen")

    def list_questions(self, name: str, generator: torch.Generator) -> list[_Question]:
        """Return a random weighted sum of all elements, and the element that differs most if it
        differs by more than a few roundings of the largest.
        """
        expected, actual = self.expected(name), self.actual(name)
        assert actual is not None
        questions = [_Question(name, draw_signs(expected, generator))]
        apart = abs(actual - expected)
        if expected.numel() > 1 and float(apart.max()) > NOISE * float(abs(expected).max()):
            place = apart.argmax()
            weights = torch.zeros_like(expected)
            weights.view(-1)[place] = 1.0
            where = tuple(int(each) for each in torch.unravel_index(place, apart.shape))
            questions.append(_Question(name, weights, where))
        return questions

    def weigh(self, question: _Question) -> tuple[Tensor, Tensor]:
        """Return the weighted sum of the subject's answer and of the reference's, in autograd's
        graphs.
        """
        name, weights = question.name, question.weights
        expected = (self.reference.read(name) * weights).sum()
        if not name.startswith(GRADIENT):
            return (self.subject.read(name) * weights).sum(), expected
        actual = torch.zeros((), dtype=torch.float64, device=weights.device)
        for own, changes in self.carry.push({name.removeprefix(GRADIENT): weights}).items():
            if GRADIENT + own in self.subject.watched.answers:
                actual = actual + (self.subject.read(GRADIENT + own) * changes).sum()
        return actual, expected


def _judge_questions(both: _Both, questions: Sequence[_Question]) -> list[_Judged]:
    sums = [both.weigh(question) for question in questions]
    mine = both.subject.reach([actual for actual, _ in sums])
    theirs = both.reference.reach([expected for _, expected in sums])
    return [
        _Judged(question, *both.measure(question), *reaches)
        for question, *reaches in zip(questions, mine, theirs, strict=True)
    ]


def _conclude(both: _Both, name: str, judged: Sequence[_Judged]) -> Compared:
    """Return the comparison of an answer from its questions: a sum of all elements first."""
    whole, shown = judged[0], judged[-1]
    expected, actual = both.expected(name), both.actual(name)
    assert actual is not None
    size = float(torch.linalg.vector_norm(expected))
    factor = max(one.factor for one in judged)
    resolution = divide(whole.allowed, size)
    where = shown.question.where or (0,) * expected.ndim
    mine, theirs = whole.mine, whole.theirs
    return Compared(
        name,
        _decide(factor, resolution, size, bool(mine.unruled or theirs.unruled)),
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
        bits(mine.in_float64, theirs.in_float64),
        mine.lost[0][1] if mine.lost else None,
        (*mine.unruled, *theirs.unruled),
    )


def _decide(factor: float, resolution: float, size: float, unruled: bool) -> Outcome:
    if unruled:
        return "no rule"
    if factor > 1:
        return "differs"
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


def find_first(subject: Shadow, reference: Shadow, differs: Compared) -> list[Operation]:
    """Return the subject's operations at which an answer leaves what the reference computes, in the
    order in which they ran.

    If a layer before them lacks numbers of the reference, or all the subject's numbers are the
    reference's, they are the operations of the reference that the subject lacks.
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
        return lacking
    return lacking if lacking and _is_left_out(subject, reference, pool, lacking, first) else first


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
