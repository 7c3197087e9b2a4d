"""Functions of one's own as references: a prototype, bounded by its dtype, and any callable, by
what is stated.
"""

from abc import ABC
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
from harness.core.verdict import Status
from harness.pytorch.errors import WrongAnswer, raised
from harness.text.harmless import exact, shown

UNSTATED = {
    "loss": "the loss: let NumPy judge it",
    "gradient": "gradients: let NumPy judge them",
    "input_gradient": "gradients by the inputs: let NumPy judge them",
    STEP: "steps: let NumPy judge them",
}


@dataclass(frozen=True, eq=False)
class _Called(ABC):
    """`answer(blocks, x)` is called a draw at a time: see Stated and Prototype."""

    name: str
    answer: Callable[..., Any]

    def __post_init__(self) -> None:
        if isinstance(self.name, str):
            object.__setattr__(self, "name", exact(self.name))
        if not callable(self.answer):
            raise ValueError(
                f"{self.name} is {shown(self.answer, 40)}, expected a function of blocks and inputs"
            )

    def as_evaluated(self, problem: Problem) -> Problem:
        return problem

    def observe(self, problem: Problem) -> Observation:
        """Its answers, draw after draw; whatever it raises is its answer."""
        answers: dict[str, list[Any]] = {}
        try:
            with users(quiet=True):  # saturated draws overflow on the way to a right answer
                for theta, x, t in zip(problem.theta, problem.inputs, problem.targets, strict=True):
                    for quantity, found in self._answers(
                        problem, theta, x.copy(), t.copy()
                    ).items():
                        answers.setdefault(quantity, []).append(found)
        except Exception as error:
            status = Status.FAIL if type(error) is WrongAnswer else Status.BROKEN
            return Observation({}, Missing(status, f"{self.name} {raised(error)}"))
        return Observation({quantity: np.stack(found) for quantity, found in answers.items()})

    def _answers(self, problem: Problem, theta: Array, x: Array, t: Array) -> dict[str, Array]:
        """Its outputs (R, O) at one draw."""
        network = problem.formulation.network
        given = self.answer(network.layout.split(theta), *_groups(x, network.inputs))
        heads = [
            _real(head, "outputs")
            for head in (given if isinstance(given, tuple | list) else [given])
        ]
        shapes = (
            [head.shape for head in heads],
            [(problem.rows, width) for width in network.outputs],
        )
        found, expected = ([*map(str, each)] for each in shapes)
        if found != expected:
            said = f"{' and '.join(found) or 'none'}, expected {' and '.join(expected)}"
            raise WrongAnswer(f"gave outputs of shapes {said}")
        return {"forward": np.concatenate(heads, axis=1)}


def _real(given: Any, what: str) -> Array:
    """A copy in float64: a callable may give what it changes later."""
    array = np.asarray(given)
    if array.dtype.kind in "cUS":  # what NumPy would cut, or read, in silence
        raise WrongAnswer(f"gave {what} of {array.dtype}, expected real numbers")
    return np.array(array, dtype=np.float64)


def _groups(whole: Array, widths: tuple[int, ...]) -> list[Array]:
    """Its columns by group."""
    return np.split(whole, np.cumsum(widths)[:-1], axis=1)


@dataclass(frozen=True, eq=False)
class Prototype(_Called):
    """A network in NumPy, whose bounds are derived: it promises ordinary arithmetic of a dtype.

    `answer(blocks, x)` gives the outputs (R, width), or a list of one for each head, from the
    network's blocks by name and the inputs (R, width), float64; several groups of inputs are
    several arguments. `slopes(blocks, x, t)`, with the targets after the inputs, gives the loss and
    a dict of its gradients by block. `relu_at_zero` and `logistic_clip` are as for a Subject.
    Raises ValueError for what is none.
    """

    slopes: Callable[..., Any] | None = None
    dtype: str = "float64"
    relu_at_zero: float = 0.0
    logistic_clip: float | None = None
    source: str = "computed"

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            self.contract()
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None

    def title(self) -> str:
        """Its name and dtype."""
        return f"{self.name} ({self.dtype})"

    def cannot_answer(self, network: Family, quantity: str) -> str | None:
        given = ("forward",) if self.slopes is None else ("forward", "loss", "gradient")
        return (
            None
            if quantity in given
            else f"{self.name} gives no {UNSTATED[quantity].removeprefix('the ')}"
        )

    def contract(self) -> Contract:
        return Contract(
            self.dtype,
            relu_at_zero=self.relu_at_zero,
            logistic_clip=self.logistic_clip,
            own_loss=self.slopes is not None,
        )

    def _answers(self, problem: Problem, theta: Array, x: Array, t: Array) -> dict[str, Array]:
        found = super()._answers(problem, theta, x.copy(), t)
        if self.slopes is None:
            return found
        network = problem.formulation.network
        blocks = network.layout.split(theta)
        loss, given = self.slopes(blocks, *_groups(x, network.inputs), *_groups(t, network.outputs))
        slopes = dict(given)
        if np.shape(loss) != ():
            raise WrongAnswer(f"gave a loss of shape {np.shape(loss)}, expected a number")
        for name, block in blocks.items():
            slopes[name] = _real(slopes[name], f"a gradient of {name}")
            if slopes[name].shape != block.shape:
                raise WrongAnswer(
                    f"gave a gradient of {name} of shape {np.shape(slopes[name])}, expected"
                    f" {block.shape}"
                )
        return {**found, "loss": _real(loss, "a loss"), "gradient": network.layout.join(slopes)}


@dataclass(frozen=True, eq=False)
class Stated(_Called):
    """The outputs of a callable (JAX, ONNX Runtime, a binary), which may be off by a stated budget.

    `answer(blocks, x)`, for several groups of inputs `answer(blocks, x1, x2)`, is called a draw at
    a time with the network's blocks by name and the inputs (R, width), float64, and gives the
    outputs (R, width), or a list of one for each head. `budget` is relative: each output of a head
    may be off by that times the largest output of this head in this draw, in size. `why` says where
    that is from. Raises ValueError where the budget is none, or nothing says why.
    """

    budget: float = 0.0
    why: str = ""
    source: str = "stated"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.budget, Real) or not 0 < self.budget < np.inf:
            expected = "a number above 0: the share of its largest output that it may be off by"
            raise ValueError(
                f"{self.name} states a budget of {shown(self.budget, 40)}, expected {expected}"
            )
        if not isinstance(self.why, str) or not self.why.strip():
            raise ValueError(
                f"{self.name} says not why its budget of {self.budget:g} holds, expected a sentence"
            )

    def title(self) -> str:
        """Its name and budget."""
        return f"{self.name} (stated, within {self.budget:g})"

    def cannot_answer(self, network: Family, quantity: str) -> str | None:
        return (
            f"{self.name} states nothing of {UNSTATED[quantity]}" if quantity in UNSTATED else None
        )

    def contract(self) -> Contract:
        return Contract(stated=float(self.budget), why=self.why.strip())
