"""Exact tests of equivalence: do two shares differ by less than a margin?

Each of two one-sided tests has the null hypothesis that a share is larger than the other by at
least the margin. The p-value is the largest probability, over all shares under the null hypothesis,
of a result at least as extreme as the observed one (Barnard's unconditional test). So a test at 5 %
errs in at most 5 % of all runs, however few the starts. A score orders the results.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
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
    """All possible results of two trainers, as a table: a row for each number of successes of the
    second trainer, a column for each of the first.
    """

    def reverse(self) -> Self:
        """Return the design with the two trainers exchanged."""

    def scores(self, margin: float) -> Numbers:
        """Return the score of every result; infinity for an impossible result.

        The smaller a score, the stronger the evidence that the first share is not larger by the
        margin. Scores grow along a row.
        """

    def probability(self, counts: NDArray[np.intp], margin: float) -> float:
        """Return the probability of the first `counts` results of every row, maximised over shares
        whose first is larger by the margin.
        """

    def chances(self, first: float, second: float) -> Numbers:
        """Return the probability of every result, if the trainers succeed with these shares."""


@dataclass(frozen=True)
class SharedStarts:
    """The design in which both trainers have the same n starts.

    Successes are those of only one trainer. The score is Tango's for paired shares (Statistics in
    Medicine 17 (1998) 891).
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

    def probability(self, counts: NDArray[np.intp], margin: float) -> float:
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
    """The design in which the trainers have different starts, `first` and `second` of them.

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

    def probability(self, counts: NDArray[np.intp], margin: float) -> float:
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
    """Return the p-value against a first share that is larger than the second by `margin` or
    more.
    """
    scores = design.scores(margin)
    return _p_of_score(design, scores, float(scores[second, first]), margin)


def p_of_equivalence(design: Design, first: int, second: int, margin: float) -> float:
    """Return the p-value of equivalence: the larger p-value of both one-sided tests."""
    return max(
        p_of_margin(design, first, second, margin),
        p_of_margin(design.reverse(), second, first, margin),
    )


def _p_of_score(design: Design, scores: Numbers, score: float, margin: float) -> float:
    """Return the p-value of a score; scores grow along a row."""
    rounding = 1e-9 * (1 + abs(score))
    counts = np.asarray(np.count_nonzero(scores <= score + rounding, axis=1))
    return design.probability(counts, margin)


def largest_difference(design: Design, first: int, second: int) -> float:
    """Return the upper limit of the first share minus the second: larger differences are rejected
    at 5 %.
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
    """Return the 90 % interval of the first share minus the second."""
    low = -largest_difference(design.reverse(), second, first)
    return low, largest_difference(design, first, second)


@lru_cache(256)
def equivalent_results(design: Design, margin: float) -> NDArray[np.bool_]:
    """Return a mask, in the table of the design, of the results that show equivalence."""
    return _rejecting(design, margin) & _rejecting(design.reverse(), margin).T


def _rejecting(design: Design, margin: float) -> NDArray[np.bool_]:
    """Return a mask of the results that reject the hypothesis that the first share is larger by the
    margin.

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
