"""Mistakes in reading inputs and targets."""

import numpy as np
from scipy import sparse

from harness.core.contract import Array
from harness.core.linear import LinearMap
from reference.faults.changes import reverse_rows, roll
from reference.faults.kinds import Data, Fault


def _reverse_columns(x: Array) -> Array:
    return x[..., ::-1]


def _repeat_first_row(x: Array) -> Array:
    return np.broadcast_to(x[:, :1], x.shape)


FAULTS: tuple[Fault, ...] = (
    Data("rows_reversed", "rows of the inputs reversed", reverse_rows),
    Data("inputs_negated", "inputs negated", np.negative),
    Data("columns_reversed", "columns of the inputs in reverse order", _reverse_columns),
    Data("one_row_for_all", "first row of the inputs taken for all", _repeat_first_row),
    Data("columns_rolled", "columns of the inputs rolled", roll),
    Data("targets_reversed", "rows of the targets reversed", reverse_rows, "loss", part="targets"),
    Data(
        "targets_negated",
        "targets negated",
        np.negative,
        "loss",
        part="targets",
        errors=("squares",),
    ),
    Data("targets_rolled", "columns of the targets rolled", roll, "loss", part="targets"),
)


def _centre(x: Array) -> Array:
    return np.asarray(x - x.mean(axis=1, keepdims=True))


def _centring(shape: tuple[int, ...]) -> LinearMap:
    """Return the linear map from inputs (R, I) to their differences from the mean of their column,
    both flattened.

    R counts rows and I inputs.
    """
    rows, width = shape
    less_mean = sparse.csr_array(np.eye(rows) - 1 / rows)
    return LinearMap.of(sparse.csr_array(sparse.kron(less_mean, sparse.eye_array(width))))


# tried to explain a failure
OTHERS: tuple[Fault, ...] = (
    Data(
        "inputs_centred",
        "the inputs are centred by the mean of the rows that are given, so that a row's outputs"
        " depend on the other rows",
        _centre,
        matrix=_centring,
        backward=_centre,  # it is its own transpose
    ),
)
