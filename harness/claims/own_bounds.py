"""Judges a subject and its reference by their own bounds, before a difference between them
counts.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import numpy as np

from harness.comparing.judge import budget
from harness.core.contract import Array, Bounded, Contract
from harness.core.implementation import Implementation, Missing, Observation
from harness.core.problem import Problem
from harness.judging.comparison import Comparison
from harness.words.naming import distinct_digits, element


@runtime_checkable
class Undeclared(Protocol):
    """A reference that computes by another contract (promised arithmetic) than it declares, for
    demonstrations.

    `real_contract` returns the contract by which it computes.
    """

    def real_contract(self) -> Contract: ...


def real_contract(reference: Implementation, dtype: str) -> Contract:
    """Return the contract (dtype and accuracy) by which a reference really computes, even if it
    declares another one.

    `dtype` is the trial's.
    """
    if isinstance(reference, Undeclared):
        return reference.real_contract()
    return reference.contract(dtype)


def find_reference_outside(comparison: Comparison) -> str:
    """Return, in words, the reference's worst answer outside the bounds of its own network; "" if
    there is none.
    """
    reference = comparison.trial.reference
    contract = real_contract(reference, comparison.trial.dtype)
    return _find_outside(comparison, comparison.reference, contract, reference)


def find_subject_outside(comparison: Comparison) -> str:
    """Return, in words, the subject's worst answer outside the bounds of its own network; "" if
    there is none.
    """
    return _find_outside(comparison, comparison.subject, comparison.contracts[0])


def _find_outside(
    comparison: Comparison,
    ask: Callable[[Problem], Observation],
    contract: Contract,
    reference: Implementation | None = None,
) -> str:
    """Return, in words, the first answer outside its bounds; `reference` has given it, else the
    subject.
    """
    quantity = comparison.quantity
    for problem in comparison.problems:
        observed = ask(problem)
        answer = observed.answer(quantity)
        if isinstance(answer, Missing):
            continue
        if quantity == "gradient" and reference is not None and not observed.by_own:
            answer = problem.formulation.pull_back(answer)
        bound = comparison.cache.oracle(problem, contract, reference, observed)[quantity]
        if sentence := describe_outside(problem, quantity, answer, bound, contract.largest):
            return sentence
    return ""


def describe_outside(
    problem: Problem, quantity: str, answer: Array, bound: Bounded, largest: float
) -> str:
    """Return, in words, the worst element of an answer outside its bounds; "" if all are inside.

    `bound` has the exact values with their bounds. Only elements count whose exact value is within
    the dtype's range, up to `largest`.
    """
    in_range = abs(bound.value) + bound.error <= largest
    used = np.where(in_range, budget(answer - bound.value, bound.error), 0.0)
    top = tuple(int(i) for i in np.unravel_index(int(used.argmax()), used.shape))
    if not used[top] > 1:
        return ""
    actual, expected = distinct_digits(float(answer[top]), float(bound.value[top]))
    where = f"{element(problem, quantity, top)} ({problem.called(top[0])})"
    return f"{where} is {actual}, expected {expected}, allowed ±{bound.error[top]:.2g}"
