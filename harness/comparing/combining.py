"""Combines rows of outputs, with a bound on the result.

In shapes, D counts draws (problems of a stack), R rows of data and O outputs.
"""

from collections.abc import Sequence

import numpy as np

from harness.comparing.judge import Side
from harness.core.contract import Array, Bounded

HARNESS_ROUNDOFF = 2.0**-53  # the harness combines answers in float64


def contrast(side: Side, rows: Sequence[float], on_logits: bool = False) -> Bounded:
    """Return the linear combination (D, O) of the rows of a side's outputs (D, R, O), with its
    bound.

    `rows` (R,) are the factors of the rows. With `on_logits`, the logistic's arguments are
    combined, not the outputs that the logistic gave.
    """
    answer, error = side.answer, side.oracle.error
    if on_logits:
        with np.errstate(divide="ignore", invalid="ignore"):
            answer, spread = (
                _logit(answer),
                [_logit(np.clip(answer + s * error, 0, 1)) for s in (-1, 1)],
            )
            error = np.maximum(spread[1] - answer, answer - spread[0]) + 16 * HARNESS_ROUNDOFF * (
                1 + abs(answer)
            )
    weights = np.asarray(rows)
    value = np.einsum("r,dro->do", weights, answer)
    size = np.einsum("r,dro->do", abs(weights), abs(answer))
    return Bounded(
        value, np.einsum("r,dro->do", abs(weights), error) + len(weights) * HARNESS_ROUNDOFF * size
    )


def _logit(p: Array) -> Array:
    result: Array = np.log(p) - np.log1p(-p)
    return result
