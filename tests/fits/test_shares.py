"""Statistics of two shares on the same starts."""

from math import erf, hypot, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import harness.fits.shares
from harness.fits.shares import CONVINCING, Pairs, interval

counts = st.integers(0, 60)
pairs = st.builds(Pairs, counts, counts, counts, counts).filter(lambda found: found.n > 0)


def test_pairs_are_counted_start_by_start() -> None:
    """Of both, of the first alone, of the second alone, of neither."""
    mine = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], bool)
    theirs = np.array([1, 0, 0, 0, 1, 1, 0, 0, 0, 0], bool)
    assert Pairs.of(mine, theirs) == Pairs(1, 3, 2, 4)
    assert Pairs(1, 3, 2, 4).shares == (0.4, 0.3)


def test_mcnemar_is_the_coin_of_the_starts_that_differ() -> None:
    """Ten against none is 2 / 2^10; what both reach, or neither, says nothing."""
    # a closed form, in another order of rounding
    assert Pairs(30, 0, 10, 5).p == pytest.approx(2 * 0.5**10, rel=1e-12)
    assert Pairs(0, 0, 10, 0).p == Pairs(30, 0, 10, 5).p
    assert Pairs(10, 0, 0, 10).p == 1.0
    assert Pairs(0, 1, 0, 0).p == 1.0


def test_eight_to_none_convince_and_seven_do_not() -> None:
    """p is 2 / 2^8, below 1 %, and 2 / 2^7, above."""
    assert Pairs(12, 8, 0, 0).p < CONVINCING < Pairs(13, 7, 0, 0).p
    assert Pairs(12, 8, 0, 0).p < 0.01 < 0.014 < Pairs(13, 7, 0, 0).p


def test_newcombes_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worked example of method 10 in Newcombe (1998): 36, 12, 2, 0 gives 0.0569 to 0.3404 at 95
    %.
    """
    monkeypatch.setattr(harness.fits.shares, "TOST", 0.95)
    low, high = Pairs(36, 12, 2, 0).difference
    assert (round(low, 4), round(high, 4)) == (0.0569, 0.3404)


@pytest.mark.parametrize(("both", "neither"), [(10, 10), (3, 3), (50, 50)])
def test_starts_that_never_differ(both: int, neither: int) -> None:
    """Half of them successes: phi is 1 - n / (2 a d), and the interval Wilson's half width times
    sqrt(n / (a d)).
    """
    n = both + neither
    width = (0.5 - interval(both, n, 0.90)[0]) * sqrt(n / (both * neither))
    assert Pairs(both, 0, 0, neither).difference == pytest.approx((-width, width), rel=1e-12)


@pytest.mark.parametrize(
    "cells", [(5, 2, 2, 1), (3, 2, 2, 2), (6, 2, 3, 1), (5, 5, 0, 0), (0, 0, 4, 6)]
)
def test_a_correlation_of_less_than_half_a_start_is_none(cells: tuple[int, int, int, int]) -> None:
    """a d - b c of 0, 1 or 2 is no more than n / 2: the interval is that of shares that are
    independent.

    So it is where one of the two always succeeds, or never.
    """
    found = Pairs(*cells)
    (first, second), n = found.shares, found.n
    low1, high1 = interval(round(first * n), n, 0.90)
    low2, high2 = interval(round(second * n), n, 0.90)
    low, high = hypot(first - low1, high2 - second), hypot(high1 - first, second - low2)
    assert found.difference == pytest.approx(
        (first - second - low, first - second + high), rel=1e-12
    )


@settings(derandomize=True, deadline=None)
@given(pairs)
def test_an_interval_holds_the_difference_that_was_seen(found: Pairs) -> None:
    """And is the same turned round when the two change places."""
    low, high = found.difference
    first, second = found.shares
    assert -1 - 1e-12 <= low <= first - second <= high <= 1 + 1e-12
    back = Pairs(found.both, found.second, found.first, found.neither).difference
    # the same formula in another order
    assert np.allclose((low, high), (-back[1], -back[0]), rtol=0, atol=1e-12)


def test_equal_trainers_are_equivalent_at_20_starts_and_unequal_ones_are_not() -> None:
    """The margin of 0.25 takes twenty equal pairs, and refuses a difference of 0.3."""
    assert Pairs(18, 0, 0, 2).margin_used(0.25) < 1
    assert Pairs(10, 0, 6, 4).margin_used(0.25) > 1


@settings(derandomize=True, deadline=None)
@given(pairs)
def test_power_is_a_probability_that_grows_with_the_margin(found: Pairs) -> None:
    """From 0 to 1."""
    powers = [found.power(margin) for margin in (0.01, 0.1, 0.25, 0.9)]
    assert powers == sorted(powers)
    assert all(0 <= power <= 1 for power in powers)


@pytest.mark.parametrize(
    ("found", "apart", "margin"),
    [
        (Pairs(10, 3, 3, 4), 6, 0.25),
        (Pairs(10, 5, 1, 4), 6, 0.3),
        (Pairs(10, 1, 0, 9), 1, 0.1),
        (Pairs(9, 0, 0, 11), 1, 0.1),
    ],
)
def test_power_is_that_of_two_tests_at_5_percent(found: Pairs, apart: int, margin: float) -> None:
    """2 Phi(margin / spread - 1.645) - 1, the spread being sqrt(those apart, at least one) / n."""
    beyond = margin * found.n / sqrt(apart) - 1.6448536269514722
    assert beyond > 0
    assert found.power(margin) == pytest.approx(erf(beyond / sqrt(2)), rel=1e-9)


def test_power_grows_with_the_starts() -> None:
    """A hundred starts tell more than twenty with the same shares."""
    assert Pairs(10, 3, 3, 4).power(0.25) < Pairs(50, 15, 15, 20).power(0.25)


def test_a_share_has_wilsons_interval() -> None:
    """0 of 20 is 0 to 0.161 (Wilson 1927), not 0 to 0."""
    low, high = interval(0, 20)
    assert low == 0
    assert round(high, 4) == 0.1611


@pytest.mark.parametrize("n", [20, 100])
@pytest.mark.parametrize(
    "shares", [(0.9, 0.9, 0.85), (0.7, 0.7, 0.6), (0.5, 0.8, 0.45), (0.1, 0.2, 0.05), (1, 1, 1)]
)
def test_the_interval_covers(n: int, shares: tuple[float, float, float]) -> None:
    """The 90 % interval holds the true difference in 87 % of 2,000 samples at least, whatever the
    shares.
    """
    first, second, both = shares
    cells = np.clip([both, first - both, second - both, 1 - first - second + both], 0, 1)
    samples = np.random.default_rng(n).multinomial(n, cells / cells.sum(), 2000)
    found, often = np.unique(samples, axis=0, return_counts=True)
    intervals = [Pairs(*map(int, sample)).difference for sample in found]
    assert (
        np.average([low <= first - second <= high for low, high in intervals], weights=often)
        >= 0.87
    )
