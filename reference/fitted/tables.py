"""Builds the truth about a port: the predictions, loss and weights that a PyTorch model shall
reproduce, from a fitted object, the user's arguments and R's answers.

In shapes, R counts rows, I inputs and O outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.core.contract import Array, Indices, Mask
from harness.core.loss import Loss
from harness.shipped.truth import R_CONTRACT, FittedLoss, Table, Truth
from harness.shipped.weights import FIFTEEN_DIGITS
from reference.fitted.answers import Answers
from reference.fitted.folding import fold_scaling
from reference.fitted.given import Given
from reference.fitted.labels import describe_shift, find_classes
from reference.fitted.targets import normalise
from reference.fitted.written import EXACT, read_predictions
from reference.mathematics.network import Network
from reference.misread.explaining import Explanation
from reference.rds.fit import FittedNet
from reference.rds.rows import Rows
from reference.training.trainers import RELTEST

YOURS, DRAWN, SMALL = "your rows", "rows drawn around them", "drawn rows, not your data"
MOST_UNKNOWN = 1000  # rows that are judged by a port's derivatives, one after the other
ROUNDINGS = 8  # of an input that a port prepares itself, beyond one for each raw column
NOT_SCALING = (
    "Scaling is not judged: what was done to the data before nnet() is not in the object (give y=,"
    " prepare= or predictions=)"
)
NOT_OF_THIS_FIT = (
    "predictions= is not what the fitted object predicts from these rows, nor from them scaled by"
    " their own mean and sd: which numbers enter the network is not known, and whether predictions="
    " is of this fit is not judged (give prepare=)"
)
NOT_ENCODING = (
    "The port was given the columns of R's model.matrix: how it makes them of raw rows is not"
    " judged (give encode=)"
)


@dataclass(frozen=True, eq=False)
class AnsweredRows:
    """The rows for a port (a PyTorch model), the user's followed by the drawn ones, and R's
    answers.

    The first `count` rows are the user's; 0 if none were given. `is_formula` says that the network
    was fitted by a formula: for a row with a missing value predict() then gives NA, else it stops.
    `has_factors` says that a raw column holds levels of a factor.
    """

    rows: Rows
    count: int
    answers: Answers
    is_formula: bool
    has_factors: bool


def make_truth(fit: FittedNet, network: Network, given: Given, answered: AnsweredRows) -> Truth:
    """Return the truth about the ports of a fitted object: the predictions, loss and weights that
    they shall reproduce.

    Raises ValueError if the user's arguments do not fit together.
    """
    tables = _make_tables(fit, network, given, answered)
    fitted_loss = None
    if given.targets is not None:
        fitted_loss = _make_fitted_loss(fit, given, answered, tables[0])
    return Truth(
        network,
        fit.wts,
        tables,
        fit.responses,
        Explanation(fit, callable(given.encode)),
        fitted_loss,
        fold_scaling(fit, tables[-1]),
        given.stored,
        _describe_limits(tables, given, answered),
        not given.prepare and given.predictions is None,
        {"call": fit.call, "digest": fit.digest},
        fit.classes,
        describe_shift(fit),
    )


def _make_tables(
    fit: FittedNet, network: Network, given: Given, answered: AnsweredRows
) -> Sequence[Table]:
    every = np.arange(len(answered.rows))
    yours, drawn = every[: answered.count], every[answered.count :]
    tables = []
    if len(yours):
        tables.append(_make_table(YOURS, fit, given, answered, yours))
    if len(drawn):
        tables.append(_make_table(DRAWN if len(yours) else SMALL, fit, given, answered, drawn))
    if given.predictions is None:
        return tables
    return [_with_predictions(tables[0], fit, network, given, answered)]


def _with_predictions(
    table: Table, fit: FittedNet, network: Network, given: Given, answered: AnsweredRows
) -> Table:
    """Return a copy of the table of the user's rows in which the predictions are those that R's own
    pipeline has written.

    The inputs of the network are those that give these predictions: R's inputs or, failing that,
    inputs scaled by mean and standard deviation of these rows. If neither gives them, the inputs
    are unknown.
    """
    written = read_predictions(given.predictions, answered.count, fit.topology.outputs)
    name = YOURS
    if written.digits < EXACT:
        name = f"{YOURS} (R's predictions have {written.digits} digits)"
    predictions, digits = written.predictions[table.places], written.error[table.places]
    table = replace(table, name=name, predictions=predictions, digits=digits)
    table = replace(table, is_written=answered.rows.is_written)
    known: Mask = np.atleast_1d(np.isfinite(predictions).all(axis=1))
    table = _drop_lost(table, known)
    assert table.inputs is not None
    scaled, sizes = _scale_by_own_rows(table.inputs)
    by_own_rows = replace(table, inputs=scaled, sizes=sizes, are_estimated=True)
    for candidate in (table, by_own_rows):
        if _gives_predictions(candidate, fit, network):
            return candidate
    if given.prepare:
        raise ValueError(
            "prepare= does not lead to predictions=: R predicts others from what it makes of the"
            " rows. Which of the two is of another model, or of other rows?"
        )
    most = np.arange(len(table.places)) < MOST_UNKNOWN
    return replace(_drop_lost(table, most), inputs=None)


def _drop_lost(table: Table, remaining: Mask) -> Table:
    """Return a copy of the table with only the rows in the mask `remaining` (R,)."""
    if remaining.all():
        return table
    return _part_of(table, np.flatnonzero(remaining))


def _part_of(table: Table, rows: Indices) -> Table:
    """Return a copy of the table with only the rows at these positions."""
    return replace(
        table,
        given=tuple(part[rows] for part in table.given),
        inputs=None if table.inputs is None else table.inputs[rows],
        predictions=table.predictions[rows],
        sizes=table.sizes[rows],
        places=table.places[rows],
        digits=None if table.digits is None else table.digits[rows],
        written=None if table.written is None else table.written[rows],
        classes=None if table.classes is None else table.classes[rows],
    )


def _scale_by_own_rows(inputs: Array) -> tuple[Array, Array]:
    """Return inputs scaled by R's scale() with their own mean and standard deviation, and the
    numbers of roundings in this times the sizes of the numbers.
    """
    with np.errstate(all="ignore"):
        centre, spread = inputs.mean(axis=0), inputs.std(axis=0, ddof=1)
        scaled = (inputs - centre) / spread
        sizes = (abs(inputs) + abs(centre)) / spread
    return scaled, (ROUNDINGS + inputs.shape[1] + 2 * len(inputs)) * sizes


def _gives_predictions(table: Table, fit: FittedNet, network: Network) -> bool:
    """Does the network compute a table's predictions from its inputs, within all bounds?"""
    if not np.isfinite(np.asarray(table.inputs)).all():
        return False
    truth = Truth(network, fit.wts, [table], fit.responses, Explanation(fit, False))
    bound = network.oracle(truth.problem(table, "float64"), R_CONTRACT)["forward"]
    allowed = 2 * bound.error[0] + np.asarray(table.digits)
    return bool((abs(bound.value[0] - table.predictions) <= allowed).all())


def _make_table(
    name: str, fit: FittedNet, given: Given, answered: AnsweredRows, places: Indices
) -> Table:
    rows, answers = answered.rows.part(places), answered.answers.part(places)
    whole = np.isfinite(answers.predictions).all(axis=1) & np.isfinite(answers.inputs).all(axis=1)
    complete, incomplete_rows = np.flatnonzero(whole), np.flatnonzero(~whole)
    if not len(complete):
        if answered.is_formula and not rows.are_missing.all():
            raise ValueError(
                f"R's formula gives NA for each of {name}, as as.numeric() of texts does (give the"
                " codes of the factor) and log() below 0"
            )
        raise ValueError(f"each of {name} has a missing value, expected one without")
    if name != YOURS or not answered.is_formula:
        # outside the formula's domain, or what R's predict() refuses
        incomplete_rows = incomplete_rows[:0]
    incomplete: tuple[Array, ...] = ()
    if len(incomplete_rows):
        incomplete = given.encoded(
            rows.part(incomplete_rows), answers.inputs[incomplete_rows], answered.has_factors
        )
    roundings = ROUNDINGS + len(rows.columns)
    return Table(
        name,
        given.encoded(rows.part(complete), answers.inputs[complete], answered.has_factors),
        answers.inputs[complete],
        answers.predictions[complete],
        roundings * answers.sizes[complete],
        complete,
        incomplete,
        incomplete_rows,
        written=FIFTEEN_DIGITS * (abs(answers.inputs[complete]) + answers.sizes[complete]),
        classes=find_classes(fit, answers.part(complete).labels, answers.predictions[complete]),
    )


def _make_fitted_loss(
    fit: FittedNet, given: Given, answered: AnsweredRows, table: Table
) -> FittedLoss:
    if not answered.count:
        raise ValueError("y was given without x, expected the rows on which nnet() was fitted")
    targets = given.target_rows(fit, answered.count)[table.places]
    weights = given.weights(answered.count)
    known = np.isfinite(targets).all(axis=1)
    if weights is not None:
        weights = weights[table.places]
        known &= np.isfinite(weights)
        weights = weights[known]
    rows = np.flatnonzero(known)  # nnet() leaves out rows with a missing value
    if not len(rows):
        raise ValueError("y has no number in a row without a missing value, expected some")
    part = _part_of(table, rows)
    decay: Any = fit.decay
    if (fit.decay == fit.decay[0]).all():
        decay = float(fit.decay[0])
    targets, weights = normalise(fit, targets[rows], weights)
    loss = Loss(decay=decay, weights=weights, error=fit.error)
    return FittedLoss(fit.value, rows, part, targets, loss, RELTEST)


def _is_scaling_open(given: Given) -> bool:
    return given.targets is None and not given.prepare and given.predictions is None


def _describe_limits(tables: Sequence[Table], given: Given, answered: AnsweredRows) -> str:
    """Return a text on the limits of the evidence in the verdicts."""
    sentences = []
    if tables[0].inputs is None:
        sentences.append(NOT_OF_THIS_FIT)
    if _is_scaling_open(given):
        sentences.append(NOT_SCALING)
    if given.takes_columns(answered.rows, answered.has_factors):
        sentences.append(NOT_ENCODING)
    yours = answered.answers.part(np.arange(answered.count))
    lost = int(np.isnan(yours.predictions).any(axis=1).sum())
    if lost and not answered.is_formula:
        sentences.append(
            f"{lost} rows with a missing value are left out: R's predict() refuses them"
        )
    return ". ".join(sentences)
