"""Mistakes in the outputs of ported classifiers: other numbers than probabilities, and classes in
another order.

In shapes, R counts rows and O outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import permutations

import numpy as np

from harness.core.contract import Array, Indices
from harness.core.formulation import Formulation
from harness.shipped.truth import R_CONTRACT, Table, Truth
from reference.implementations.numpy_net import NumpyNet
from reference.mathematics.network import Network
from reference.rds.fit import FittedNet

NUMPY = NumpyNet(logistic_clip=R_CONTRACT.logistic_clip)
MOST_ORDERS = 5  # up to so many classes all orders are tried; else the nearest columns are paired
Solve = Callable[[Table], Array]


def list_outputs(fit: FittedNet, truth: Truth) -> Iterator[tuple[str, Solve]]:
    """Yield possible mistakes in a classifier's outputs, each as (words, a function that returns
    the predictions (R, O) for a table).

    For a regression, yield nothing. R counts rows and O outputs.
    """
    logits = _solve_logits(fit, truth)
    activation = fit.topology.output
    if fit.error == "squares":
        return
    named = "softmax" if activation == "softmax" else "logistic function"
    yield f"the port gives logits, and predict() gives the {named} of them", logits
    words = "the port gives the logarithms of the probabilities (log_softmax, logsigmoid)"
    yield words, lambda table: np.log(table.predictions)
    if activation == "softmax":
        yield from _list_of_softmax(logits)
        return
    if len(fit.classes) == 2:
        first, second = fit.classes
        words = f"the port gives the probability of {first}, and predict() that of {second}"
        yield words, lambda table: 1 - table.predictions
    words = "the logistic function is taken twice"
    yield words, lambda table: _logistic(table.predictions)
    words = "the outputs are tanh of the logits, not their logistic function"
    yield words, lambda table: np.tanh(logits(table))
    if fit.topology.outputs > 1:
        words = "softmax is taken of outputs that are logistic, each by itself"
    else:
        words = "softmax is taken of one output, which is always 1"
    yield words, lambda table: _softmax(logits(table), 1)
    words = "the port gives 0 and 1, and predict() gives probabilities"
    yield words, lambda table: np.where(table.predictions > 0.5, 1.0, 0.0)


def _list_of_softmax(logits: Solve) -> Iterator[tuple[str, Solve]]:
    words = "the logistic function is taken of each output, and R takes their softmax"
    yield words, lambda table: _logistic(logits(table))
    words = "the logistic functions of the outputs are divided by their sum, and R takes softmax"
    yield words, lambda table: _shares(_logistic(logits(table)))
    words = "softmax is taken twice: the port gives the softmax of the probabilities"
    yield words, lambda table: _softmax(table.predictions, 1)
    words = "softmax is taken over the rows (dim=0), and R takes it over the classes"
    yield words, lambda table: _softmax(logits(table), 0)
    words = "softmax is taken over all rows and classes at once"
    yield words, lambda table: _softmax(logits(table), None)
    words = "the port gives 1 for the class and 0 for the others, and predict() gives probabilities"
    yield words, lambda table: np.eye(table.predictions.shape[1])[table.predictions.argmax(axis=1)]


def find_order(mine: Array, right: Array, most_left: float) -> tuple[Indices, float] | None:
    """Return for each output of a port (a PyTorch model) the number of R's output that it equals,
    and the share of the difference that remains.

    `mine` and `right` are the predictions (R, O) of the port and of R. Return None if the remaining
    share of every order exceeds `most_left`. R counts rows and O outputs.
    """
    count = mine.shape[1]
    difference = np.linalg.norm(mine - right)
    if count < 2 or not difference > 0:
        return None
    best = _nearest_order(mine, right)
    share = float(np.linalg.norm(mine - right[:, best]) / difference)
    return (best, share) if share < most_left and (best != np.arange(count)).any() else None


def _nearest_order(mine: Array, right: Array) -> Indices:
    distances = np.linalg.norm(mine[:, :, None] - right[:, None, :], axis=0) ** 2
    count = len(distances)
    if count <= MOST_ORDERS:
        rows = np.arange(count)
        orders = [np.array(order) for order in permutations(range(count))]
        costs = [distances[rows, order].sum() for order in orders]
        return orders[int(np.argmin(costs))]
    from scipy.optimize import linear_sum_assignment

    _, order = linear_sum_assignment(distances)
    return np.asarray(order, dtype=np.intp)


def describe_order(fit: FittedNet, order: Sequence[int]) -> str:
    """Return in words the order that R's outputs have in a port (a PyTorch model); `order` has the
    number of R's output for each.
    """
    named = [
        f"output {place} is R's {fit.responses[other]}"
        for place, other in enumerate(order)
        if place != other
    ]
    return f"the classes stand in another order than in R: {', '.join(named)}"


def _solve_logits(fit: FittedNet, truth: Truth) -> Solve:
    """Return a function that computes, for a table, the arguments of the outputs' activation
    (logits).
    """
    top = fit.topology
    sizes = top.inputs, top.hidden, top.outputs
    network = Network(*sizes, "logistic", "identity", skip=top.has_skip)
    formulation = Formulation.identity(network)

    def solve(table: Table) -> Array:
        problem = replace(truth.exact_problem(table), formulation=formulation)
        return np.asarray(NUMPY.observe(problem).values["forward"][0])

    return solve


def _logistic(z: Array) -> Array:
    with np.errstate(over="ignore"):
        result: Array = 1 / (1 + np.exp(-z))
    return result


def _softmax(z: Array, axis: int | None) -> Array:
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    result: Array = e / e.sum(axis=axis, keepdims=True)
    return result


def _shares(p: Array) -> Array:
    result: Array = p / p.sum(axis=1, keepdims=True)
    return result
