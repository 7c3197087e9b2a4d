"""Scales the parameters of drawn problems, so that each layer's numbers have a wanted size.

In shapes, D counts draws (problems of a stack), R rows of data, I inputs of all groups, T the
network's parameters (theta), and P own parameters.
"""

from collections.abc import Callable

import numpy as np

from harness.core.contract import Array, Indices
from harness.core.formulation import Formulation
from reference.mathematics.layers import Layers

# From the name of an activation ("identity" for outputs without one) and the sizes (D,) of the
# numbers of the layer before, to the sizes of the layer's numbers or of the activation's arguments.
Wanted = Callable[[str, Array], Array]


def scale_layers(
    formulation: Formulation, own: Array, inputs: Array, wanted: Wanted, biases: Array
) -> Array:
    """Return a copy of the own parameters (D, P), scaled by powers of two, layer by layer.

    At inputs (D, R, I), the largest number of each layer becomes about as large as the result of
    `wanted`. The biases become about `biases` (D,) times as large as all other summands. NaN in
    either leaves the size unchanged. If all units of a ReLU layer are 0, its parameters change
    their sign. D counts draws (problems of a stack), P own parameters (a model's tensors,
    flattened), R rows of data and I inputs of all groups.
    """
    layer, before = 0, abs(inputs).max(axis=(1, 2))
    while True:
        tape = Layers(*inputs.shape[:2])
        theta = formulation.theta(own)
        output = tape.read(formulation.network, theta, inputs)
        layers = tape.layers
        if output not in tape.activated:
            layers = [*layers, ("identity", output)]
        if layer == len(layers):
            return own
        name, argument = layers[layer]
        before = wanted(name, before)
        factors = np.ones_like(theta)
        products = argument.value
        if argument.bias is not None:
            bias = theta[:, argument.bias]
            products = products - bias[:, None]
        sign = np.ones(len(own))
        if name == "relu":
            sign = np.where(argument.value.max(axis=(1, 2)) > 0, 1.0, -1.0)
        scale = sign * _find_powers(before / np.maximum(biases, 1.0), products)
        for places in tape.find_blocks(argument):
            factors[:, places[places >= 0]] = scale[:, None]
        if argument.bias is not None:
            scale = sign * _find_powers(before * np.minimum(biases, 1.0), bias)
            factors[:, argument.bias] = np.where(biases == 0, 0.0, scale)[:, None]
        own = own * reach_own(formulation, factors)
        layer += 1


def _find_powers(wanted: Array, numbers: Array) -> Array:
    """Return powers of two (D,) that scale the largest of the numbers (D, ...) to the wanted sizes
    (D,); 1 if all numbers are 0.

    D counts draws (problems of a stack).
    """
    size: Array = abs(numbers).reshape(len(numbers), -1).max(axis=1)
    usable = (size > 0) & (wanted > 0)
    powers: Array = np.ones(len(numbers))
    powers[usable] = 2.0 ** np.round(np.log2(wanted[usable] / size[usable]))
    return powers


def reach_own(formulation: Formulation, factors: Array) -> Array:
    """Return a factor for each own parameter (D, P): the smallest of the factors (D, T) of those
    network parameters (theta) that depend on it; 1 if there are none.

    D counts draws (problems of a stack), P own parameters (a model's tensors, flattened) and T the
    network's parameters.
    """
    back = formulation.matrix.transpose
    entered: Indices = np.append(back.columns, factors.shape[1])
    padded = np.pad(factors, ((0, 0), (0, 1)), constant_values=1.0)
    smallest = np.minimum.reduceat(padded[:, entered], back.starts, axis=1)[:, :-1]
    return np.where(back.entries > 0, smallest, 1.0)
