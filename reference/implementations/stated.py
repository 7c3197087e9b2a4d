"""A reference that is a user's function, whose error bound the user states."""

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from harness.core.contract import Array, Contract
from harness.core.formulation import Family
from harness.core.implementation import Missing, Observation
from harness.core.numpy_errors import users
from harness.core.problem import STEP, Problem
from harness.foreign.calling import Call, read_heads
from harness.model.errors import raised, status_of
from harness.text.harmless import exact, shown
from reference.mathematics.questions import at_theta

UNSTATED = {
    "loss": "the loss",
    "gradient": "gradients",
    "input_gradient": "gradients by the inputs",
    STEP: "optimiser steps",
}


@dataclass(frozen=True, eq=False)
class Stated:
    """The outputs of a user's function (a table, another program), with an error bound that the
    user states.

    `answer(blocks, x)`, for several groups of inputs `answer(blocks, x1, x2)`, is called once for
    each draw (one problem of a stack). It takes the network's blocks by name and the inputs (R,
    width), in float64. It returns the outputs (R, width), or a list with one array for each head.
    `budget` is relative: an output may be off by `budget` times the largest absolute value of its
    head's outputs in the same draw. `why` says where the budget comes from.

    R counts rows. Raises ValueError if `budget` is not a positive number, or `why` is empty.
    """

    name: str
    answer: Callable[..., Any]
    budget: float = 0.0
    why: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.name, str):
            object.__setattr__(self, "name", exact(self.name))
        if not callable(self.answer):
            raise ValueError(
                f"{self.name} is {shown(self.answer, 40)}, expected a function of blocks and inputs"
            )
        if not isinstance(self.budget, Real) or not 0 < self.budget < np.inf:
            expected = "a number above 0: the share of its largest output that it may be off by"
            raise ValueError(
                f"{self.name} states a budget of {shown(self.budget, 40)}, expected {expected}"
            )
        if not isinstance(self.why, str) or not self.why.strip():
            raise ValueError(
                f"{self.name} says not why its budget of {self.budget:g} holds, expected a sentence"
            )

    @property
    def source(self) -> str:
        return "stated"

    def title(self) -> str:
        """Return its name and its relative error bound."""
        return f"{self.name} (stated, within {self.budget:g})"

    def lacks(
        self, network: Family, quantity: str, dtype: str = "float64", device: str = "cpu"
    ) -> str | None:
        if quantity not in UNSTATED:
            return None
        return f"{self.name} states nothing of {UNSTATED[quantity]}"

    def cannot_answer(
        self, network: Family, quantity: str, dtype: str = "float64", device: str = "cpu"
    ) -> str | None:
        return self.lacks(network, quantity, dtype, device)

    def contract(self, dtype: str = "float64") -> Contract:
        return Contract(stated=float(self.budget), why=self.why.strip())

    def as_evaluated(self, problem: Problem) -> Problem:
        return problem

    def observe(self, problem: Problem, dtype: str = "float64", device: str = "cpu") -> Observation:
        """Return the function's outputs at all draws (single problems). If it raises an error, the
        answers are missing with this reason.
        """
        question = at_theta(problem)
        try:
            with users(quiet=True):  # saturated draws overflow on the way to a right answer
                outputs = [self._ask(question, draw) for draw in range(question.draws)]
        except Exception as error:
            return Observation({}, Missing(status_of(error), f"{self.name} {raised(error)}"))
        return Observation({"forward": np.stack(outputs)})

    def _ask(self, problem: Problem, draw: int) -> Array:
        """Return the function's outputs (R, O) for the draw (single problem) with this number.

        R counts rows and O outputs.
        """
        network = problem.network
        call = Call.of(problem, network.layout, draw, "float64")
        result = self.answer(dict(call.blocks), *call.inputs)
        return np.concatenate(read_heads(result, problem.rows, network.outputs), axis=1)
