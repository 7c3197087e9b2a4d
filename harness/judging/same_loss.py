"""Two losses of one's own that are no sum of squares: the same loss to the last bit, or a failure.

The equations know squares only, and no bound is derived for another loss. But where the outputs are
exact, they are the same on both sides, and so is one loss of them, to the last bit. Its gradients
follow from its slopes by the outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.core.contract import Bounded
from harness.core.implementation import Missing
from harness.core.judge import Judgement, Side, judge, outside
from harness.core.naming import tensors, title
from harness.core.problem import Problem
from harness.core.verdict import Status
from harness.judging.comparison import Comparison
from harness.judging.store import Key

Chosen = Sequence[NDArray[np.bool_]]  # of each stack its draws (D,)


@dataclass(frozen=True)
class LossSlopes(Key[Problem | None]):
    """A problem with the slopes of the loss that a subject has at its own outputs."""

    problem: Problem
    subject: str
    dtype: str
    device: str


def are_no_squares(comparison: Comparison) -> bool:
    """Do both sides have right outputs and a loss of their own, which is another one than the
    case's sum of squares?
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
    """In which draws nothing rounds on the way to the outputs, on neither side."""
    errors = (
        sum(both["forward"].error for both in comparison.bounds(problem))
        for problem in comparison.problems
    )
    return [np.asarray(error).max(axis=(1, 2)) == 0 for error in errors]


class SameLoss(NamedTuple):
    """How a quantity is judged where both sides have the same loss, and in words by what; None
    where it cannot be.
    """

    judgement: Judgement | None
    by: str


def same_loss(comparison: Comparison) -> SameLoss | None:
    """The judgement where both sides have the same loss, which is no sum of squares; None where
    that is not so.
    """
    if not are_no_squares(comparison):
        return None
    every = [np.ones(problem.draws, dtype=bool) for problem in comparison.problems]
    exact = exact_draws(comparison)
    found, where = _same(comparison, every, "loss"), "in every draw"
    if found is None:
        count, rest = (
            sum(int(chosen.sum()) for chosen in some)
            for some in (exact, [~chosen for chosen in exact])
        )
        found = _same(comparison, exact, "loss")
        where = f"in the {count} draws whose outputs are exact"
        where += f" (the other {rest} are not judged)" if comparison.quantity == "loss" else ""
    if found is None:
        return None
    both = (
        f"both sides have the same loss, to the last bit, {where}; it is not the case's sum of"
        " squares"
    )
    if comparison.quantity == "loss":
        return SameLoss(found, f"{both}, so its equations were not asked")
    if slopes := _from_slopes(comparison, exact):
        return SameLoss(
            slopes, f"{both}, so this follows from the loss's own slopes by the outputs"
        )
    if found := _same(comparison, every, comparison.quantity):
        return SameLoss(found, f"{both}, and this is the same to the last bit in every draw too")
    return SameLoss(None, f"{both}, and no bound is derived for its {title(comparison.quantity)}")


def _same(comparison: Comparison, chosen: Chosen, quantity: str) -> Judgement | None:
    """The judgement of a quantity that is the same in the chosen draws, and finite in all; None
    where it is not.
    """
    sides, owners, seen = [], [], False
    for problem, some in zip(comparison.problems, chosen, strict=True):
        answers = comparison.answers(problem, quantity)
        if not isinstance(answers, tuple):
            return None
        mine, theirs = answers
        expected = np.where(some.reshape(-1, *[1] * (mine.ndim - 1)), theirs, mine)
        exactly = Bounded(expected, np.zeros_like(expected))
        sides.append((Side(mine, exactly), Side(expected, exactly)))
        owners.append(tensors(problem, quantity)[1])
        seen |= bool(theirs[some].any())
    subjects, references = zip(*sides, strict=True)
    found = judge(subjects, references, owners, comparison.contracts[0].largest)
    return found if seen and found.status is Status.PASS else None


def _from_slopes(comparison: Comparison, exact: Chosen) -> Judgement | None:
    """A gradient judged by the slopes of the subject's loss, also the reference's where outputs are
    exact.

    None where the subject's loss has none, or depends on its parameters by itself.
    """
    sides, owners = [], []
    for problem, some in zip(comparison.problems, exact, strict=True):
        answers = comparison.answers(problem, comparison.quantity)
        sloped = _sloped(comparison, problem)
        if sloped is None or not isinstance(answers, tuple):
            return None
        mine, theirs = (both[comparison.quantity] for both in comparison.bounds(sloped))
        chosen = some.reshape(-1, *[1] * (mine.value.ndim - 1))
        expected = np.where(chosen, answers[1], mine.value)
        bound = Bounded(mine.value, np.where(chosen, theirs.error, 0.0))
        sides.append((Side(answers[0], mine), Side(expected, bound)))
        owners.append(tensors(problem, comparison.quantity)[1])
    subjects, references = zip(*sides, strict=True)
    return judge(subjects, references, owners, comparison.contracts[0].largest)


def _sloped(comparison: Comparison, problem: Problem) -> Problem | None:
    """The problem with the slopes of the subject's loss at the outputs that it gave."""
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
