"""The loss of a port's predictions on the fitted rows, computed from them as nnet does (`E` and
`fpass` in nnet.c).

In shapes, R counts rows and O outputs.
"""

from __future__ import annotations

import numpy as np

from harness.core.contract import NNET_FLOOR, NNET_LOST, Array


def errors_of(error: str, p: Array, t: Array) -> Array:
    """Return the errors, of each output (R, O) or of each row (R, 1), of predictions p (R, O)
    against targets t (R, O).

    R counts rows and O outputs.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if error == "entropy":
            return _entropy(p, t) + _entropy(1 - p, 1 - t)
        if error == "softmax":
            costs = np.where(p == 0, NNET_LOST, -t * np.log(p))
            return np.where(t > 0, costs, 0.0)
        if error == "censored":
            chosen = np.where(t == 1, p, 0.0).sum(axis=1, keepdims=True)
            return np.where(chosen == 0, NNET_LOST, -np.log(chosen))
    residuals = p - t
    return residuals**2


def _entropy(p: Array, t: Array) -> Array:
    """Return t log(t / p) for targets t and predictions p; 0 for a target that is not positive."""
    terms: Array = -t * (np.log(p + NNET_FLOOR) - np.log(t))
    return np.where(t > 0, terms, 0.0)


def target_slopes(error: str, p: Array, t: Array, p_error: Array) -> Array:
    """Return the largest derivative (R, O) of a classification error by its targets, for
    predictions within p_error of p.

    R counts rows and O outputs.
    """
    lowest = np.maximum(p - p_error, NNET_FLOOR)
    slopes: Array = abs(np.log(lowest))
    if error == "entropy":
        others = np.maximum(1 - p - p_error, NNET_FLOOR)
        inside = np.clip(t, NNET_FLOOR, 1.0)
        slopes = slopes + abs(np.log(others)) + abs(np.log(inside))
        slopes = slopes + abs(np.log(np.maximum(1 - inside, NNET_FLOOR)))
    return slopes
