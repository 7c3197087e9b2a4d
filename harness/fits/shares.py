"""Statistics of two trainers' shares of good fits from the same starts: do the shares differ, are
they equivalent?

Wilson's interval for a share; McNemar's exact test for paired shares; Newcombe's interval for their
difference (Statistics in Medicine 17 (1998) 2635, method 10), and from it two one-sided tests
(TOST) of equivalence: equivalent at 5 % when the 90 % interval lies within the margin.
"""

from dataclasses import dataclass
from math import sqrt
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

CONVINCING = 0.01  # McNemar's p below this says that shares differ
TOST = 0.90  # confidence of the interval, for two tests at 5 %


def stats() -> Any:
    """Return `scipy.stats`, imported on the first call.

    The import takes longer than everything else that a run without training needs.
    """
    from scipy import stats

    return stats


def interval(successes: int, of: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's interval (low, high) for the share `successes` / `of`."""
    found = stats().binomtest(successes, of).proportion_ci(confidence, "wilson")
    return float(found.low), float(found.high)


@dataclass(frozen=True)
class Pairs:
    """Numbers of successes of two trainers on the same n starts.

    `both` counts the starts on which both succeed, `first` the starts on which the first trainer
    alone succeeds, `second` the starts on which the second alone succeeds, `neither` all other
    starts.
    """

    both: int
    first: int
    second: int
    neither: int

    @classmethod
    def of(cls, mine: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> Self:
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
    def p(self) -> float:
        """Return the p-value of McNemar's exact test.

        It looks at the starts on which only one trainer succeeds. The p-value is the probability
        that chance splits these starts between the two trainers as unevenly, or more so.
        """
        apart = self.first + self.second
        return float(stats().binomtest(self.first, apart).pvalue) if apart else 1.0

    @property
    def difference(self) -> tuple[float, float]:
        """Return Newcombe's 90 % interval for the first trainer's share minus the second's."""
        a, b, c, d = self.both, self.first, self.second, self.neither
        shares, bounds = self.shares, [interval(a + b, self.n, TOST), interval(a + c, self.n, TOST)]
        below, above = (
            [abs(share - bound[side]) for share, bound in zip(shares, bounds, strict=True)]
            for side in (0, 1)
        )
        spread, surplus = (a + b) * (c + d) * (a + c) * (b + d), float(a * d - b * c)
        if surplus > 0:  # with the correction for continuity
            surplus = max(surplus - self.n / 2, 0)
        phi = surplus / sqrt(spread) if spread else 0.0
        low = sqrt(below[0] ** 2 - 2 * phi * below[0] * above[1] + above[1] ** 2)
        high = sqrt(above[0] ** 2 - 2 * phi * above[0] * below[1] + below[1] ** 2)
        return shares[0] - shares[1] - low, shares[0] - shares[1] + high

    def margin_used(self, margin: float) -> float:
        """Return the share of the equivalence margin that the interval reaches; 1 is the limit."""
        return max(abs(bound) for bound in self.difference) / margin

    def power(self, margin: float) -> float:
        """Return the probability that n such pairs show equivalence if the shares do not differ
        (normal approximation).
        """
        spread = sqrt(max(self.first + self.second, 1)) / self.n
        return max(
            0.0, 2 * float(stats().norm.cdf(margin / spread - stats().norm.ppf(0.5 + TOST / 2))) - 1
        )
