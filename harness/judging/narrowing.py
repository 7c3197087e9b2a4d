"""Problems in a dtype narrower than float32."""

import numpy as np

from harness.core.contract import Contract, Mask
from harness.core.problem import Problem


def narrow_problems(problems: list[Problem], contract: Contract) -> list[Problem]:
    """Return problems rounded to a narrower dtype, with the draws whose answers the dtype can hold.

    A draw is one problem of a stack. If the dtype can hold the answers of no draw, all draws are
    kept. `contract` is the promised arithmetic in the dtype.
    """
    narrowed = [_within_range(problem, contract) for problem in problems]
    rounded = [problem.rounded(contract) for problem in narrowed if problem is not None]
    if not rounded:
        problems[0].rounded(contract)  # raises: its numbers are beyond the range
    result = []
    for problem in rounded:
        inside = _fits(problem, contract)
        if inside.any():
            result.append(problem.part(inside))
    return result or rounded


def _within_range(problem: Problem, contract: Contract) -> Problem | None:
    """Return a copy of a problem with the draws whose numbers the dtype can hold; None if there is
    none.
    """
    largest = np.zeros(problem.draws)
    for numbers in (problem.own, problem.inputs, problem.targets):
        largest = np.maximum(largest, abs(numbers).reshape(problem.draws, -1).max(axis=1))
    inside = largest <= contract.largest
    if inside.all():
        return problem
    return problem.part(inside) if inside.any() else None


def _fits(problem: Problem, contract: Contract) -> Mask:
    """Return a mask (D,) of the D draws in which the dtype can hold every answer inside its
    bound.
    """
    largest = np.zeros(problem.draws)
    for bound in problem.network.oracle(problem, contract).values():
        sizes = (abs(bound.value) + bound.error).reshape(problem.draws, -1)
        largest = np.maximum(largest, sizes.max(axis=1))
    inside: Mask = largest <= contract.largest
    return inside
