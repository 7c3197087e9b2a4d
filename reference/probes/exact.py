"""Probes (parameters and data for a comparison) whose answers are proved to be exact, so that no
difference is allowed.
"""

from math import log2

import numpy as np

from harness.arithmetic.plain import Plain, Values
from harness.core.contract import Array, Contract
from harness.core.formulation import Formulation
from harness.core.problem import QUANTITIES, Problem
from reference.mathematics.equations import equations_of, outputs
from reference.mathematics.nodes import Node, Places
from reference.mathematics.oracle import certificates
from reference.mathematics.tape import Tape
from reference.probes.draws import FLOAT32, Draw

ATTEMPTS = 60
SMOOTH = ("tanh", "logistic")  # exact at 0 only


def draw_exact(draw: Draw) -> Problem | None:
    """Draw problems until enough draws are proved to be exact; None if none is.

    The proof is by grid arithmetic: all numbers are multiples of a power of two and small enough,
    so that nothing is rounded.

    In the first half of the attempts, all quantities of a draw must be exact. After that exact
    outputs are enough, and each quantity is proved by itself. The number of rows is rounded to the
    nearest power of two, so that a mean over the rows is exact; so is a mean over a head's units if
    its width is a power of two.
    """
    draw.rows = 2 ** round(log2(draw.rows))
    proved: list[Problem] = []
    for attempt in range(ATTEMPTS):
        candidate = _draw_candidate(draw, attempt)
        proofs = certificates(candidate, FLOAT32)
        quantities = QUANTITIES if attempt < ATTEMPTS // 2 else QUANTITIES[:1]
        good = np.logical_and.reduce([proofs[name] for name in quantities])
        if good.any():
            proved.append(candidate.part(good))
        if sum(problem.draws for problem in proved) >= draw.draws:
            break
    if not proved:
        return None
    own = np.concatenate([problem.own for problem in proved])
    inputs = np.concatenate([problem.inputs for problem in proved])
    targets = np.concatenate([problem.targets for problem in proved])
    return draw.problem(own[: draw.draws], inputs[: draw.draws], targets[: draw.draws])


def _draw_candidate(draw: Draw, attempt: int) -> Problem:
    """Draw weights that are multiples of a quarter, and inputs and targets that are small integers.

    For smooth activations, the biases are chosen to make the activations' arguments z exactly 0.
    """
    smooth = any(act in SMOOTH for act in draw.network.activations)
    size = 2.0 ** -(attempt % 3)  # large nets leave 24 bits unless their weights are small
    inputs, targets = draw.data(max(3 * size, 1), 1.0)
    if smooth:  # one bias cancels one value of z: all rows alike
        inputs = np.repeat(inputs[:, :1], draw.rows, axis=1)
        if attempt // 3 % 2:  # where biases are not free, inputs of 0 are left
            inputs = inputs * (draw.rng.random((draw.draws, 1, inputs.shape[-1])) < 0.5)
        if attempt // 3 % 4 == 3:
            inputs = inputs * 0
    own = draw.own(draw.theta(2 * size, 0.25), size, 0.25)
    if smooth:
        own = _cancel(draw.formulation, own, inputs)
    return draw.problem(own, inputs, targets)


class _Cancelling(Tape[Values]):
    """A tape (which computes a network) that stores, for each layer, the amount to subtract from
    each bias so that the argument z of the activation is 0 in the first row.

    It continues with the activation at z = 0.
    """

    def __init__(self, draws: int, rows: int) -> None:
        super().__init__(Plain(Contract()), draws, rows)
        self.noted: list[tuple[Places, Array]] = []

    def act(self, name: str, z: Node[Values]) -> Node[Values]:
        """Return the activation. A smooth activation is taken at 0 instead of z, since it is exact
        only there.
        """
        if name in SMOOTH:
            if z.bias is not None:
                self.noted.append((z.bias, z.value[:, 0]))
            z = self.leaf(np.zeros_like(z.value), z.shape)
        return super().act(name, z)


def _cancel(formulation: Formulation, own: Array, inputs: Array) -> Array:
    """Return a copy of the own parameters (D, P) with new biases, which make the arguments of
    smooth activations 0 in the first row.

    A bias changes only if there is an own parameter that changes only this bias. D counts draws
    (single problems) and P own parameters (a model's tensors, flattened).
    """
    tape = _Cancelling(*inputs.shape[:2])
    outputs(tape, equations_of(formulation.network), formulation.theta(own), inputs)
    own = own.copy()
    for bias, z in tape.noted:
        leads = formulation.leads[bias]
        free = leads >= 0
        own[:, leads[free]] -= z[:, free]
    return own
