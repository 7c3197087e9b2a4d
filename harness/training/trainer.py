"""Trainers, their data, and the results of training."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.core.contract import Array, Bounded, Contract
from harness.core.formulation import Family, Formulation
from harness.core.implementation import Missing, Observation
from harness.core.numpy_errors import users
from harness.core.problem import SUM_OF_SQUARES, Loss, Problem
from harness.core.progress import Say
from harness.text.harmless import class_name, shown

Start = Callable[[Formulation, int], Array]
Floor = Callable[[Array, Array], Bounded]


@dataclass(frozen=True, eq=False)
class Population:
    """The data of all trainers of a case, D draws, and when a fit is good.

    `data(D)` returns inputs (D, R, I) and targets (D, R, O); its i-th draw does not depend on D.
    A fit is good if its sum of squares, per `per` rows if given, is at most `quality`. Predictions
    are judged too, at the inputs `marks`, which the report lists by name, and `grid` (G, I), which
    it draws. Two shares of good fits are equivalent if they differ by at most `margin`. `table` is
    the heading in the report's table of changes under which the case's fits are rows.
    """

    data: Callable[[int], tuple[Array, Array]]
    quality: float
    grid: Array
    marks: Mapping[str, float] = field(default_factory=dict)
    margin: float = 0.25
    per: int | None = None
    table: str = ""
    loss: Loss = SUM_OF_SQUARES

    def __post_init__(self) -> None:
        if np.ndim(self.grid) != 2:
            found = f"grid has shape {np.shape(self.grid)}, expected (points, width of the inputs)"
            raise ValueError(f"{found}: for one column write grid[:, None]")
        if not isinstance(self.quality, int | float) or not np.isfinite(self.quality):
            found = shown(self.quality, 40)
            raise TypeError(
                f"quality is {found}, expected a number: the largest sum of squares that is good"
            )
        if not isinstance(self.table, str):
            raise TypeError(f"table is {shown(self.table, 40)}, expected text")
        for mark in self.marks:
            if not isinstance(mark, str):
                raise TypeError(
                    f"marks has {shown(mark, 40)}, expected text: what the input is called"
                )

    def problem(self, formulation: Formulation, own: Array, dtype: str) -> Problem:
        """The problem of starts (D, P) and their data, rounded to the dtype. Raises TypeError if
        `data` does not return two arrays.
        """
        with users():
            given = self.data(len(own))
        if not isinstance(given, tuple | list) or len(given) != 2:
            raise TypeError(
                f"data({len(own)}) gave {class_name(given)}, expected two arrays: inputs and"
                " targets"
            )
        own, inputs, targets = [_round(part, dtype) for part in (own, *given)]
        return Problem("start", formulation, own, inputs, targets, self.loss)

    def prediction_problem(self, end: Problem, dtype: str) -> Problem:
        """The problem of trained networks at the marks and on the grid, with targets of 0."""
        marks = np.reshape(list(self.marks.values()), (-1, self.grid.shape[1]))
        at = np.concatenate([marks, self.grid])
        inputs = np.broadcast_to(at.astype(dtype).astype(np.float64), (end.draws, *at.shape))
        targets = np.zeros((end.draws, len(at), end.targets.shape[2]))
        return Problem("end", end.formulation, end.own, inputs, targets, self.loss)

    def scale(self, rows: int) -> float:
        """The factor from a loss to the one in the report, which is per `per` rows."""
        return 1.0 if self.per is None else self.per / rows


def _round(numbers: ArrayLike, dtype: str) -> Array:
    """Round numbers to a dtype; returns them in float64."""
    return np.asarray(numbers).astype(dtype).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Fitted:
    """The results of training from D starts.

    `finite` (D,) says which starts ended with finite own parameters and a finite claimed loss;
    `end` holds these parameters, and `claimed` these losses, as the trainer computes them. `silent`
    holds finite own parameters whose claimed loss is not finite. Both are None if there are none.
    `ended` says how each start ended (D,); `curve` is the loss by iteration of the first start;
    `seconds` is the time of one start, on average.
    """

    end: Problem | None
    finite: NDArray[np.bool_]
    claimed: Array
    ended: Sequence[str]
    curve: Sequence[tuple[int, float]] = ()
    seconds: float = 0.0
    silent: Problem | None = None

    @classmethod
    def of(
        cls,
        start: Problem,
        own: Array,
        claimed: Array,
        ended: Sequence[str],
        curve: Sequence[tuple[int, float]] = (),
        seconds: float = 0.0,
    ) -> Self:
        """Sort the final own parameters (D, P) and claimed losses (D,) of all starts by whether
        they are finite.
        """
        finite = np.isfinite(own).all(axis=1)
        has_loss = np.isfinite(claimed)
        good, silent = finite & has_loss, finite & ~has_loss
        return cls(
            end=start.at(own, good) if good.any() else None,
            finite=good,
            claimed=claimed[good],
            ended=ended,
            curve=curve,
            seconds=seconds / len(own),
            silent=start.at(own, silent) if silent.any() else None,
        )


class Trainer(Protocol):
    """Trains a network: a PyTorch model with a Recipe, R nnet's own fit, or a user's own."""

    @property
    def name(self) -> str: ...

    @property
    def source(self) -> str: ...

    @property
    def floor(self) -> Floor | None:
        """A function from inputs and targets to the loss (D,) that no fit can be below; None if
        unknown.
        """

    @property
    def comparison_offset(self) -> float:
        """A number that the trainer adds to weights before it compares them: a smaller change of
        a weight gets no loss of its own.

        It is 10 for R's vmmin (reltest in optim.c), and 0 for a trainer that claims the loss of
        exactly the weights that it returns.
        """

    def title(self) -> str:
        """Its name for a report, with its version or what is special about it."""

    def contract(self, dtype: str = "float64") -> Contract: ...

    def cannot_answer(self, network: Family, quantity: str) -> str | None:
        """Why this trainer cannot be used, or None if it can."""

    def starting(self, network: Family, population: Population, starts: int, dtype: str) -> Problem:
        """The problem of its starts and their data."""

    def fit(self, start: Problem, dtype: str, device: str, say: Say) -> Fitted | Missing:
        """Train from every start; `say` reports the progress."""

    def answers(self, problem: Problem, dtype: str, device: str) -> Observation:
        """The answers of its own implementation at a problem's parameters."""


@dataclass(frozen=True, eq=False)
class Ended:
    """A trainer's fits from one population.

    `losses` (D,) are those of the oracle, infinity for a fit that is not finite.
    """

    trainer: Trainer
    fitted: Fitted
    losses: Array
    start: Problem
    dtype: str
    device: str
    compared: list[str] = field(default_factory=list)

    @property
    def end(self) -> Problem:
        """The final parameters of the finite fits; there must be some."""
        assert self.fitted.end is not None
        return self.fitted.end
