"""The oracle: a problem's answers, each with a bound on the error of a correct implementation.

In shapes, D counts draws (problems of a stack), R rows of data, and W intermediate numbers of a
row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from harness.arithmetic.bounded import BoundedArithmetic
from harness.arithmetic.grid import GridArithmetic, OnGrid
from harness.arithmetic.staged import StagedArithmetic, before
from harness.core.contract import Array, Bounded, Bounds, Contract, Mask
from harness.core.problem import QUANTITIES, STEP, Problem
from reference.mathematics.equations import equations_of, evaluate
from reference.mathematics.optimisers import steps
from reference.mathematics.questions import chunks


def oracle(
    problem: Problem, contract: Contract, seen: Array | None = None, known: Bounds | None = None
) -> Bounds:
    """Return every quantity (outputs, loss, ...) of a problem with a bound on the error of a
    correct implementation.

    The quantities are those of `equations.evaluate` and, if the problem has a recipe, the
    parameters after each step from `optimisers.steps`. If the problem asks for exact answers, a
    bound is 0 in draws in which grid arithmetic (all numbers are multiples of a power of two)
    proves that nothing is rounded. A bound is not finite if float64 itself overflows.

    With `seen` (D, R, W), an implementation's own intermediate numbers, every layer is bounded by
    itself (see `harness.arithmetic.staged`). `known` are bounds under a contract that differs only
    in the logistic's clip; they are reused in parts of the stack in which no clip acts. D counts
    draws (problems of a stack), R rows of data and W intermediate numbers of a row.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        return _bounded(problem, contract, seen, known)


def stages(problem: Problem, contract: Contract, seen: Array) -> tuple[int, int, str]:
    """Look for the intermediate numbers of the equations among those of an implementation, `seen`
    (D, R, W).

    Return how many were found, how many there are, and the first activation that was not found, in
    words. D counts draws (problems of a stack), R rows of data and W intermediate numbers of a row.
    """
    network = equations_of(problem.network)
    arithmetic = StagedArithmetic(contract, network.added, seen)
    with np.errstate(all="ignore"):
        evaluate(arithmetic, problem)
    return arithmetic.found, arithmetic.asked, next(iter(arithmetic.missing), "")


def _bounded(
    problem: Problem, contract: Contract, seen: Array | None, known: Bounds | None
) -> Bounds:
    network = equations_of(problem.network)
    plain, clip = BoundedArithmetic(contract, network.added), contract.logistic_clip
    parts: list[dict[str, Bounded]] = []
    reach: list[float] = []
    if known is not None and all(known.unclipped(clip)):
        return Bounds(known, clip, known.reach)
    for number, draws in enumerate(chunks(problem)):
        if known is not None and known.unclipped(clip)[number]:
            part = {}
            for name, bound in known.items():
                part[name] = Bounded(bound.value[draws], bound.error[draws])
            parts.append(part)
            reach.append(known.reach[number])
            continue
        m = plain if seen is None else StagedArithmetic(contract, network.added, seen[draws])
        m.reach = 0.0
        whole = draws.stop >= problem.draws and number == 0
        parts.append(evaluate(m, problem if whole else problem.part(draws)))
        reach.append(m.reach)
    answers = {name: plain.stack([before(part[name]) for part in parts]) for name in QUANTITIES}
    if problem.loss.is_squares:
        answers["loss"] = _of_squares(answers["loss"], answers["forward"], problem, contract)
    if problem.recipe is not None:
        answers[STEP] = steps(plain, problem)
    if problem.exact:
        answers = _apply_proofs(
            answers, answers if seen is None else oracle(problem, contract), problem, contract
        )
    if contract.stated is not None:
        answers["forward"] = _add_stated_error(answers["forward"], network.outputs, contract.stated)
    return Bounds(answers, clip, reach)


def _of_squares(loss: Bounded, o: Bounded, problem: Problem, contract: Contract) -> Bounded:
    """Return a copy of the loss whose error is infinite in draws (problems of a stack) whose sums
    of squares may overflow in an implementation.
    """
    weights = np.maximum(problem.shares, 1.0)
    most = (abs(o.value - problem.targets) + o.error).max()
    count = problem.rows * o.value.shape[-1]
    if not problem.loss.has_decay and 2 * count * weights.max() * most**2 <= contract.largest:
        return loss  # nearly always, and found sooner
    squares = ((abs(o.value - problem.targets) + o.error) ** 2 * weights).sum(axis=(1, 2))
    if problem.loss.has_decay:
        squares += (problem.theta**2 * np.maximum(problem.decays, 1.0)).sum(axis=1)
    return Bounded(loss.value, np.where(squares <= contract.largest, loss.error, np.inf))


def _add_stated_error(o: Bounded, heads: Sequence[int], share: float) -> Bounded:
    """Return a copy of the outputs with wider bounds: `share` times each head's largest output in a
    draw (one problem of a stack) is added. `heads` are the widths.
    """
    largest = []
    for part in np.split(abs(o.value), np.cumsum(heads)[:-1], axis=-1):
        largest.append(np.broadcast_to(part.max(axis=(1, 2), keepdims=True), part.shape))
    return Bounded(o.value, o.error + share * np.concatenate(largest, axis=-1))


def _apply_proofs(
    answers: dict[str, Bounded], exact: dict[str, Bounded], problem: Problem, contract: Contract
) -> dict[str, Bounded]:
    """Return a copy of the answers with the values in `exact`, and bounds of 0, in draws (problems
    of a stack) that are proved to be exact.
    """
    sharp = {}
    for name, proof in certificates(problem, contract).items():
        proved = _per_draw(proof, answers[name].error)
        value = np.where(proved, exact[name].value, answers[name].value)
        sharp[name] = Bounded(value, np.where(proved, 0.0, answers[name].error))
    return answers | sharp


def certificates(problem: Problem, contract: Contract) -> dict[str, Mask]:
    """Return, by quantity, a mask (D,) of the draws whose answers are proved to be exact, since
    nothing is rounded in them.
    """
    answers = _lie_on_grid(problem, replace(contract, dtype="float64"))
    return {name: value.exact(contract.factor_bits) for name, value in answers.items()}


@lru_cache(maxsize=4)
def _lie_on_grid(problem: Problem, contract: Contract) -> dict[str, OnGrid]:
    """Return the answers in grid arithmetic, which no dtype changes."""
    return evaluate(GridArithmetic(contract), problem)


def _per_draw(flags: Mask, like: Array) -> Mask:
    return flags.reshape(len(flags), *[1] * (like.ndim - 1))
