"""The layers of a network at given parameters and inputs: the arguments of its activations, and its
outputs.

In shapes, D counts draws (problems of a stack), R rows of data, and O outputs.
"""

import numpy as np

from harness.arithmetic.plain import Plain, Values
from harness.core.contract import Array, Contract
from harness.core.formulation import Family
from harness.core.problem import Problem
from reference.mathematics.equations import equations_of, outputs
from reference.mathematics.nodes import Node, Places
from reference.mathematics.tape import Tape


class Layers(Tape[Values]):
    """A tape in ordinary arithmetic that stores the layers: the name and the argument of each
    activation, and the product of each block of weights.
    """

    def __init__(self, draws: int, rows: int) -> None:
        super().__init__(Plain(Contract()), draws, rows)
        self.layers: list[tuple[str, Node[Values]]] = []
        self.activated: set[Node[Values]] = set()
        self.products: dict[Node[Values], tuple[Node[Values], Node[Values]]] = {}

    def read(self, network: Family, theta: Array, inputs: Array) -> Node[Values]:
        """Compute a network at theta (D, T), its parameters, and inputs (D, R, I), and return its
        outputs.

        D counts draws (problems of a stack), T the network's parameters, R rows of data and I
        inputs.
        """
        *_, output = outputs(self, equations_of(network), theta, inputs)
        return output

    def act(self, name: str, z: Node[Values]) -> Node[Values]:
        """Store the activation, and return it."""
        if name == "identity":
            return z
        self.layers.append((name, z))
        activated = super().act(name, z)
        self.activated.add(activated)
        return activated

    def affine(
        self, x: Node[Values], W: Node[Values], b: Node[Values] | None = None
    ) -> Node[Values]:
        """Store the product with the weights W, and return the affine map."""
        product = super().affine(x, W)
        self.products[product] = x, W
        return product if b is None else self.add(b, product)

    def weigh(self, x: Node[Values], A: Node[Values]) -> Node[Values]:
        """Store the product with the block's weights, and return the affine map."""
        product = super().weigh(x, A)
        self.products[product] = x, A
        return product

    def find_blocks(self, node: Node[Values]) -> list[Places]:
        """Return the positions in theta of the parameters by which a layer's argument can be
        scaled.

        In a product of several blocks without an activation between them, these are the last
        block's.
        """
        if node.places is not None:
            return [node.places]
        if node in self.activated:
            return []
        if node in self.products:
            x, W = self.products[node]
            return self.find_blocks(W) or self.find_blocks(x)
        blocks: list[Places] = []
        for parent, _ in node.pulls:
            blocks += self.find_blocks(parent)
        return blocks


def compute_layers(problem: Problem) -> tuple[list[Array], Array]:
    """Return the arguments of each activation, (D, R, width) each, and the outputs (D, R, O).

    D counts draws (problems of a stack), R rows of data and O outputs.
    """
    tape = Layers(problem.draws, problem.rows)
    with np.errstate(all="ignore"):
        output = tape.read(problem.network, problem.theta, problem.inputs)
    return [np.asarray(z.value) for _, z in tape.layers], np.asarray(output.value)
