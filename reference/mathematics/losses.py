"""The errors of outputs against targets and their derivatives, written once for every arithmetic.

The derivative of squares is by the outputs. All other errors are of probabilities p. Their
derivative is by the logits z; p is the logistic or the softmax of z. The formulas are those of `E`,
`fpass` and `bpass` in R's nnet.c, with the floors that a contract declares; from logits, they are
the fused ones (log-sum-exp).

In shapes, D counts draws (problems of a stack), R rows of data, and K outputs of one head.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np

from harness.arithmetic.interface import Arithmetic
from harness.core.contract import Array, Mask
from reference.mathematics.errors import Errors, Head
from reference.mathematics.tape import Tape

V = TypeVar("V")
BCE_SLOPE = 1e-12  # the least p (1 - p) by which torch's binary_cross_entropy divides
UNFUSED = 8  # further roundings of a slope, if autograd goes through the probabilities
ACTIVATION_OF = {
    "entropy": "logistic",
    "bce": "logistic",
    "softmax": "softmax",
    "kl": "softmax",
    "censored": "softmax",
}


def find_errors(tape: Tape[V], head: Head[V]) -> Errors[V]:
    """Return the errors of a head of outputs.

    Raises ValueError if the outputs are no probabilities, and are not declared as logits.
    """
    if head.error == "squares":
        return squares(tape.m, head)
    return _OfProbabilities(tape, head).errors()


def squares(m: Arithmetic[V], head: Head[V]) -> Errors[V]:
    """Return the errors (o - t)^2 of outputs o and targets t, and their derivative 2 (o - t)."""
    slack = m.contract.loss_slack
    r = m.sub(head.outputs.value, m.lift(head.targets))
    pairs = ((r, m.scale(r, head.shares, slack)),)
    return Errors(pairs, head.outputs, m.scale(r, 2 * head.shares, slack))


class _OfProbabilities(Generic[V]):
    """The errors of a head whose outputs are probabilities or logits."""

    def __init__(self, tape: Tape[V], head: Head[V]) -> None:
        self.m, self.head = tape.m, head
        self.targets = head.targets
        self.slack = self.m.contract.loss_slack
        self.fused = head.from_logits and not self.m.contract.from_probabilities
        activation = ACTIVATION_OF[head.error]
        if head.from_logits:
            self.by = head.outputs
            self.p = self._activate(activation)
        elif head.activated is None or head.activated[0] != activation:
            raise ValueError(
                f"the error {head.error!r} is of probabilities, expected {activation} outputs:"
                f" write output={activation!r}, or from_logits=True if the outputs are logits"
            )
        else:
            self.by, self.p = head.activated[1], head.outputs.value

    @property
    def z(self) -> V:
        return self.by.sum.formed

    def _activate(self, name: str) -> V:
        """Return the probabilities of logits, as a loss that is computed from probabilities stores
        them; `name` is the activation.
        """
        if name != "softmax":
            return self.m.act(name, self.z)[0]
        p = self.m.softmax(self.z)
        return p if self.fused else self.m.stored(p, name)

    def errors(self) -> Errors[V]:
        """Return the errors of a head (an output tensor), by the formulas of its kind of error."""
        formulas = {
            "entropy": self._entropy,
            "bce": self._entropy,
            "softmax": self._softmax,
            "kl": self._softmax,
            "censored": self._censored,
        }
        return formulas[self.head.error]()

    def _make_errors(self, pairs: list[tuple[V, Array | V]], slope: V) -> Errors[V]:
        """Return errors, as the sum of the products of `pairs`, with the derivative `slope`. The
        second factors are multiplied by the weights of the errors in the loss.

        These factors are (D, R, K), or an array (D, R, 1) of errors of a row. D counts draws
        (problems of a stack), R rows of data and K outputs of one head.
        """
        m, shares = self.m, self.head.shares
        weighed = []
        for left, factor in pairs:
            if isinstance(factor, np.ndarray):
                of_factor = shares[..., : factor.shape[-1]]
                right = m.scale(m.lift(factor), of_factor, self.slack)
            else:
                right = m.scale(factor, shares, self.slack)
            weighed.append((left, right))
        return Errors(tuple(weighed), self.by, m.scale(slope, self.head.shares, self.slack))

    def _rounded(self, x: V, more: float = 0.0) -> V:
        """Return x with the additional rounding errors of a derivative that is computed from
        probabilities, if the contract (the declared properties of an implementation) allows this.
        """
        contract = self.m.contract
        through = contract.own_loss or (contract.unfused_slope and not self.fused)
        if not through:
            return x
        return self.m.scale(x, 1.0, (UNFUSED + more) * self.m.contract.roundoff)

    def _entropy(self) -> Errors[V]:
        """Return the errors -t log p - (1 - t) log(1 - p) of probabilities p and targets t. For
        "entropy" the targets' own entropy is subtracted.

        R's nnet drops a term whose factor is negative.
        """
        m, t = self.m, self.targets
        drops = self.head.error == "entropy"
        ones = m.lift(np.ones(t.shape))
        lifted = m.lift(t)
        on, off = lifted, m.sub(ones, lifted)
        is_on, is_off = t != 0, t != 1
        if drops:
            is_on, is_off = t > 0, t < 1
        on, off = m.replaced(on, ~is_on, 0.0), m.replaced(off, ~is_off, 0.0)
        pairs: list[tuple[V, Array | V]] = []
        for log, factor, there in zip(self._logs(), (on, off), (is_on, is_off), strict=True):
            pairs.append((m.scale(m.replaced(log, ~there, 0.0), -1.0), factor))
        pairs += self._lost_products(self.p, is_on) + self._lost_products(
            m.sub(ones, self.p), is_off
        )
        if drops and not np.isin(t, (0.0, 1.0)).all():  # less the targets' own entropy
            for factor, there in ((on, is_on), (off, is_off)):
                pairs.append((m.log(m.replaced(factor, ~there, 1.0)), factor))
        slope = m.sub(self._rounded(self.p), self._rounded(lifted))
        if self._loses_slopes:
            beyond = m.may_be_at_most(self.p, BCE_SLOPE)
            beyond |= m.may_be_at_most(m.sub(ones, self.p), BCE_SLOPE)
            slope = m.lose(slope, beyond)
        return self._make_errors(pairs, slope)

    @property
    def _least_probability(self) -> float:
        """The probability p at which t / p (t the target), times its weight in the loss, exceeds
        the range of the dtype.
        """
        factors = abs(self.targets) * self.head.shares
        return max(1.0, 2 * float(factors.max())) / self.m.contract.largest

    @property
    def _loses_slopes(self) -> bool:
        """Is the derivative computed through probabilities? It is lost if they round to 0 or 1."""
        return self.m.contract.unfused_slope and not self.fused

    def _lost_products(self, p: V, there: Mask) -> list[tuple[V, Array | V]]:
        """Return a term of 0, added to a user's own loss if it may multiply log p by a target of 0.
        `there` marks the targets that are not 0.

        It has no bound where p may round to 0, since 0 times infinity is NaN.
        """
        m = self.m
        if self.fused or not m.contract.own_loss:
            return []
        lost = m.may_be_at_most(p, 0.0) & ~there
        if not lost.any():
            return []
        return [(m.lose(m.lift(np.zeros(there.shape)), lost), np.ones(there.shape))]

    def _logs(self) -> tuple[V, V]:
        """Return log p and log(1 - p), where p are the outputs of a logistic."""
        m = self.m
        if self.fused:
            z = self.z
            to_off, to_on = m.softplus(z), m.softplus(m.scale(z, -1.0))
            return m.scale(to_on, -1.0), m.scale(to_off, -1.0)
        ones = m.lift(np.ones(self.targets.shape))
        return self._log(self.p), self._log(m.sub(ones, self.p))

    def _log(self, p: V) -> V:
        """Return log(p + floor) of probabilities p, with the floor that the contract (properties of
        an implementation) declares; the error allows for one more rounding, as in log((p + floor) /
        t).
        """
        m, contract = self.m, self.m.contract
        ones = m.lift(np.ones(self.targets.shape))
        log = m.log(m.mul(m.shift(p, contract.log_floor), ones))
        if contract.log_least is None:
            return log
        if contract.own_loss:  # which may end there, or not
            return m.lose(log, m.may_be_at_most(log, contract.log_least))
        return m.at_least(log, contract.log_least)

    def _softmax(self) -> Errors[V]:
        """Return the errors -sum t log p of probabilities p, over the targets t above 0. For "kl"
        the targets' own entropy is subtracted.

        The derivative by the logits is (sum t) p - t.
        """
        m, t = self.m, self.targets
        there = t > 0
        positive = m.lift(np.where(there, t, 0.0))
        log = m.log_softmax(self.z) if self.fused else m.log(self.p)
        pairs: list[tuple[V, Array | V]] = []
        lost = m.contract.log_lost
        if not self.fused and lost is not None:
            gone = m.is_zero(self.p)
            log = m.replaced(log, gone, 0.0)
            if (gone & there).any():
                pairs.append((m.lift(np.where(gone & there, lost, 0.0)), np.ones(t.shape)))
        pairs.append((m.scale(m.replaced(log, ~there, 0.0), -1.0), positive))
        pairs += self._lost_products(self.p, there)
        if self.head.error == "kl":
            pairs.append((m.log(m.replaced(positive, ~there, 1.0)), positive))
        total = np.broadcast_to(t.sum(axis=-1, keepdims=True), t.shape)
        width = t.shape[-1]
        of_all = m.scale(self._rounded(self.p, width), total, self._adding(width))
        slope = m.sub(of_all, self._rounded(m.lift(t)))
        if self._loses_slopes:  # one lost slope spoils its row
            beyond = m.may_be_at_most(self.p, self._least_probability)
            if not m.contract.own_loss:  # which may divide a target of 0 by a probability of 0
                beyond &= there
            slope = m.lose(slope, np.broadcast_to(beyond.any(-1, keepdims=True), t.shape))
        return self._make_errors(pairs, slope)

    def _adding(self, width: int) -> float:
        """Return the relative error of adding up a row of targets; 0 if they are 0 or 1."""
        whole = bool(np.isin(self.targets, (0.0, 1.0)).all())
        return 0.0 if whole else width * self.m.contract.roundoff

    def _censored(self) -> Errors[V]:
        """Return the error -log P of a row, where P is the sum of the probabilities p over the
        outputs whose target is 1.

        Its derivative by the logits is p - p [t = 1] / P.
        """
        m, among = self.m, self.targets == 1
        ones = np.ones((*among.shape[:2], 1))
        if self.fused:
            pairs: list[tuple[V, Array | V]] = [
                (m.logsumexp(self.z), ones),
                (m.logsumexp(self.z, among), -ones),
            ]
            return self._make_errors(pairs, m.sub(self.p, self._rounded(m.softmax(self.z, among))))
        width = among.shape[-1]
        chosen = m.scale(self.p, among.astype(float))
        every = m.lift(np.ones((among.shape[0], width, 1)))
        P = m.dot(chosen, every)
        log, gone = m.log(P), m.is_zero(P)
        pairs = []
        if m.contract.log_lost is not None:
            log = m.replaced(log, gone, 0.0)
            pairs.append((m.lift(np.where(gone, m.contract.log_lost, 0.0)), ones))
        pairs.append((m.scale(log, -1.0), ones))
        wide = m.each(lambda a: np.repeat(a, width, axis=-1), P)
        shares = m.divide(self._rounded(chosen, width), wide)
        none = np.broadcast_to(~among.any(axis=-1, keepdims=True), among.shape)
        shares = m.replaced(shares, none, 0.0)
        if self._loses_slopes:
            beyond = np.broadcast_to(m.may_be_at_most(P, self._least_probability), among.shape)
            shares = m.lose(shares, beyond)
        return self._make_errors(pairs, m.sub(self._rounded(self.p), shares))
