"""The outputs, loss and gradients of a network, written once for every arithmetic.

    loss = sum share (o - t)^2 + sum decay theta^2

Here o are the outputs, t the targets, `share` the weight of each squared error in the loss, and
theta the vector of the network's T parameters, each with a decay of its own. In shapes, D counts
draws (problems of a stack), R rows of data, I inputs of all groups, O outputs of all heads, and P
own parameters (a model's own tensors, flattened).

Gradients go back over the tape on which the network's outputs were computed. Decay enters inside
the sum, as nnet's C code starts the sum with 2 decay w.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Protocol, TypeVar, cast

import numpy as np

from harness.arithmetic.interface import Arithmetic
from harness.core.contract import Array
from harness.core.formulation import Family
from harness.core.layout import Block
from harness.core.problem import Problem
from reference.mathematics.sums import Sum
from reference.mathematics.tape import Node, Tape

V = TypeVar("V")


class HasEquations(Family, Protocol):
    """A network whose equations are written on a tape."""

    @property
    def parts(self) -> tuple[Block, ...]:
        """The blocks of parameters, (n, k) each, in the form that the tape takes."""

    @property
    def added(self) -> int:
        """The largest number of matrix products and single terms that are added up to one
        number.
        """

    def outputs_on(self, tape: Tape[V], blocks: Sequence[Node[V]], x: Node[V]) -> Node[V]:
        """Return the outputs, with the heads side by side, from the network's parts and its inputs
        x.
        """

    def connected(self, entries: Array) -> Array:
        """Return the entries that are parameters (..., T), out of all entries of the parts, flat
        (..., n).
        """


def equations_of(network: Family) -> HasEquations:
    """Return the same network, typed as one whose equations are written on a tape."""
    assert hasattr(network, "outputs_on"), network.sentence()
    return cast(HasEquations, network)


def column(a: Array) -> Array:
    """Reshape each draw's numbers to one column (D, n, 1)."""
    return a.reshape(a.shape[0], -1, 1)


def row(a: Array) -> Array:
    """Reshape each draw's numbers to one row (D, 1, n)."""
    return a.reshape(a.shape[0], 1, -1)


def flat(a: Array) -> Array:
    """Reshape each draw's numbers to a vector (D, n)."""
    return a.reshape(a.shape[0], -1)


def outputs(
    tape: Tape[V], network: HasEquations, theta: V, inputs: V
) -> tuple[list[Node[V]], Node[V], Node[V]]:
    """Return three things as nodes: the network's parts, its inputs and its outputs.

    They are computed at theta (D, T) and inputs (D, R, I).
    """
    blocks = [
        tape.leaf(tape.m.each(part.of, theta), part.places.shape, part.places)
        for part in network.parts
    ]
    x = tape.leaf(inputs, (None, sum(network.inputs)))
    return blocks, x, network.outputs_on(tape, blocks, x)


def evaluate(m: Arithmetic[V], problem: Problem) -> dict[str, V]:
    """Return the four quantities of a problem by name, computed in arithmetic m.

    They are forward (D, R, O), loss (D,), gradient by own parameters (D, P) and input_gradient (D,
    R, I).
    """
    formulation, decays = problem.formulation, problem.decays
    network = equations_of(formulation.network)

    own, inputs = m.lift(problem.own), m.lift(problem.inputs)
    if problem.own_error is not None:
        own = m.widen(own, problem.own_error)
    if problem.input_error is not None:
        inputs = m.widen(inputs, problem.input_error)
    theta = m.linear(formulation.matrix, own, formulation.constant, formulation.forward_roundings)
    tape = Tape(m, problem.draws, problem.rows, formulation.extra_terms)
    blocks, x, output = outputs(tape, network, theta, inputs)
    o = output.sum.formed

    slack = m.contract.loss_slack
    penalty, penalties = None, 0
    if problem.loss.has_decay:
        penalties = len(formulation.own.blocks)  # each may be added by itself
        penalty = m.dot(m.each(row, theta), m.each(column, m.scale(theta, decays, slack)))
    r = m.sub(output.value, m.lift(problem.targets))
    error = m.dot(
        m.each(row, r), m.each(column, m.scale(r, problem.shares, slack)), penalties, plus=penalty
    )

    slope = m.scale(r, 2 * problem.shares, slack)
    if problem.slopes is not None:  # of another loss
        slope = m.scale(m.lift(problem.slopes), 1.0, slack)
    slopes = tape.slopes(output, m.stored(slope))
    uses = max(len(slopes[block].pairs) for block in blocks)
    longer = formulation.gradient_terms(problem.rows * uses)
    gradients = []
    for block, part in zip(blocks, network.parts, strict=True):
        pairs = slopes[block].pairs
        if problem.loss.has_decay and (of_part := part.of(decays)).any():
            pairs += ((m.scale(block.value, 2 * of_part, slack), None),)
        gradients.append(m.each(flat, Sum(m, pairs).total(longer)))
    by_theta = m.each(network.connected, reduce(m.join, gradients))
    return {
        "forward": o,
        "loss": m.each(np.ravel, error),
        "gradient": m.linear(
            formulation.matrix.transpose, by_theta, 0.0, formulation.backward_roundings
        ),
        "input_gradient": slopes[x].formed,
    }
