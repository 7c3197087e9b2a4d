"""Tests whether the outputs of a row depend on the other rows of its batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.core.finding import Hint, HintKind
from harness.core.implementation import Missing
from harness.core.problem import Problem
from harness.judging.comparison import Comparison

CAUSE = (
    "the outputs of a row change with the other rows of the batch, as by BatchNorm in train(), by"
    " inputs that are centred or scaled by the batch, or by softmax over the rows (dim=0)"
)


def find_batch(comparison: Comparison) -> Hint | None:
    """Return a hint if the outputs of a row change with the other rows, else None."""
    if comparison.quantity != "forward":
        return None
    several = [problem for problem in comparison.problems if problem.rows > 1]
    if not several:
        return None
    problem = _change_other_rows(several[0])
    answer = comparison.cache.ask_anew(comparison.trial, problem).answer("forward")
    if isinstance(answer, Missing):
        return None
    contract = comparison.trial.contract
    bound = problem.network.oracle(problem, contract)["forward"]
    apart = abs(answer[0, 0] - answer[1, 0])
    allowed = 2 * bound.error[:, 0].max(axis=0)
    return Hint(HintKind.LIKELY, CAUSE) if (apart > allowed).any() else None


def _change_other_rows(problem: Problem) -> Problem:
    """Return a copy of a problem with two draws, whose inputs have the same first row and other
    rows that differ.
    """
    draw = problem.part(slice(0, 1))
    inputs = np.repeat(draw.inputs, 2, axis=0)
    inputs[1, 1:] = inputs[1, 1:][::-1] * 2 + 1
    own, targets = np.repeat(draw.own, 2, axis=0), np.repeat(draw.targets, 2, axis=0)
    return replace(draw, own=own, inputs=inputs, targets=targets, exact=False)
