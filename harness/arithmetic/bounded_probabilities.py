"""Bounds on logarithms, softmax and their relatives, for every usual formula.

The bounds of softmax are derived in `logit_rows`. Logarithms are as accurate as the contract's exp:
to k = 2 exp_ulp roundings. The roundoff u is that of the contract plus the oracle's own.

In shapes, D counts draws (problems of a stack), R rows of data and K classes.
"""

from __future__ import annotations

import numpy as np

from harness.arithmetic.formulas import round_result
from harness.arithmetic.logit_rows import LogitRows, sum_roundoff
from harness.arithmetic.plain import logistic
from harness.arithmetic.probabilities import (
    log_softmax,
    softmax_back,
    softplus,
)
from harness.arithmetic.rounding import DIRECTED
from harness.core.contract import Array, Bounded, Contract, Mask


class BoundedProbabilities:
    """The operations of bounded arithmetic on logits, probabilities and their logarithms.

    `contract` is the arithmetic that an implementation promises, `u` its unit roundoff plus
    float64's, and `tiny` the smallest normal number of its dtype.
    """

    contract: Contract
    u: float
    tiny: float

    @np.errstate(all="ignore")
    def log(self, x: Bounded) -> Bounded:
        """Return the logarithm of x. Its error is infinite if x may be 0; if x is exactly 0, it is
        exactly -infinity.

        If x is off by e, the logarithm moves by at most -log(1 - e / x), and then rounds k times.
        """
        value = np.log(x.value)
        moved = -np.log1p(-x.error / x.value)
        error = round_result(value, moved, self._exp_roundings, self.u, 0.0) * DIRECTED
        return self.replaced(_bounded(value, error), self.is_zero(x), -np.inf)

    @np.errstate(all="ignore")
    def softplus(self, z: Bounded) -> Bounded:
        """Return log(1 + exp(z)).

        The bound also covers both usual forms of the binary cross-entropy, softplus(z) - t z, for
        targets t from 0 to 1. Let s = log1p(exp(-|z|)), which is off by 2 k u s. The first form is
        max(z, 0) - z t + s; its operations round by u (3 |z| + s). The second is (1 - t) z -
        logsigmoid(z); its operations round by u (4 |z| + 2 s): two in the product, one in
        logsigmoid and one in the difference, each of the latter at most |z| + s. In log(1 + exp(z))
        the sum rounds by u, and the functions by 2 k u softplus(z), since the logistic function is
        less than softplus.
        """
        value = softplus(z.value)
        k = self._exp_roundings
        moved = z.error * logistic(z.value + z.error)
        size = abs(z.value) + z.error
        rounding = 4 * size + 1 + (2 * k + 2) * (value + moved)
        slack = 1 / max(1 - (k + 4) * self.u, self.u)
        error = moved + slack * self.u * rounding + 4 * self.tiny
        return _bounded(value, error * DIRECTED)

    @np.errstate(all="ignore")
    def softmax(self, z: Bounded, among: Mask | None = None) -> Bounded:
        """Return softmax over the last axis, among the classes that the mask `among` marks (None:
        all).

        It is exactly 0 for the other classes, and for a class whose softmax is below every number
        of the dtype.
        """
        rows = LogitRows(z, self.contract, among)
        p, rounding = rows.p, rows.rounding_of_softmax
        rise = np.where(rows.is_far, 1 - p, p * rows.rise)
        fall = p * rows.fall
        above = rise + (p + rise) * np.expm1(rounding)
        below = fall - (p - fall) * np.expm1(-rounding)
        error = (np.maximum(above, below) + self.tiny) * DIRECTED
        exact = _bounded(p, error)
        return self.replaced(exact, rows.vanishes, 0.0)

    @np.errstate(all="ignore")
    def log_softmax(self, z: Bounded) -> Bounded:
        """Return the logarithm of softmax over the last axis, as a fused function of logits."""
        rows = LogitRows(z, self.contract)
        error = rows.move_of_log + rows.rounding_of_log + 4 * self.tiny
        return _bounded(log_softmax(z.value), error * DIRECTED)

    @np.errstate(all="ignore")
    def logsumexp(self, z: Bounded, among: Mask | None = None) -> Bounded:
        """Return the logarithm of the sum of exp(z) over the last axis (D, R, 1), over the classes
        that the mask `among` marks (None: all); exactly -infinity for a row without such a class.
        """
        rows = LogitRows(z, self.contract, among)
        error = rows.move_of_sum + rows.rounding_of_sum + 4 * self.tiny
        empty = np.asarray(~rows.takes_part.any(axis=-1, keepdims=True))
        return self.replaced(_bounded(rows.logsumexp, error * DIRECTED), empty, -np.inf)

    @np.errstate(all="ignore")
    def softmax_back(self, p: Bounded, e: Bounded) -> Bounded:
        """Return p (e - s) with s = sum of p e: the gradient by z of a loss with gradient e by p =
        softmax(z).

        Suppose that p is known to within d and e to within f. Then p (e - s) moves by d |e - s| + p
        (f + g), where g sums d |e| + p f. A fused function rounds e - s, and the product. Unfused
        code divides by the sum of exponentials and by its square: at most 4 roundings act on p e.
        On p s act 8 roundings, and those of a sum of K terms. If it goes back through the largest
        logit too, the gradient by this logit gets the sum of all others' errors. Each product may
        underflow.
        """
        value = softmax_back(p.value, e.value)
        share, size = p.value + p.error, abs(e.value) + e.error
        total = (share * size).sum(axis=-1, keepdims=True)
        moved_sum = (p.error * size + p.value * e.error).sum(axis=-1, keepdims=True)
        centred = e.value - (p.value * e.value).sum(axis=-1, keepdims=True)
        moved = p.error * (abs(centred) + e.error + moved_sum) + p.value * (e.error + moved_sum)
        summed = sum_roundoff(p.value.shape[-1], self.contract)
        lost = self.tiny * (total > 0)
        rounding = share * (4 * self.u * size + (summed + 8 * self.u) * total)
        rounding += lost * (4 + share * p.value.shape[-1])
        largest = p.value + p.error >= (p.value - p.error).max(axis=-1, keepdims=True)
        terms = rounding + summed * share * (size + total)
        error = moved + rounding + largest * terms.sum(axis=-1, keepdims=True)
        return _bounded(value, error * DIRECTED)

    def shift(self, x: Bounded, c: float) -> Bounded:
        """Return x + c, rounded once; or not at all, if c is too small to change x."""
        value = x.value + c
        rounded = float(self.contract.rounded(np.array(c)))
        off = 0.0 if rounded == c else self.u * abs(c) + self.tiny
        error = (x.error + off + self.u * (abs(value) + x.error)) * DIRECTED
        # at most a quarter of the distance to the next number, on either side
        lost = abs(c) < self.contract.roundoff / 4 * (abs(x.value) - x.error)
        return Bounded(np.where(lost, x.value, value), np.where(lost, x.error + abs(c), error))

    @np.errstate(invalid="ignore")
    def at_least(self, x: Bounded, least: float) -> Bounded:
        """Return the maximum of x and a number that the dtype holds."""
        value = np.maximum(x.value, least)
        top = np.maximum(x.value + x.error, least)
        error = np.where(x.error < np.inf, np.maximum(top - value, 0.0), np.inf)
        bottom = np.maximum(x.value - x.error, least)
        return Bounded(value, np.maximum(error, value - bottom))

    def replaced(self, x: Bounded, where: Mask, value: float) -> Bounded:
        """Return x with an exact number in the places of a mask."""
        return Bounded(np.where(where, value, x.value), np.where(where, 0.0, x.error))

    def is_zero(self, x: Bounded) -> Mask:
        """Return a mask of the elements of x that are 0 without error."""
        return np.asarray((x.value == 0) & (x.error == 0))

    def may_be_at_most(self, x: Bounded, most: float) -> Mask:
        """Return a mask of the elements of x that may be `most` or less."""
        return np.asarray(~(x.value - x.error > most))

    def lose(self, x: Bounded, where: Mask) -> Bounded:
        """Return x with an infinite error in the places of a mask."""
        return Bounded(x.value, np.where(where, np.inf, x.error))

    @property
    def _exp_roundings(self) -> float:
        """The largest error of exp and log in roundings, which is k in the module's formulas."""
        return 2 * self.contract.exp_ulp


def _bounded(value: Array, error: Array) -> Bounded:
    """Return a value with its error; an error of NaN becomes infinity."""
    return Bounded(value, np.where(np.isnan(error), np.inf, error))
