"""Levenberg-Marquardt for a network with one hidden layer, from one start, in plain NumPy.

The method, the letters and the order of the weights are those of cases/levenberg.py, for logistic
hidden units and one output. From a single start torch spends its time on calling operations, and
this is faster.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ACCELERATED, FIRST, LAST = 0.75, 0.02, 1e16  # as in cases/levenberg.py
Array = NDArray[np.float64]


def expect_data(start: Array, x: Array, y: Array) -> None:
    """Raise ValueError unless shapes and numbers are as fit asks for."""
    shapes = " and ".join(str(each.shape) for each in (start, x, y))
    if start.ndim != 1 or x.ndim != 2 or y.shape != x.shape[:1]:
        raise ValueError(
            f"start, x and y are {shapes}, expected (T,), (R, I) and (R,): of a column write"
            " y[:, 0], of a single input x[:, None]"
        )
    wide = 1 + x.shape[1]
    if (len(start) - 1) % (wide + 1):
        raise ValueError(
            f"{len(start)} weights, expected H * {wide} + 1 + H for H hidden units: one output"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("x or y has a number that is not finite: leave such rows out")


@np.errstate(over="ignore")  # exp(710) is infinite, and its unit 0
def fit(
    start: Array,
    x: Array,
    y: Array,
    *,
    damping_of_outputs: float = 0.01,
    decay: float = 0.0,
    until: float = 0.0,
    least_gain: float = 1e-8,
    steps: int = 1000,
) -> tuple[Array, float, int]:
    """Fit the network from a start (T,) to inputs x (R, I) and targets y (R,); return the final
    weights (T,), their loss and the number of steps.

    `damping_of_outputs` is the element of S for the output weights, divided by the number of rows.
    The other arguments are those of levenberg.fit. Raises ValueError for other shapes.
    """
    start, x, y = (np.asarray(each, dtype=np.float64) for each in (start, x, y))
    expect_data(start, x, y)
    inputs = np.vstack([np.ones(len(x)), x.T])
    wide, rows = inputs.shape
    cut = (len(start) - 1) // (wide + 1) * wide  # the weights in W
    squares = (inputs**2).sum(1)
    S = np.full(len(start), damping_of_outputs * rows)
    S[:cut] = np.tile(np.where(squares > 0, squares, 1.0), cut // wide)

    def evaluate(theta: Array) -> tuple[Array, Array, float]:
        h = 1 / (1 + np.exp(-(theta[:cut].reshape(-1, wide) @ inputs)))
        r = theta[cut + 1 :] @ h + (theta[cut] - y)
        return h, r, float(r @ r + decay * (theta @ theta))

    theta, damping, gain, taken, count = start, FIRST, np.inf, True, 0
    h, r, loss = evaluate(theta)
    Jt = np.ones((len(start), rows))  # the row of the output's bias stays 1
    while until < loss < np.inf and gain > least_gain and damping < LAST and count < steps:
        if taken:
            slope, V = h * (1 - h), theta[cut + 1 :, None]
            Jt[:cut] = ((V * slope)[:, None] * inputs).reshape(cut, rows)
            Jt[cut + 1 :] = h
            by_theta, JtJ = Jt @ r + decay * theta, Jt @ Jt.T
        A = JtJ.copy()
        A.flat[:: len(A) + 1] += decay + damping * S
        v = np.linalg.solve(A, -by_theta)
        dz = v[:cut].reshape(-1, wide) @ inputs
        curve = (slope * dz * (2 * v[cut + 1 :, None] + V * (1 - 2 * h) * dz)).sum(0)
        a = np.linalg.solve(A, Jt @ curve) / -2
        length = v * v @ S
        predicted = damping * length - by_theta @ v
        trial = theta + v + (a if a * a @ S <= ACCELERATED**2 * length else 0)
        new_h, new_r, new = evaluate(trial)
        ratio, gain, count = (loss - new) / predicted, predicted / loss, count + 1
        taken = new < loss
        damping *= max(1 / 3, 1 - (2 * ratio - 1) ** 3) if taken else 2
        if taken:
            theta, h, r, loss = trial, new_h, new_r, new
    return theta, loss, count
