"""Random numbers from a lattice, exact in float32, for all kinds of probes.

In shapes, D counts draws (problems of a stack), R rows of data, I inputs of all groups, and O
outputs of all heads. T counts the network's parameters, which form the vector theta; P counts own
parameters: the model's own tensors, flattened.
"""

from collections.abc import Sequence

import numpy as np

from harness.calling.targets import suit_targets
from harness.core.contract import Array, Contract
from harness.core.formulation import Formulation
from harness.core.loss import Loss
from harness.core.problem import Problem

FLOAT32 = Contract("float32")  # numbers and sums that are exact in it are exact in float64 too
FINE = 2.0**-12  # lattice of the weights that need not be exact


def lattice(rng: np.random.Generator, shape: tuple[int, ...], high: float, quantum: float) -> Array:
    """Draw random multiples of `quantum` of absolute value up to `high`; none is 0, since a zero
    weight hides faults (mistakes).
    """
    most = round(high / quantum)
    steps = rng.integers(-most, most, shape, endpoint=True)
    steps = np.where(steps == 0, rng.choice([-1, 1], shape), steps)
    return np.asarray(steps * quantum, dtype=np.float64)


class Draw:
    """Draws the parameters and the data of one kind of probe, each from its own random generator.

    In the shapes below, D is `draws` and R is `rows`.
    """

    def __init__(
        self,
        kind: str,
        formulation: Formulation,
        seed: Sequence[int],
        draws: int,
        rows: int,
        loss: Loss,
    ) -> None:
        self.kind, self.formulation, self.loss = kind, formulation, loss
        self.draws, self.rows = draws, rows
        self.rng = np.random.default_rng([*seed, 0])
        self.data_rng = np.random.default_rng([*seed, 1])
        self.network = formulation.network

    def own(self, theta_like: Array, high: float, quantum: float) -> Array:
        """Return own parameters (D, P) for which theta, the network's parameters, equals
        `theta_like` (D, T) as far as possible.

        Each entry becomes the own parameter that changes only this entry of theta (see
        `Formulation.leads`). All other own parameters are random multiples of `quantum` up to
        `high`; held ones are 0. D counts draws (problems of a stack), P own parameters (a model's
        tensors, flattened) and T the network's parameters.
        """
        leads = self.formulation.leads
        own = lattice(self.rng, (self.draws, self.formulation.own.size), high, quantum)
        has_lead = leads >= 0
        own[:, leads[has_lead]] = theta_like[:, has_lead]
        own[:, self.formulation.held] = 0.0
        return own

    def theta(self, high: float, quantum: float = FINE) -> Array:
        """Draw theta, the network's parameters (D, T), as multiples of `quantum` of absolute value
        up to `high`.

        D counts draws (problems of a stack) and T the network's parameters.
        """
        return lattice(self.rng, (self.draws, self.network.layout.size), high, quantum)

    def random_own(self, high: float) -> Array:
        """Draw own parameters (D, P) of absolute value up to `high`, from a fine lattice.

        D counts draws (problems of a stack) and P own parameters (a model's tensors, flattened).
        """
        return self.own(self.theta(high), 1, FINE)

    def data(self, high: float = 2, quantum: float = 2.0**-10) -> tuple[Array, Array]:
        """Draw inputs (D, R, I) and targets (D, R, O), as multiples of `quantum` of absolute value
        up to `high`.

        D counts draws (problems of a stack), R rows of data, I inputs of all groups and O outputs
        of all heads.
        """
        inputs = self.draws, self.rows, sum(self.network.inputs)
        targets = self.draws, self.rows, sum(self.network.outputs)
        return (
            lattice(self.data_rng, inputs, high, quantum),
            lattice(self.data_rng, targets, high, quantum),
        )

    def problem(self, own: Array, inputs: Array, targets: Array) -> Problem:
        """Return the problem with these own parameters (D, P), inputs (D, R, I) and targets (D, R,
        O).

        The targets are adapted to the loss. D counts draws (problems of a stack), P own parameters
        (a model's tensors, flattened), R rows of data, I inputs of all groups and O outputs of all
        heads.
        """
        suited = suit_targets(self.loss, self.network.outputs, targets)
        return Problem(
            self.kind, self.formulation, own, inputs, suited, self.loss, exact=self.kind == "exact"
        )
