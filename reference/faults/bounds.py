"""Bounds on the answers of an implementation that makes a planted mistake (a fault).

In shapes, D counts draws (problems of a stack). T counts the network's parameters, which form the
vector theta; P counts own parameters: the model's own tensors, flattened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import singledispatch
from typing import Any

import numpy as np

from harness.arithmetic.bounded import BoundedArithmetic
from harness.arithmetic.plain import Plain
from harness.core.contract import Array, Bounded, Contract
from harness.core.problem import QUANTITIES, Problem
from reference.faults.kinds import (
    Answer,
    Answers,
    Data,
    Fault,
    Hidden,
    Misread,
    Off,
    Posed,
    Slope,
    reading,
    undecayed,
)
from reference.faults.outputs import OtherLoss, Output
from reference.faults.rewired import Rewired
from reference.mathematics.equations import column, equations_of, evaluate, flat, row
from reference.mathematics.oracle import oracle
from reference.mathematics.questions import at_theta, chunks

Found = dict[str, Bounded]


@singledispatch
def bounds(fault: Fault, problem: Problem, contract: Contract) -> Found:
    """Return every quantity (outputs, loss, gradients), computed by the equations with a mistake,
    and its error bound.

    The gradient is by own parameters (D, P). D counts draws (problems of a stack) and P own
    parameters (a model's tensors, flattened). Raises TypeError for a kind of fault without bounds.
    """
    raise TypeError(f"{type(fault).__name__} has no bounds")


@bounds.register
def _(fault: Misread, problem: Problem, contract: Contract) -> Found:
    read = undecayed(problem).through(reading(problem.network, fault.change))
    return _decayed(oracle(read, contract), problem, contract)


@bounds.register
def _(fault: Off, problem: Problem, contract: Contract) -> Found:
    asked = at_theta(undecayed(problem))
    other = fault.changed(asked.network.layout, asked.own)
    found = oracle(replace(asked, own=other), contract)
    return _decayed(_by_own(found, problem, contract), problem, contract)


@bounds.register
def _(fault: Slope, problem: Problem, contract: Contract) -> Found:
    m, found = _arithmetic(problem, contract), oracle(at_theta(undecayed(problem)), contract)
    read = reading(problem.network, fault.change)
    slope = m.linear(read.matrix, found["gradient"], 0.0, read.forward_roundings)
    return _decayed(_by_own({**found, "gradient": slope}, problem, contract), problem, contract)


@bounds.register
def _(fault: Posed, problem: Problem, contract: Contract) -> Found:
    return oracle(fault.change(problem), contract)


@bounds.register
def _(fault: Data, problem: Problem, contract: Contract) -> Found:
    changed = {fault.part: fault.change(getattr(problem, fault.part))}
    found = oracle(replace(problem, **changed), contract)
    if fault.part != "inputs":
        return found
    m, slope = _arithmetic(problem, contract), found["input_gradient"]
    back = fault.reads(problem.inputs.shape[1:]).transpose
    given = m.linear(back, m.each(flat, slope), 0.0, np.asarray(back.entries + 1, dtype=float))
    return {**found, "input_gradient": m.each(lambda part: part.reshape(slope.value.shape), given)}


@bounds.register
def _(fault: Hidden, problem: Problem, contract: Contract) -> Found:
    network = equations_of(problem.network)
    parts = []
    for draws in chunks(problem):
        m = _Replaced(contract, network.added, fault.change, fault.number_in(network))
        parts.append(evaluate(m, problem.part(draws)))
    stack = _arithmetic(problem, contract).stack
    return {name: stack([part[name] for part in parts]) for name in QUANTITIES}


@bounds.register
def _(fault: Output, problem: Problem, contract: Contract) -> Found:
    return _evaluated(fault, problem, contract)


@bounds.register
def _(fault: Rewired, problem: Problem, contract: Contract) -> Found:
    return _evaluated(fault, problem, contract)


@bounds.register
def _(fault: OtherLoss, problem: Problem, contract: Contract) -> Found:
    return _evaluated(fault, fault.other(problem), contract)


def _evaluated(fault: Output | OtherLoss | Rewired, problem: Problem, contract: Contract) -> Found:
    """Return every quantity with its error bound, computed by the wrong equations of a fault (a
    mistake), some draws at a time.
    """
    parts = []
    for draws in chunks(problem):
        part = problem.part(draws)
        parts.append(fault.equations(part)(_arithmetic(part, contract), part))
    stack = _arithmetic(problem, contract).stack
    return {name: stack([part[name] for part in parts]) for name in QUANTITIES}


@bounds.register
def _(fault: Answer, problem: Problem, contract: Contract) -> Found:
    """Bound wrong answers that are made from right ones.

    The right answers are moved by their own bounds, up, down, or all to larger sizes. The bound of
    a wrong answer is the distance by which it then moves.
    """
    # later numbers may be computed from stored ones
    if fault.kept_in and Contract(fault.kept_in).bits < contract.bits:
        contract = replace(contract, dtype=fault.kept_in)
    # not proved exact: a factor may act, and round, on the way
    sound = oracle(replace(at_theta(problem), exact=False), contract)
    u = _arithmetic(problem, contract).u
    values = {name: sound[name].value for name in QUANTITIES}
    wrong: Answers = fault.change(values, problem)

    def move(name: str, step: Array) -> Answers:
        moved = fault.change({**values, name: values[name] + step}, problem)
        return {each: abs(moved[each] - wrong[each]) for each in QUANTITIES}

    moved = {name: np.zeros(values[name].shape) for name in QUANTITIES}
    for name in QUANTITIES:
        step = sound[name].error + fault.roundings(problem) * u * abs(values[name])
        up, down = move(name, step), move(name, -step)
        larger = move(name, np.sign(values[name]) * step)
        for each in QUANTITIES:
            moved[each] += np.maximum(up[each], down[each]) + larger[each]
    found = {}
    for name in QUANTITIES:
        # an answer computed anew from fewer data has no larger bound than one from all of them
        error = np.where(moved[name] > 0, moved[name], sound[name].error)
        error = error + _shrink(wrong[name], sound[name])
        found[name] = Bounded(wrong[name], error + u * abs(wrong[name]))
    return _by_own(found, problem, contract)


def _shrink(wrong: Array, sound: Bounded) -> Array:
    """Return the error bounds of right answers, each scaled down by the ratio of the wrong to the
    right answer (at most 1).

    A norm that divides all answers changes with them, and may hide how much a single answer
    changes.
    """
    right = abs(sound.value)
    shares = np.divide(abs(wrong), right, out=np.zeros_like(right), where=right > 0)
    return np.minimum(shares, 1.0) * sound.error


def _arithmetic(problem: Problem, contract: Contract) -> BoundedArithmetic:
    return BoundedArithmetic(contract, equations_of(problem.network).added)


def _by_own(found: Found, problem: Problem, contract: Contract) -> Found:
    """Return a copy of the answers in which the gradient is by own parameters (D, P) instead of by
    theta (D, T).

    D counts draws (problems of a stack), P own parameters (a model's tensors, flattened) and T the
    network's parameters.
    """
    formulation, m = problem.formulation, _arithmetic(problem, contract)
    own = m.linear(
        formulation.matrix.transpose, found["gradient"], 0.0, formulation.backward_roundings
    )
    return {**found, "gradient": own}


def _decayed(found: Found, problem: Problem, contract: Contract) -> Found:
    """Return the answers with the problem's weight decay added; it acts on the right parameters,
    even if the mistake is to read other ones.

    An implementation's sum over the rows may begin with the decay; then all additions round it.
    """
    if not problem.loss.has_decay:
        return found
    decays, m = problem.own_decays, _arithmetic(problem, contract)
    own = m.lift(problem.own)
    scaled = m.scale(own, decays)
    count = len(problem.formulation.own.blocks)
    penalty = m.each(np.ravel, m.dot(m.each(row, own), m.each(column, scaled), count))
    slope = m.scale(own, 2 * decays)
    slope = Bounded(slope.value, slope.error + problem.rows * m.u * abs(slope.value))
    return {
        **found,
        "loss": m.add(found["loss"], penalty),
        "gradient": m.add(found["gradient"], slope),
    }


class _Replaced(BoundedArithmetic):
    """Bounded arithmetic with one activation replaced by another, which must not be decreasing.

    `which` is the number of the replaced activation, from 0; the identity is not counted.
    """

    def __init__(
        self, contract: Contract, parts: int, replacement: Callable[..., Any], which: int
    ) -> None:
        super().__init__(contract, parts)
        self.plain, self.replacement, self.left = Plain(contract, "float64"), replacement, which

    def act(self, name: str, z: Bounded) -> tuple[Bounded, Bounded | None]:
        """Return an activation of z and its derivative, with error bounds. The replacement is
        bounded by its values at both ends of the interval of z.
        """
        if name == "identity":
            return z, None
        self.left -= 1
        if self.left != -1:
            return super().act(name, z)
        h, d = self._replaced(name, z.value)
        low, low_slope = self._replaced(name, z.value - z.error)
        high, high_slope = self._replaced(name, z.value + z.error)
        # as many roundings as the slowest of ours takes
        rounds = (4 * self.contract.exp_ulp + 4) * self.u
        spread = np.maximum(abs(low - h), abs(high - h))
        value = Bounded(h, spread + rounds * abs(h) + self.tiny)
        if d is None:
            return value, None
        # a slope may rise and fall again within the interval
        turned = 2 * np.maximum(abs(low_slope - d), abs(high_slope - d))
        return value, Bounded(np.asarray(d), turned + rounds * (1 + abs(d)) + self.tiny)

    def _replaced(self, name: str, z: Array) -> tuple[Array, Any]:
        """Return the replacement and its derivative at z; None stands for a derivative of 1."""
        h, d = self.replacement(z, *self.plain.act(name, z))
        return h, d
