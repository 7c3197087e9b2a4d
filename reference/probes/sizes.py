"""Scales the parameters of drawn problems, so that each layer's numbers have a wanted size.

In shapes, D counts draws (problems of a stack), R rows of data, I inputs of all groups, T the
network's parameters (theta), and P own parameters.
"""

import numpy as np
from numpy.typing import NDArray

from harness.core.contract import Array
from harness.core.formulation import Formulation
from reference.mathematics.layers import Layers

SMOOTH = ("tanh", "logistic")  # they level off: their arguments and their values differ in size


def scale_layers(
    formulation: Formulation, own: Array, inputs: Array, arguments: Array, values: Array
) -> Array:
    """Return own parameters (D, P), scaled by powers of two, layer by layer.

    The largest argument of each tanh and logistic becomes about as large as `arguments` (D,), and
    the largest number of all other layers about as large as `values` (D,), at inputs (D, R, I).
    """
    layer = 0
    while True:
        tape = Layers(*inputs.shape[:2])
        output = tape.read(formulation.network, formulation.theta(own), inputs)
        layers = tape.layers
        if output not in tape.activated:
            layers = [*layers, ("identity", output)]
        if layer == len(layers):
            return own
        name, argument = layers[layer]
        wanted = arguments if name in SMOOTH else values
        size = abs(argument.value).max(axis=(1, 2))
        factor = np.ones_like(size)
        factor[size > 0] = 2.0 ** np.round(np.log2(wanted[size > 0] / size[size > 0]))
        factors = np.ones((len(own), formulation.network.layout.size))
        for places in tape.find_blocks(argument):
            factors[:, places[places >= 0]] = factor[:, None]
        own = own * reach_own(formulation, factors)
        layer += 1


def reach_own(formulation: Formulation, factors: Array) -> Array:
    """Return a factor for each own parameter (D, P): the smallest of those (D, T) of the entries of
    theta that it enters; 1 if it enters none.
    """
    back = formulation.matrix.transpose
    entered: NDArray[np.intp] = np.append(back.matrix.indices, factors.shape[1])
    padded = np.pad(factors, ((0, 0), (0, 1)), constant_values=1.0)
    smallest = np.minimum.reduceat(padded[:, entered], back.matrix.indptr[:-1], axis=1)
    return np.where(back.entries > 0, smallest, 1.0)
