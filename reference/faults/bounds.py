"""How far from a fault's answers an implementation that makes this mistake may be: bounds of the
wrong equations.
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
from reference.mathematics.equations import column, evaluate, flat, row
from reference.mathematics.oracle import oracle
from reference.mathematics.questions import at_theta, chunks

Found = dict[str, Bounded]


@singledispatch
def bounds(fault: Fault, problem: Problem, contract: Contract) -> Found:
    """Every quantity by the equations with the mistake, the gradient by own parameters (D, P), with
    its bound.

    Raises TypeError for a kind of fault that has no bounds.
    """
    raise TypeError(f"{type(fault).__name__} has no bounds")


@bounds.register
def _(fault: Misread, problem: Problem, contract: Contract) -> Found:
    network: Any = problem.formulation.network
    read = undecayed(problem).through(reading(network, fault.change))
    return _decayed(oracle(read, contract), problem, contract)


@bounds.register
def _(fault: Off, problem: Problem, contract: Contract) -> Found:
    asked = at_theta(undecayed(problem))
    other = fault.changed(asked.formulation.network.layout, asked.own)
    return _decayed(
        _by_own(oracle(replace(asked, own=other), contract), problem, contract), problem, contract
    )


@bounds.register
def _(fault: Slope, problem: Problem, contract: Contract) -> Found:
    m, found = _arithmetic(problem, contract), oracle(at_theta(undecayed(problem)), contract)
    network: Any = problem.formulation.network
    read = reading(network, fault.change)
    slope = m.linear(read.matrix, found["gradient"], 0.0, read.forward_roundings)
    return _decayed(_by_own({**found, "gradient": slope}, problem, contract), problem, contract)


@bounds.register
def _(fault: Posed, problem: Problem, contract: Contract) -> Found:
    return oracle(fault.change(problem), contract)


@bounds.register
def _(fault: Data, problem: Problem, contract: Contract) -> Found:
    found = oracle(
        replace(problem, **{fault.part: fault.change(getattr(problem, fault.part))}), contract
    )
    if fault.part != "inputs":
        return found
    m, slope = _arithmetic(problem, contract), found["input_gradient"]
    back = fault.reads(problem.inputs.shape[1:]).transpose
    given = m.linear(back, m.each(flat, slope), 0.0, np.asarray(back.entries + 1, dtype=float))
    return {**found, "input_gradient": m.each(lambda part: part.reshape(slope.value.shape), given)}


@bounds.register
def _(fault: Hidden, problem: Problem, contract: Contract) -> Found:
    network: Any = problem.formulation.network
    first = sum(name != "identity" for name in network.activations[: fault.layer])
    parts = [
        evaluate(_Replaced(contract, network.added, fault.change, first), problem.part(draws))
        for draws in chunks(problem)
    ]
    return {
        name: _arithmetic(problem, contract).stack([part[name] for part in parts])
        for name in QUANTITIES
    }


@bounds.register
def _(fault: Answer, problem: Problem, contract: Contract) -> Found:
    """By what becomes of answers that are off, each by its bound: in one direction, in the other,
    or all too large.
    """
    # what follows may go on from such numbers
    if fault.kept_in and Contract(fault.kept_in).bits < contract.bits:
        contract = replace(contract, dtype=fault.kept_in)
    # not proved exact: what is scaled may be scaled on the way, and rounds there
    sound, u = (
        oracle(replace(at_theta(problem), exact=False), contract),
        _arithmetic(problem, contract).u,
    )
    values = {name: sound[name].value for name in QUANTITIES}
    wrong, found = fault.change(values, problem), {}
    moved = {name: np.zeros(values[name].shape) for name in QUANTITIES}
    for name in QUANTITIES:
        step = sound[name].error + fault.roundings(problem) * u * abs(values[name])
        up, down, larger = (
            _apart(fault.change({**values, name: values[name] + sign * step}, problem), wrong)
            for sign in (1.0, -1.0, np.sign(values[name]))
        )
        for each in QUANTITIES:
            moved[each] += np.maximum(up[each], down[each]) + larger[each]
    for name in QUANTITIES:
        # what is computed anew, from fewer data, is bounded by what bounds all of it
        error = np.where(moved[name] > 0, moved[name], sound[name].error)
        found[name] = Bounded(wrong[name], error + u * abs(wrong[name]))
    return _by_own(found, problem, contract)


def _apart(a: Answers, b: Answers) -> Answers:
    return {name: abs(a[name] - b[name]) for name in QUANTITIES}


def _arithmetic(problem: Problem, contract: Contract) -> BoundedArithmetic:
    network: Any = problem.formulation.network
    return BoundedArithmetic(contract, network.added)


def _by_own(found: Found, problem: Problem, contract: Contract) -> Found:
    """With the gradient by theta as one by the own parameters."""
    formulation, m = problem.formulation, _arithmetic(problem, contract)
    own = m.linear(
        formulation.matrix.transpose, found["gradient"], 0.0, formulation.backward_roundings
    )
    return {**found, "gradient": own}


def _decayed(found: Found, problem: Problem, contract: Contract) -> Found:
    """With the problem's decay, which acts on parameters as they are, whatever they are taken for.

    It may be what a sum over the rows begins with: then all additions round it.
    """
    decay, m = problem.loss.decay, _arithmetic(problem, contract)
    if not decay:
        return found
    own = m.lift(problem.own)
    scaled = m.scale(own, decay)
    penalty = m.each(
        np.ravel,
        m.dot(m.each(row, own), m.each(column, scaled), len(problem.formulation.own.blocks)),
    )
    slope = m.scale(own, 2 * decay)
    slope = Bounded(slope.value, slope.error + problem.rows * m.u * abs(slope.value))
    return {
        **found,
        "loss": m.add(found["loss"], penalty),
        "gradient": m.add(found["gradient"], slope),
    }


class _Replaced(BoundedArithmetic):
    """Bounded arithmetic with one of the activations that are asked for replaced by another, which
    never falls.
    """

    def __init__(
        self, contract: Contract, parts: int, replacement: Callable[..., Any], which: int
    ) -> None:
        super().__init__(contract, parts)
        self.plain, self.replacement, self.left = Plain(contract, "float64"), replacement, which

    def act(self, name: str, z: Bounded) -> tuple[Bounded, Bounded | None]:
        """By its values at both ends of what z may be."""
        self.left -= name != "identity"
        if self.left != -1 or name == "identity":
            return super().act(name, z)
        (h, d), *ends = (
            self.replacement(x, *self.plain.act(name, x))
            for x in (z.value, z.value - z.error, z.value + z.error)
        )
        # as many roundings as the slowest of ours takes
        rounds = (4 * self.contract.exp_ulp + 4) * self.u
        value = Bounded(
            h, np.maximum(*(abs(end - h) for end, _ in ends)) + rounds * abs(h) + self.tiny
        )
        if d is None:
            return value, None
        # a slope may have its largest value within: it has gone up and down by then
        turned: Array = 2 * np.maximum(*(abs(end - d) for _, end in ends))
        return value, Bounded(np.asarray(d), turned + rounds * (1 + abs(d)) + self.tiny)
