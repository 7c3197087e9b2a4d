"""Makes a loss's targets from a user's: numbers, or labels of classes.

In shapes, R counts rows of data, O outputs of all heads, and K outputs of one head.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from harness.core.contract import Array
from harness.core.loss import OF_A_ROW, Loss
from harness.text.harmless import shown


def encode_targets(loss: Loss, widths: Sequence[int], given: ArrayLike) -> Array:
    """Return targets (R, O) from a user's: numbers of that shape, or labels (R,) of one head.

    Labels are integers from 0: the classes of an error "softmax", or 0 and 1 for one output. R
    counts rows of data and O outputs of all heads. Raises ValueError for labels that are no class,
    and for targets that the errors do not allow.
    """
    loss.expect_heads(tuple(widths))
    targets = np.asarray(given)
    if targets.ndim == 1 and len(widths) == 1 and not loss.is_squares:
        return _encode_labels(loss, widths[0], targets)
    targets = np.asarray(targets, dtype=np.float64)
    if targets.ndim != 2 or targets.shape[1] != sum(widths):
        return targets
    for number, error in enumerate(loss.errors(len(widths))):
        start = sum(widths[:number])
        _expect_range(error, targets[:, start : start + widths[number]])
    return targets


def _encode_labels(loss: Loss, width: int, labels: Array) -> Array:
    """Return targets (R, K) of one head (an output tensor) from labels (R,).

    R counts rows of data and K outputs of one head.
    """
    is_number = np.issubdtype(labels.dtype, np.number) or labels.dtype == bool
    classes = max(2, width)
    if not is_number or not np.isin(labels, np.arange(classes)).all():
        wrong = labels[~np.isin(labels, np.arange(classes))] if is_number else labels
        label = wrong.tolist()[0]
        raise ValueError(
            f"targets hold the label {shown(label, 40)}, expected whole numbers from 0 to"
            f" {classes - 1}: the numbers of the classes, in the order of the outputs"
        )
    if width == 1:
        return np.asarray(labels, dtype=np.float64)[:, None]
    return np.asarray(labels[:, None] == np.arange(width), dtype=np.float64)


def _expect_range(error: str, targets: Array) -> None:
    """Raise ValueError for targets (R, K) that an error does not allow.

    R counts rows of data and K outputs of one head.
    """
    if error == "squares":
        return
    low, high = (0.0, np.inf) if error in OF_A_ROW else (0.0, 1.0)
    wrong = np.argwhere(~((targets >= low) & (targets <= high)))
    if len(wrong):
        row, column = wrong[0].tolist()
        limits = "from 0 to 1" if high == 1 else "from 0"
        raise ValueError(
            f"targets hold {targets[row, column]:g} in row {row}, expected numbers {limits} for the"
            f" error {error!r}: nnet drops terms of others without a word"
        )
