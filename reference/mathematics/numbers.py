"""All numbers that the equations of a network compute, in float64."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import numpy as np

from harness.arithmetic.plain import Plain, Values
from harness.core.contract import Array, Contract
from harness.core.problem import Problem
from reference.mathematics.equations import evaluate

P = ParamSpec("P")
R = TypeVar("R")
# the operations whose results are numbers of their own
NOTED = ("linear", "dot", "add", "sub", "mul", "divide", "scale", "act", "softmax", "log_softmax")


class Noting(Plain):
    """Ordinary arithmetic that stores every result."""

    def __init__(self, contract: Contract) -> None:
        super().__init__(contract)
        self.noted: list[Values] = []
        for name in NOTED:
            setattr(self, name, self._note(getattr(self, name)))

    def _note(self, operation: Callable[P, R]) -> Callable[P, R]:
        @wraps(operation)
        def noting(*args: P.args, **kwargs: P.kwargs) -> R:
            result = operation(*args, **kwargs)
            for each in result if isinstance(result, tuple) else (result,):
                if isinstance(each, np.ndarray):
                    self.noted.append(each)
            return result

        return noting


def list_numbers(problem: Problem, contract: Contract) -> list[Array]:
    """Return every intermediate result of computing a problem's answers, forward and backward."""
    arithmetic = Noting(contract)
    answers = evaluate(arithmetic, problem)
    return [problem.theta, problem.inputs, problem.targets, *arithmetic.noted, *answers.values()]
