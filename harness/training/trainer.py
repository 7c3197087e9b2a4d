"""The interface of trainers, the data on which they train, and the results of training.

The own parameters of a model are its own tensors, flattened to one vector (P,). In shapes, D counts
starts, R rows, I inputs, O outputs, G points of a grid, and P own parameters.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike

from harness.core.contract import Array, Bounded, Contract, Mask
from harness.core.formulation import Family, Formulation
from harness.core.implementation import Missing, Observation
from harness.core.loss import SUM_OF_SQUARES, Loss
from harness.core.numpy_errors import users
from harness.core.problem import Problem
from harness.text.harmless import class_name, shown
from harness.waiting.progress import Say

Start = Callable[[Formulation, int], Array]
SAME_DATA = (  # what to write for them
    " of the number of starts, as lambda draws: (np.tile(x, (draws, 1, 1)), np.tile(y, (draws, 1,"
    " 1)))"
)
Floor = Callable[[Array, Array], Bounded]


@dataclass(frozen=True, eq=False)
class Population:
    """The data on which all trainers of a case are trained, and the criterion by which their
    results are compared.

    `data(D)` returns the inputs (D, R, I) and targets (D, R, O) for D starts; the data of each
    start must not depend on D. With a `quality`, trainers are compared by their shares of good
    fits: a fit is good if its sum of squares is at most `quality`. Without one they are compared by
    their losses from shared starts: two losses are alike if neither is more than `ratio` times the
    other. Shares (of good fits, or of starts that end higher and lower) count as equivalent if they
    differ by less than `margin`.

    With `per`, sums of squares are scaled to `per` rows. Predictions are judged at the inputs
    `marks`, which the report lists by name, and at the inputs `grid` (G, I), which the report
    draws. `table` is the heading, in the report's table, under which the case's fits are listed. R
    counts rows, I inputs, O outputs and G points of a grid.
    """

    data: Callable[[int], tuple[Array, Array]]
    quality: float | None = None
    grid: Array = field(default_factory=lambda: np.empty(0))
    marks: Mapping[str, float] = field(default_factory=dict)
    margin: float = 0.25
    per: int | None = None
    table: str = ""
    loss: Loss = SUM_OF_SQUARES
    ratio: float = 1.1

    def __post_init__(self) -> None:
        expect_function("Population", "data", self.data, ("draws",), SAME_DATA)
        try:
            object.__setattr__(self, "grid", np.asarray(self.grid, dtype=np.float64))
        except (TypeError, ValueError):
            found = shown(self.grid, 40)
            raise TypeError(f"grid is {found}, expected an array (points, inputs)") from None
        if np.ndim(self.grid) != 2:
            found = f"grid has shape {np.shape(self.grid)}, expected (points, width of the inputs)"
            raise ValueError(f"{found}: for one column write grid[:, None]")
        if self.quality is not None and not _is_number(self.quality):
            found = shown(self.quality, 40)
            raise TypeError(f"quality is {found}, expected a number: the largest loss that is good")
        if not _is_number(self.margin) or not 0 < self.margin < 1:
            raise ValueError(
                f"margin is {shown(self.margin, 40)}, expected a number between 0 and 1: shares"
                " that differ by less count as equivalent"
            )
        if not _is_number(self.ratio) or not self.ratio > 1:
            raise ValueError(
                f"ratio is {shown(self.ratio, 40)}, expected a number above 1: losses count as"
                " alike if neither is more than so many times the other"
            )
        if not isinstance(self.table, str):
            raise TypeError(f"table is {shown(self.table, 40)}, expected text")
        for mark in self.marks:
            if not isinstance(mark, str):
                raise TypeError(
                    f"marks has {shown(mark, 40)}, expected text: what the input is called"
                )

    def problem(self, formulation: Formulation, own: Array, dtype: str) -> Problem:
        """Return the problem (parameters and data) with the starts `own` (D, P) and their data, all
        rounded to the dtype.

        `formulation` maps own parameters to the network's. D counts starts and P own parameters (a
        model's tensors, flattened). Raises TypeError if `data` does not return two arrays.
        """
        with users():
            arrays = self.data(len(own))
        if not isinstance(arrays, tuple | list) or len(arrays) != 2:
            raise TypeError(
                f"data({len(own)}) gave {class_name(arrays)}, expected two arrays: inputs and"
                " targets"
            )
        if any(np.ndim(part) != 3 or len(part) != len(own) for part in arrays):
            shapes = " and ".join(str(np.shape(part)) for part in arrays)
            raise ValueError(
                f"data({len(own)}) gave arrays of shapes {shapes}, expected ({len(own)}, rows,"
                f" inputs) and ({len(own)}, rows, outputs): where x (rows, inputs) is the same for"
                " all starts, write np.tile(x, (draws, 1, 1))"
            )
        own, inputs, targets = [_round(part, dtype) for part in (own, *arrays)]
        return Problem("start", formulation, own, inputs, targets, self.loss)

    def prediction_problem(self, end: Problem, dtype: str) -> Problem:
        """Return a problem whose outputs are the predictions of trained networks at the inputs
        `marks` and `grid`. Its targets are 0.

        `end` has the final parameters.
        """
        marks = np.reshape(list(self.marks.values()), (-1, self.grid.shape[1]))
        at = np.concatenate([marks, self.grid])
        inputs = np.broadcast_to(_round(at, dtype), (end.draws, *at.shape))
        targets = np.zeros((end.draws, len(at), end.targets.shape[2]))
        loss = replace(self.loss, weights=None, class_weights=None)  # those of other rows
        return Problem("end", end.formulation, end.own, inputs, targets, loss)

    def scale(self, rows: int) -> float:
        """Return the factor that turns a loss on this number of rows into the report's loss on
        `per` rows.
        """
        return 1.0 if self.per is None else self.per / rows


def expect_function(who: str, what: str, given: object, names: Sequence[str], of: str = "") -> None:
    """Raise TypeError unless `given` is a function that can be called with these arguments.

    The message begins with `who`, and `of` says more of the function.
    """
    called = f"{what}({', '.join(names)})"
    if not callable(given):
        raise TypeError(
            f"{who}: {what} is {' '.join(shown(given, 40).split())}, expected a function{of}, which"
            f" is called as {called}"
        )
    try:
        inspect.signature(given).bind(*names)
    except TypeError as error:
        raise TypeError(f"{who}: {what}: {error}; it is called as {called}") from None
    except ValueError:  # a builtin tells no signature
        return


def _is_number(given: object) -> bool:
    return isinstance(given, int | float) and bool(np.isfinite(given))


def _round(numbers: ArrayLike, dtype: str) -> Array:
    """Round numbers to a dtype; return them as float64."""
    return np.asarray(numbers).astype(dtype).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Fitted:
    """The results of training from D starts.

    A claimed loss is the final loss as the trainer itself computes it. Own parameters are a model's
    own tensors, flattened. `finite` (D,) marks the starts that ended with finite own parameters and
    a finite claimed loss: `end` holds their own parameters, and `claimed` their losses. `silent`
    holds the own parameters of starts that ended with finite own parameters but no finite loss.
    `end` and `silent` are None if there are no such starts. `ended` describes how each start ended
    (D,).

    `curve` lists iterations of the first start, each with its loss. `seconds` is the average time
    of a start. `began` are the starts from which the trainer began. `evaluations` (D,) counts the
    evaluations of the loss from each start, and `restarts` (D,) the times that training began anew;
    they are empty if the trainer does not report them.
    """

    end: Problem | None
    finite: Mask
    claimed: Array
    ended: Sequence[str]
    curve: Sequence[tuple[int, float]] = ()
    seconds: float = 0.0
    silent: Problem | None = None
    began: Problem | None = None
    evaluations: Sequence[int] = ()
    restarts: Sequence[int] = ()

    @classmethod
    def of(
        cls,
        start: Problem,
        own: Array,
        claimed: Array,
        ended: Sequence[str],
        curve: Sequence[tuple[int, float]] = (),
        seconds: float = 0.0,
        evaluations: Sequence[int] = (),
        restarts: Sequence[int] = (),
    ) -> Self:
        """Return the results of training, from the final own parameters (D, P) and the claimed
        losses (D,) of all starts.

        D counts starts and P own parameters (a model's tensors, flattened).
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
            began=start,
            evaluations=evaluations,
            restarts=restarts,
        )


class Trainer(Protocol):
    """The interface of a trainer: a PyTorch model with a Recipe, R nnet's own fit, or a
    user's own.
    """

    @property
    def name(self) -> str: ...

    @property
    def source(self) -> str: ...

    @property
    def fits_apart(self) -> bool:
        """May its fits be made in a fork of this process? Training then runs no code of the
        user's, which may print, or count its calls. The data function and `start` are called in
        the fork too.
        """

    @property
    def floor(self) -> Floor | None:
        """A function from inputs and targets to the lowest loss (D,) that a fit can have; None if
        unknown.

        D counts starts.
        """

    @property
    def comparison_offset(self) -> float:
        """The number that a trainer adds to each weight when it tests whether a step changed the
        weight.

        A change that is lost in this addition counts as none, and the trainer claims the loss from
        before it. The offset is 10 for R's vmmin (reltest in optim.c), and 0 for a trainer that
        claims the loss of exactly the weights that it returns.
        """

    def title(self) -> str:
        """Return its name for a report, with its version or a feature that distinguishes it."""

    def contract(self, dtype: str = "float64") -> Contract: ...

    def cannot_answer(self, network: Family, quantity: str, dtype: str, device: str) -> str | None:
        """Return the reason why this trainer cannot be used; None if it can."""

    def starting(self, network: Family, population: Population, starts: int, dtype: str) -> Problem:
        """Return the problem (parameters and data) with this trainer's starts and their data;
        `starts` is their number.
        """

    def as_trained(self, start: Problem) -> Problem:
        """Return the starts with the network and the parameters that this trainer really trains.

        Two trainers have the same starts if these are equal.
        """

    def fit(self, start: Problem, dtype: str, device: str, say: Say) -> Fitted | Missing:
        """Train from every start of a problem; `say` gets progress messages."""

    def answers(self, problem: Problem, dtype: str, device: str) -> Observation:
        """Return the answers of the trainer's own implementation at a problem's parameters."""


@dataclass(frozen=True, eq=False)
class Ended:
    """The fits (trained networks) of one trainer to the data of a population.

    `losses` (D,) are the losses at the final parameters, computed by the equations with error
    bounds, infinity for a fit that is not finite; `errors` (D,) bound their rounding. D counts
    starts.
    """

    trainer: Trainer
    fitted: Fitted
    losses: Array
    errors: Array
    start: Problem
    dtype: str
    device: str
    compared: list[str] = field(default_factory=list)

    @property
    def end(self) -> Problem:
        """The final parameters of the finite fits. At least one fit must be finite."""
        assert self.fitted.end is not None
        return self.fitted.end
