"""Who trains what, on what data, and what training came to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from harness.core.contract import Array, Bounded, Contract
from harness.core.formulation import Family, Formulation
from harness.core.implementation import Missing, Observation
from harness.core.numpy_errors import users
from harness.core.problem import SUM_OF_SQUARES, Loss, Problem
from harness.core.progress import Say
from harness.core.text import class_name, shown

Start = Callable[[Formulation, int], Array]
Floor = Callable[[Array, Array], Bounded]


@dataclass(frozen=True, eq=False)
class Population:
    """What all trainers of a case are given: D draws of data, and when a fit is good.

    `data(D)` gives inputs (D, R, I) and targets (D, R, O), the i-th draw the same however many
    there are. A fit is good when its sum of squares, per `per` rows if given, is at most `quality`.
    `marks` and `grid` (G, I) are inputs at which predictions are judged too, told and drawn.
    `margin` is how far two shares of good fits may lie apart and be called equivalent. `table`
    makes the case's fits rows of the report's table of changes, under that heading.
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
        if wrong := next((mark for mark in self.marks if not isinstance(mark, str)), None):
            raise TypeError(
                f"marks has {shown(wrong, 40)}, expected text: what the input is called"
            )

    def problem(self, formulation: Formulation, own: Array, dtype: str) -> Problem:
        """Starts (D, P) and their data as a stack, rounded to the dtype."""
        with users():
            given = self.data(len(own))
        if not isinstance(given, tuple | list) or len(given) != 2:
            raise TypeError(
                f"data({len(own)}) gave {class_name(given)}, expected two arrays: inputs and"
                " targets"
            )
        own, inputs, targets = (
            np.asarray(part).astype(dtype).astype(np.float64) for part in (own, *given)
        )
        return Problem("start", formulation, own, inputs, targets, self.loss)

    def prediction_problem(self, end: Problem, dtype: str) -> Problem:
        """The same networks at the marks and on the grid, with targets of 0."""
        at = np.concatenate(
            [np.reshape(list(self.marks.values()), (-1, self.grid.shape[1])), self.grid]
        )
        inputs = np.broadcast_to(at.astype(dtype).astype(np.float64), (end.draws, *at.shape))
        targets = np.zeros((end.draws, len(at), end.targets.shape[2]))
        return Problem("end", end.formulation, end.own, inputs, targets, self.loss)

    def scale(self, rows: int) -> float:
        """What a loss is multiplied by before it is told."""
        return 1.0 if self.per is None else self.per / rows


@dataclass(frozen=True, eq=False)
class Fitted:
    """What training came to from D starts: `end` holds the final own parameters of those that
    stayed `finite` (D,).

    `silent` holds those that are finite without a finite loss claimed for them, where there are
    such. `claimed` are their losses as the trainer gives them; `ended` says how each start ended
    (D,); `curve` is loss by iteration from the first start; `seconds` what one start took, where
    several went together their share.
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
        """Of the final own parameters (D, P) and claimed losses (D,) of every start, finite or
        not.
        """
        held = np.isfinite(own).all(axis=1)
        finite, silent = held & np.isfinite(claimed), held & ~np.isfinite(claimed)
        end, mute = (start.at(own, some) if some.any() else None for some in (finite, silent))
        return cls(end, finite, claimed[finite], ended, curve, seconds / len(own), mute)


class Trainer(Protocol):
    """Somebody who trains a network: a PyTorch model with a Recipe, R nnet's own fit, or one's
    own.
    """

    @property
    def name(self) -> str: ...

    @property
    def source(self) -> str: ...

    @property
    def floor(self) -> Floor | None:
        """From inputs and targets the loss (D,) that none of its fits can be below, where that is
        known.
        """

    @property
    def comparison_offset(self) -> float:
        """What is added to two weights before they are compared: a move that does not show then has
        no loss of its own.

        R's vmmin (reltest in optim.c): 10. 0 for who tells the loss of the very weights that it
        returns.
        """

    def title(self) -> str:
        """Name and version, or what is special about it, as a person reads it."""

    def contract(self, dtype: str = "float64") -> Contract: ...

    def cannot_answer(self, network: Family, quantity: str) -> str | None:
        """Why this trainer is not to be had, or None when it is."""

    def starting(self, network: Family, population: Population, starts: int, dtype: str) -> Problem:
        """Its starts and data."""

    def fit(self, start: Problem, dtype: str, device: str, say: Say) -> Fitted | Missing:
        """Train from every start; `say` is told how far it is."""

    def answers(self, problem: Problem, dtype: str, device: str) -> Observation:
        """What its own implementation computes at a problem's parameters."""


@dataclass(frozen=True, eq=False)
class Ended:
    """A trainer's fits from one population: `losses` (D,) as the oracle computes them, infinite
    where not finite.
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
        """The final parameters of the starts that stayed finite; only where some did."""
        assert self.fitted.end is not None
        return self.fitted.end
