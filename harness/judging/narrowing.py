"""Problems in a dtype of a narrower range than float32."""

import numpy as np
from numpy.typing import NDArray

from harness.core.contract import Contract
from harness.core.problem import Problem


def narrow_problems(problems: list[Problem], contract: Contract) -> list[Problem]:
    """The problems rounded to a narrower dtype, with those draws whose answers it can hold.

    Keeps all draws if it can hold none.
    """
    rounded = [problem.rounded(contract) for problem in problems]
    kept = []
    for problem in rounded:
        inside = _fits(problem, contract)
        if inside.any():
            kept.append(problem.part(inside))
    return kept or rounded


def _fits(problem: Problem, contract: Contract) -> NDArray[np.bool_]:
    """Whether the dtype holds every answer that is inside its bound, for each draw (D,)."""
    largest = np.zeros(problem.draws)
    for bound in problem.formulation.network.oracle(problem, contract).values():
        sizes = (abs(bound.value) + bound.error).reshape(problem.draws, -1)
        largest = np.maximum(largest, sizes.max(axis=1))
    inside: NDArray[np.bool_] = largest <= contract.largest
    return inside
