"""What a network is asked for, once, for every arithmetic: its outputs, its loss and its gradients.

    loss = sum share (o - t)^2 + decay |theta|^2

Gradients go back over the tape on which the network's outputs were computed; decay enters inside
the sum, as nnet's C code starts it with 2 decay w.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from reference.mathematics.tape import Node, Sum, Tape

if TYPE_CHECKING:
    from harness.core.problem import Problem


def column(a: Any) -> Any:
    """Each draw as one column (D, n, 1)."""
    return a.reshape(a.shape[0], -1, 1)


def row(a: Any) -> Any:
    """Each draw as one row (D, 1, n)."""
    return a.reshape(a.shape[0], 1, -1)


def flat(a: Any) -> Any:
    """Each draw as a vector (D, n)."""
    return a.reshape(a.shape[0], -1)


def outputs(tape: Tape, network: Any, theta: Any, inputs: Any) -> tuple[list[Node], Node, Node]:
    """The network's blocks, its inputs and its outputs as nodes, at theta (D, T) and inputs (D, R,
    I).
    """
    blocks = [
        tape.leaf(tape.m.each(part.of, theta), part.places.shape, part.places)
        for part in network.parts
    ]
    x = tape.leaf(inputs, (None, sum(network.inputs)))
    return blocks, x, network.outputs_on(tape, blocks, x)


def evaluate(m: Any, problem: Problem) -> dict[str, Any]:
    """forward (D, R, O), loss (D,), gradient by own parameters (D, P) and input_gradient (D, R, I),
    in arithmetic m.
    """
    formulation, loss = problem.formulation, problem.loss
    network: Any = formulation.network

    own = m.lift(problem.own)
    theta = m.linear(formulation.matrix, own, formulation.constant, formulation.forward_roundings)
    tape = Tape(m, problem.draws, problem.rows, formulation.extra_terms)
    blocks, x, output = outputs(tape, network, theta, m.lift(problem.inputs))
    o = output.sum.formed

    slack = m.contract.loss_slack
    penalty, penalties = None, 0
    if loss.decay:
        penalties = len(formulation.own.blocks)  # each may be added by itself
        penalty = m.dot(m.each(row, theta), m.each(column, m.scale(theta, loss.decay, slack)))
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
    for block in blocks:
        decayed = ((m.scale(block.value, 2 * loss.decay, slack), None),) if loss.decay else ()
        gradients.append(m.each(flat, Sum(m, slopes[block].pairs + decayed).total(longer)))
    by_theta = m.each(network.connected, reduce(m.join, gradients))
    return {
        "forward": o,
        "loss": m.each(np.ravel, error),
        "gradient": m.linear(
            formulation.matrix.transpose, by_theta, 0.0, formulation.backward_roundings
        ),
        "input_gradient": slopes[x].formed,
    }
