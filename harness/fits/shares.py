"""Statistics of two trainers' shares of successes: do the shares differ, are they equivalent?

For shared starts a difference is tested by McNemar's exact test, for separate starts by Fisher's
exact test. Equivalence within a margin is shown by two exact one-sided tests at 5 % each (TOST),
and by the 90 % interval of the differences that they do not reject. A single share has Wilson's
interval.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from harness.core.contract import Mask
from harness.fits.equivalence import (
    Design,
    OtherStarts,
    SharedStarts,
    equivalent_results,
    interval_of_difference,
    p_of_equivalence,
    stats,
)

CONVINCING = 0.01  # a p-value below this says that shares differ
POWER = 0.8  # the probability with which so many starts should tell
MORE = (20, 30, 50, 70, 100, 150, 200)  # numbers of starts that are proposed


def interval(successes: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's confidence interval (low, high) for the share `successes` / `of`."""
    limits = stats().binomtest(successes, of).proportion_ci(confidence, "wilson")
    return float(limits.low), float(limits.high)


@dataclass(frozen=True)
class Pairs:
    """Numbers of successes of two trainers on the same n starts.

    `both` counts the starts on which both succeed, `first` and `second` those on which only the
    first or only the second trainer succeeds, and `neither` all other starts.
    """

    both: int
    first: int
    second: int
    neither: int

    @classmethod
    def of(cls, mine: Mask, theirs: Mask) -> Self:
        """Count the outcomes from two arrays of successes (n,), one for each trainer; element i is
        start i.
        """
        counts = (mine & theirs, mine & ~theirs, ~mine & theirs, ~mine & ~theirs)
        return cls(*(int(np.count_nonzero(count)) for count in counts))

    @property
    def n(self) -> int:
        return self.both + self.first + self.second + self.neither

    @property
    def shares(self) -> tuple[float, float]:
        return (self.both + self.first) / self.n, (self.both + self.second) / self.n

    @property
    def design(self) -> Design:
        return SharedStarts(self.n)

    @property
    def counts(self) -> tuple[int, int]:
        """The numbers of starts on which only the first, and only the second trainer succeeds."""
        return self.first, self.second

    @property
    def p(self) -> float:
        """Return the p-value of McNemar's exact test.

        It uses the starts on which only one trainer succeeds. The p-value is the probability that
        chance splits these starts between the two trainers at least as unevenly.
        """
        discordant = self.first + self.second
        return float(stats().binomtest(self.first, discordant).pvalue) if discordant else 1.0

    def power(self, margin: float, starts: int = 0) -> float:
        """Return the probability that this number of similar starts shows equivalence within the
        margin, if the shares do not differ.

        By default it is the number of observed starts.
        """
        share = max(self.first + self.second, 1) / (2 * self.n)
        return power_of(SharedStarts(starts or self.n), share, share, margin)


@dataclass(frozen=True)
class Independent:
    """Numbers of successes of two trainers, each on starts of its own.

    The first trainer has `first` successes on `of_first` starts, the second trainer `second` on
    `of_second`.
    """

    first: int
    of_first: int
    second: int
    of_second: int

    @property
    def shares(self) -> tuple[float, float]:
        return self.first / self.of_first, self.second / self.of_second

    @property
    def design(self) -> Design:
        return OtherStarts(self.of_first, self.of_second)

    @property
    def counts(self) -> tuple[int, int]:
        """The numbers of successes of the first and the second trainer."""
        return self.first, self.second

    @property
    def p(self) -> float:
        """Return the p-value of Fisher's exact test."""
        table = [
            [self.first, self.of_first - self.first],
            [self.second, self.of_second - self.second],
        ]
        return float(stats().fisher_exact(table).pvalue)

    def power(self, margin: float, starts: int = 0) -> float:
        """Return the probability that this number of starts of each trainer shows equivalence
        within the margin.

        Both are assumed to succeed with the pooled share. By default each has its observed number
        of starts.
        """
        share = (self.first + self.second) / (self.of_first + self.of_second)
        design = OtherStarts(starts or self.of_first, starts or self.of_second)
        return power_of(design, share, share, margin)


Shares = Pairs | Independent


def power_of(design: Design, first: float, second: float, margin: float) -> float:
    """Return the probability of a result that shows equivalence within the margin.

    `first` and `second` are the trainers' shares of success.
    """
    return float(design.chances(first, second)[equivalent_results(design, margin)].sum())


def difference(shares: Shares) -> tuple[float, float]:
    """Return the 90 % confidence interval (low, high) of the first trainer's share minus the
    second's.
    """
    return interval_of_difference(shares.design, *shares.counts)


def p_of_alike(shares: Shares, margin: float) -> float:
    """Return the p-value of equivalence: at most 0.05 shows that the shares differ by less than the
    margin.
    """
    return p_of_equivalence(shares.design, *shares.counts, margin)


def starts_needed(power: dict[int, float]) -> int | None:
    """Return the smallest number of starts whose power is at least POWER; None if there is none.

    `power` has the power of a test by number of starts.
    """
    for starts, probability in sorted(power.items()):
        if probability >= POWER:
            return starts
    return None
