"""Tests whether a network's equations compute the same outputs as a model."""

from __future__ import annotations

import numpy as np

from harness.comparing.judge import budget
from harness.core.contract import Contract
from harness.core.formulation import Family, Formulation
from harness.core.implementation import Missing
from harness.core.problem import Problem
from harness.pytorch.subject import Subject

DRAWS, ROWS = 8, 5
DTYPE = "float64"


class Tried:
    """A model's outputs (D, R, O) at random numbers, for comparison with the outputs of networks.

    `formulation` is the map of the model's parameters to a network's; all networks to be compared
    have this network's layout. D counts draws (single problems), R rows and O outputs.
    """

    def __init__(self, subject: Subject, formulation: Formulation) -> None:
        self.contract = Contract(DTYPE, absolute_activations=True)
        self.problem = _draw(formulation)
        self.outputs = subject.observe(self.problem, DTYPE).answer("forward")

    def is_computed_by(self, network: Family, formulation: Formulation) -> bool:
        """Does the network compute the model's outputs, up to rounding?"""
        if isinstance(self.outputs, Missing):
            return False
        bound = network.oracle(_draw(formulation), self.contract)["forward"]
        return bool(budget(self.outputs - bound.value, bound.error).max() <= 1)


def _draw(formulation: Formulation) -> Problem:
    """Draw a problem; formulations with equal numbers of parameters get the same numbers."""
    network, draw = formulation.network, np.random.default_rng(0)
    own = draw.uniform(-1, 1, (DRAWS, formulation.own.size))
    inputs = draw.uniform(-1, 1, (DRAWS, ROWS, sum(network.inputs)))
    targets = draw.uniform(-1, 1, (DRAWS, ROWS, sum(network.outputs)))
    return Problem("tried", formulation, own, inputs, targets)
