"""The classes of R's predict(type="class"), and ties, in which R draws a class at random.

In shapes, R counts rows and O outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.core.contract import Array, Indices, Mask
from harness.shipped.classes import most_probable
from reference.r.session import RSession
from reference.rds.fit import FittedNet
from reference.rds.rows import Rows

TIE = 1e-5  # relative to the largest probability (max.col in R): R draws one of those within it
Labels = tuple[str | None, ...]


def find_labels(
    fit: FittedNet,
    rows: Rows,
    predictions: Array,
    session: RSession | None,
    path: Path,
    prepare: str,
    trust: bool,
) -> Labels:
    """Return the classes of rows, from R if there is a session, else computed; empty if the fit has
    no classes.
    """
    if not fit.classes or not fit.lev:
        return ()
    if session is None:
        return compute_labels(fit, predictions)
    return ask_labels(session, path, prepare, trust, rows)


def ask_labels(session: RSession, path: Path, prepare: str, trust: bool, rows: Rows) -> Labels:
    """Return R's class of each row, None for a row with a missing value. Raises RError."""
    columns = []
    for column in rows.columns.values():
        columns.append(list(column) if isinstance(column, tuple) else column)
    arguments = list(rows.columns), columns, prepare or None, float(trust)
    texts, missing = session.call("ask_classes", str(path.absolute()), *arguments)
    named = zip(texts, np.atleast_1d(missing), strict=True)
    return tuple(None if is_missing else str(text) for text, is_missing in named)


def compute_labels(fit: FittedNet, predictions: Array) -> Labels:
    """Return the name of the most probable class of each row, None for a row of NaN."""
    labels: list[str | None] = []
    for row, place in zip(predictions, most_probable(predictions), strict=True):
        labels.append(None if np.isnan(row).any() else fit.lev[place])
    return tuple(labels)


def find_classes(
    fit: FittedNet, labels: Sequence[str | None], predictions: Array
) -> Indices | None:
    """Return the number of R's class for each row (R,): -1 for a tie and for a missing value.

    Return None if the fit has no classes. R names its classes by all levels of the response. They
    are counted here, so that an empty level does not shift them.
    """
    if not fit.classes or not labels:
        return None
    places = {name: place for place, name in enumerate(fit.lev)}
    numbers = np.array([places.get(label or "", -1) for label in labels], dtype=np.intp)
    return np.where(are_ties(predictions), -1, numbers)


def are_ties(predictions: Array) -> Mask:
    """Return a mask of the rows whose two most probable classes have probabilities that are equal
    within TIE.
    """
    both = predictions
    if predictions.shape[1] == 1:
        both = np.hstack([1 - predictions, predictions])
    ordered = np.sort(both, axis=1)
    return np.asarray(ordered[:, -1] - ordered[:, -2] <= 2 * TIE * ordered[:, -1])


def describe_shift(fit: FittedNet) -> str:
    """Return a sentence if R's predict(type="class") gives wrong names, because a level of the
    response is empty; else "".
    """
    if len(fit.classes) < 2 or fit.lev == fit.classes:
        return ""
    wrong = next(place for place, name in enumerate(fit.classes) if fit.lev[place] != name)
    return (
        f'R\'s predict(type="class") says {fit.lev[wrong]} where {fit.classes[wrong]} is most'
        f" probable: a level of the response was empty ({', '.join(fit.lev)}), which shifts R's"
        f" names. The right ones are those of the columns: {', '.join(fit.classes)}"
    )
