"""Asks the shadow of a subject that fails: is it the same function, computed another way?

The oracle bounds all implementations that form the same sums. A right model in another formulation,
as 0.5 + 0.5 tanh(z / 2) for the logistic, may be outside. Its own operations then decide. It passes
if every operation has a rule and keeps to it, if its shadow is the oracle's value within what both
may lose in float64, if its answers are within what its own operations may lose, and if these lose
not many more bits than the network's own.

In shapes, D counts draws (problems of a stack); a quantity has the shape (D, ...).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.calling.watching import shadow_draw
from harness.core.contract import Array, Bounded, Contract
from harness.core.implementation import Missing
from harness.core.judge import Judgement, Side, draws_outside, judge
from harness.core.problem import QUANTITIES, Problem
from harness.core.verdict import Status
from harness.judging.comparison import Comparison
from harness.model.module import Model
from harness.words.naming import tensors
from harness.words.wording import describe_operation

if TYPE_CHECKING:
    from harness.shadow.recording import Operation
    from harness.shadow.shadow import Reach, Shadow

MOST_BITS = 4.0  # that another formulation may lose more than the network's own, in the median draw
LOSES = 2.0  # times what it would lose in its own dtype: an operation loses precision
SIGNS = 0x5EED  # of the generator of random signs


@dataclass(frozen=True)
class Second:
    """The second judgement, by the subject's own operations.

    `judgement` is None if it does not overturn the first; `why` then says why not, or is "" if
    another function is computed.
    """

    judgement: Judgement | None
    why: str = ""


@dataclass(frozen=True, eq=False)
class _Asked:
    """One draw along the subject's own operations: bounds of the elements that are outside."""

    where: NDArray[np.intp]  # flat
    error: Array
    bits: float


class _Refused(Exception):
    """The shadow does not overturn the judgement; the message says why."""


def judge_by_operations(comparison: Comparison) -> Second:
    """Judge a failing subject by its own operations."""
    model = comparison.cache.model(comparison.trial)
    dtype = comparison.trial.dtype
    if model is None or comparison.quantity not in QUANTITIES or dtype == "tf32":
        return Second(None)
    subjects, references, bits = [], [], []
    try:
        for problem in comparison.problems:
            mine, theirs = _sides(comparison, problem)
            draws = draws_outside(mine.answer, mine.oracle, _contract(comparison).largest)
            error = mine.oracle.error.copy()
            flat = error.reshape(problem.draws, -1)
            for number in np.flatnonzero(draws):
                asked = _ask(comparison, model, problem, mine, int(number))
                flat[number, asked.where] = asked.error
                bits.append(asked.bits)
            bits += [0.0] * int((~draws).sum())
            subjects.append(replace(mine, oracle=Bounded(mine.oracle.value, error)))
            references.append(theirs)
    except _Refused as refused:
        return Second(None, str(refused))
    if not any(bits):
        return Second(None)
    if median(bits) > MOST_BITS:
        return Second(
            None,
            f"its own operations compute the same function, but lose {median(bits):.0f} bits more"
            " than those of the network",
        )
    owners = [tensors(problem, comparison.quantity)[1] for problem in comparison.problems]
    judgement = judge(subjects, references, owners, _contract(comparison).largest)
    return Second(None if judgement.status is Status.FAIL else judgement)


def _sides(comparison: Comparison, problem: Problem) -> tuple[Side, Side]:
    sides = comparison.sides(problem, comparison.quantity)
    assert not isinstance(sides, Missing)
    return sides


def _contract(comparison: Comparison) -> Contract:
    return comparison.contracts[0]


def _ask(comparison: Comparison, model: Model, problem: Problem, mine: Side, number: int) -> _Asked:
    """Return the bounds of a draw's elements that are outside the oracle's.

    Raises _Refused if the draw does not overturn the judgement.
    """
    from harness.shadow.recording import Unwatched

    try:
        shadow = shadow_draw(model, problem, number)
    except Unwatched as error:
        raise _Refused(f"its own operations cannot be followed: {error}") from None
    worst = max(shadow.checked, key=lambda one: one.share)
    if not worst.ruled:
        raise _Refused(f"its own operations cannot be judged: no rule for {_name(worst.operation)}")
    if worst.share > 1:
        raise _Refused(
            f"{_name(worst.operation)} is {worst.share:.2g} times outside its own rounding"
        )
    exact = comparison.cache.oracle(problem, replace(_contract(comparison), dtype="float64"))
    bound = exact[comparison.quantity]
    oracle = mine.oracle
    apart = abs(mine.answer[number] - oracle.value[number])
    outside = np.flatnonzero(~(apart <= oracle.error[number]))
    in_float64 = Bounded(bound.value[number].ravel(), bound.error[number].ravel())
    least = float(oracle.error[number].sum())
    return _judge_draw(shadow, comparison.quantity, in_float64, outside, least)


def _judge_draw(
    shadow: Shadow, quantity: str, exact: Bounded, outside: NDArray[np.intp], least: float
) -> _Asked:
    """Compare the shadow's answer with the oracle's in float64, as a sum with random signs and in
    each element that is `outside`.

    `least` is the sum of what the network's own operations may lose.
    """
    import torch

    from harness.shadow.adjoint import draw_signs

    answer = shadow.read(quantity).reshape(-1)
    signs = draw_signs(answer, torch.Generator().manual_seed(SIGNS))
    elements = [answer[place] for place in outside.tolist()]
    whole, *reaches = shadow.reach([(answer * signs).sum(), *elements])
    _expect_kept(whole)
    found = answer.detach().cpu().numpy()
    apart = found - exact.value
    _expect_same(float((apart * signs.cpu().numpy()).sum()), whole, float(exact.error.sum()))
    for place, reach in zip(outside.tolist(), reaches, strict=True):
        _expect_same(float(apart[place]), reach, float(exact.error[place]))
    errors = [reach.as_run + reach.in_float64 for reach in reaches]
    least = max(least, 2.0**-53 * float(abs(found).sum()))
    return _Asked(outside, np.array(errors) + exact.error[outside], _bits(whole.as_run, least))


def _bits(more: float, less: float) -> float:
    return math.log2(more / less) if more > less > 0 else 2.0**-10


def _expect_same(apart: float, reach: Reach, error: float) -> None:
    """Raise _Refused if the shadow is another function's."""
    if not abs(apart) <= reach.in_float64 + error:
        raise _Refused("")


def _name(operation: Operation) -> str:
    from harness.shadow.located import locate

    return describe_operation(locate(operation))


def _expect_kept(reach: Reach) -> None:
    """Raise _Refused if an operation loses precision."""
    if reach.lost and reach.as_run > LOSES * reach.as_declared:
        raise _Refused(
            f"its own operations compute the same function, but {_name(reach.lost[0][1])} loses"
            f" {_bits(reach.as_run, reach.as_declared):.0f} bits"
        )
