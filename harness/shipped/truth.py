"""The truth about a port (a PyTorch model with trained weights): the predictions, the claimed loss
and the weights of an object fitted in R.

In shapes, R counts rows, K raw columns, I inputs of the network, O outputs and T weights. theta is
the vector of the network's weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from harness.core.contract import NNET_CLIP, NNET_FLOOR, NNET_LOST, Array, Contract, Indices
from harness.core.formulation import Family, Formulation
from harness.core.loss import SUM_OF_SQUARES, Loss
from harness.core.problem import Problem
from harness.waiting.progress import Say

R_CONTRACT = Contract(  # of the fitted object itself
    "float64",
    logistic_clip=NNET_CLIP,
    from_probabilities=True,
    log_floor=NNET_FLOOR,
    log_lost=NNET_LOST,
)


@dataclass(frozen=True, eq=False)
class Table:
    """Rows for a port (a PyTorch model) to predict, and the predictions of the fitted object.

    `given` are the rows as the port takes them, one array (R, K) for each of its arguments.
    `inputs` (R, I) are the numbers that enter the network, None if unknown. `predictions` (R, O)
    are those of the fitted object, and `digits` (R, O) their rounding if they were written with
    fewer digits.

    `sizes` (R, I) allows for the rounding of inputs that a port computes itself: the number of
    roundings, times the size of the numbers that it computes them from. It is 0 for raw numbers.
    `are_estimated` says that the inputs were not read from R, which may have rounded them
    differently. `written` (R, I) is the largest error of an input if the rows were written with 15
    digits. `is_written` says that the rows were written so after the predictions were made.

    `classes` (R,) are the numbers of R's classes, -1 for a tie; None if there are no classes.
    `places` (R,) are the numbers of the rows in the user's data. `incomplete` are the rows with a
    missing value, for which there is no prediction; `incomplete_places` are their numbers. R counts
    rows, K raw columns, I inputs of the network and O outputs.
    """

    name: str
    given: tuple[Array, ...]
    inputs: Array | None
    predictions: Array
    sizes: Array
    places: Indices
    incomplete: tuple[Array, ...] = ()
    incomplete_places: Indices = field(default_factory=lambda: np.zeros(0, np.intp))
    digits: Array | None = None
    are_estimated: bool = False
    written: Array | None = None
    is_written: bool = False
    classes: Indices | None = None


@dataclass(frozen=True, eq=False)
class FittedLoss:
    """The loss that a fitted object claims, and the data on which it was fitted.

    `value` is the claimed loss. `table` holds the fitted rows: the rows number `rows` of the first
    table. `targets` (R, O) are their targets. `comparison_offset` is that of the trainer, see
    `Trainer`. R counts rows and O outputs.
    """

    value: float
    rows: Indices
    table: Table
    targets: Array
    loss: Loss
    comparison_offset: float


@dataclass(frozen=True, eq=False)
class Equivalent:
    """Weights theta (T,), within `error` (T,), that differ from the fitted ones but give the same
    predictions for raw rows.

    `words` describes the change of the weights.
    """

    words: str
    theta: Array
    error: Array


class Explain(Protocol):
    """A function that finds the mistake in reading a fitted object by which a port's predictions or
    weights can be explained.
    """

    def __call__(self, truth: Truth, outputs: Sequence[Array], held: Array | None, say: Say) -> str:
        """Return the mistake in words; "" if none explains the port.

        `outputs` (R, O) are the port's predictions for each table. `held` (T,) are its weights in
        the network's order, None if it is unclear which is which. R counts rows and O outputs.
        """


@dataclass(frozen=True, eq=False)
class Truth:
    """The predictions and the weights of a fitted object.

    `responses` are the names of its outputs. `stored` is the dtype in which a port may store its
    weights, "" for the dtype in which it computes. `caveat` names the parts that are not judged;
    `scaling_is_open` says that no user stated how the data are prepared. `facts` has the "call" of
    R. `classes` are the names of the classes, if there are any, and `class_note` a sentence on
    wrong names in R's object.
    """

    network: Family
    theta: Array
    tables: Sequence[Table]
    responses: Sequence[str]
    explain: Explain
    fitted_loss: FittedLoss | None = None
    equivalents: Sequence[Equivalent] = ()
    stored: str = ""
    caveat: str = ""
    scaling_is_open: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)
    classes: Sequence[str] = ()
    class_note: str = ""

    def problem(
        self,
        table: Table,
        dtype: str,
        form: Equivalent | None = None,
        loss: Loss = SUM_OF_SQUARES,
        targets: Array | None = None,
    ) -> Problem:
        """Return the problem (weights and data) that a port in a dtype answers: the fitted weights,
        in an equivalent `form`, on a table's inputs.

        The port's weights and inputs may be off by the rounding of their storage. The targets (R,
        O) are 0 by default. R counts rows and O outputs.
        """
        of_dtype = Contract(dtype).roundoff
        stored = max(of_dtype, Contract(self.stored).roundoff) if self.stored else of_dtype
        plain = self._plain_problem(table, loss, targets)
        own_error = np.zeros_like(plain.own)
        if form is not None:
            plain, own_error = replace(plain, own=form.theta[None]), form.error[None]
        if self.stored or table.sizes.any():
            own_error = own_error + stored * abs(plain.own)
        input_error = stored * table.sizes + _written(table)
        return replace(plain, own_error=own_error, input_error=input_error[None])

    def exact_problem(
        self, table: Table, loss: Loss = SUM_OF_SQUARES, targets: Array | None = None
    ) -> Problem:
        """Return the problem (weights and data) that the fitted object itself answers."""
        problem = self._plain_problem(table, loss, targets)
        input_error = _written(table)
        if table.are_estimated:
            input_error = input_error + R_CONTRACT.roundoff * table.sizes
        return replace(problem, input_error=input_error[None]) if input_error.any() else problem

    def _plain_problem(self, table: Table, loss: Loss, targets: Array | None) -> Problem:
        assert table.inputs is not None
        formulation, inputs = Formulation.identity(self.network), table.inputs[None]
        if targets is None:
            targets = np.zeros((len(table.inputs), sum(self.network.outputs)))
        return Problem(table.name, formulation, self.theta[None], inputs, targets[None], loss)


def _written(table: Table) -> Array:
    """Return the largest error (R, I) of a table's inputs from being written with 15 digits.

    R counts rows and I inputs of the network.
    """
    if not table.is_written or table.written is None:
        return np.zeros_like(table.sizes)
    return table.written
