"""Tests whether a difference comes only from the order of a subject's parameters, or from a
constant output.

A subject (the model that is judged) shall differ from its network. theta is the vector of the
network's T parameters. Another order takes the same numbers in other places, and may negate whole
blocks: heads exchanged, units in another order, a square matrix transposed. If all parameters are
equal, their order does not matter: a subject that differs there differs under every order. In
shapes, D counts problems, R rows, O outputs and P the subject's own parameters.
"""

from itertools import product
from typing import NamedTuple

import numpy as np

from harness.claims.ordering import find_order
from harness.comparing.judge import budget
from harness.core.contract import Array, Bounded, Indices
from harness.core.formulation import Formulation
from harness.core.implementation import Missing
from harness.core.linear import LinearMap
from harness.core.problem import Problem
from harness.judging.comparison import Comparison

VALUES = (0.25, -0.5, 0.75)  # of all parameters at once
STEPS = 64  # drawn numbers are multiples of 1 / STEPS, which every dtype holds
DRAWS, ROWS = 8, 5
MOST_SIGNED = 7  # blocks whose signs are tried, all of them together
MOST_ORDERED = 400  # parameters at most, for a search of their order

ANY_ORDER = "; with all parameters equal too, so not by their order"
NO_ORDER = "; with all parameters equal they agree, but by no other order of them that was found"
NOT_TRIED = "; other orders of its parameters were not tried"


class Arrangement(NamedTuple):
    """The result of the search: a constant output, an order of the parameters under which the
    difference vanishes, or neither.

    Each is a text, "" if not found. If neither is found, `remark` says how far other orders were
    tried.
    """

    constant: str = ""
    order: str = ""
    remark: str = NOT_TRIED


class Evaluator:
    """Evaluates a subject, and its network at chosen parameters theta, on the same rows of
    inputs.
    """

    def __init__(self, comparison: Comparison) -> None:
        self.formulation = comparison.formulation
        self.network = self.formulation.network
        self.contract = comparison.contracts[0]
        self.cache, self.trial = comparison.cache, comparison.trial
        self.random = np.random.default_rng(0)
        self.inputs = self.draw(ROWS, sum(self.network.inputs))

    def draw(self, *shape: int) -> Array:
        """Return random numbers from -1 to 1 that are exact in every dtype."""
        drawn: Array = self.random.integers(-STEPS, STEPS + 1, shape) / STEPS
        return drawn

    def subject(self, own: Array) -> Array | None:
        """Return the subject's outputs (problems, rows, outputs) at own parameters (problems, P),
        the subject's own; None if it gives none.
        """
        problem = self._problem(self.formulation, own)
        answer = self.cache.ask_anew(self.trial, problem).answer("forward")
        return None if isinstance(answer, Missing) else answer

    def network_at(self, theta: Array) -> Bounded:
        """Return the network's outputs (problems, rows, outputs) at its parameters theta (problems,
        T).

        Their bounds are for the arithmetic that the subject promises.
        """
        problem = self._problem(Formulation.identity(self.network), theta)
        return self.network.oracle(problem, self.contract)["forward"]

    def own(self, theta: Array) -> Array | None:
        """Return own parameters (problems, P) of the subject that map exactly to the network's
        parameters theta (problems, T); None if there are none.
        """
        formulation = self.formulation
        matrix = formulation.matrix.matrix.toarray()
        matrix[:, formulation.held] = 0.0
        shifted = (theta - formulation.constant).T
        own = np.linalg.lstsq(matrix, shifted, rcond=None)[0].T
        own = np.rint(own * 2.0**20) / 2.0**20
        return own if np.array_equal(formulation.theta(own), theta) else None

    def _problem(self, formulation: Formulation, own: Array) -> Problem:
        inputs = np.repeat(self.inputs[None], len(own), axis=0)
        targets = np.zeros((len(own), ROWS, sum(self.network.outputs)))
        return Problem("tried", formulation, own, inputs, targets)


def find_arrangement(comparison: Comparison) -> Arrangement:
    """Return a constant output of the subject, or an order of its parameters under which it
    computes the network, in words.
    """
    evaluator = Evaluator(comparison)
    if constant := _find_constant(evaluator):
        return Arrangement(constant)
    formulation, size = evaluator.formulation, evaluator.network.layout.size
    if formulation.own.size * size > MOST_ORDERED**2 * 4:
        return Arrangement()
    equal = np.repeat(np.array(VALUES)[:, None], size, axis=1)
    own = evaluator.own(equal)
    outputs = None if own is None else evaluator.subject(own)
    if outputs is None:
        return Arrangement()
    signs = _find_signs(evaluator, outputs, equal)
    if not len(signs):
        return Arrangement(remark=ANY_ORDER)
    if not formulation.is_renaming or size > MOST_ORDERED:
        return Arrangement()
    for sign in signs:
        order = find_order(evaluator, sign)
        if order is not None and _vanishes(comparison, order, sign):
            return Arrangement(order=_describe(evaluator.formulation, order, sign))
    return Arrangement(remark=NO_ORDER)


def _find_constant(evaluator: Evaluator) -> str:
    """Return a sentence on an output that never changes although the network's does; "" if there is
    none.
    """
    own = evaluator.draw(DRAWS, evaluator.formulation.own.size)
    own[:, evaluator.formulation.held] = 0.0
    outputs = evaluator.subject(own)
    if outputs is None:
        return ""
    exact = evaluator.network_at(evaluator.formulation.theta(own)).value
    for axis, what in ((1, "inputs"), (0, "parameters")):
        dead = (np.ptp(outputs, axis=axis) == 0).all(axis=0)
        alive = (np.ptp(exact, axis=axis) != 0).any(axis=0)
        still = np.flatnonzero(dead & alive)
        if still.size:
            head, column = _locate(evaluator.network.outputs, int(still[0]))
            return f"o{head}[{column}] is the same for all {what}"
    return ""


def _locate(widths: tuple[int, ...], column: int) -> tuple[str, int]:
    """Return the head (output tensor) that a column of all heads' outputs belongs to, and the
    column's number in it.

    `widths` are the numbers of outputs of the heads. The head is a number as text, "" if there is
    only one.
    """
    starts = np.cumsum((0, *widths))
    head = int(np.searchsorted(starts, column, "right")) - 1
    number = str(head + 1) if len(widths) > 1 else ""
    return number, column - int(starts[head])


def _find_signs(evaluator: Evaluator, outputs: Array, theta: Array) -> Array:
    """Return the choices of signs (n, T) with which the network gives certain outputs at parameters
    theta.

    theta is (D, T) for D problems, and `outputs` (D, R, O) are those of the subject. A choice
    negates some of the network's blocks. All choices are tried; the first one negates no block.
    """
    layout = evaluator.network.layout
    signs = np.ones((1, len(layout.blocks)))
    if len(layout.blocks) <= MOST_SIGNED:
        signs = np.array(list(product((1.0, -1.0), repeat=len(layout.blocks))))
    signs = signs[:, layout.owners]
    bound = evaluator.network_at((signs[:, None] * theta).reshape(-1, layout.size))
    shape = (len(signs), *outputs.shape)
    used = budget(outputs - bound.value.reshape(shape), bound.error.reshape(shape))
    agree = (used <= 1).reshape(len(signs), -1).all(axis=1)
    return signs[agree]


def _agree(answer: Array, bound: Bounded) -> bool:
    return bool(budget(answer - bound.value, bound.error).max() <= 1)


def _vanishes(comparison: Comparison, order: Indices, sign: Array) -> bool:
    """Is every output inside its bounds if the subject's parameters are taken in another order?

    The network's parameter i is then `sign[i]` times parameter `order[i]` of the map that the trial
    assumes.
    """
    contract = comparison.contracts[0]
    for problem in comparison.problems:
        other = problem.through(_rearrange(problem.formulation, order, sign))
        observed = comparison.subject(problem)
        bound = other.formulation.network.oracle(other, contract, observed.seen)["forward"]
        if not _agree(observed.values["forward"], bound):
            return False
    return True


def _rearrange(formulation: Formulation, order: Indices, sign: Array) -> Formulation:
    """Return the map that takes the network's parameter `order[i]`, times `sign[i]`, to parameter
    i.
    """
    network, size = formulation.network, len(order)
    matrix = LinearMap(sign, order, np.arange(size + 1), (size, size))
    zeros, free = np.zeros(size), np.zeros(size, dtype=bool)
    return Formulation(network.layout, network, matrix, zeros, matrix.absolute, zeros, free)


def _describe(formulation: Formulation, order: Indices, sign: Array) -> str:
    """Return in words how the parameters are exchanged: which block takes the place of another, and
    in which order and with which signs.
    """
    layout, texts = formulation.network.layout, []
    for block in layout.blocks:
        places = block.places[block.places >= 0]
        sources = order[places]
        owners = dict.fromkeys(layout.owners[sources].tolist())
        names = " and ".join(layout.blocks[owner].name for owner in owners)
        source = layout.blocks[next(iter(owners))].places
        if len(owners) > 1 or not np.array_equal(sources, source[source >= 0]):
            names += " in another order"
        if sign[places[0]] < 0:
            names += " negated"
        if names != block.name:
            texts.append(f"{block.name} is {names}")
    return ", ".join(texts)
