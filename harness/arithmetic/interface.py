"""The operations in which networks and optimisers are written; each arithmetic performs them."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from harness.core.contract import Array, Contract
from harness.core.linear import LinearMap

V = TypeVar("V")


class Arithmetic(Protocol[V]):
    """What equations of networks take; values V are stacks (D, ...) of numbers, one a draw."""

    @property
    def contract(self) -> Contract:
        """What an implementation promises of its rounding."""

    def lift(self, x: Array) -> V:
        """Numbers (D, ...) as values that are exact."""

    def each(self, shape: Callable[[Array], Array], x: V) -> V:
        """Put the numbers of x in another shape or order."""

    def with_ones(self, x: V) -> V:
        """A column of ones before x (D, R, n): (D, R, 1 + n)."""

    def join(self, a: V, b: V) -> V:
        """Both, one after the other on the last axis."""

    def linear(self, matrix: LinearMap, x: V, constant: Array | float, roundings: Array) -> V:
        """matrix @ x + constant (D, rows) of x (D, columns); each entry may carry `roundings`."""

    def dot(self, a: V, b: V, extra: int = 0, plus: V | None = None) -> V:
        """a @ b + plus as one sum, of (D, n, k) and (D, k, m); it may have `extra` more terms."""

    def sub(self, a: V, b: V) -> V:
        """a - b, of one shape."""

    def mul(self, a: V, b: V | None) -> V:
        """a b, of one shape; a if b is None."""

    def scale(self, a: V, factor: Array | float, slack: float = 0.0) -> V:
        """A constant times a; the constant may have a relative error of `slack`."""

    def stored(self, x: V) -> V:
        """x as an implementation stores it."""

    def act(self, name: str, z: V) -> tuple[V, V | None]:
        """An activation of z and its derivative; None is a derivative of 1."""


class StepArithmetic(Arithmetic[V], Protocol[V]):
    """What steps of optimisers take besides."""

    def add(self, a: V, b: V) -> V:
        """a + b, of one shape."""

    def mix(self, a: V, b: V, share: float) -> V:
        """(1 - share) a + share b, of one shape."""

    def divide(self, a: V, b: V) -> V:
        """a / b, of one shape."""

    def root(self, a: V) -> V:
        """The square root of a, which is not negative."""

    def constant(self, like: V, value: float) -> V:
        """A number in every place of the shape of `like`."""

    def stack(self, parts: Sequence[V]) -> V:
        """All parts, one after the other on the first axis."""
