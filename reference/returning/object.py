"""The weights of an object of nnet() or multinom(), computed from the weights of its port.

In shapes, T counts weights of the port's network, and S those of the object.
"""

from __future__ import annotations

import numpy as np

from harness.core.contract import Array
from reference.rds.classes import places_of
from reference.rds.fit import FittedNet


def remove_baseline(net: FittedNet, theta: Array) -> Array:
    """Return weights (T,) with the same probabilities as theta, in which all weights of
    multinom()'s first class are 0.

    R's coef() and summary() need this. Raises ValueError for biases if multinom() was fitted
    without an intercept.
    """
    if not net.is_multinom:
        return theta
    rows = theta.reshape(net.topology.outputs, -1)
    if len(rows) > 1 and rows[0].any():
        rows = rows - rows[0]
    if not net.has_ones and rows[:, 0].any():
        raise ValueError(
            f"output.bias holds {rows[:, 0][rows[:, 0] != 0][0]:g}, expected 0: multinom() was"
            " fitted without an intercept, and R's coef() would not show it"
        )
    return rows.ravel()


def to_wts(net: FittedNet, theta: Array) -> Array:
    """Return the weights (S,) in the form of R's object. If multinom() made it, biases of the port
    become weights of the object's column of ones.
    """
    top = net.topology
    if not net.has_ones:
        return theta
    wts = np.zeros(top.outputs * (2 + top.inputs))
    wts[places_of(top.inputs, top.outputs)] = theta
    return wts
