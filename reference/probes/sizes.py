"""Scales the parameters of drawn problems, so that each layer's numbers have a wanted size.

In shapes, D counts draws (problems of a stack), R rows of data, I inputs of all groups, T the
network's parameters (theta), and P own parameters.
"""

import numpy as np
from numpy.typing import NDArray

from harness.arithmetic.plain import Plain, Values
from harness.core.contract import Array, Contract
from harness.core.formulation import Formulation
from reference.mathematics.equations import equations_of, outputs
from reference.mathematics.tape import Node, Places, Tape

SMOOTH = ("tanh", "logistic")  # they level off: their arguments and their values differ in size


class _Layers(Tape[Values]):
    """A tape that notes the layers: the name and the argument of each activation, and the product
    of each block of weights.
    """

    def __init__(self, draws: int, rows: int) -> None:
        super().__init__(Plain(Contract()), draws, rows)
        self.layers: list[tuple[str, Node[Values]]] = []
        self.activated: set[Node[Values]] = set()
        self.products: dict[Node[Values], tuple[Node[Values], Node[Values]]] = {}

    def act(self, name: str, z: Node[Values]) -> Node[Values]:
        """Note the activation, and return it."""
        if name == "identity":
            return z
        self.layers.append((name, z))
        activated = super().act(name, z)
        self.activated.add(activated)
        return activated

    def affine(
        self, x: Node[Values], W: Node[Values], b: Node[Values] | None = None
    ) -> Node[Values]:
        """Note the product, and return the affine map."""
        product = super().affine(x, W)
        self.products[product] = x, W
        return product if b is None else self.add(b, product)

    def weigh(self, x: Node[Values], A: Node[Values]) -> Node[Values]:
        """Note the product, and return the affine map."""
        product = super().weigh(x, A)
        self.products[product] = x, A
        return product

    def find_blocks(self, node: Node[Values]) -> list[Places]:
        """Return the places in theta of the parameters by which a layer's argument can be scaled.

        In a product of several blocks without activation between them, it is the last block.
        """
        if node.places is not None:
            return [node.places]
        if node in self.activated:
            return []
        if node in self.products:
            x, W = self.products[node]
            return self.find_blocks(W) or self.find_blocks(x)
        found: list[Places] = []
        for parent, _ in node.pulls:
            found += self.find_blocks(parent)
        return found


def scale_layers(
    formulation: Formulation, own: Array, inputs: Array, arguments: Array, values: Array
) -> Array:
    """Return own parameters (D, P), scaled by powers of two, layer by layer.

    The largest argument of each tanh and logistic becomes about as large as `arguments` (D,), and
    the largest number of all other layers about as large as `values` (D,), at inputs (D, R, I).
    """
    layer = 0
    while True:
        tape = _Layers(*inputs.shape[:2])
        network = equations_of(formulation.network)
        *_, output = outputs(tape, network, formulation.theta(own), inputs)
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
        factors = np.ones((len(own), network.layout.size))
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
