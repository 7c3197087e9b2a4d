"""Ordinary NumPy arithmetic in one dtype, real or complex, as a NumPy implementation computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.arithmetic.probabilities import (
    log_softmax,
    logsumexp,
    softmax,
    softmax_back,
    softplus,
)
from harness.core.contract import Contract, Mask
from harness.core.linear import LinearMap

Values = NDArray[Any]


class Plain:
    """Arithmetic on NumPy arrays of `dtype`, by default the dtype of the contract (the promised
    arithmetic).
    """

    def __init__(self, contract: Contract, dtype: str | None = None) -> None:
        self.contract = contract
        self.dtype = np.dtype(dtype or contract.dtype)

    def lift(self, x: Values) -> Values:
        return np.asarray(x).astype(self.dtype, copy=False)

    def widen(self, x: Values, error: Values) -> Values:
        return x

    def each(self, shape: Callable[[Values], Values], x: Values) -> Values:
        return shape(x)

    def with_ones(self, x: Values) -> Values:
        return np.concatenate([np.ones((*x.shape[:-1], 1), x.dtype), x], axis=-1)

    def join(self, a: Values, b: Values) -> Values:
        return np.concatenate([a, b], axis=-1)

    def linear(
        self, matrix: LinearMap, x: Values, constant: Values | float, roundings: Values
    ) -> Values:
        image = matrix(x)
        return self.lift(image + constant if np.any(constant) else image)

    def dot(self, a: Values, b: Values, extra: int = 0, plus: Values | None = None) -> Values:
        return a @ b if plus is None else a @ b + plus

    def constant(self, like: Values, value: float) -> Values:
        return np.full_like(like, value)

    def stack(self, parts: Sequence[Values]) -> Values:
        return np.concatenate(parts)

    def add(self, a: Values, b: Values) -> Values:
        return a + b

    def sub(self, a: Values, b: Values) -> Values:
        return a - b

    def mul(self, a: Values, b: Values | None) -> Values:
        return a if b is None else a * b

    def mix(self, a: Values, b: Values, share: float) -> Values:
        return self.add(self.scale(a, 1 - share), self.scale(b, share))

    def divide(self, a: Values, b: Values) -> Values:
        return a / b

    def root(self, a: Values) -> Values:
        result: Values = np.sqrt(a)
        return result

    def scale(self, a: Values, factor: Values | float, slack: float = 0.0) -> Values:
        return a * self.lift(np.asarray(factor))

    def stored(self, x: Values, name: str = "") -> Values:
        return x

    def act(self, name: str, z: Values) -> tuple[Values, Values | None]:
        if name == "identity":
            return z, None
        if name == "tanh":
            h = np.tanh(z)
            return h, 1 - h * h
        if name == "relu":
            return np.where(z.real > 0, z, 0).astype(z.dtype), relu_slope(
                z.real, self.contract
            ).astype(z.dtype)
        h = logistic(z)
        d = h * (1 - h)
        clip = self.contract.logistic_clip
        if clip is not None and (abs(z.real) > clip).any():
            h = np.where(z.real > clip, 1, np.where(z.real < -clip, 0, h))
            d = np.where(abs(z.real) > clip, 0, d)
        return h, d

    def log(self, x: Values) -> Values:
        return np.asarray(np.log(x))

    def softplus(self, z: Values) -> Values:
        return softplus(z)

    def softmax(self, z: Values, among: Mask | None = None) -> Values:
        return softmax(z, among)

    def softmax_back(self, p: Values, e: Values) -> Values:
        return softmax_back(p, e)

    def log_softmax(self, z: Values) -> Values:
        return log_softmax(z)

    def logsumexp(self, z: Values, among: Mask | None = None) -> Values:
        return logsumexp(z, among)

    def shift(self, x: Values, c: float) -> Values:
        return x + self.lift(np.asarray(c))

    def at_least(self, x: Values, least: float) -> Values:
        return np.where(x.real < least, least, x).astype(x.dtype)

    def replaced(self, x: Values, where: Mask, value: float) -> Values:
        return np.where(where, value, x).astype(x.dtype)

    def is_zero(self, x: Values) -> Mask:
        return np.asarray(x == 0)

    def may_be_at_most(self, x: Values, most: float) -> Mask:
        return np.zeros(x.shape, dtype=bool)

    def lose(self, x: Values, where: Mask) -> Values:
        return x


def logistic(z: Values) -> Values:
    """Return 1 / (1 + exp(-z)); if exp(-z) overflows, the result is 0, without a warning."""
    with np.errstate(over="ignore"):
        result: Values = 1 / (1 + np.exp(-z))
    return result


def relu_slope(z: Values, contract: Contract) -> Values:
    """Return the derivative of ReLU at z.

    At exactly 0 it is the `relu_at_zero` of the contract, the promised arithmetic.
    """
    return np.where(z > 0, 1.0, np.where(z == 0, contract.relu_at_zero, 0.0))
