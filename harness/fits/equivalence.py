"""Exact tests of equivalence: do the shares of success of two trainers differ by less than a
margin?

Each of two one-sided tests has the null hypothesis that one share is larger than the other by at
least the margin. The p-value is the largest probability, over all shares under the null hypothesis,
of a result at least as extreme as the observed one (Barnard's unconditional test). So a test at 5 %
errs in at most 5 % of all runs, however few the starts. A score orders the results.

A result is a pair of numbers of successes: `first` of the first trainer and `second` of the second.
With shared starts, each counts the starts on which only this trainer succeeds.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, Self

import numpy as np

from harness.core.contract import Array, Indices, Mask

Numbers = Array
LEVEL = 0.05  # of each of two one-sided tests
SHARES = 64  # values of the unknown share, over which the largest probability is taken
HALVINGS = 12  # of an interval's limit: it is known to 5e-4
TINY = 1e-300


def stats() -> Any:
    """Return `scipy.stats`, imported on the first call.

    The import takes longer than everything else that a run without training needs.
    """
    from scipy import stats

    return stats


class Design(Hashable, Protocol):
    """All possible results of two trainers, as a table of their numbers of successes.

    It has a row for each number of successes of the second trainer, a column for each number of the
    first. With shared starts, these are successes of only one of the two trainers.
    """

    def reverse(self) -> Self:
        """Return the design with the first and the second trainer exchanged."""

    def scores(self, margin: float) -> Numbers:
        """Return the score of every result, as a table; infinity for an impossible result.

        The smaller a score, the stronger the evidence that the first trainer's share of successes
        is not larger than the second's by `margin`. Scores grow along a row.
        """

    def probability(self, counts: Indices, margin: float) -> float:
        """Return the largest probability of a set of results: the first `counts` results of every
        row.

        It is the maximum over all pairs of shares of success whose first is larger by `margin`.
        """

    def chances(self, first: float, second: float) -> Numbers:
        """Return the probability of every result, as a table, if the trainers have these shares of
        success.

        With shared starts these are shares of starts on which only this trainer succeeds.
        """


@dataclass(frozen=True)
class SharedStarts:
    """The design in which both trainers have the same n starts.

    A success of a trainer is a start on which it succeeds and the other one does not; all other
    starts are equal for both. The score is Tango's for paired shares (Statistics in Medicine 17
    (1998) 891).
    """

    n: int

    def reverse(self) -> Self:
        return self

    def scores(self, margin: float) -> Numbers:
        n = self.n
        second, first = np.indices((n + 1, n + 1))
        b = (2 * n - first + second) * margin - first - second
        root = np.sqrt(np.maximum(b * b + 8 * n * second * margin * (1 - margin), 0.0))
        share = (root - b) / (4 * n)  # of successes of the second alone, the likeliest
        variance = n * (2 * share + margin * (1 - margin))
        scores = (first - second - n * margin) / np.sqrt(np.maximum(variance, TINY))
        return np.where(first + second <= n, scores, np.inf)

    def probability(self, counts: Indices, margin: float) -> float:
        second = np.linspace(max(0.0, -margin), (1 - margin) / 2, SHARES)[:, None]
        rows, of_rest = np.arange(self.n + 1), (second + margin) / np.maximum(1 - second, TINY)
        inside = stats().binom.cdf(counts - 1, self.n - rows, np.clip(of_rest, 0.0, 1.0))
        return float((stats().binom.pmf(rows, self.n, second) * inside).sum(axis=1).max())

    def chances(self, first: float, second: float) -> Numbers:
        rows, columns = np.indices((self.n + 1, self.n + 1))
        of_rest = min(first / max(1 - second, TINY), 1.0)
        of_row = stats().binom.pmf(rows, self.n, second)
        return np.asarray(of_row * stats().binom.pmf(columns, self.n - rows, of_rest))


@dataclass(frozen=True)
class OtherStarts:
    """The design in which the trainers have different starts: `first` starts and `second` starts.

    The score is Wald's with one success and one failure added to each (Agresti and Caffo, The
    American Statistician 54 (2000) 280).
    """

    first: int
    second: int

    def reverse(self) -> Self:
        return type(self)(self.second, self.first)

    def scores(self, margin: float) -> Numbers:
        second, first = np.indices((self.second + 1, self.first + 1))
        n, m = self.first + 2, self.second + 2
        p, q = (first + 1) / n, (second + 1) / m
        wald = (p - q - margin) / np.sqrt(p * (1 - p) / n + q * (1 - q) / m)
        return np.asarray(np.maximum.accumulate(wald, axis=1))  # it falls a little at the end

    def probability(self, counts: Indices, margin: float) -> float:
        binomial = stats().binom
        second = np.linspace(max(0.0, -margin), min(1.0, 1 - margin), SHARES)[:, None]
        inside = binomial.cdf(counts - 1, self.first, np.clip(second + margin, 0.0, 1.0))
        rows = binomial.pmf(np.arange(self.second + 1), self.second, second)
        return float((rows * inside).sum(axis=1).max())

    def chances(self, first: float, second: float) -> Numbers:
        rows, columns = np.indices((self.second + 1, self.first + 1))
        of_row = stats().binom.pmf(rows, self.second, second)
        return np.asarray(of_row * stats().binom.pmf(columns, self.first, first))


def p_of_margin(design: Design, first: int, second: int, margin: float) -> float:
    """Return the p-value against the hypothesis that the first trainer's share of success is larger
    than the second's by `margin` or more.

    `first` and `second` are the numbers of successes of the two trainers.
    """
    scores = design.scores(margin)
    return _p_of_score(design, scores, float(scores[second, first]), margin)


def p_of_equivalence(design: Design, first: int, second: int, margin: float) -> float:
    """Return the p-value of equivalence: the larger p-value of both one-sided tests.

    `first` and `second` are the numbers of successes of the two trainers.
    """
    return max(
        p_of_margin(design, first, second, margin),
        p_of_margin(design.reverse(), second, first, margin),
    )


def _p_of_score(design: Design, scores: Numbers, score: float, margin: float) -> float:
    """Return the p-value of a result with this score, given the table of all scores.

    Scores grow along a row of the table.
    """
    rounding = 1e-9 * (1 + abs(score))
    counts = np.asarray(np.count_nonzero(scores <= score + rounding, axis=1))
    return design.probability(counts, margin)


def largest_difference(design: Design, first: int, second: int) -> float:
    """Return the upper limit of the first trainer's share of success minus the second's.

    Larger differences are rejected at 5 %. `first` and `second` are the numbers of successes of the
    two trainers.
    """
    low, high = -1.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if p_of_margin(design, first, second, middle) <= LEVEL:
            high = middle
        else:
            low = middle
    return high


def interval_of_difference(design: Design, first: int, second: int) -> tuple[float, float]:
    """Return the 90 % confidence interval (low, high) of the first trainer's share of success minus
    the second's.

    `first` and `second` are the numbers of successes of the two trainers.
    """
    low = -largest_difference(design.reverse(), second, first)
    return low, largest_difference(design, first, second)


@lru_cache(256)
def equivalent_results(design: Design, margin: float) -> Mask:
    """Return a mask of the results, as a table, that show equivalence within the margin."""
    return _rejecting(design, margin) & _rejecting(design.reverse(), margin).T


def _rejecting(design: Design, margin: float) -> Mask:
    """Return a mask of the results, as a table, that reject one hypothesis: that the first
    trainer's share is larger by the margin.

    The p-value grows with the score, so the largest score that rejects is found by bisection.
    """
    scores = design.scores(margin)
    known = np.unique(scores[np.isfinite(scores)])
    low, high = 0, len(known)  # known[:low] reject, known[high:] do not
    while low < high:
        middle = (low + high) // 2
        if _p_of_score(design, scores, float(known[middle]), margin) <= LEVEL:
            low = middle + 1
        else:
            high = middle
    return scores <= known[low - 1] if low else np.zeros_like(scores, bool)
