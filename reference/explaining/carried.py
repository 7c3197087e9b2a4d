"""Mistakes of a training that does not begin anew: gradients add up over the steps, and an
optimiser keeps the state or the parameters of an earlier start.

In shapes, D counts states (starts and steps) of training runs, P the model's own parameters, T the
network's parameters, K steps and S starts.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.core.contract import Array, Contract
from harness.core.problem import Problem
from reference.faults.kinds import Answer, Answers, Fault
from reference.mistakes.updates import take_steps

ROUNDINGS = 64  # of a parameter, that a right step may differ by
NEVER_ZEROED = "the gradients are never set to zero: those of all steps add up"
ANEW = (
    "make it anew for each start, where the iteration gets other parameters, or inside a whole"
    " loop: Trained(..., loop=f)"
)
OTHER_START = (
    "only the first start is trained, and the gradients of the others add up: the optimiser holds"
    f" the parameters of the first one; {ANEW}"
)
KEPT = (
    "the first start is trained as the recipe says, and the others are not: a velocity or moments"
    f" are kept from one start to the next; {ANEW}"
)


def add_up(gradients: Array, runs: int) -> Array:
    """Return the sums of the gradients (D, P) of all steps so far, where D is steps times `runs`.

    P counts own parameters (a model's tensors, flattened).
    """
    by_step = gradients.reshape(-1, runs, gradients.shape[1])
    return np.cumsum(by_step, axis=0).reshape(gradients.shape)


def find_accumulated(problem: Problem) -> Iterator[Fault]:
    """Yield the mistakes of adding up gradients over the steps: all gradients, or the gradients by
    parameters that do not move.
    """
    everything = np.ones((problem.runs, problem.theta.shape[1]), dtype=bool)
    yield _accumulate(NEVER_ZEROED, everything, problem.runs)
    theta = problem.theta.reshape(-1, *everything.shape)
    still = (theta[1:] == theta[:-1]).all(axis=0)
    if len(theta) < 2 or not still.any() or still.all():
        return
    by_start = still.all(axis=1)
    if by_start[1:].all() and not still[0].any():
        yield _accumulate(OTHER_START, still, problem.runs)
        return
    own = problem.own.reshape(len(theta), problem.runs, -1)
    rests = (own[1:] == own[:-1]).all(axis=(0, 1))
    blocks = problem.formulation.own.blocks
    names = [each.name for each in blocks if rests[each.places[each.places >= 0]].all()]
    if names:
        words = (
            f"{' and '.join(names)} never {'moves' if len(names) == 1 else 'move'}, and the"
            " gradients add up: not handed to the optimiser, so its zero_grad() leaves them out"
        )
        yield _accumulate(words, still, problem.runs)


def _accumulate(words: str, places: Array, runs: int) -> Fault:
    """Return the fault (mistake) of adding up gradients at the places (S, T)."""

    def change(answers: Answers, problem: Problem) -> Answers:
        gradient = answers["gradient"]
        chosen = np.tile(places, (len(gradient) // runs, 1))
        return {**answers, "gradient": np.where(chosen, add_up(gradient, runs), gradient)}

    return Answer("gradients_never_zeroed", words, change, "gradient")


def describe_kept(problem: Problem, seen: Array, contract: Contract) -> str:
    """Return a sentence if the first start takes right steps, to rounding, and each other one does
    not; "" if not so.

    `seen` are the own parameters (D, P) after each step.
    """
    if problem.runs < 2:
        return ""
    shape = -1, problem.runs, seen.shape[1]
    right = take_steps(problem)
    apart = np.linalg.norm((seen - right).reshape(shape), axis=(0, 2))
    size = np.linalg.norm(np.maximum(abs(problem.own), abs(right)).reshape(shape), axis=(0, 2))
    is_right = apart <= ROUNDINGS * contract.roundoff * size
    return KEPT if is_right[0] and not is_right[1:].any() else ""
