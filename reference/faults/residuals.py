"""Losses of the differences of outputs from targets other than their squares: absolute errors and
Huber's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np

from harness.core.contract import Array
from harness.core.problem import Problem
from reference.faults.outputs import ErrorsOf, OtherLoss, find_any_errors
from reference.mathematics.equations import evaluate
from reference.mathematics.errors import Errors, Head
from reference.mathematics.tape import Tape

V = TypeVar("V")


@dataclass(frozen=True)
class WithLoss(OtherLoss):
    """Another loss, whose errors are computed by `errors_of`."""

    errors_of: ErrorsOf = field(default=find_any_errors, kw_only=True)

    def equations(self, problem: Problem) -> Callable[..., Any]:
        """Return the network's equations, with the errors of this loss."""
        return partial(evaluate, errors_of=self.errors_of)


def _numbers(x: Any) -> tuple[Array, Array]:
    """Return the numbers of x, and the bounds on their errors: 0 in arithmetic without bounds."""
    if isinstance(x, np.ndarray):
        return x, np.zeros(x.shape)
    return x.value, getattr(x, "error", np.zeros(x.value.shape))


def absolute(tape: Tape[V], head: Head[V]) -> Errors[V]:
    """Return the errors |o - t| (L1) of outputs o and targets t, and their derivative by o: the
    sign of o - t.
    """
    m = tape.m
    r = m.sub(head.outputs.value, m.lift(head.targets))
    value, error = _numbers(r)
    factor = m.scale(m.lift(np.sign(value)), head.shares)
    slope = m.lose(factor, abs(value) < error)
    return Errors(((r, factor),), head.outputs, slope)


def huber(delta: float) -> ErrorsOf:
    """Return a function that computes Huber's errors of outputs o and targets t: r^2 / 2 up to |r|
    = delta, and delta (|r| - delta / 2) beyond, where r = o - t.
    """

    def errors_of(tape: Tape[Any], head: Head[Any]) -> Errors[Any]:
        m = tape.m
        r = m.sub(head.outputs.value, m.lift(head.targets))
        value, _ = _numbers(r)
        above, below = value > delta, value < -delta
        outer: Array = above.astype(float) - below.astype(float)
        near = m.replaced(r, above | below, 0.0)
        far = m.replaced(r, ~(above | below), 0.0)
        ones = m.lift(np.ones(outer.shape))
        pairs = (
            (near, m.scale(near, 0.5 * head.shares)),
            (far, m.scale(m.lift(delta * outer), head.shares)),
            (ones, m.scale(m.lift(-(delta**2) / 2 * abs(outer)), head.shares)),
        )
        clipped = m.replaced(m.replaced(r, above, delta), below, -delta)
        return Errors(pairs, head.outputs, m.scale(clipped, head.shares))

    return errors_of
