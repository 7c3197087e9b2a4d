"""Targets of the fitted rows: numbers, or labels of classes.

In shapes, R counts rows and O outputs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.core.contract import Array
from reference.rds.fit import FittedNet
from reference.rds.rows import Column, Rows, list_names


def read_targets(fit: FittedNet, columns: Sequence[Column]) -> Array:
    """Return the targets (R, O) of columns.

    They are numbers, or one column of labels: a label becomes 1 for its class and 0 for the others.
    Labels are texts, or numbers that are names of the classes. A missing label gives a row of NaN.
    R counts rows and O outputs. Raises ValueError for a label that is no class, and for another
    number of columns.
    """
    outputs = fit.topology.outputs
    if len(columns) == 1 and _is_of_classes(fit, columns[0]):
        return _read_labels(fit, columns[0])
    for column in columns:
        if isinstance(column, tuple):
            raise ValueError(f"y is a column of texts, as {column[0]!r:.40}, expected numbers")
    targets = np.stack([np.asarray(column) for column in columns], axis=1)
    if len(columns) != outputs:
        raise ValueError(
            f"y has {len(columns)} column{'s' * (len(columns) > 1)}, expected one for each output:"
            f" {', '.join(fit.responses)}"
        )
    return targets


def _read_labels(fit: FittedNet, column: Column) -> Array:
    outputs = fit.topology.outputs
    texts = Rows({"y": column}).as_texts(["y"]).texts_of("y")
    targets = np.full((len(texts), outputs), np.nan)
    for row, text in enumerate(texts):
        if text is None:
            continue
        if text not in fit.classes:
            raise ValueError(
                f"row {row} of y is {text!r}, expected one of the classes that the fit has:"
                f" {list_names(fit.classes)}"
            )
        place = fit.classes.index(text)
        targets[row] = place if outputs == 1 else np.arange(outputs) == place
    return targets


def _is_of_classes(fit: FittedNet, column: Column) -> bool:
    """Does a column hold labels of classes?

    Numbers are labels if there are several outputs; if there is one, they are labels if all of them
    are names of the two classes.
    """
    if not fit.classes:
        return False
    if isinstance(column, tuple) or fit.topology.outputs > 1:
        return True
    texts = Rows({"y": column}).as_texts(["y"]).texts_of("y")
    return all(text is None or text in fit.classes for text in texts)


def normalise(fit: FittedNet, targets: Array, weights: Array | None) -> tuple[Array, Array | None]:
    """Return targets (R, O) and case weights (R,) in the form in which nnet() gets them.

    multinom() divides counts by their sum, and multiplies the weight by it. R counts rows and O
    outputs.
    """
    total = targets.sum(axis=1)
    if not fit.is_multinom or fit.error != "softmax" or (total == 1).all():
        return targets, weights
    return targets / total[:, None], total if weights is None else weights * total
