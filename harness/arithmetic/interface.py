"""The operations in which networks and optimisers are written; every arithmetic implements them.

In shapes, D counts draws (problems of a stack), R rows of data and K classes; n, k and m are any
lengths.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from harness.core.contract import Array, Contract, Mask
from harness.core.linear import LinearMap

V = TypeVar("V")


class Arithmetic(Protocol[V]):
    """The operations that the equations of networks use.

    A value V is a stack (D, ...): one array of numbers for each draw.
    """

    @property
    def contract(self) -> Contract:
        """The contract of the implementation: the dtype and the rounding that it promises."""

    def lift(self, x: Array) -> V:
        """Return given numbers (D, ...) as a value: rounded to the dtype, or with the error of this
        rounding.
        """

    def widen(self, x: V, error: Array) -> V:
        """Return x with its error bound enlarged by `error`, which has the shape of x."""

    def each(self, shape: Callable[[Array], Array], x: V) -> V:
        """Apply `shape`, a function that only reshapes or reorders an array, to the numbers of
        x.
        """

    def with_ones(self, x: V) -> V:
        """Return x (D, R, n) with a column of ones in front: (D, R, 1 + n)."""

    def join(self, a: V, b: V) -> V:
        """Join a and b along the last axis."""

    def linear(self, matrix: LinearMap, x: V, constant: Array | float, roundings: Array) -> V:
        """Return matrix @ x + constant (D, rows) for x (D, columns).

        `roundings` (rows,) is the number of roundings that an implementation may make in each
        entry.
        """

    def dot(self, a: V, b: V, extra: int = 0, plus: V | None = None) -> V:
        """Return a @ b + plus as one sum, for a (D, n, k), b (D, k, m) and plus (D, n, m) or None.

        An implementation's sum may have `extra` more terms.
        """

    def sub(self, a: V, b: V) -> V:
        """Return a - b; both have one shape."""

    def mul(self, a: V, b: V | None) -> V:
        """Return a times b, element by element; both have one shape. None for b is a factor of
        1.
        """

    def divide(self, a: V, b: V) -> V:
        """Return a / b, element by element; both have one shape."""

    def scale(self, a: V, factor: Array | float, slack: float = 0.0) -> V:
        """Return a times a constant `factor`, which may itself have a relative error of `slack`."""

    def stored(self, x: V, name: str = "") -> V:
        """Return x as an implementation stores it; `name` is the name of the activation that
        computed x, or "".
        """

    def act(self, name: str, z: V) -> tuple[V, V | None]:
        """Return the activation `name` of z, and its derivative; None stands for a derivative of
        1.
        """

    def log(self, x: V) -> V:
        """Return the natural logarithm of x, which is not negative; the logarithm of 0 is
        -infinity.
        """

    def softplus(self, z: V) -> V:
        """Return log(1 + exp(z)), from which the binary cross-entropy is computed."""

    def softmax(self, z: V, among: Mask | None = None) -> V:
        """Return softmax over the last axis of z (D, R, K).

        `among` (D, R, K) marks the classes to use (None: all); for all others the result is 0.
        """

    def softmax_back(self, p: V, e: V) -> V:
        """Return the gradient by z (D, R, K) of a loss, given p = softmax(z) and the loss's
        gradient e by p.
        """

    def log_softmax(self, z: V) -> V:
        """Return the logarithm of softmax over the last axis of z (D, R, K), computed from z
        directly.
        """

    def logsumexp(self, z: V, among: Mask | None = None) -> V:
        """Return the logarithm of the sum of exp(z) over the last axis (D, R, 1).

        The sum is over the classes that the mask `among` (D, R, K) marks (None: all). It is
        -infinity for a row without such a class.
        """

    def shift(self, x: V, c: float) -> V:
        """Return x + c."""

    def at_least(self, x: V, least: float) -> V:
        """Return the maximum of x and a number, element by element."""

    def replaced(self, x: V, where: Mask, value: float) -> V:
        """Return a copy of x with the exact number `value` at the True elements of a mask in the
        shape of x.
        """

    def is_zero(self, x: V) -> Mask:
        """Return a mask, in the shape of x, of the elements that are exactly 0."""

    def may_be_at_most(self, x: V, most: float) -> Mask:
        """Return a mask of the elements that may be `most` or less, given their error."""

    def lose(self, x: V, where: Mask) -> V:
        """Return a copy of x with an infinite error at the True elements of a mask: nothing is
        known of them.
        """


class StepArithmetic(Arithmetic[V], Protocol[V]):
    """The operations that the steps of optimisers use: all of `Arithmetic`, and five more."""

    def add(self, a: V, b: V) -> V:
        """Return a + b; both have one shape."""

    def mix(self, a: V, b: V, share: float) -> V:
        """Return (1 - share) a + share b; both have one shape."""

    def root(self, a: V) -> V:
        """Return the square root of a, which is not negative."""

    def constant(self, like: V, value: float) -> V:
        """Return one number, `value`, in the shape of `like`."""

    def stack(self, parts: Sequence[V]) -> V:
        """Join all parts along the first axis."""
