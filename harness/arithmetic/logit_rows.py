"""Bounds on softmax, log-softmax and logsumexp of rows of logits that are known within bounds.

For a row, z_i are its logits, p is their softmax, m the largest logit, K the number of classes, and
L the logarithm of the sum of exp(z - m); then 0 <= L <= log K. u is the unit roundoff, and
`exp_ulp` the error of exp that the implementation promises, in units in the last place.

There are two kinds of error. An implementation has logits of its own, each within e_i of z_i: the
result moves. It then rounds; the results are positive, and errors of their logarithms add up.

*Moves.* Softmax of class i is largest if z_i rises by e_i and all others fall by theirs. Let q = 1
- p_i, and let G be the sum of p_j (1 - exp(-e_j)) over all other classes j. Then softmax rises by
the share (q expm1(e_i) + G) / (1 + p_i expm1(e_i) - G) of p_i. Let H be the sum of p_j expm1(e_j)
over all other classes, and g_i = 1 - exp(-e_i). Then it falls by the share (H + q g_i) / (1 + H -
p_i g_i).

*Roundings.* The relative error of the sum of exp((z_j - m)(1 + u)) is at most u log K / (1 - u).
Proof: its logarithm is the integral of the mean of m - z_j over the temperature. By temperature,
that mean is at most log K, since the entropy of p is (mean of m - z_j) + L <= log K. The
exponentials, k = 2 exp_ulp roundings each, and the sum in any order (Jeannerod and Rump 2013) add k
u and K u. So the logarithm of the sum is off by d = u (log K + k) + K u, and log-softmax by

- u (m - z_i) + k u L + d + u |log p_i|     if it is (z_i - m) - log(sum),
- u |m + L| + k u L + d + u |log p_i|       if it is z_i - logsumexp(z),
- k u |m + L| + d + u |log p_i|             if it is z_i - log(sum of exp(z)), without overflow.

Softmax is the exponential of one of these, which adds k u, or a quotient. The quotient has u (m -
z_i) + k u + d and at most two roundings more. Products of errors are covered by 1 / (1 - (k + 4)
u). These forms are those of Blanchard, Higham and Higham, "Accurately computing the log-sum-exp and
softmax functions", IMA J. Numer. Anal. 41 (2021), sections 3 and 4, with the constants kept.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from harness.arithmetic.probabilities import logsumexp, softmax
from harness.arithmetic.rounding import ORACLE_ROUNDOFF, total_roundoff
from harness.core.contract import SINGLE, Array, Bounded, Contract, Mask

FAR = 16.0  # logits that are less known than this say nothing of softmax
# The relative error of p as the oracle computes it, which is left where 1 - p cancels: by 2^-53, at
# most 746 of m - z unless p is 0, and a few thousand of a sum of as many classes.
CANCELLED = 2.0**-40


def sum_roundoff(terms: Array | float, contract: Contract) -> Array:
    """Return the relative error of a sum of positive terms in any order.

    In a dtype of sixteen bits the sum is kept in float32, and is stored twice.
    """
    summing = 2.0 ** -max(contract.bits, SINGLE) + ORACLE_ROUNDOFF
    stored = 2 * total_roundoff(contract) if contract.bits < SINGLE else 0.0
    return np.asarray(terms) * summing + stored


class LogitRows:
    """Logits z with bounds, and bounds on the moves and roundings of their softmax.

    z are (D, R, K), for K classes in R rows of D problems. Results with a number for each class are
    (D, R, K), with one for each row (D, R, 1). Classes outside the mask `among` have the
    probability p = 0.
    """

    def __init__(self, z: Bounded, contract: Contract, among: Mask | None = None) -> None:
        self.contract = contract
        self.takes_part = np.ones(z.value.shape, dtype=bool) if among is None else among
        self.z = np.where(self.takes_part, z.value, -np.inf)
        self.e = np.where(self.takes_part, z.error, 0.0)
        self.p = softmax(z.value, among)
        self.count = np.maximum(self.takes_part.sum(axis=-1, keepdims=True), 1)
        self.logsumexp = logsumexp(z.value, among)
        self.least = (self.z - self.e).max(axis=-1, keepdims=True)  # of the largest logit
        self.most = (self.z + self.e).max(axis=-1, keepdims=True)
        self.widest = self.e.max(axis=-1, keepdims=True)
        self.is_far = self.widest > FAR
        self.grows = np.expm1(np.minimum(self.e, FAR))
        self.shrinks = -np.expm1(-self.e)
        self.all_grow = (self.p * self.grows).sum(axis=-1, keepdims=True)
        self.all_shrink = (self.p * self.shrinks).sum(axis=-1, keepdims=True)

    @cached_property
    def rise(self) -> Array:
        """The largest relative increase of softmax if the logits move within their bounds."""
        others = self._of_others(self.all_shrink, self.shrinks)
        rise = (self._rest * self.grows + others) / (1 + self.p * self.grows - others)
        return np.asarray(rise)

    @cached_property
    def fall(self) -> Array:
        """The largest relative decrease of softmax if the logits move within their bounds."""
        others = self._of_others(self.all_grow, self.grows)
        fall = (others + self._rest * self.shrinks) / (1 + self._grown)
        return np.asarray(np.where(self.is_far, 1.0, fall))

    @cached_property
    def move_of_log(self) -> Array:
        """The largest move of log-softmax if the logits move within their bounds e.

        For class i it is never more than e_i plus the largest e of the row.
        """
        moves = np.maximum(np.log1p(self.rise), self.e + np.log1p(self._grown))
        return np.asarray(np.where(self.is_far, self.e + self.widest, moves))

    @cached_property
    def move_of_sum(self) -> Array:
        """The largest move of logsumexp with its logits; by Jensen, it moves down no further than
        up.
        """
        return np.asarray(np.where(self.is_far, self.widest, np.log1p(self.all_grow)))

    @cached_property
    def rounding_of_sum(self) -> Array:
        """The largest rounding error of logsumexp, for any usual formula."""
        k, u = self._exp_roundings, total_roundoff(self.contract)
        form = np.maximum(self._size_of_sum + k * self._log_of_sum, self._of_unshifted)
        return self._slack * (u * form + self._in_sum)

    @cached_property
    def rounding_of_log(self) -> Array:
        """The largest rounding error of log-softmax, for any usual formula."""
        k, u = self._exp_roundings, total_roundoff(self.contract)
        form = np.maximum(self._gap, self._size_of_sum) + k * self._log_of_sum
        form = np.maximum(form, self._of_unshifted)
        return self._slack * (u * (self._gap + self._log_of_sum + form) + self._in_sum)

    @cached_property
    def rounding_of_softmax(self) -> Array:
        """The largest relative rounding error of softmax, for any usual formula."""
        u = total_roundoff(self.contract)
        return self.rounding_of_log + self._slack * u * (self._exp_roundings + 2)

    @cached_property
    def vanishes(self) -> Mask:
        """A mask of the classes whose softmax is exactly 0 in the dtype.

        Their softmax is below half of the smallest subnormal number, with a margin for a second
        rounding (float64: beyond a distance of 746 from the largest logit). In a dtype of sixteen
        bits the mask marks none, since a fused function goes on with float32.
        """
        if self.contract.bits < SINGLE:
            return ~self.takes_part
        limit = np.log(self.contract.tiny) - self.contract.bits * np.log(2.0) - 0.87
        largest = self.z + self.e - self.least + self.rounding_of_softmax
        vanishes: Mask = (largest < limit) | ~self.takes_part
        return vanishes

    @cached_property
    def _rest(self) -> Array:
        """The probability of all other classes, 1 - p for each probability p, rounded up."""
        return np.asarray(1 - self.p + CANCELLED)

    @cached_property
    def _grown(self) -> Array:
        """The relative growth of the sum of exp(z) over a row if one logit falls and all others
        rise.

        They move within their bounds; there is a number for each class whose logit falls.
        """
        others = self._of_others(self.all_grow, self.grows)
        return np.asarray(others - self.p * self.shrinks)

    def _of_others(self, total: Array, each: Array) -> Array:
        """Return, for each class, the sum over all other classes, rounded up.

        `total` is the sum over all classes of a row, and `each` has the summand of each class.
        """
        return np.asarray(total - self.p * each + CANCELLED * total)

    @property
    def _exp_roundings(self) -> float:
        """The error of exp in roundings, which is k in the module's formulas."""
        return 2 * self.contract.exp_ulp

    @cached_property
    def _slack(self) -> float:
        """The factor by which bounds are enlarged to cover products of two errors."""
        u = total_roundoff(self.contract)
        return 1 / max(1 - (self._exp_roundings + 4) * u, u)

    @cached_property
    def _gap(self) -> Array:
        """The largest distance of a logit from the largest logit."""
        return np.asarray(self.most - (self.z - self.e))

    @cached_property
    def _log_of_sum(self) -> Array:
        """The largest possible logarithm of the sum of exp(z - m), where m is the largest logit of
        the row.
        """
        most = self.logsumexp + self.move_of_sum - self.least
        return np.asarray(np.minimum(np.log(self.count), np.maximum(most, 0.0)))

    @cached_property
    def _size_of_sum(self) -> Array:
        """The largest possible size of the logarithm of the sum of exp(z)."""
        return np.asarray(abs(self.logsumexp) + self.move_of_sum)

    @property
    def _of_unshifted(self) -> Array:
        """The largest rounding error of log(sum of exp(z)), computed without overflow, in units of
        the roundoff.
        """
        largest = np.log(self.contract.largest)
        return np.asarray(self._exp_roundings * np.minimum(self._size_of_sum, largest))

    @cached_property
    def _in_sum(self) -> Array:
        """The error of the logarithm of the sum that comes from rounding inside the sum."""
        u = total_roundoff(self.contract)
        summed = sum_roundoff(self.count, self.contract) + self.count * self.contract.tiny
        lost = -np.log1p(-summed)  # no number if all of the sum may be lost
        return np.asarray(u * (np.log(self.count) + self._exp_roundings) + lost)
