"""Where training starts: the i-th start is the same however many are asked for."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from harness.core.contract import Array
from harness.core.formulation import Formulation
from harness.training.trainer import Start
from reference.mathematics.network import Network


def uniform(reach: float = 0.7, seed: int = 0) -> Start:
    """theta from -reach to reach, as nnet's `rang` has it: the same networks in every formulation
    of them.
    """
    return _drawn(seed, lambda rng, size: rng.uniform(-reach, reach, size))


def normal(seed: int = 0) -> Start:
    """Own parameters from the standard normal distribution, as torch.randn gives them."""
    return _drawn(seed, lambda rng, size: rng.standard_normal(size))


def linear(seed: int = 0) -> Start:
    """theta as torch.nn.Linear draws it: from plus or minus 1 / sqrt(units that feed a layer),
    biases too.
    """

    def start(formulation: Formulation, count: int) -> Array:
        network = formulation.network
        if not isinstance(network, Network):
            raise ValueError(
                f"starts.linear knows one hidden layer, not {network.sentence()}: choose"
                " starts.uniform()"
            )
        feeding: dict[int | None, int] = {1: sum(network.inputs), 2: network.hidden}
        reach = [feeding[block.layer] ** -0.5 for block in network.layout.blocks]
        each = np.array(reach)[network.layout.owners]
        return _drawn(seed, lambda rng, size: rng.uniform(-1, 1, size) * each)(formulation, count)

    return start


def given(theta: ArrayLike) -> Start:
    """The same theta (T,) for every start."""
    return _drawn(0, lambda rng, size: np.broadcast_to(np.asarray(theta, np.float64), (size,)))


def _drawn(seed: int, draw: Callable[[np.random.Generator, int], Array]) -> Start:
    """theta carried by own parameters; what is redundant, and what is held, starts at 0."""

    def start(formulation: Formulation, count: int) -> Array:
        leads = formulation.leads
        own = np.zeros((count, formulation.own.size))
        for number in range(count):
            theta = draw(np.random.default_rng([seed, number]), formulation.network.layout.size)
            own[number, leads[leads >= 0]] = theta[leads >= 0]
        return own

    return start
