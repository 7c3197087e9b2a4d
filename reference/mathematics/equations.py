"""The outputs, loss and gradients of a network, written once for every arithmetic.

    loss = sum share error(o, t) + sum decay theta^2

Here o are the outputs, t the targets, `error` the error of a head, `share` the weight of each error
in the loss, and theta the vector of the network's T parameters, each with a decay of its own. In
shapes, D counts draws (problems of a stack), R rows of data, I inputs of all groups, O outputs of
all heads, and P own parameters (a model's own tensors, flattened).

Gradients go back over the tape on which the network's outputs were computed. Decay enters inside
the sum, as nnet's C code starts the sum with 2 decay w.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Protocol, TypeVar, cast

import numpy as np

from harness.arithmetic.interface import Arithmetic
from harness.core.contract import Array
from harness.core.formulation import Family
from harness.core.layout import Block
from harness.core.problem import Problem
from reference.mathematics.errors import Errors, Head
from reference.mathematics.losses import find_errors
from reference.mathematics.nodes import Node
from reference.mathematics.sums import Sum
from reference.mathematics.tape import Tape

V = TypeVar("V")


class HasEquations(Family, Protocol):
    """A network whose equations are written on a tape: as operations that store how to compute
    gradients.
    """

    @property
    def parts(self) -> tuple[Block, ...]:
        """The blocks of parameters, (n, k) each, in the form that the tape takes."""

    @property
    def added(self) -> int:
        """The largest number of matrix products and single terms that are added up to one
        number.
        """

    def outputs_on(self, tape: Tape[V], blocks: Sequence[Node[V]], x: Node[V]) -> Node[V]:
        """Return the outputs, with the heads joined along the last axis, computed from the blocks
        of parameters and the inputs x.
        """

    def connected(self, entries: Array) -> Array:
        """Return the entries (..., T) that are parameters, out of all entries (..., n) of the
        blocks; an entry without a connection is no parameter.

        T counts the network's parameters.
        """


def equations_of(network: Family) -> HasEquations:
    """Return the same network, typed as one whose equations are written on a tape."""
    assert hasattr(network, "outputs_on"), network.sentence()
    return cast(HasEquations, network)


def column(a: Array) -> Array:
    """Reshape each draw's numbers to one column (D, n, 1).

    D counts draws (problems of a stack).
    """
    return a.reshape(a.shape[0], -1, 1)


def row(a: Array) -> Array:
    """Reshape each draw's numbers to one row (D, 1, n).

    D counts draws (problems of a stack).
    """
    return a.reshape(a.shape[0], 1, -1)


def flat(a: Array) -> Array:
    """Reshape each draw's numbers to a vector (D, n).

    D counts draws (problems of a stack).
    """
    return a.reshape(a.shape[0], -1)


def outputs(
    tape: Tape[V], network: HasEquations, theta: V, inputs: V
) -> tuple[list[Node[V]], Node[V], Node[V]]:
    """Return a network's blocks of parameters, its inputs and its outputs, as nodes of a tape.

    They are computed at theta (D, T) and inputs (D, R, I). D counts draws (problems of a stack), T
    the network's parameters, R rows of data and I inputs of all groups.
    """
    blocks = [
        tape.leaf(tape.m.each(part.of, theta), part.places.shape, part.places)
        for part in network.parts
    ]
    x = tape.leaf(inputs, (None, sum(network.inputs)))
    return blocks, x, network.outputs_on(tape, blocks, x)


def list_heads(tape: Tape[V], problem: Problem, output: Node[V]) -> list[Head[V]]:
    """Return the heads of a problem's outputs (D, R, O). All heads with squared errors form one.

    D counts draws (problems of a stack), R rows of data and O outputs of all heads.
    """
    loss, shares = problem.loss, problem.shares
    if loss.is_squares:
        return [Head("squares", False, output, None, problem.targets, shares)]
    widths = problem.network.outputs
    errors, logits = loss.errors(len(widths)), loss.logits(len(widths))
    heads = []
    start = 0
    for number, width in enumerate(widths):
        end = start + width
        node, activated = output, output.activated
        if len(output.parts) == len(widths):
            node, activated = output.parts[number], output.parts[number].activated
        elif len(widths) > 1:
            node = tape.columns(output, start, end)
            if activated is not None:
                activated = activated[0], tape.columns(activated[1], start, end)
        targets = loss.change_targets(problem.targets[..., start:end])
        of_head = shares[..., start:end]
        heads.append(Head(errors[number], logits[number], node, activated, targets, of_head))
        start = end
    return heads


def evaluate(
    m: Arithmetic[V],
    problem: Problem,
    tape_of: Callable[..., Tape[V]] = Tape,
    errors_of: Callable[[Tape[V], Head[V]], Errors[V]] = find_errors,
    outputs_of: Callable[..., tuple[list[Node[V]], Node[V], Node[V]]] = outputs,
) -> dict[str, V]:
    """Return the four quantities of a problem by name, computed in arithmetic m.

    They are forward (D, R, O), loss (D,), gradient by own parameters (D, P) and input_gradient (D,
    R, I). `tape_of` makes the tape, `outputs_of` computes the outputs as `outputs` does, and
    `errors_of` the errors of a head: an implementation with a mistake has others. D counts draws
    (problems of a stack), R rows of data, O outputs of all heads, P own parameters (a model's
    tensors, flattened) and I inputs of all groups.
    """
    formulation, decays = problem.formulation, problem.decays
    network = equations_of(formulation.network)

    own, inputs = m.lift(problem.own), m.lift(problem.inputs)
    if problem.own_error is not None:
        own = m.widen(own, problem.own_error)
    if problem.input_error is not None:
        inputs = m.widen(inputs, problem.input_error)
    theta = m.linear(formulation.matrix, own, formulation.constant, formulation.forward_roundings)
    tape = tape_of(m, problem.draws, problem.rows, formulation.extra_terms)
    blocks, x, output = outputs_of(tape, network, theta, inputs)
    o = output.sum.formed

    slack = m.contract.loss_slack
    penalty, penalties = None, 0
    if problem.loss.has_decay:
        penalties = len(formulation.own.blocks)  # each may be added by itself
        penalty = m.dot(m.each(row, theta), m.each(column, m.scale(theta, decays, slack)))
    found = [errors_of(tape, head) for head in list_heads(tape, problem, output)]
    terms = [pair for errors in found for pair in errors.pairs]
    left = reduce(m.join, [m.each(flat, each) for each, _ in terms])
    right = reduce(m.join, [m.each(flat, factor) for _, factor in terms])
    error = m.dot(m.each(row, left), m.each(column, right), penalties, plus=penalty)

    seeds = [(errors.by, m.stored(errors.slope)) for errors in found]
    if problem.slopes is not None:  # of another loss
        seeds = [(output, m.stored(m.scale(m.lift(problem.slopes), 1.0, slack)))]
    slopes = tape.slopes(seeds)
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
