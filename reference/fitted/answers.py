"""The inputs and predictions of a fitted object, computed by R or by NumPy.

In shapes, R counts rows, I inputs and O outputs.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from harness.core.contract import NNET_CLIP, Array, Indices
from harness.core.formulation import Formulation
from harness.core.problem import Problem
from reference.fitted.drawn import is_coded
from reference.implementations.numpy_net import NumpyNet
from reference.mathematics.network import Network
from reference.r.session import RError, RSession
from reference.rds.fit import FittedNet
from reference.rds.rows import Rows

CLIPPED = NumpyNet(logistic_clip=NNET_CLIP)
# relative changes of a raw number, by which the slope of its preparation is read
ITS_FORMULA = "its formula"  # the first words with which fitted.R refuses to run a formula
UNKNOWN = "could not find function"
STEPS = 2.0**-18, 2.0**-22


@dataclass(frozen=True, eq=False)
class Answers:
    """R's answers to raw rows: the inputs (R, I) of the network, and predictions (R, O).

    A row with a missing value has inputs and predictions of NaN. `sizes` (R, I) is the size of the
    numbers from which each input is computed; 0 for raw numbers. `labels` are R's classes, None for
    a row with a missing value; empty if there are none. R counts rows, I inputs and O outputs.
    """

    inputs: Array
    predictions: Array
    sizes: Array
    labels: tuple[str | None, ...] = ()

    def part(self, places: Indices) -> Answers:
        """Return the answers to the rows at these positions."""
        labels = tuple(self.labels[place] for place in places) if self.labels else ()
        return Answers(self.inputs[places], self.predictions[places], self.sizes[places], labels)


class Ask(Protocol):
    """A function from raw rows to the inputs (R, I) of the network and predictions (R, O).

    R counts rows, I inputs and O outputs.
    """

    def __call__(self, rows: Rows) -> tuple[Array, Array]: ...


def collect(
    ask: Ask, rows: Rows, drawn: Rows | None, prepare: str, fixed: Container[str] = ()
) -> Answers:
    """Return the answers for the user's rows followed by the drawn ones, with the sizes of the
    inputs.

    `ask` computes inputs and predictions. To find the sizes, columns are slightly changed, except
    those in `fixed`, which are codes of levels. Raises ValueError if `prepare` does not prepare
    each row by itself.
    """
    every = rows if drawn is None else rows.followed_by(drawn)
    names = [name for name in rows.columns if name not in fixed]
    changed = [name for name in names if not isinstance(rows.columns[name], tuple)]
    of_rows, _ = ask(rows)
    try:
        inputs, predictions = ask(_with_changes(every, changed))
    except RError:
        # a formula may take codes alone, as factor(x, labels = ...) does
        measured = [name for name in changed if not is_coded(np.asarray(rows.columns[name]))]
        if measured == changed:
            raise
        inputs, predictions = ask(_with_changes(every, measured))
    if not np.array_equal(inputs[: len(rows)], of_rows, equal_nan=True):
        raise ValueError(
            f"prepare={prepare!r} gives a row other numbers when other rows stand beside it, as"
            " scale(x) does: write the numbers that were used in training, as in scale(x, c(1.5,"
            " 20), c(0.3, 4))"
        )
    count = len(every)
    return Answers(inputs[:count], predictions[:count], _read_sizes(inputs, count, every))


def r_asker(session: RSession, path: Path, prepare: str, trust: bool) -> Ask:
    """Return the function that calls R's predict() live; it raises RError with R's message.

    Without `trust`, R evaluates no formula beyond plain arithmetic, see `RSession.ask_fit`.
    """
    file = str(path.absolute())

    def ask(rows: Rows) -> tuple[Array, Array]:
        names, columns = list(rows.columns), list(rows.columns.values())
        try:
            return session.ask_fit(file, names, columns, prepare or None, trust)
        except RError as error:
            if str(error).startswith(UNKNOWN):
                raise RError(
                    f"{error}, which the file does not hold (prepare= of fitted() can define it)"
                ) from None
            if trust or not str(error).startswith(ITS_FORMULA):
                raise
            calls = str(error).removeprefix(ITS_FORMULA)
            raise ValueError(
                f"the formula of {path.name}{calls}, which R would run: if you trust the file, say"
                " so (trust=True, --trust)"
            ) from None

    return ask


def equations_asker(fit: FittedNet, network: Network) -> Ask:
    """Return the function that computes inputs and predictions in NumPy from the fitted weights."""

    def ask(rows: Rows) -> tuple[Array, Array]:
        if fit.terms is None:
            inputs = rows.matrix()
        else:
            inputs = fit.terms.columns(rows.as_texts(fit.terms.levels))
        whole = np.isfinite(inputs).all(axis=1)
        targets = np.zeros((1, int(whole.sum()), fit.topology.outputs))
        formulation = Formulation.identity(network)
        problem = Problem("rows", formulation, fit.wts[None], inputs[None, whole], targets)
        predictions = np.full((len(rows), fit.topology.outputs), np.nan)
        predictions[whole] = CLIPPED.observe(problem).values["forward"][0]
        return inputs, predictions

    return ask


def whole_rows_only(ask: Ask, outputs: int) -> Ask:
    """Return a version of `ask` that is called only for rows without a missing value; all other
    rows get NaN.

    R's predict() refuses a matrix with a missing value.
    """

    def ask_whole(rows: Rows) -> tuple[Array, Array]:
        whole = np.isfinite(rows.matrix()).all(axis=1)
        if whole.all():
            return ask(rows)
        found, predicted = ask(rows.part(np.flatnonzero(whole)))
        inputs = np.full((len(rows), found.shape[1]), np.nan)
        predictions = np.full((len(rows), outputs), np.nan)
        inputs[whole], predictions[whole] = found, predicted
        return inputs, predictions

    return ask_whole


def _with_changes(rows: Rows, names: Sequence[str]) -> Rows:
    """Return rows followed by copies of them, in which one of these columns each is changed."""
    all_rows = rows
    for name in names:
        for step in STEPS:
            all_rows = all_rows.followed_by(_change_column(rows, name, step))
    return all_rows


def _change_column(rows: Rows, name: str, step: float) -> Rows:
    """Return a copy of the rows in which each number x of one column is x (1 + step)."""
    column = np.asarray(rows.columns[name], dtype=np.float64)
    return Rows({**rows.columns, name: column * (1 + step)})


def _read_sizes(inputs: Array, count: int, rows: Rows) -> Array:
    """Return the sizes (R, I) of the numbers from which inputs are computed.

    A size is the input's own size plus, for each raw column, the change of the input divided by the
    relative change of the raw number. For (x - c) / s it is as large as (|x| + |c|) / s. A change
    that does not shrink with the step is a jump, as of x == 2, and does not count. R counts rows
    and I inputs.
    """
    first = inputs[:count]
    changed = inputs[count:].reshape(-1, len(STEPS), *first.shape)
    slopes = abs(changed - first) / np.reshape(STEPS, (-1, 1, 1))
    smooth = slopes[:, 1] <= 2 * slopes[:, 0]
    sizes: Array = abs(first) + np.where(smooth, slopes[:, 0], 0.0).sum(axis=0)
    raw = [column for column in rows.columns.values() if not isinstance(column, tuple)]
    for place in range(first.shape[1]):
        as_it_is = [np.array_equal(first[:, place], column, equal_nan=True) for column in raw]
        if any(as_it_is) or np.isin(first[:, place], (0.0, 1.0)).all():
            sizes[:, place] = 0.0
    return sizes
