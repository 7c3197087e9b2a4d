"""Judges a failing subject once more, by its own operations: is it the same function, computed
another way?

The oracle (the network's equations, with bounds) bounds all implementations that form the same
sums. A correct model in another formulation, such as 0.5 + 0.5 tanh(z / 2) for the logistic, may be
outside. Then its shadow decides: its own operations, recorded and repeated in float64, with bounds
on their rounding errors. The model passes under four conditions. Every operation has a rule that
bounds its errors, and keeps to it. The shadow is the oracle's value within the float64 rounding of
both. The model's answers are within the rounding errors of its own operations. These lose not many
more bits than the network's own operations.

In shapes, D counts draws (problems of a stack); a quantity has the shape (D, ...).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from harness.comparing.evidence import TOO_WIDE
from harness.comparing.judge import Judgement, Side, budget, draws_outside, judge
from harness.core.contract import Array, Bounded, Contract, Indices
from harness.core.implementation import Missing
from harness.core.problem import QUANTITIES, Problem
from harness.core.verdict import Status
from harness.judging.comparison import Comparison
from harness.model.errors import words_of
from harness.model.module import Model
from harness.words.naming import tensors
from harness.words.wording import describe_operation

if TYPE_CHECKING:
    from torch import Tensor

    from harness.shadow.recording import Operation
    from harness.shadow.shadow import Reach, Shadow

MOST_BITS = 3.0  # that another formulation may lose more than the network's own, see DECISIONS.md
SAMPLED = 16  # draws in which these bits are counted
LOSES = 2.0  # times what it would lose in its own dtype: an operation loses precision
SIGNS = 0x5EED  # of the generator of random signs


@dataclass(frozen=True)
class Second:
    """The second judgement of a failing subject, by its own operations.

    `judgement` is None if it does not overturn the first one. `why` is then the reason, or "" if
    the subject computes another function.
    """

    judgement: Judgement | None
    why: str = ""


class _Refused(Exception):
    """Raised with the reason why the subject's own operations do not overturn the first
    judgement.
    """


def judge_by_operations(comparison: Comparison) -> Second:
    """Judge a failing subject once more, by bounds from its own operations."""
    model = comparison.cache.model(comparison.trial)
    if model is None or comparison.quantity not in QUANTITIES or comparison.trial.dtype == "tf32":
        return Second(None)
    own = _OwnOperations(comparison, model)
    try:
        subjects = [own.widen(problem) for problem in comparison.problems]
        if all(subject is None for subject in subjects):
            return Second(None)  # the reference fails, not the subject
        own.expect_few_bits()
    except _Refused as refused:
        return Second(None, str(refused))
    both = [_sides(comparison, problem) for problem in comparison.problems]
    mine = [wide or own for wide, (own, _) in zip(subjects, both, strict=True)]
    owners = [tensors(problem, comparison.quantity)[1] for problem in comparison.problems]
    judgement = judge(mine, [theirs for _, theirs in both], owners, own.contract.largest)
    if judgement.status is Status.FAIL:
        return Second(None)
    return Second(None, own.objection) if own.objection else Second(judgement)


def _sides(comparison: Comparison, problem: Problem) -> tuple[Side, Side]:
    sides = comparison.sides(problem, comparison.quantity)
    assert not isinstance(sides, Missing)
    return sides


class _OwnOperations:
    """The shadows of a subject's model: its own operations at each draw, repeated in float64 with
    bounds.

    `objection` is a reason not to overturn the judgement although the widened bounds are met; "" if
    there is none.
    """

    def __init__(self, comparison: Comparison, model: Model) -> None:
        self.comparison, self.model = comparison, model
        self.contract: Contract = comparison.contracts[0]
        self.objection = ""

    def widen(self, problem: Problem) -> Side | None:
        """Return the subject's answers to a problem with wider bounds.

        Each element outside the oracle's bounds gets a bound from the model's own operations.
        Return None if no element is outside. Raises _Refused if a draw does not overturn the first
        judgement.
        """
        mine, _ = _sides(self.comparison, problem)
        outside = draws_outside(mine.answer, mine.oracle, self.contract.largest)
        if not outside.any():
            return None
        error = mine.oracle.error.copy()
        flat = error.reshape(problem.draws, -1)
        for number in np.flatnonzero(outside):
            apart = abs(mine.answer[number] - mine.oracle.value[number])
            places = np.flatnonzero(~(apart <= mine.oracle.error[number]))
            far = apart.ravel()[places]
            flat[number, places] = self._bound_elements(problem, int(number), places, far)
            demanded = mine.oracle.error[number].ravel()[places] == 0
            if problem.exact and demanded.any():
                self.objection = (
                    "its own operations round where nothing on the network's way does: a weight"
                    " that is off by its last bit would look the same"
                )
        return replace(mine, oracle=Bounded(mine.oracle.value, error))

    def _bound_elements(self, problem: Problem, number: int, places: Indices, far: Array) -> Array:
        """Return bounds on the elements `places` of a draw's answer (flattened), from the model's
        own operations.

        `number` is the draw's position, and `far` says how far the answer is from the oracle's at
        these elements. Raises _Refused unless the shadow equals the oracle's answer there and in a
        sum of all elements with random signs, and the answer is within its bounds.
        """
        shadow = self._shadow(problem, number)
        exact = self._oracle_in_float64(problem)
        value, error = exact.value[number].ravel(), exact.error[number].ravel()
        answer, signs = self._read(shadow)
        apart = answer.detach().cpu().numpy() - value
        (whole,) = shadow.reach([answer @ signs])
        _expect_kept(whole)
        _expect_same(float(apart @ signs.cpu().numpy()), whole, float(error.sum()))
        bounds: list[Array] = []
        done = 0
        for few in _split_growing(places):  # a wrong model is refused at one of the first
            reaches = shadow.reach([answer[place] for place in few])
            for place, reach in zip(few.tolist(), reaches, strict=True):
                _expect_same(float(apart[place]), reach, float(error[place]))
            own = np.array([reach.as_run + reach.in_float64 for reach in reaches])
            if self.comparison.quantity == "loss" and own[0] > TOO_WIDE * abs(value[0]):
                raise _Refused(
                    "its own operations compute the same loss, but may lose"
                    f" {own[0] / abs(value[0]):.0%} of it in {problem.called(number)}"
                )
            bounds.append(error[few] + own)
            if (budget(far[done : done + len(few)], bounds[-1]) > 1).any():
                self.expect_few_bits()  # a form that loses many is a reason to be said
                raise _Refused("")
            done += len(few)
        return np.concatenate(bounds)

    def expect_few_bits(self) -> None:
        """Raise _Refused if the model's own operations lose many more bits than the network's.

        The median over some draws of all problems counts. In a saturated draw another formulation
        may lose many bits: 0.5 + 0.5 tanh(z / 2) is off by a rounding of 1 where the logistic is
        tiny.
        """
        draws = []
        for problem in self.comparison.problems:
            draws += [(problem, number) for number in range(problem.draws)]
        bits = [self._count_bits(*draw) for draw in draws[:: max(1, len(draws) // SAMPLED)]]
        if median(bits) > MOST_BITS:
            raise _Refused(
                "its own operations compute the same function, but may lose"
                f" {median(bits):.0f} bits more than those of the network"
            )

    def _count_bits(self, problem: Problem, number: int) -> float:
        """Return how many bits more the model's operations lose in one draw than the network's.

        The network's loss counts as at least one rounding of each answer. `number` is the draw's
        position.
        """
        shadow = self._shadow(problem, number)
        answer, signs = self._read(shadow)
        (whole,) = shadow.reach([answer @ signs])
        bound = self.comparison.bounds(problem)[0][self.comparison.quantity]
        rounded = self.contract.roundoff * float(abs(bound.value[number]).sum())
        least = max(float(bound.error[number].sum()), rounded)
        return math.log2(whole.as_run / least) if whole.as_run > least > 0 else 0.0

    def _shadow(self, problem: Problem, number: int) -> Shadow:
        """Return the model's operations at the draw at position `number`, repeated in float64 with
        bounds.

        Raises _Refused if they cannot be judged.
        """
        try:
            shadow = self.comparison.cache.shadow(self.model, problem, number)
        except Exception as error:  # a user's model, or an operation that cannot be repeated
            raise _Refused(f"its own operations cannot be followed: {words_of(error)}") from None
        worst = max(shadow.checked, key=lambda one: one.share)
        if not worst.ruled:
            raise _Refused(
                f"its own operations cannot be judged: no rule for {_name(worst.operation)}"
            )
        if worst.share > 1:
            raise _Refused(f"{_name(worst.operation)} is outside its own rounding")
        return shadow

    def _oracle_in_float64(self, problem: Problem) -> Bounded:
        contract = replace(self.contract, dtype="float64")
        return self.comparison.cache.oracle(problem, contract)[self.comparison.quantity]

    def _read(self, shadow: Shadow) -> tuple[Tensor, Tensor]:
        """Return the shadow's answer, flattened, and a random sign (1 or -1) for each of its
        elements.
        """
        import torch

        from harness.shadow.adjoint import draw_signs

        answer = shadow.read(self.comparison.quantity).reshape(-1)
        return answer, draw_signs(answer, torch.Generator().manual_seed(SIGNS))


def _split_growing(places: Indices) -> Iterator[Indices]:
    """Yield parts of an array in order: one place, then eight, and so on."""
    start, size = 0, 1
    while start < len(places):
        yield places[start : start + size]
        start, size = start + size, 8 * size


def _expect_same(apart: float, reach: Reach, error: float) -> None:
    """Raise _Refused if the subject's own operations compute another function.

    `apart` is the difference of a number, as they give it in float64, from the network's equations.
    `error` is the bound of the equations in float64, and `reach` has the bounds of the operations.
    """
    if not abs(apart) <= reach.in_float64 + error:
        raise _Refused("")


def _name(operation: Operation) -> str:
    from harness.locating.located import locate

    return describe_operation(locate(operation))


def _expect_kept(reach: Reach) -> None:
    """Raise _Refused if an operation loses precision; `reach` has the bounds on a number by the
    operations.
    """
    if reach.lost and reach.as_run > LOSES * reach.as_declared:
        raise _Refused(
            "its own operations compute the same function, but with lost precision:"
            f" {_name(reach.lost[0][1])} rounds to a narrower dtype"
        )
