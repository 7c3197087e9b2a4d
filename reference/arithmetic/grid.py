"""Grid arithmetic: proves that every correct implementation must get a result without any rounding.

An array whose elements are all multiples of one quantum 2^-q is exact in every order of summation, tree, blocking and
FMA as long as the sum of the sizes of its terms is at most 2^p quanta, p being the significand bits; the largest such
count over everything that the array was computed from decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.contract import Array, Contract
from harness.linear import LinearMap
from reference.arithmetic.plain import relu_slope

NEVER = np.inf


@dataclass(frozen=True, eq=False)
class OnGrid:
    """Exact `value` (D, ...), multiples of 2^-quantum, and per draw the quanta that had to be counted (D,)."""

    value: Array
    quantum: int
    quanta: Array

    def exact(self, bits: int) -> NDArray[np.bool_]:
        """For each draw: is the value exact in a significand of `bits` bits?"""
        return self.quanta <= 2.0**bits


class GridArithmetic:
    """Values are `OnGrid`."""

    def __init__(self, contract: Contract) -> None:
        self.contract = contract

    def lift(self, x: Array) -> OnGrid:
        for quantum in range(64):
            scaled = x * 2.0**quantum
            if (scaled == np.rint(scaled)).all():
                return self._counted(x, quantum, abs(x))
        return OnGrid(x, 0, np.full(x.shape[0], NEVER))

    def each(self, shape: Callable[[Array], Array], x: OnGrid) -> OnGrid:
        return OnGrid(shape(x.value), x.quantum, x.quanta)

    def with_ones(self, x: OnGrid) -> OnGrid:
        ones = np.ones((*x.value.shape[:-1], 1))
        value = np.concatenate([ones, x.value], axis=-1)
        return self._counted(value, max(x.quantum, 0), ones, x)

    def join(self, a: OnGrid, b: OnGrid) -> OnGrid:
        value = np.concatenate([a.value, b.value], axis=-1)
        return OnGrid(value, max(a.quantum, b.quantum), np.maximum(a.quanta, b.quanta))

    def linear(self, matrix: LinearMap, x: OnGrid, constant: Array | float, roundings: Array) -> OnGrid:
        shift = np.broadcast_to(constant, (matrix.rows,))
        entries = self.lift(np.concatenate([matrix.matrix.data, shift])[None])
        value, size = matrix(x.value) + shift, matrix.absolute(abs(x.value)) + abs(shift)
        size = np.where(entries.quanta < NEVER, size, NEVER)
        return self._counted(value, entries.quantum + x.quantum, size, x)

    def dot(self, a: OnGrid, b: OnGrid, extra: int = 0, plus: OnGrid | None = None) -> OnGrid:
        value, size = a.value @ b.value, abs(a.value) @ abs(b.value)
        quantum = a.quantum + b.quantum
        if plus is None:
            return self._counted(value, quantum, size, a, b)
        quantum = max(quantum, plus.quantum)
        return self._counted(value + plus.value, quantum, size + abs(plus.value), a, b, plus)

    def sub(self, a: OnGrid, b: OnGrid) -> OnGrid:
        return self._counted(a.value - b.value, max(a.quantum, b.quantum), abs(a.value) + abs(b.value), a, b)

    def mul(self, a: OnGrid, b: OnGrid | None) -> OnGrid:
        if b is None:
            return a
        value = a.value * b.value
        return self._counted(value, a.quantum + b.quantum, abs(value), a, b)

    def scale(self, a: OnGrid, factor: Array | float) -> OnGrid:
        """Times a constant: stays on a grid for powers of two only."""
        mantissa, exponent = np.frexp(np.asarray(factor))
        if not (mantissa == 0.5).all():
            return OnGrid(a.value * factor, a.quantum, np.full(len(a.value), NEVER))
        value = a.value * factor
        return self._counted(value, a.quantum - int((exponent - 1).min()), abs(value), a)

    def act(self, name: str, z: OnGrid) -> tuple[OnGrid, OnGrid | None]:
        """ReLU anywhere; tanh and the logistic only in draws where every z is exactly 0."""
        if name == "identity":
            return z, None
        if name == "relu":
            slope = relu_slope(z.value, self.contract)
            return OnGrid(np.maximum(z.value, 0.0), z.quantum, z.quanta), OnGrid(slope, 1, np.maximum(2.0, z.quanta))
        zero = (z.value == 0).reshape(len(z.value), -1).all(axis=1)
        quanta = np.where(zero, np.maximum(z.quanta, 1.0), NEVER)
        height, slope_at_zero = (0.0, 1.0) if name == "tanh" else (0.5, 0.25)
        return (
            OnGrid(np.full(z.value.shape, height), int(height > 0), quanta),
            OnGrid(np.full(z.value.shape, slope_at_zero), 2 * int(slope_at_zero < 1), quanta),
        )

    def _counted(self, value: Array, quantum: int, size: Array, *ancestors: OnGrid) -> OnGrid:
        quanta = size.reshape(len(value), -1).max(axis=1) * 2.0**quantum
        for ancestor in ancestors:
            quanta = np.maximum(quanta, ancestor.quanta)
        return OnGrid(value, quantum, quanta)
