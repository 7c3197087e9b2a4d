"""Levenberg-Marquardt for a network with one hidden layer, from one start, in plain NumPy.

The method, the order of the weights and the letters are those of cases/levenberg.py, for logistic
hidden units and one output. Of one small fit torch spends most of the time on calling its
operations; NumPy spends less. From about five starts on the stack is faster.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cases.levenberg import ACCELERATED, FIRST, LAST

Array = NDArray[np.float64]


def fit(
    start: Array,
    x: Array,
    y: Array,
    *,
    output: float = 0.01,
    decay: float = 0.0,
    until: float = 0.0,
    tolerance: float = 1e-9,
    steps: int = 1000,
) -> tuple[Array, float, int]:
    """Fit the network from a start (T,) to inputs x (R, I) and targets y (R,).

    Return the final weights (T,), their loss and the number of steps. The other arguments are those
    of levenberg.fit; `output` is the element of S for the output weights, for one row.
    """
    inputs = np.vstack([np.ones(len(x)), x.T])
    wide, rows = inputs.shape
    of_W = (len(start) - 1) // (wide + 1) * wide  # the number of weights in W
    squares = (inputs**2).sum(1)
    S = np.full(len(start), output * rows)
    S[:of_W] = np.tile(np.where(squares > 0, squares, 1.0), of_W // wide)
    J = np.ones((len(start), rows))  # transposed; the row of the output's bias stays 1
    theta, damping = start, FIRST
    h, loss = _evaluate(theta, of_W, inputs, y, decay)
    taken = 0
    ...
