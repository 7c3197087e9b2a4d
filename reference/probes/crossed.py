"""Probes (parameters and data for a comparison) that show whether groups of inputs interact."""

from dataclasses import dataclass

import numpy as np

from harness.core.formulation import Formulation
from harness.core.loss import Loss
from harness.core.numpy_errors import ours
from harness.core.problem import Problem
from reference.mathematics.network import Network
from reference.probes.draws import Draw


@dataclass(frozen=True)
class Crossed:
    """Four rows of inputs that cross two values of the first group with two values of all other
    groups.

    With values a, b of the first group and c, d of the others, the rows are (a, c), (b, c), (a, d),
    (b, d). Weights are small. For ReLU outputs the output biases are large, so that every output is
    above 0.
    """

    seed: int = 0
    draws: int = 30

    @ours()
    def __call__(self, formulation: Formulation) -> list[Problem]:
        network = formulation.network
        if not isinstance(network, Network):
            raise ValueError(
                f"Crossed asks a Network with one hidden layer, not {network.sentence()}: write own"
                " probes"
            )
        draw = Draw("crossed", formulation, [self.seed], self.draws, 2, Loss())
        pairs, _ = draw.data(1)
        first = network.inputs[0]
        inputs = np.concatenate([pairs, pairs], axis=1)
        inputs[:, 2:, first:] = pairs[:, ::-1, first:]
        inputs = inputs[:, [0, 3, 2, 1]]
        own = draw.random_own(0.5)
        if network.output == "relu":
            for block in network.layout.blocks:
                if block.role == "bias" and block.layer == 2:
                    own[:, formulation.leads[block.places]] = 64.0
        return [draw.problem(own, inputs, np.ones((self.draws, 4, sum(network.outputs))))]
