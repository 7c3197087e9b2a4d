"""Judges a loss that is not the case's: both sides must give the same loss to the last bit.

There is no bound for a loss without known equations. But in a draw (one problem of a stack) whose
outputs are computed without rounding, both sides have the same outputs. The same loss of the same
outputs is then the same number, to the last bit. Gradients are judged through the derivatives of
the subject's loss by the outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from harness.comparing.judge import Judgement, Side, judge, outside
from harness.core.contract import Bounded, Mask
from harness.core.implementation import Missing
from harness.core.problem import Problem
from harness.core.verdict import Status
from harness.judging.comparison import Comparison
from harness.judging.store import Key
from harness.words.naming import tensors, title

Chosen = Sequence[Mask]  # of each stack its draws (D,)


@dataclass(frozen=True)
class LossSlopes(Key[Problem | None]):
    """Cache key for a problem with the derivatives of a subject's loss at the subject's own
    outputs.
    """

    problem: Problem
    subject: str
    dtype: str
    device: str


def have_another_loss(comparison: Comparison) -> bool:
    """Do both sides have correct outputs, and a loss that is not the case's?

    This holds if three things do. Both contracts declare that the user's code computes the loss.
    All outputs are inside their bounds. On each side some loss is outside the bounds of the case's
    loss.
    """
    contracts = comparison.contracts
    if comparison.quantity == "forward" or not all(contract.own_loss for contract in contracts):
        return False
    beyond = {"forward": np.zeros(2, dtype=bool), "loss": np.zeros(2, dtype=bool)}
    for problem in comparison.problems:
        bounds = comparison.bounds(problem)
        for quantity in beyond:
            answers = comparison.answers(problem, quantity)
            if not isinstance(answers, tuple):
                return False
            both = zip(answers, (each[quantity] for each in bounds), strict=True)
            beyond[quantity] |= [
                outside(answer, bound, contracts[0].largest) for answer, bound in both
            ]
    return not beyond["forward"].any() and bool(beyond["loss"].all())


def exact_draws(comparison: Comparison) -> Chosen:
    """Return for each stack a mask (D,) of the D draws in which the outputs of both sides are
    exact.

    Only problems that ask for exact answers count: in others the loss may round.
    """
    chosen = []
    for problem in comparison.problems:
        mine, theirs = (both["forward"].error for both in comparison.bounds(problem))
        exact: Mask = (mine + theirs).max(axis=(1, 2)) == 0
        chosen.append(exact & problem.exact)
    return chosen


class SameLoss(NamedTuple):
    """The judgement of a quantity if both sides have the same loss; `by` says in words how it was
    judged.

    `judgement` is None if the quantity cannot be judged.
    """

    judgement: Judgement | None
    by: str


def same_loss(comparison: Comparison) -> SameLoss | None:
    """Judge the quantity if both sides have the same loss, and it is not the case's; else return
    None.
    """
    if not have_another_loss(comparison):
        return None
    every = [np.ones(problem.draws, dtype=bool) for problem in comparison.problems]
    exact = exact_draws(comparison)
    judgement, where = _same(comparison, every, "loss"), "in every draw"
    if judgement is None:
        count, rest = (
            sum(int(chosen.sum()) for chosen in some)
            for some in (exact, [~chosen for chosen in exact])
        )
        judgement = _same(comparison, exact, "loss")
        where = f"in the {count} draws whose outputs are exact"
        where += f" (the other {rest} are not judged)" if comparison.quantity == "loss" else ""
    if judgement is None:
        return None
    both = f"both sides have the same loss, to the last bit, {where}; it is not the case's"
    if comparison.quantity == "loss":
        return SameLoss(judgement, f"{both}, so its equations were not asked")
    if slopes := _from_slopes(comparison, exact):
        return SameLoss(
            slopes, f"{both}, so this follows from the loss's own slopes by the outputs"
        )
    if judgement := _same(comparison, every, comparison.quantity):
        return SameLoss(
            judgement, f"{both}, and this is the same to the last bit in every draw too"
        )
    return SameLoss(None, f"{both}, and no bound is derived for its {title(comparison.quantity)}")


def _same(comparison: Comparison, chosen: Chosen, quantity: str) -> Judgement | None:
    """Return a passing judgement if both sides give the same numbers for a quantity, else None.

    Only the draws that `chosen` marks are compared, by stack. The subject's answers must be finite
    in all draws, and the reference's other than 0 in a chosen draw.
    """
    sides, owners, other_than_zero = [], [], False
    for problem, some in zip(comparison.problems, chosen, strict=True):
        answers = comparison.answers(problem, quantity)
        if not isinstance(answers, tuple):
            return None
        mine, theirs = answers
        expected = np.where(some.reshape(-1, *[1] * (mine.ndim - 1)), theirs, mine)
        exactly = Bounded(expected, np.zeros_like(expected))
        sides.append((Side(mine, exactly), Side(expected, exactly)))
        owners.append(tensors(problem, quantity)[1])
        other_than_zero |= bool(theirs[some].any())
    subjects, references = zip(*sides, strict=True)
    largest = comparison.contracts[0].largest
    judgement = judge(subjects, references, owners, largest, every_draw=True)
    return judgement if other_than_zero and judgement.status is Status.PASS else None


def _from_slopes(comparison: Comparison, exact: Chosen) -> Judgement | None:
    """Judge a gradient by the network's equations, from the derivatives of the subject's loss by
    the outputs.

    The reference's gradient is judged only in the draws that `exact` marks, whose outputs are
    exact. Returns None if the subject's loss cannot be differentiated, or depends on its parameters
    directly.
    """
    sides, owners = [], []
    for problem, some in zip(comparison.problems, exact, strict=True):
        answers = comparison.answers(problem, comparison.quantity)
        sloped = _add_slopes(comparison, problem)
        if sloped is None or not isinstance(answers, tuple):
            return None
        mine, theirs = (both[comparison.quantity] for both in comparison.bounds(sloped))
        chosen = some.reshape(-1, *[1] * (mine.value.ndim - 1))
        expected = np.where(chosen, answers[1], mine.value)
        bound = Bounded(mine.value, np.where(chosen, theirs.error, 0.0))
        sides.append((Side(answers[0], mine), Side(expected, bound)))
        owners.append(tensors(problem, comparison.quantity)[1])
    subjects, references = zip(*sides, strict=True)
    largest = comparison.contracts[0].largest
    return judge(subjects, references, owners, largest, every_draw=True)


def _add_slopes(comparison: Comparison, problem: Problem) -> Problem | None:
    """Return a copy of the problem that has the derivatives of the subject's loss by the subject's
    outputs; None if there are none.
    """
    trial = comparison.trial

    def ask() -> Problem | None:
        model = comparison.cache.model(trial)
        outputs = comparison.subject(problem).answer("forward")
        slopes = (
            model.loss_slopes(problem, outputs)
            if model and not isinstance(outputs, Missing)
            else None
        )
        return None if slopes is None else replace(problem, slopes=slopes)

    return comparison.cache.get_or_make(
        LossSlopes(problem, trial.subject.name, trial.dtype, trial.device), ask
    )
