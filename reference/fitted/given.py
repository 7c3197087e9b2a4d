"""The user's arguments besides a fitted object: raw rows, targets, their preparation and
predictions.

In shapes, R counts rows, K raw columns, I inputs and O outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from harness.core.contract import Array
from harness.model.errors import raised
from reference.fitted.targets import read_targets
from reference.rds.fit import FittedNet
from reference.rds.rows import Rows, is_number, list_names

COLUMNS = "columns"  # an `encode` that stands for the columns of R's model.matrix
Encode = Callable[[dict[str, Any]], Any] | Literal["columns"]


@dataclass(frozen=True, eq=False)
class Given:
    """The arguments of `fitted`, explained there, without the fitted object and the port (a PyTorch
    model).

    `unread` is the reason why the rows could not be read.
    """

    rows: Rows | None = None
    targets: object = None
    row_weights: object = None
    prepare: str = ""
    predictions: object = None
    encode: Encode | None = None
    stored: str = ""
    trust: bool = False
    unread: str = ""

    def choose_columns(self, fit: FittedNet, rows: Rows) -> Rows:
        """Return the columns of the user's rows that the network uses.

        Raises ValueError for a missing column, and for a matrix of another width.
        """
        if fit.terms is not None and not self.prepare:
            chosen = rows.chosen(fit.terms.variables).settled(fit.terms.levels)
            _expect_known_levels(chosen, fit.terms.levels)
            if not fit.terms.refused:  # else R says which texts its formula takes
                _expect_numbers(chosen, fit.terms.levels)
            return chosen
        features = rows.without(self._named(fit, rows))
        if not self.prepare and len(features.columns) != fit.topology.inputs:
            names = list_names([*features.columns])
            count = len(features.columns)
            raise ValueError(
                f"x has {count} column{'s' * (count > 1)} ({names}), and nnet() was given"
                f" {fit.topology.inputs}: give those, in their order, or prepare="
            )
        return features

    def _named(self, fit: FittedNet, rows: Rows) -> list[str]:
        """Return the columns of x that are targets or case weights. Raises ValueError if x does not
        have one of them.
        """
        names = self._target_names(fit, rows)
        for name in names:
            _expect_column("y", name, rows)
        if isinstance(self.row_weights, str):
            _expect_column("weights", self.row_weights, rows)
            names.append(self.row_weights)
        return names

    def _target_names(self, fit: FittedNet, rows: Rows) -> list[str]:
        """Return the names of the columns of x that are the targets; none if they are given
        otherwise.
        """
        targets = self.targets
        if isinstance(targets, str):
            return [targets]
        if not isinstance(targets, list | tuple) or not all(isinstance(t, str) for t in targets):
            return []
        are_labels = bool(fit.classes) and not set(targets) <= set(rows.columns)
        return [] if are_labels else list(targets)

    def takes_columns(self, rows: Rows, has_factors: bool) -> bool:
        """Does the port (the user's PyTorch model) take the columns of R's model.matrix, not the
        raw columns?

        By default it does if the rows hold texts, or codes of factors.
        """
        if self.encode is None:
            return has_factors or not rows.are_numbers
        return self.encode == COLUMNS

    def encoded(self, rows: Rows, inputs: Array, has_factors: bool) -> tuple[Array, ...]:
        """Return rows in the form that the port (the user's PyTorch model) takes: one array (R, K)
        for each of its arguments.

        R counts rows and K raw columns. Raises ValueError if `encode` returns anything else.
        """
        if self.takes_columns(rows, has_factors):
            return (inputs,)
        if self.encode is None:
            return (rows.matrix(),)
        arrays = self._call_encode(rows)
        for some in (slice(0, 1), slice(0, (len(rows) + 1) // 2)):
            encoded_alone = self._call_encode(rows.part(range(len(rows))[some]))
            for whole, part in zip(arrays, encoded_alone, strict=True):
                if not np.array_equal(whole[some], part, equal_nan=True):
                    raise ValueError(
                        "encode gives a row other columns when other rows stand beside it, as"
                        " pd.get_dummies() or a mean of the rows does: use the levels and the"
                        " numbers of training"
                    )
        return arrays

    def _call_encode(self, rows: Rows) -> tuple[Array, ...]:
        assert callable(self.encode)
        columns = rows.lists()
        try:
            encoded = self.encode(columns)
        except Exception as error:
            reason = f"encode {raised(error)}"
            if texts := [name for name in columns if isinstance(columns[name], list)]:
                reason += (
                    f"; {list_names(texts)}: texts come as a list, np.array(...) of it compares"
                )
            raise ValueError(reason) from error
        arrays = []
        for part in encoded if isinstance(encoded, tuple) else (encoded,):
            array = _as_numbers("encode gave", part)
            if array.ndim != 2 or len(array) != len(rows):
                raise ValueError(
                    f"encode gave an array of shape {array.shape} for {len(rows)} rows, expected"
                    f" ({len(rows)}, columns)"
                )
            arrays.append(array)
        return tuple(arrays)

    def target_rows(self, fit: FittedNet, rows: int) -> Array:
        """Return the targets (R, O) of the fitted rows, given as numbers or as labels of classes.

        R counts rows and O outputs. Raises ValueError for another shape, and for a label that is no
        class.
        """
        if labels := self._labels(fit):
            return read_targets(fit, [_expect_rows("y", labels, rows)])
        names = [] if self.rows is None else self._target_names(fit, self.rows)
        if names:
            return read_targets(fit, [self._numbers("y", name, rows) for name in names])
        targets = self._numbers("y", self.targets, rows).reshape(rows, -1)
        return read_targets(fit, list(targets.T))

    def _labels(self, fit: FittedNet) -> tuple[str | None, ...]:
        """Return the targets as texts if they are labels of classes, else an empty tuple."""
        targets = self.targets
        if not fit.classes:
            return ()
        if names := [] if self.rows is None else self._target_names(fit, self.rows):
            column = self.rows.columns.get(names[0]) if self.rows is not None else None
            return column if isinstance(column, tuple) and len(names) == 1 else ()
        values = np.asarray(targets)
        if values.ndim != 1 or values.dtype.kind not in "OUS":
            return ()
        return tuple(None if value is None else str(value) for value in values.tolist())

    def weights(self, rows: int) -> Array | None:
        """Return the case weights (R,), None if the user gave none.

        R counts rows.
        """
        if self.row_weights is None:
            return None
        return self._numbers("weights", self.row_weights, rows).reshape(rows)

    def _numbers(self, what: str, given: object, rows: int) -> Array:
        """Return the numbers of an argument, which may be the name of a column of x.

        `what` names the argument in errors; `rows` is the expected number.
        """
        if isinstance(given, str):
            _expect_column(what, given, self.rows)
            assert self.rows is not None
            given = self.rows.columns[given]
            if isinstance(given, tuple):
                raise ValueError(f"{what} is a column of texts, expected numbers")
        numbers = _as_numbers(f"{what} holds", given)
        if numbers.ndim == 0 or len(numbers) != rows:
            raise ValueError(
                f"{what} has shape {numbers.shape}, expected one for each of {rows} rows"
            )
        return numbers


def _as_numbers(what: str, given: object) -> Array:
    """Return an argument as an array of numbers. Raises ValueError for texts; its sentence begins
    with the argument's name.
    """
    array = np.asarray(given)
    if array.dtype.kind in "OUS":
        for value in array.ravel().tolist():
            if isinstance(value, str) and not is_number(value):
                raise ValueError(f"{what} the text {value!r:.40}, expected numbers")
    return np.asarray(array, dtype=np.float64)


def _expect_column(what: str, name: str, rows: Rows | None) -> None:
    if rows is None or name not in rows.columns:
        held = "" if rows is None else f": it has {list_names([*rows.columns])}"
        raise ValueError(f"{what} is the column {name!r}, which x does not have{held}")


def _expect_rows(what: str, column: tuple[str | None, ...], rows: int) -> tuple[str | None, ...]:
    if len(column) != rows:
        raise ValueError(f"{what} has {len(column)} values, expected one for each of {rows} rows")
    return column


def _expect_known_levels(rows: Rows, levels: Mapping[str, tuple[str, ...]]) -> None:
    """Raise ValueError for a text in a column of rows that is none of the column's `levels`: R's
    predict() would stop.
    """
    for name, known in levels.items():
        for row, text in enumerate(rows.as_texts([name]).texts_of(name)):
            if text is not None and text not in known:
                raise ValueError(
                    f"row {row} of x holds {text!r} in column {name}, which the fit does not know:"
                    f" it was fitted with {', '.join(known)}, and R's predict() refuses others"
                )


def _expect_numbers(rows: Rows, levels: Mapping[str, tuple[str, ...]]) -> None:
    """Raise ValueError for a text in a column that is no factor."""
    for name, column in rows.columns.items():
        if name in levels or not isinstance(column, tuple):
            continue
        for row, text in enumerate(column):
            if text is not None and not is_number(text):
                raise ValueError(
                    f"row {row} of x holds the text {text!r} in column {name}, expected a number"
                )
