"""Compares the shadows of two evaluations, answer by answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from harness.shadow.adjoint import draw_signs
from harness.shadow.frontier import Pool, find_frontier, list_numbers
from harness.shadow.recording import Operation
from harness.shadow.shadow import Reach, Shadow

GRADIENT = "gradient of "  # begins the name of a gradient by a parameter
WIDEST = 0.1  # of an answer's size: a wider bound says nothing
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
    answer's size.

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
    bits_lost: float = 0.0
    bits_worse: float = 0.0
    lost_in: Operation | None = None
    unruled: tuple[Operation, ...] = ()


def compare(
    subject: Shadow, reference: Shadow, carry: Carry, generator: torch.Generator
) -> list[Compared]:
    """Compare all answers of two evaluations, in the reference's parameters."""
    both = _Both(subject, reference, carry)
    return [_compare_answer(both, name, generator) for name in reference.watched.answers]


class _Both:
    """Two shadows, and the answers of both in the reference's parameters."""

    def __init__(self, subject: Shadow, reference: Shadow, carry: Carry) -> None:
        self.subject, self.reference, self.carry = subject, reference, carry
        gradients = {}
        for name in subject.watched.answers:
            if name.startswith(GRADIENT):
                gradients[name.removeprefix(GRADIENT)] = subject.read(name).detach()
        self.pulled = carry.pull(gradients) if gradients else {}

    def actual(self, name: str) -> Tensor | None:
        """Return the subject's answer; None if it has none."""
        if name.startswith(GRADIENT):
            return self.pulled.get(name.removeprefix(GRADIENT))
        if name not in self.subject.watched.answers:
            return None
        return self.subject.read(name).detach()

    def weigh(self, name: str, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of an answer's elements times weights, of the subject and the
        reference.
        """
        expected = (self.reference.read(name) * weights).sum()
        if not name.startswith(GRADIENT):
            return (self.subject.read(name) * weights).sum(), expected
        actual = torch.zeros((), dtype=torch.float64, device=weights.device)
        for own, changes in self.carry.push({name.removeprefix(GRADIENT): weights}).items():
            if GRADIENT + own in self.subject.watched.answers:
                actual = actual + (self.subject.read(GRADIENT + own) * changes).sum()
        return actual, expected


def _compare_answer(both: _Both, name: str, generator: torch.Generator) -> Compared:
    expected, actual = both.reference.read(name).detach(), both.actual(name)
    if actual is None or actual.shape != expected.shape:
        return Compared(name, "shape", math.inf)
    if not expected.is_floating_point():
        same = torch.equal(actual, expected)
        return Compared(name, "same" if same else "differs", 0.0 if same else math.inf)
    finite = torch.isfinite(expected) & torch.isfinite(actual)
    if not bool(finite.all()):
        alike = torch.equal(actual.nan_to_num(), expected.nan_to_num())
        return Compared(name, "not finite", 0.0 if alike else math.inf)
    if not expected.numel():
        return Compared(name, "not seen")
    return _judge_numbers(both, name, actual, expected, generator)


def _judge_numbers(
    both: _Both, name: str, actual: Tensor, expected: Tensor, generator: torch.Generator
) -> Compared:
    """Compare a finite answer by a random weighted sum, and by the element that differs most."""
    signs = draw_signs(expected, generator)
    factor, allowed, mine, theirs = _judge_number(both, name, signs)
    size = float(torch.linalg.vector_norm(expected))
    apart = abs(actual - expected)
    place = int(apart.argmax())
    where = tuple(int(each) for each in torch.unravel_index(torch.tensor(place), apart.shape))
    element = torch.zeros_like(expected)
    element.view(-1)[place] = 1.0
    allowed_there = allowed
    if expected.numel() > 1 and float(apart.max()) > 0:
        factor_there, allowed_there, *_ = _judge_number(both, name, element)
        factor = max(factor, factor_there)
    resolution = allowed / size if size else math.inf
    return Compared(
        name,
        _decide(factor, resolution, size, mine, theirs),
        factor,
        resolution,
        where,
        float(actual[where]),
        float(expected[where]),
        allowed_there,
        bits(mine.as_run, mine.as_declared),
        bits(mine.in_float64, theirs.in_float64),
        mine.lost[0][1] if mine.lost else None,
        (*mine.unruled, *theirs.unruled),
    )


def _decide(factor: float, resolution: float, size: float, mine: Reach, theirs: Reach) -> Outcome:
    if mine.unruled or theirs.unruled:
        return "no rule"
    if factor > 1:
        return "differs"
    if not size:
        return "not seen"
    return "too wide" if resolution > WIDEST else "same"


def _judge_number(both: _Both, name: str, weights: Tensor) -> tuple[float, float, Reach, Reach]:
    """Return the difference of a weighted sum over the allowed one, the latter and both reaches."""
    actual, expected = both.weigh(name, weights)
    mine, theirs = both.subject.reach(actual), both.reference.reach(expected)
    allowed = mine.in_float64 + theirs.in_float64
    apart = abs(float(actual.detach() - expected.detach()))
    factor = 0.0 if apart == 0 else apart / allowed if allowed else math.inf
    return factor, allowed, mine, theirs


def bits(more: float, less: float) -> float:
    """Return how many bits one error is larger than another; 0 if it is not."""
    if more <= less or less == 0 or not math.isfinite(more):
        return 0.0
    return math.log2(more / less)


def find_first(subject: Shadow, reference: Shadow, names: Sequence[str]) -> list[Operation]:
    """Return the subject's operations at which answers that differ leave what the reference
    computes, in the order in which they ran.
    """
    pool = Pool(list_numbers(reference.replay))
    found: dict[int, Operation] = {}
    order = {id(one): number for number, one in enumerate(subject.watched.run.operations)}
    for name, place in subject.watched.answers.items():
        if name in names:
            for operation in find_frontier(subject.replay, place, pool):
                found[order[id(operation)]] = operation
    return [found[number] for number in sorted(found)]
