"""Statistics of two trainers' losses from the same starts: which one ends lower, are they alike?

From each start, the first trainer's loss divided by the second's is a ratio. A start counts as
higher or lower if its ratio is beyond `ratio` or 1 / `ratio` by more than the rounding of both
losses, else as alike. All decisions use only these three counts. They assume no distribution of the
losses: fits that end in several valleys, losses of 0 and fits that are not finite all count.

Higher and lower starts are compared by the sign test (McNemar's). Alike means two things, each with
two exact one-sided tests at 5 %. The typical ratio (the median) lies within the ratio. The share of
higher starts minus that of lower ones lies within the margin, so that no rare failure hides behind
a median.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

import numpy as np

from harness.core.contract import Array, Indices, Mask
from harness.fits.equivalence import LEVEL, SharedStarts, equivalent_results, stats
from harness.fits.shares import CONVINCING, Pairs, p_of_alike


class Losses(NamedTuple):
    """The losses of a trainer from n starts: `ends` after training and `starts` before it.

    `errors` bound the rounding of the final losses; the loss of a fit that is not finite is
    infinity.
    """

    ends: Array
    errors: Array
    starts: Array

    def take(self, numbers: Indices) -> "Losses":
        """Return the losses from the starts with these numbers only."""
        return Losses(self.ends[numbers], self.errors[numbers], self.starts[numbers])

    def have_trained(self, ratio: float) -> Mask:
        """Return a mask of the starts whose loss has fallen by more than the factor `ratio`."""
        return np.asarray(self.ends < self.starts / ratio)


@dataclass(frozen=True)
class Ratios:
    """The ratios of two trainers' losses (the first divided by the second), from the starts that
    are evidence.

    `logs` (n,) are the logarithms of the ratios, ascending, 0 if the losses differ by no more than
    rounding. `higher` and `lower` count the starts from which the first trainer ends clearly higher
    or lower. `unfinished` counts the starts from which neither fit is finite, and `untrained` those
    from which neither loss has fallen by more than the ratio.
    """

    logs: Array
    higher: int
    lower: int
    unfinished: int
    untrained: int

    @classmethod
    def of(cls, mine: Losses, theirs: Losses, ratio: float) -> Self:
        """Compare the final losses (n,) of two trainers, from the same starts.

        A ratio of two losses within `ratio` and 1 / `ratio` counts as alike.
        """
        unfinished = ~(np.isfinite(mine.ends) | np.isfinite(theirs.ends))
        untrained = ~(mine.have_trained(ratio) | theirs.have_trained(ratio)) & ~unfinished
        used = ~(unfinished | untrained)
        a, b = mine.ends[used], theirs.ends[used]
        spread, other_spread = mine.errors[used], theirs.errors[used]
        with np.errstate(all="ignore"):
            logs = np.log(a) - np.log(b)
            logs[abs(a - b) <= spread + other_spread] = 0.0
        higher = a - spread > ratio * (b + other_spread)
        lower = b - other_spread > ratio * (a + spread)
        return cls(
            np.sort(logs),
            int(np.count_nonzero(higher)),
            int(np.count_nonzero(lower)),
            int(np.count_nonzero(unfinished)),
            int(np.count_nonzero(untrained)),
        )

    @classmethod
    def pool(cls, several: Sequence[Self]) -> Self:
        """Return one object with the ratios on several sets of data.

        The tests keep their level: counts from sets with different shares vary less than counts
        from one set with the mean share (Hoeffding, Annals of Mathematical Statistics 27 (1956)
        713).
        """
        return cls(
            np.sort(np.concatenate([each.logs for each in several])),
            sum(each.higher for each in several),
            sum(each.lower for each in several),
            sum(each.unfinished for each in several),
            sum(each.untrained for each in several),
        )

    @property
    def n(self) -> int:
        return len(self.logs)

    @cached_property
    def pairs(self) -> Pairs:
        """The numbers of starts that end alike, with the first trainer higher, and with the first
        one lower.
        """
        return Pairs(self.n - self.higher - self.lower, self.higher, self.lower, 0)

    @property
    def typical(self) -> float:
        """The median ratio."""
        return float(np.exp(self.logs[(self.n - 1) // 2]))

    @property
    def interval(self) -> tuple[float, float]:
        """The 90 % confidence interval (low, high) of the median ratio, by the sign test.

        It is (0, inf) for too few starts.
        """
        beyond = _most_beyond(self.n)
        if beyond < 0:
            return 0.0, np.inf
        return float(np.exp(self.logs[beyond])), float(np.exp(self.logs[self.n - 1 - beyond]))

    def p_of_alike(self, margin: float) -> float:
        """Return the p-value of equivalence: the largest p-value of its four one-sided tests.

        `margin` limits the difference of the shares of starts that end higher and lower.
        """
        most = max(self.higher, self.lower)
        of_median = float(stats().binom.cdf(most, self.n, 0.5))
        return max(of_median, p_of_alike(self.pairs, margin))

    def power(self, margin: float, starts: int = 0) -> float:
        """Return the probability that this number of similar starts shows equivalence, if higher
        and lower ones are equally frequent.

        By default it is the number of observed starts. `margin` limits the difference of their
        shares.
        """
        share = max(self.higher + self.lower, 1) / (2 * self.n)
        return power_of_alike(starts or self.n, share, share, margin)

    def power_of_difference(self, starts: int) -> float:
        """Return the probability that this number of starts shows a difference, if the shares of
        higher and lower starts are the observed ones.
        """
        more, less = max(self.higher, self.lower) / self.n, min(self.higher, self.lower) / self.n
        return power_of_difference(starts, more, less, CONVINCING)


def power_of_alike(starts: int, higher: float, lower: float, margin: float) -> float:
    """Return the probability that this number of starts shows equivalence of two trainers.

    `higher` and `lower` are the shares of starts from which the first trainer ends higher and
    lower, and `margin` limits their difference.
    """
    design = SharedStarts(starts)
    second, first = np.indices((starts + 1, starts + 1))
    within = np.maximum(first, second) <= _most_beyond(starts)
    alike = equivalent_results(design, margin) & within
    return float(design.chances(higher, lower)[alike].sum())


def power_of_difference(starts: int, higher: float, lower: float, level: float) -> float:
    """Return the probability that the sign test finds the first trainer higher, at this level.

    `higher` and `lower` are the shares of starts from which it ends higher and lower.
    """
    second, first = np.indices((starts + 1, starts + 1))
    p = np.minimum(1.0, 2 * stats().binom.cdf(second, first + second, 0.5))
    rejecting = (p < level) & (first > second)
    return float(SharedStarts(starts).chances(higher, lower)[rejecting].sum())


def _most_beyond(n: int) -> int:
    """Return how many of n ratios may lie beyond a limit so that it still bounds their median at 5
    %.

    It is -1 if the limit is no bound even if no ratio lies beyond it.
    """
    most = int(stats().binom.ppf(LEVEL, n, 0.5))
    return most if stats().binom.cdf(most, n, 0.5) <= LEVEL else most - 1
