"""Any callable as a reference: what it may be off by is not derived, it is stated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from harness.contract import Contract
from harness.formulation import Family
from harness.model import raised
from harness.observation import Missing, Observation
from harness.problem import STEP, Problem
from harness.verdict import Status

UNSTATED = {
    "loss": "the loss: let NumPy judge it",
    "gradient": "gradients: let NumPy judge them",
    "input_gradient": "gradients by the inputs: let NumPy judge them",
    STEP: "steps: let NumPy judge them",
}


@dataclass(frozen=True, eq=False)
class Stated:
    """The outputs of a callable (JAX, ONNX Runtime, a binary), which may be off by a stated budget.

    `answer(blocks, x)`, for several groups of inputs `answer(blocks, x1, x2)`, is called a draw at a time with the
    network's blocks by name and the inputs (R, width), float64, and gives the outputs (R, width), or a list of one for
    each head. `budget` is relative: each output of a head may be off by that times the largest output of this head in
    this draw, in size. `why` says where that is from. Raises ValueError where the budget is none, or nothing says why.
    """

    name: str
    answer: Callable[..., Any]
    budget: float
    why: str
    source: str = "stated"

    def __post_init__(self) -> None:
        if not callable(self.answer):
            raise ValueError(f"{self.name} is {self.answer!r:.40}, expected a function of blocks and inputs")
        if not isinstance(self.budget, Real) or not 0 < self.budget < np.inf:
            expected = "a number above 0: the share of its largest output that it may be off by"
            raise ValueError(f"{self.name} states a budget of {self.budget!r:.40}, expected {expected}")
        if not isinstance(self.why, str) or not self.why.strip():
            raise ValueError(f"{self.name} says not why its budget of {self.budget:g} holds, expected a sentence")

    def title(self) -> str:
        """Its name and budget."""
        return f"{self.name} (stated, within {self.budget:g})"

    def absent(self, network: Family, quantity: str) -> str | None:
        return f"{self.name} states nothing of {UNSTATED[quantity]}" if quantity in UNSTATED else None

    def contract(self) -> Contract:
        return Contract(stated=float(self.budget), why=self.why.strip())

    def expressed(self, problem: Problem) -> Problem:
        return problem

    def observe(self, problem: Problem) -> Observation:
        network = problem.formulation.network
        ends, expected = np.cumsum(network.inputs)[:-1], [(problem.rows, width) for width in network.outputs]
        rows = []
        for theta, inputs in zip(problem.theta, problem.inputs, strict=True):
            try:
                with np.errstate(all="ignore"):  # saturated draws overflow on the way to a right answer
                    given = self.answer(network.layout.split(theta), *np.split(inputs.copy(), ends, axis=1))
                heads = [np.asarray(head, float) for head in (given if isinstance(given, tuple | list) else [given])]
            except Exception as error:  # whatever a user's function raises is its answer
                return Observation({}, Missing(Status.BROKEN, f"{self.name} {raised(error)}"))
            if [head.shape for head in heads] != expected:
                found, wanted = (" and ".join(map(str, each)) for each in ([head.shape for head in heads], expected))
                why = f"{self.name} gave outputs of shapes {found or 'none'}, expected {wanted}"
                return Observation({}, Missing(Status.FAIL, why))
            rows.append(np.concatenate(heads, axis=1))
        return Observation({"forward": np.stack(rows)})
