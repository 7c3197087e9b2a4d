"""The oracle: what a problem's exact answers are, and how far from them its contract lets an implementation be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from harness.contract import Bounded, Contract
from harness.problem import STEP, Problem
from reference.arithmetic.bounded import BoundedArithmetic
from reference.arithmetic.grid import GridArithmetic
from reference.equations import evaluate
from reference.optimisers import steps

CHUNK = (
    40_000  # numbers at once, of the longest sum's layer and the gradient: few calls, and arrays that fit the caches
)


def oracle(problem: Problem, contract: Contract) -> dict[str, Bounded]:
    """Every quantity of `equations.evaluate`, and of `optimisers.steps` where the problem has a recipe, with its bound.

    Where the problem asks for it, and grid arithmetic proves a draw's tensor exact, the bound is 0. Where float64
    itself overflows, it is not finite.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return _bounded(problem, contract)


def _bounded(problem: Problem, contract: Contract) -> dict[str, Bounded]:
    network = problem.formulation.network
    step = max(1, CHUNK // (problem.rows * network.widest + problem.formulation.own.size))
    arithmetic = BoundedArithmetic(contract)
    parts = [evaluate(arithmetic, problem.part(slice(start, start + step))) for start in range(0, problem.draws, step)]
    answers = {name: arithmetic.stack([part[name] for part in parts]) for name in parts[0]}
    if problem.recipe is not None:
        answers[STEP] = steps(arithmetic, problem)
    if problem.exact:
        answers = _sharpened(answers, problem, contract)
    if contract.stated is not None:
        answers["forward"] = _stated(answers["forward"], network.outputs, contract.stated)
    return answers


def _stated(o: Bounded, heads: Sequence[int], share: float) -> Bounded:
    """The outputs with a share of each head's largest in a draw on top of the oracle's own bound."""
    parts = np.split(abs(o.value), np.cumsum(heads)[:-1], axis=-1)
    largest = [np.broadcast_to(part.max(axis=(1, 2), keepdims=True), part.shape) for part in parts]
    return Bounded(o.value, o.error + share * np.concatenate(largest, axis=-1))


def _sharpened(answers: dict[str, Bounded], problem: Problem, contract: Contract) -> dict[str, Bounded]:
    proofs = certificates(problem, contract)
    return {
        name: Bounded(answer.value, np.where(_per_draw(proofs[name], answer.error), 0.0, answer.error))
        for name, answer in answers.items()
    }


def certificates(problem: Problem, contract: Contract) -> dict[str, Any]:
    """For each quantity and draw (D,): is it proved that nothing rounds on the way to it?"""
    return {name: value.exact(contract.bits) for name, value in evaluate(GridArithmetic(contract), problem).items()}


def _per_draw(flags: Any, like: Any) -> Any:
    return flags.reshape(len(flags), *[1] * (like.ndim - 1))
