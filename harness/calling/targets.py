"""Makes targets that suit a loss (classes, sets of classes or shares) from random numbers.

In shapes, D counts draws (problems of a stack), R rows of data, O outputs of all heads, and K
outputs of one head (output tensor).
"""

from collections.abc import Sequence

import numpy as np

from harness.core.contract import Array
from harness.core.loss import OF_A_ROW, Loss


def suit_targets(loss: Loss, widths: Sequence[int], drawn: Array) -> Array:
    """Return targets (problems, rows, outputs) that suit a loss, made from random numbers `drawn`
    of that shape.

    `widths` are the numbers of outputs of the heads (output tensors). Numbers that suit the loss
    already are returned unchanged.
    """
    if loss.is_squares:
        return drawn
    loss.expect_heads(tuple(widths))
    parts = []
    heads = np.split(drawn, np.cumsum(widths)[:-1], axis=-1)
    for error, part in zip(loss.errors(len(widths)), heads, strict=True):
        parts.append(_suit_head(error, loss.targets, part))
    return np.concatenate(parts, axis=-1)


def _suit_head(error: str, kind: str, drawn: Array) -> Array:
    """Return the targets (D, R, K) of one head, made from the random numbers `drawn`.

    `error` is the name of the head's error, and `kind` the kind of targets, as in `Loss`.
    """
    if error == "squares":
        return drawn
    largest = drawn.argmax(axis=-1)[..., None] == np.arange(drawn.shape[-1])
    if error == "censored":
        return np.asarray((drawn > 0) | largest, dtype=np.float64)
    if kind == "shares":
        size = abs(drawn)
        return np.asarray(np.where(size <= 1, size, size - np.floor(size)))
    chosen = largest if error in OF_A_ROW else drawn > 0
    return np.asarray(chosen, dtype=np.float64)
