"""Equivalent weights of a softmax: adding the same numbers to the weights of all classes gives the
same function.
"""

from __future__ import annotations

import numpy as np

from harness.core.contract import Array
from harness.core.formulation import Family
from harness.shipped.truth import Equivalent

WORDS = "with the same added to the weights of all classes, which is the same function"
ROUNDINGS = 4  # of a difference and a sum, here and in the port


def shift_classes(network: Family, theta: Array, fitted: Equivalent) -> Equivalent | None:
    """Return a copy of the fitted weights, shifted equally for all classes so that the first class
    has its weights from theta.

    Return None if the outputs are no softmax, or if nothing changes.
    """
    if network.activations[1] != "softmax":
        return None
    shifted, error = fitted.theta.copy(), fitted.error.copy()
    for block in network.layout.blocks:
        if block.layer != 2:
            continue
        places = block.places.reshape(len(block.places), -1)
        first = places[0]
        shift = theta[first] - fitted.theta[first]
        size = abs(theta[first]) + abs(fitted.theta[first]) + abs(fitted.theta[places])
        shifted[places] = fitted.theta[places] + shift
        error[places] = fitted.error[places] + ROUNDINGS * 2.0**-53 * size
        shifted[first] = theta[first]
    if np.array_equal(shifted, fitted.theta):
        return None
    return Equivalent(fitted.words, shifted, error)
