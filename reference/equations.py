"""The equations of a network with one hidden layer, once, for every arithmetic.

    z = A [1, x]      h = g(z)      y = B [1, h]      o = f(y)      loss = sum share (o - t)^2 + decay |theta|^2

The columns of ones make every bias a weight: theta in nnet's order is A row by row, then B row by row (nnet.default and
nnet.c of R's package nnet). Groups of inputs and heads of outputs leave no trace here. Gradients are back-propagation
(Rumelhart, Hinton and Williams 1986); decay enters inside the sum, as nnet's C code starts it with 2 decay w.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from harness.problem import Problem


def transpose(a: Any) -> Any:
    """Each draw's matrix transposed."""
    return a.swapaxes(-1, -2)


def column(a: Any) -> Any:
    """Each draw as one column (D, n, 1)."""
    return a.reshape(a.shape[0], -1, 1)


def row(a: Any) -> Any:
    """Each draw as one row (D, 1, n)."""
    return a.reshape(a.shape[0], 1, -1)


def flat(a: Any) -> Any:
    """Each draw as a vector (D, n)."""
    return a.reshape(a.shape[0], -1)


def without_bias(a: Any) -> Any:
    """A weight matrix without its first column."""
    return a[..., 1:]


def evaluate(m: Any, problem: Problem) -> dict[str, Any]:
    """forward (D, R, O), loss (D,), gradient by own parameters (D, P) and input_gradient (D, R, I), in arithmetic m."""
    formulation, loss = problem.formulation, problem.loss
    network: Any = formulation.network
    extra = formulation.extra_terms

    own = m.lift(problem.own)
    theta = m.linear(formulation.matrix, own, formulation.constant, formulation.forward_roundings)
    A, B = (m.each(part, theta) for part in (network.hidden_weights, network.output_weights))
    x, t = m.lift(problem.inputs), m.lift(problem.targets)

    x1 = m.with_ones(x)
    z = m.dot(x1, m.each(transpose, A), extra)
    h, dh = m.act(network.activation, z)
    h1 = m.with_ones(h)
    y = m.dot(h1, m.each(transpose, B), extra)
    o, do = m.act(network.output, y)

    decayed = [None, None, None]
    if loss.decay:
        penalty = m.dot(m.each(row, theta), m.each(column, m.scale(theta, loss.decay)))
        decayed = [penalty, *(m.scale(weights, 2 * loss.decay) for weights in (A, B))]
    r = m.sub(o, t)
    error = m.dot(m.each(row, r), m.each(column, m.scale(r, problem.shares)), plus=decayed[0])
    eo = m.mul(m.kept(m.scale(r, 2 * problem.shares)), do)
    eh = m.mul(m.kept(m.dot(eo, m.each(without_bias, B), extra)), dh)
    longer = formulation.gradient_terms(problem.inputs.shape[1])
    gA = m.dot(m.each(transpose, eh), x1, longer, plus=decayed[1])
    gB = m.dot(m.each(transpose, eo), h1, longer, plus=decayed[2])

    by_theta = m.each(network.connected, m.join(m.each(flat, gA), m.each(flat, gB)))
    return {
        "forward": o,
        "loss": m.each(np.ravel, error),
        "gradient": m.linear(formulation.matrix.transpose, by_theta, 0.0, formulation.backward_roundings),
        "input_gradient": m.dot(eh, m.each(without_bias, A), extra),
    }
