"""Grid arithmetic: a proof that no correct implementation rounds on the way to a result.

Suppose that all terms of a sum are multiples of one quantum 2^-q, and that their absolute values
add up to at most 2^p quanta, with p significand bits. Then the sum is exact in every order of
summation, tree, blocking and FMA. Each value stores the largest count of quanta among itself and
all values from which it was computed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from harness.arithmetic.plain import relu_slope
from harness.arithmetic.rounding import are_exact_factors
from harness.core.contract import Array, Contract, Mask
from harness.core.linear import LinearMap

NEVER = np.inf


@dataclass(frozen=True, eq=False)
class OnGrid:
    """Exact numbers `value` (D, ...) for D draws (problems of a stack), all multiples of
    2^-quantum.

    `quanta` (D,) is the largest number of quanta (multiples of 2^-quantum) in any value of a draw
    so far. `size` is |value|; for a sum that an implementation may never form, it is the sum of its
    summands' absolute values.
    """

    value: Array
    quantum: int
    quanta: Array
    size: Array

    def exact(self, bits: int) -> Mask:
        """Return for each of the D draws (D,) whether the value is exact with a significand of
        `bits` bits.
        """
        return self.quanta <= 2.0**bits


class GridArithmetic:
    """Arithmetic on `OnGrid` values."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract

    def lift(self, x: Array) -> OnGrid:
        for quantum in range(64):
            scaled = x * 2.0**quantum
            if (scaled == np.rint(scaled)).all():
                return self._counted(x, quantum, abs(x))
        return OnGrid(x, 0, np.full(x.shape[0], NEVER), abs(x))

    def widen(self, x: OnGrid, error: Array) -> OnGrid:
        exact = (error == 0).reshape(len(error), -1).all(axis=1)
        return replace(x, quanta=np.where(exact, x.quanta, NEVER))

    def each(self, shape: Callable[[Array], Array], x: OnGrid) -> OnGrid:
        return OnGrid(shape(x.value), x.quantum, x.quanta, shape(x.size))

    def with_ones(self, x: OnGrid) -> OnGrid:
        ones = np.ones((*x.value.shape[:-1], 1))
        value, size = (np.concatenate([ones, part], axis=-1) for part in (x.value, x.size))
        return self._counted(value, max(x.quantum, 0), size, x)

    def join(self, a: OnGrid, b: OnGrid) -> OnGrid:
        value = np.concatenate([a.value, b.value], axis=-1)
        size = np.concatenate([a.size, b.size], axis=-1)
        return OnGrid(value, max(a.quantum, b.quantum), np.maximum(a.quanta, b.quanta), size)

    def linear(
        self, matrix: LinearMap, x: OnGrid, constant: Array | float, roundings: Array
    ) -> OnGrid:
        shift = np.broadcast_to(constant, (matrix.rows,))
        entries = self.lift(np.concatenate([matrix.data, shift])[None])
        value, size = matrix(x.value) + shift, matrix.absolute(x.size) + abs(shift)
        size = np.where(entries.quanta < NEVER, size, NEVER)
        counted = self._counted(value, entries.quantum + x.quantum, size, x)
        several = (matrix.entries + (shift != 0)) > 1
        return replace(counted, size=np.where(several, size, abs(value)))

    def dot(self, a: OnGrid, b: OnGrid, extra: int = 0, plus: OnGrid | None = None) -> OnGrid:
        value, size = a.value @ b.value, a.size @ b.size
        quantum = a.quantum + b.quantum
        if plus is None:
            return self._counted(value, quantum, size, a, b)
        quantum = max(quantum, plus.quantum)
        return self._counted(value + plus.value, quantum, size + plus.size, a, b, plus)

    def sub(self, a: OnGrid, b: OnGrid) -> OnGrid:
        return self._counted(a.value - b.value, max(a.quantum, b.quantum), a.size + b.size, a, b)

    def mul(self, a: OnGrid, b: OnGrid | None) -> OnGrid:
        if b is None:
            return a
        value = a.value * b.value
        return self._counted(value, a.quantum + b.quantum, a.size * b.size, a, b)

    def divide(self, a: OnGrid, b: OnGrid) -> OnGrid:
        return self._make_unproved(a.value)

    def scale(self, a: OnGrid, factor: Array | float, slack: float = 0.0) -> OnGrid:
        """Return a times a constant. The result is on a grid only if the constant is 0 or a power
        of two and `slack`, the constant's relative error, is 0.
        """
        if slack or not are_exact_factors(factor).all():
            return OnGrid(a.value * factor, a.quantum, np.full(len(a.value), NEVER), a.size)
        value = a.value * factor
        size = a.size * abs(np.asarray(factor))
        exponents = np.asarray(np.frexp(np.abs(factor))[1] - 1)[np.asarray(factor) != 0]
        least = int(exponents.min()) if exponents.size else 0
        return self._counted(value, a.quantum - least, size, a)

    def stored(self, x: OnGrid, name: str = "") -> OnGrid:
        return x

    def act(self, name: str, z: OnGrid) -> tuple[OnGrid, OnGrid | None]:
        """Return the activation `name` of z and its derivative; None stands for a derivative of 1.

        ReLU is exact everywhere; tanh and the logistic are exact only in draws in which every z is
        0.
        """
        if name == "identity":
            return z, None
        if name == "relu":
            slope = relu_slope(z.value, self.contract)
            height = self._known(np.maximum(z.value, 0.0), z.quantum, z.quanta)
            return height, self._known(slope, 1, np.maximum(2.0, z.quanta))
        zero = (z.value == 0).reshape(len(z.value), -1).all(axis=1)
        quanta = np.where(zero, np.maximum(z.quanta, 1.0), NEVER)
        at_zero, slope_at_zero = (0.0, 1.0) if name == "tanh" else (0.5, 0.25)
        return (
            self._known(np.full(z.value.shape, at_zero), int(at_zero > 0), quanta),
            self._known(np.full(z.value.shape, slope_at_zero), 2 * int(slope_at_zero < 1), quanta),
        )

    def log(self, x: OnGrid) -> OnGrid:
        return self._make_unproved(x.value)

    def softplus(self, z: OnGrid) -> OnGrid:
        return self._make_unproved(z.value)

    def softmax(self, z: OnGrid, among: Mask | None = None) -> OnGrid:
        return self._make_unproved(z.value)

    def softmax_back(self, p: OnGrid, e: OnGrid) -> OnGrid:
        return self._make_unproved(p.value)

    def log_softmax(self, z: OnGrid) -> OnGrid:
        return self._make_unproved(z.value)

    def logsumexp(self, z: OnGrid, among: Mask | None = None) -> OnGrid:
        return self._make_unproved(z.value[..., :1])

    def shift(self, x: OnGrid, c: float) -> OnGrid:
        constant = self.lift(np.full(x.value.shape, c))
        size = x.size + abs(c)
        return self._counted(x.value + c, max(x.quantum, constant.quantum), size, x, constant)

    def at_least(self, x: OnGrid, least: float) -> OnGrid:
        return self._replace_where(x, x.value < least, least)

    def replaced(self, x: OnGrid, where: Mask, value: float) -> OnGrid:
        return self._replace_where(x, where, value)

    def is_zero(self, x: OnGrid) -> Mask:
        proved = x.quanta < NEVER
        return np.asarray((x.value == 0) & proved.reshape(-1, *[1] * (x.value.ndim - 1)))

    def may_be_at_most(self, x: OnGrid, most: float) -> Mask:
        return np.zeros(x.value.shape, dtype=bool)

    def lose(self, x: OnGrid, where: Mask) -> OnGrid:
        return x

    def _replace_where(self, x: OnGrid, where: Mask, value: float) -> OnGrid:
        """Return x with a constant in the places of a mask."""
        constant = self.lift(np.full(x.value.shape, value))
        size = np.where(where, abs(value), x.size)
        quantum = max(x.quantum, constant.quantum)
        return self._counted(np.where(where, value, x.value), quantum, size, x, constant)

    def _make_unproved(self, like: Array) -> OnGrid:
        """Return zeros in the shape of `like`, marked as not exact in any draw."""
        zeros = np.zeros(like.shape)
        return OnGrid(zeros, 0, np.full(len(like), NEVER), zeros)

    def _known(self, value: Array, quantum: int, quanta: Array) -> OnGrid:
        return OnGrid(value, quantum, quanta, value)  # of what is not negative

    def _counted(self, value: Array, quantum: int, size: Array, *ancestors: OnGrid) -> OnGrid:
        quanta = size.reshape(len(value), -1).max(axis=1) * 2.0**quantum
        for ancestor in ancestors:
            quanta = np.maximum(quanta, ancestor.quanta)
        return OnGrid(value, quantum, quanta, abs(value))
