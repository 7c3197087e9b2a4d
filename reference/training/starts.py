"""Functions that return the starts of training: the own parameters with which training begins.

The i-th start does not depend on the number of starts. theta is the vector of the network's T
parameters in nnet's order. Own parameters are a model's own tensors, flattened.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from harness.core.contract import Array
from harness.core.formulation import Formulation
from harness.core.layout import Block
from harness.training.trainer import Start
from reference.mathematics.network import Network


def uniform(reach: float = 0.7, seed: int = 0) -> Start:
    """Return a function that draws starts: theta is drawn uniformly from -reach to reach, as nnet's
    `rang` does.

    All formulations of a network start at the same theta, the network's parameters.
    """
    return _drawn(seed, lambda rng, size: rng.uniform(-reach, reach, size))


def normal(seed: int = 0) -> Start:
    """Return a function that draws starts: theta, the network's parameters, is drawn from the
    standard normal distribution, as by torch.randn.
    """
    return _drawn(seed, lambda rng, size: rng.standard_normal(size))


def linear(seed: int = 0) -> Start:
    """Return a function that draws starts as torch.nn.Linear does: weights and biases uniformly
    from -r to r, with r = 1 / sqrt(number of the layer's inputs).
    """

    def start(formulation: Formulation, count: int) -> Array:
        network = formulation.network
        if not isinstance(network, Network):
            raise ValueError(
                f"starts.linear knows one hidden layer, not {network.sentence()}: choose"
                " starts.uniform()"
            )
        reach = [_count_inputs(network, block) ** -0.5 for block in network.layout.blocks]
        each = np.array(reach)[network.layout.owners]
        draw = _drawn(seed, lambda rng, size: rng.uniform(-1, 1, size) * each)
        return draw(formulation, count)

    return start


def _count_inputs(network: Network, block: Block) -> int:
    """Return the number of inputs of the torch.nn.Linear that would hold a block (a parameter
    tensor).

    Skip connections are a layer of their own, which has the outputs' biases if there are no hidden
    units.
    """
    reads_hidden_units = block.layer == 2 and block.group is None and network.hidden > 0
    return network.hidden if reads_hidden_units else sum(network.inputs)


def given(theta: ArrayLike) -> Start:
    """Return a function that returns the same theta (T,), the network's parameters, for every
    start.
    """
    return _drawn(0, lambda rng, size: np.broadcast_to(np.asarray(theta, np.float64), (size,)))


def _drawn(seed: int, draw: Callable[[np.random.Generator, int], Array]) -> Start:
    """Return a function that returns starts: own parameters for which theta, the network's
    parameters, is the result of `draw`.

    Own parameters that are not needed for this, or that are held at 0, are 0.
    """

    def start(formulation: Formulation, count: int) -> Array:
        leads = formulation.leads
        own = np.zeros((count, formulation.own.size))
        for number in range(count):
            theta = draw(np.random.default_rng([seed, number]), formulation.network.layout.size)
            own[number, leads[leads >= 0]] = theta[leads >= 0]
        return own

    return start
