"""The object that R's nnet() returned, as numbers and names.

In shapes, T counts weights, N the fitted rows, and O outputs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from harness.core.contract import Array
from harness.core.loss import Error
from reference.r.topology import Topology
from reference.rds.rows import Rows


class Unsupported(ValueError):
    """Raised if a fitted object, or a term of its formula, is not supported; the text gives
    advice.
    """


class Terms(Protocol):
    """The right side of a formula: it computes the columns of the inputs from rows of raw data."""

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the raw columns that the terms use, in the order of the formula."""

    @property
    def levels(self) -> dict[str, tuple[str, ...]]:
        """The levels of each raw column that is a factor, a text or a logical."""

    @property
    def refused(self) -> str:
        """The reason why R alone computes the columns; "" if `columns` does."""

    def columns(self, rows: Rows) -> Array:
        """Return the inputs (R, I), as R's model.matrix computes them without the intercept.

        A row with a missing value becomes a row of NaN. R counts rows and I inputs. Raises
        ValueError, as R does, for an unknown level and a missing column.
        """


@dataclass(frozen=True, eq=False)
class FittedNet:
    """A fitted object of nnet(): a topology, its weights, and the names of its columns.

    `wts` (T,) are the weights in nnet's order, `decay` (T,) the decay of each weight, and `value`
    the loss that nnet claims. `columns` are the names of the inputs in the topology's order;
    `responses` those of the outputs. `terms` is the right side of the formula; None for a fit on a
    matrix. `fitted` and `residuals` (N, O) are those of the fitted rows. `call` is the call as R
    prints it, `versions` names the software that read the file, and `digest` is its SHA-256.

    `classes` are the names of the outputs' classes, or the two classes of one output; () if there
    are none. `lev` are the names of R's predict(type="class"); there may be more of them than
    outputs. `is_multinom` says that multinom() made the object. `has_ones` says that the object's
    wts begin with a bias of 0 for each output, and that its intercepts, which are the biases here,
    are weights of a column of ones. `criteria` are multinom()'s deviance and AIC. `value`,
    `fitted`, `residuals` and `criteria` are NaN if `nnet-parity back` marked them as belonging to
    older weights. N counts the fitted rows and O outputs.
    """

    topology: Topology
    wts: Array
    decay: Array
    value: float
    convergence: int
    columns: tuple[str, ...]
    responses: tuple[str, ...]
    terms: Terms | None
    fitted: Array
    residuals: Array
    call: str
    digest: str
    versions: dict[str, str]
    classes: tuple[str, ...] = ()
    lev: tuple[str, ...] = ()
    is_multinom: bool = False
    has_ones: bool = False
    criteria: tuple[float, ...] = ()

    @property
    def error(self) -> Error:
        """The error that nnet() minimised: squares, entropy, softmax or censored."""
        return self.topology.error

    @property
    def levels(self) -> dict[str, tuple[str, ...]]:
        """The levels of each raw column of the formula that is a factor, a text or a logical."""
        return {} if self.terms is None else self.terms.levels
