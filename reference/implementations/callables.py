"""Makes references of a user's functions: a Prototype, whose error bounds are derived from its
dtype, and a Stated, whose error bound the user states.

A draw is one problem of a stack. A block is one named parameter tensor of the network. theta is the
vector of all its parameters. In shapes, R counts rows and O outputs.
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
from harness.model.errors import WrongAnswer, raised
from harness.text.harmless import exact, shown

UNSTATED = {
    "loss": "the loss: let NumPy judge it",
    "gradient": "gradients: let NumPy judge them",
    "input_gradient": "gradients by the inputs: let NumPy judge them",
    STEP: "steps: let NumPy judge them",
}


@dataclass(frozen=True, eq=False)
class _Called(ABC):
    """A reference that calls a user's `answer(blocks, x)` once for each draw: see Prototype and
    Stated.
    """

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

    def observe(self, problem: Problem, dtype: str = "float64", device: str = "cpu") -> Observation:
        """Return the function's answers at all draws. If it raises an error, the error is its
        answer.
        """
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
        """Return the function's outputs (R, O) at one draw: at theta, inputs `x` and
        targets `t`.
        """
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
    """Return a copy as float64, since the user's function may change its array later.

    Raises WrongAnswer for numbers that are not real.
    """
    array = np.asarray(given)
    if array.dtype.kind in "cUS":  # what NumPy would cut, or read, in silence
        raise WrongAnswer(f"gave {what} of {array.dtype}, expected real numbers")
    return np.array(array, dtype=np.float64)


def _groups(whole: Array, widths: tuple[int, ...]) -> list[Array]:
    """Split the columns of an array into groups of these widths."""
    return np.split(whole, np.cumsum(widths)[:-1], axis=1)


@dataclass(frozen=True, eq=False)
class Prototype(_Called):
    """A user's network in NumPy. It must compute in ordinary arithmetic of its dtype: its error
    bounds are derived from this.

    `answer(blocks, x)` takes the network's blocks by name and the inputs (R, width), in float64;
    several groups of inputs are several arguments. It returns the outputs (R, width), or a list
    with one array for each head. `slopes(blocks, x, t)` takes the targets too, and returns the loss
    and a dict of its gradients by block. `relu_at_zero` and `logistic_clip` are as for a Subject.

    Raises ValueError for wrong arguments.
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
        """Return its name and dtype."""
        return f"{self.name} ({self.dtype})"

    def cannot_answer(
        self, network: Family, quantity: str, dtype: str = "float64", device: str = "cpu"
    ) -> str | None:
        given = ("forward",) if self.slopes is None else ("forward", "loss", "gradient")
        return (
            None
            if quantity in given
            else f"{self.name} gives no {UNSTATED[quantity].removeprefix('the ')}"
        )

    def contract(self, dtype: str = "float64") -> Contract:
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
    """The outputs of a user's callable (JAX, ONNX Runtime, a binary), which may be off by a stated
    budget.

    `answer(blocks, x)`, for several groups of inputs `answer(blocks, x1, x2)`, is called once for
    each draw. It takes the network's blocks by name and the inputs (R, width), in float64. It
    returns the outputs (R, width), or a list with one array for each head.

    `budget` is relative: an output of a head may be off by `budget` times the largest size of this
    head's outputs in the same draw. `why` says where the budget comes from.

    Raises ValueError if `budget` is not a positive number, or `why` is empty.
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
        """Return its name and budget."""
        return f"{self.name} (stated, within {self.budget:g})"

    def cannot_answer(
        self, network: Family, quantity: str, dtype: str = "float64", device: str = "cpu"
    ) -> str | None:
        return (
            f"{self.name} states nothing of {UNSTATED[quantity]}" if quantity in UNSTATED else None
        )

    def contract(self, dtype: str = "float64") -> Contract:
        return Contract(stated=float(self.budget), why=self.why.strip())
