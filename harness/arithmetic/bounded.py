"""Bounded arithmetic: a float64 value, and a bound on the error of any correct implementation.

Error analysis after Higham, Accuracy and Stability of Numerical Algorithms (2nd ed., 2002), section
3.1. Sums of n terms in any order have the bound n u, without a second-order term, of Jeannerod and
Rump, "Improved error bounds for inner products in floating-point arithmetic", SIAM J. Matrix Anal.
Appl. 34 (2013). The roundoff u is that of the contract (the arithmetic that an implementation
promises) plus float64's, in which these bounds are computed. Each bound is a polynomial in u with
non-negative coefficients; therefore it includes the error of the float64 value itself.

In shapes, D counts draws (problems of a stack), n, k and m are any lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from harness.arithmetic.activations import bound_logistic, bound_relu, bound_tanh
from harness.arithmetic.bounded_probabilities import BoundedProbabilities
from harness.arithmetic.formulas import carry_product, carry_quotient, round_result, round_sum
from harness.arithmetic.rounding import (
    DIRECTED,
    ORACLE_BITS,
    ORACLE_ROUNDOFF,
    are_exact_factors,
    total_roundoff,
)
from harness.core.contract import SINGLE, Array, Bounded, Contract, Mask
from harness.core.linear import LinearMap


class BoundedArithmetic(BoundedProbabilities):
    """Arithmetic on `Bounded` values: value v and error e, with |x - v| <= e for the number x of
    any correct implementation.

    `parts` is the largest number of parts (matrix products and single terms) that are added up in
    one sum. It matters in a dtype whose sums are kept in a wider dtype. There an implementation may
    round every intermediate result to the narrow dtype to store it: a matrix product, a single
    term, a partial sum of these, a product of two numbers, and an extra term of a longer sum.
    """

    def __init__(self, contract: Contract, parts: int = 1) -> None:
        self.contract = contract
        self.u = total_roundoff(contract)
        self.tiny = contract.tiny
        self.summing = 2.0 ** -max(contract.bits, SINGLE) + ORACLE_ROUNDOFF
        self.parts = parts
        self.factor = 2.0**-contract.factor_bits if contract.factor_bits < contract.bits else 0.0
        self.reach = 0.0  # the largest |z| that a logistic may have been put to so far

    def lift(self, x: Array) -> Bounded:
        """Return given numbers x (D, ...) with the error of storing them in an implementation's
        dtype.

        A number that the dtype cannot hold may be off by u |x| or, below the normal numbers, by the
        smallest normal number; beyond the dtype's range it has no bound. All others are exact.
        """
        exact = Bounded(x, np.zeros(x.shape))
        if self.contract.bits == ORACLE_BITS:
            return exact
        is_exact = self.contract.rounded(x) == x
        if is_exact.all():
            return exact
        size = abs(x)
        error = np.where(size <= self.contract.largest, self.u * size + self.tiny, np.inf)
        return Bounded(x, np.where(is_exact, 0.0, error))

    def widen(self, x: Bounded, error: Array) -> Bounded:
        return Bounded(x.value, x.error + error)

    def each(self, shape: Callable[[Array], Array], x: Bounded) -> Bounded:
        return x.reshaped(shape)

    def with_ones(self, x: Bounded) -> Bounded:
        shape = *x.value.shape[:-1], 1
        return self.join(Bounded(np.ones(shape), np.zeros(shape)), x)

    def join(self, a: Bounded, b: Bounded) -> Bounded:
        return self.stack([a, b], axis=-1)

    def stack(self, parts: Sequence[Bounded], axis: int = 0) -> Bounded:
        """Join values one after the other along an axis."""
        values, errors = [part.value for part in parts], [part.error for part in parts]
        return Bounded(np.concatenate(values, axis), np.concatenate(errors, axis))

    def linear(
        self, matrix: LinearMap, x: Bounded, constant: Array | float, roundings: Array
    ) -> Bounded:
        """Return matrix @ x + constant.

        `roundings` (rows,) is the number of roundings of each entry of the result. Each of them is
        relative to the sum of the absolute values of the entry's summands.
        """
        value = matrix(x.value)
        error = np.zeros(value.shape) if x.is_exact else matrix.absolute(x.error)
        exact = np.asarray(constant, dtype=np.float64)
        if exact.any():
            value = value + exact
            rounds = self.contract.rounded(exact) != exact  # the dtype cannot hold such a constant
            error = error + self.u * abs(exact) * rounds
        if roundings.any():
            size = matrix.absolute(abs(x.value) + x.error) + abs(exact)
            error = (error + roundings * (self.u * size + self.tiny * (size > 0))) * DIRECTED
        return Bounded(value, error)

    def dot(self, a: Bounded, b: Bounded, extra: int = 0, plus: Bounded | None = None) -> Bounded:
        """Return a @ b + plus, with a bound for sums of products in any order, tree, blocking or
        FMA.

        `plus` may be added anywhere among the terms. An implementation's sum may have `extra` more
        terms.
        """
        if self.factor:
            a, b = self._as_factor(a), self._as_factor(b)
        value = a.value @ b.value
        plus_error = 0.0 if plus is None else plus.error
        if a.all_act and b.all_act:
            terms = float(a.value.shape[-1] + extra + (plus is not None))
            spread = terms * self.summing + self._storing(extra)
            # both bounds' products and the rounding of the sum, in as few matrix products as there
            # are inexact factors
            if b.is_exact:
                error = (a.error + spread * a.most) @ b.size
            elif a.is_exact:
                error = a.size @ (b.error + spread * b.most)
            else:
                error = (a.error + spread * a.most) @ b.most + a.size @ b.error
            error += terms * self.tiny
            if plus is not None:
                value = value + plus.value
                error += plus_error + spread * plus.most
            error *= DIRECTED
            return Bounded.make_acting(value, error)
        # exact zeros take no part in the sum
        counts = (a.most != 0).astype(float) @ (b.most != 0).astype(float)
        acts = counts > 0  # though the size may underflow
        counts += extra * acts
        size = a.most @ b.most
        error = a.error @ b.most + a.size @ b.error
        if plus is not None:
            value = value + plus.value
            size = size + plus.size + plus_error
            counts = counts + 1.0
        spread = counts * self.summing + self._storing(extra)
        error += plus_error + spread * size + counts * self.tiny * (acts | (size > 0))
        return Bounded(value, error * DIRECTED)

    def _as_factor(self, x: Bounded) -> Bounded:
        """Return x with the added error of rounding factors of matrix products, as TF32 rounds them
        to 11 bits.
        """
        return Bounded(x.value, x.error + self.factor * (abs(x.value) + x.error))

    def _storing(self, extra: int) -> float:
        """Return the relative error of a sum that comes from storing intermediate results in a
        narrow dtype.

        The sum has `extra` terms in addition to the sums that `parts` describes.
        """
        if self.contract.bits >= SINGLE:
            return 0.0
        stored = (1 + self.parts + extra) * self.u
        return stored / max(1 - stored, self.u)  # what is stored as often as this is no evidence

    def constant(self, like: Bounded, value: float) -> Bounded:
        """Return one number in the shape of `like`; the dtype may have to round it."""
        return Bounded(
            np.full(like.value.shape, value), np.full(like.value.shape, self.u * abs(value))
        )

    def add(self, a: Bounded, b: Bounded) -> Bounded:
        return self._sum(a.value + b.value, a, b)

    def sub(self, a: Bounded, b: Bounded) -> Bounded:
        return self._sum(a.value - b.value, a, b)

    def _sum(self, value: Array, a: Bounded, b: Bounded) -> Bounded:
        return Bounded(value, round_sum(value, a.error + b.error, self.u) * DIRECTED)

    def mul(self, a: Bounded, b: Bounded | None) -> Bounded:
        if b is None:
            return a
        error = carry_product(a.value, a.error, b.value, b.error)
        value = a.value * b.value
        if a.all_act and b.all_act:
            error = round_result(value, error, 1, self.u, self.tiny) * DIRECTED
            return Bounded.make_acting(value, error)
        return self._rounded(value, error, 1, (a.most != 0) & (b.most != 0))

    def mix(self, a: Bounded, b: Bounded, share: float) -> Bounded:
        """Return (1 - share) a + share b, for a share of at most one half.

        An implementation may compute it in this form or as a + share (b - a). The difference b - a
        rounds in proportion to both numbers, even if share is a power of two.
        """
        value = (1 - share) * a.value + share * b.value
        error = (1 - share) * a.error + share * b.error
        size = (1 - share) * abs(a.value) + share * abs(b.value) + error
        of_difference = self.stored(Bounded(abs(a.value) + abs(b.value), a.error + b.error)).error
        return self._rounded(
            value, np.where(of_difference < np.inf, error + 3 * self.u * size, np.inf), 1
        )

    def divide(self, a: Bounded, b: Bounded) -> Bounded:
        value = a.value / b.value
        least = abs(b.value) - b.error
        known = least > 0
        error = carry_quotient(value, a.error, b.error, np.where(known, least, 1.0))
        error = np.where(known, error, np.inf)
        return self._rounded(value, error, 1, abs(a.value) + a.error != 0)

    def root(self, a: Bounded) -> Bounded:
        """Return the square root of a, which is not negative."""
        value = np.sqrt(a.value)
        slope = value + np.sqrt(np.maximum(a.value - a.error, 0.0))
        error = np.minimum(np.sqrt(a.error), a.error / np.where(slope > 0, slope, 1.0))
        return self._rounded(value, np.where(slope > 0, error, np.sqrt(a.error)), 1)

    def scale(self, a: Bounded, factor: Array | float, slack: float = 0.0) -> Bounded:
        """Return a times a constant.

        The product is exact if the constant is 0 or a power of two, unless the product underflows.
        For any other constant there are three roundings: of the constant, and of two operations.
        `slack` is the relative error of a constant that was itself computed.
        """
        value = a.value * factor
        error = a.error * abs(np.asarray(factor)) + slack * abs(value)
        if not slack and are_exact_factors(factor).all():
            lost = (abs(value) - error < self.tiny) & self._acts(a, factor)
            return Bounded(value, error + self.tiny * lost)
        return self._rounded(value, error, 3, self._acts(a, factor))

    def stored(self, x: Bounded, name: str = "") -> Bounded:
        """Return x as an implementation stores it; a number that may overflow has an infinite
        error.

        An operation returns x (1 + d) + t with small d (rounding) and t (underflow), up to the
        dtype's largest number. Beyond it, infinity is a correct answer too. `name` is not used
        here.
        """
        if x.most.max(initial=0.0) <= self.contract.largest:  # nearly always
            return x
        return Bounded(x.value, np.where(x.most <= self.contract.largest, x.error, np.inf))

    def _acts(self, a: Bounded, factor: Array | float) -> Mask:
        """Return a mask of the elements whose product with a constant is not exactly 0, though it
        may underflow.
        """
        acts: Mask = (a.most != 0) & (np.asarray(factor) != 0)
        return acts

    def _rounded(
        self,
        value: Array,
        error: Array,
        count: float,
        acts: Mask | None = None,
    ) -> Bounded:
        """Return a result with the error of `count` roundings, and of underflow.

        `acts` marks the elements whose exact result is not 0; by default those with a value or
        error other than 0.
        """
        acts = abs(value) + error > 0 if acts is None else acts
        lost = np.where(acts, self.tiny, 0.0)
        return Bounded(value, round_result(value, error, count, self.u, lost) * DIRECTED)

    def act(self, name: str, z: Bounded) -> tuple[Bounded, Bounded | None]:
        """Return the activation `name` of z and its derivative; None stands for a
        derivative of 1.
        """
        if name == "identity":
            return z, None
        if name == "relu":
            return bound_relu(z, self.contract)
        if name == "tanh":
            return bound_tanh(z, self.contract)
        most = z.most.max(initial=0.0)
        self.reach = float(np.maximum(self.reach, most))  # NaN stays NaN
        return bound_logistic(z, self.contract)
