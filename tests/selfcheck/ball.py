"""Ball arithmetic (Arb, through python-flint): rigorous enclosures of exact answers, for small
nets; the auditor.

Johansson, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic", IEEE Trans.
Computers 66 (2017). Needs the extra `audit`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.core.contract import Contract
from harness.core.linear import LinearMap

Balls = NDArray[Any]
BITS = 256


class BallArithmetic:
    """Values are object arrays of `flint.arb`."""

    def __init__(self, contract: Contract) -> None:
        import flint

        flint.ctx.prec = BITS
        self.contract = contract
        self.arb = flint.arb

    def lift(self, x: Balls) -> Balls:
        return np.vectorize(self.arb, otypes=[object])(x)

    def each(self, shape: Callable[[Balls], Balls], x: Balls) -> Balls:
        return shape(x)

    def with_ones(self, x: Balls) -> Balls:
        ones = np.full((*x.shape[:-1], 1), self.arb(1), dtype=object)
        return np.concatenate([ones, x], axis=-1)

    def join(self, a: Balls, b: Balls) -> Balls:
        return np.concatenate([a, b], axis=-1)

    def linear(self, matrix: LinearMap, x: Balls, constant: Any, roundings: Any) -> Balls:
        image = x @ self.lift(matrix.matrix.toarray().T)
        return np.asarray(image + self.lift(np.broadcast_to(constant, (matrix.rows,))))

    def dot(self, a: Balls, b: Balls, extra: int = 0, plus: Balls | None = None) -> Balls:
        return np.asarray(a @ b if plus is None else a @ b + plus)

    def constant(self, like: Balls, value: float) -> Balls:
        return np.full(like.shape, self.arb(value), dtype=object)

    def stack(self, parts: Sequence[Balls]) -> Balls:
        return np.concatenate(parts)

    def add(self, a: Balls, b: Balls) -> Balls:
        return np.asarray(a + b)

    def mix(self, a: Balls, b: Balls, share: float) -> Balls:
        return np.asarray(self.scale(a, 1 - share) + self.scale(b, share))

    def divide(self, a: Balls, b: Balls) -> Balls:
        return np.asarray(a / b)

    def root(self, a: Balls) -> Balls:
        return np.vectorize(lambda x: x.sqrt(), otypes=[object])(a)

    def sub(self, a: Balls, b: Balls) -> Balls:
        return np.asarray(a - b)

    def mul(self, a: Balls, b: Balls | None) -> Balls:
        return a if b is None else np.asarray(a * b)

    def scale(self, a: Balls, factor: Any, slack: float = 0.0) -> Balls:
        return np.asarray(a * self.lift(np.asarray(factor)))

    def stored(self, x: Balls, name: str = "") -> Balls:
        return x

    def act(self, name: str, z: Balls) -> tuple[Balls, Balls | None]:
        if name == "identity":
            return z, None
        pairs = np.vectorize(getattr(self, f"_{name}"), otypes=[object, object])(z)
        return pairs[0], pairs[1]

    def _tanh(self, z: Any) -> tuple[Any, Any]:
        h = z.tanh()
        return h, 1 - h * h

    def _logistic(self, z: Any) -> tuple[Any, Any]:
        clip = self.contract.logistic_clip
        if clip is not None and abs(z) > clip:
            return self.arb(1 if z > 0 else 0), self.arb(0)
        h = 1 / (1 + (-z).exp())
        return h, h * (1 - h)

    def _relu(self, z: Any) -> tuple[Any, Any]:
        if z > 0:
            return z, self.arb(1)
        return self.arb(0), self.arb(0 if z < 0 else self.contract.relu_at_zero)

    def log(self, x: Balls) -> Balls:
        return _each(self._log, x)

    def softplus(self, z: Balls) -> Balls:
        return _each(lambda x: (1 + x.exp()).log(), z)

    def softmax(self, z: Balls, among: Any = None) -> Balls:
        powers = self._powers(z, among)
        total = powers.sum(axis=-1, keepdims=True)
        return np.asarray(powers / np.where(total == 0, self.arb(1), total))

    def softmax_back(self, p: Balls, e: Balls) -> Balls:
        return np.asarray(p * (e - (p * e).sum(axis=-1, keepdims=True)))

    def log_softmax(self, z: Balls) -> Balls:
        return np.asarray(z - self.logsumexp(z))

    def logsumexp(self, z: Balls, among: Any = None) -> Balls:
        return _each(self._log, self._powers(z, among).sum(axis=-1, keepdims=True))

    def shift(self, x: Balls, c: float) -> Balls:
        return np.asarray(x + self.arb(c))

    def at_least(self, x: Balls, least: float) -> Balls:
        return _each(lambda number: number.max(self.arb(least)), x)

    def replaced(self, x: Balls, where: Any, value: float) -> Balls:
        return np.asarray(np.where(where, self.arb(value), x))

    def is_zero(self, x: Balls) -> NDArray[np.bool_]:
        return np.asarray(x == 0)

    def may_be_at_most(self, x: Balls, most: float) -> NDArray[np.bool_]:
        return np.zeros(x.shape, dtype=bool)

    def lose(self, x: Balls, where: NDArray[np.bool_]) -> Balls:
        return x

    def _log(self, x: Any) -> Any:
        return self.arb("-inf") if x == 0 else x.log()

    def _powers(self, z: Balls, among: Any) -> Balls:
        """exp(z); 0 for classes that take no part."""
        powers = _each(lambda x: x.exp(), z)
        return powers if among is None else np.where(among, powers, self.arb(0))


def _each(function: Callable[[Any], Any], x: Balls) -> Balls:
    return np.asarray(np.vectorize(function, otypes=[object])(x))
