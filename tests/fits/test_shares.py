"""Statistics of two shares on the same starts."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.fits.equivalence import LEVEL, OtherStarts, SharedStarts
from harness.fits.shares import (
    CONVINCING,
    MORE,
    Independent,
    Pairs,
    difference,
    interval,
    p_of_alike,
    power_of,
    starts_needed,
)

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


@settings(derandomize=True, deadline=None, max_examples=10)
@given(pairs)
def test_an_interval_holds_the_difference_that_was_seen(found: Pairs) -> None:
    """And is the same turned round when the two change places."""
    low, high = difference(found)
    first, second = found.shares
    assert low <= first - second <= high
    back = difference(Pairs(found.both, found.second, found.first, found.neither))
    assert (low, high) == (-back[1], -back[0])


def test_equal_trainers_are_equivalent_at_20_starts_and_unequal_ones_are_not() -> None:
    """The margin of 0.25 takes twenty equal pairs, and refuses a difference of 0.3."""
    assert p_of_alike(Pairs(18, 0, 0, 2), 0.25) < LEVEL
    assert p_of_alike(Pairs(10, 0, 6, 4), 0.25) > LEVEL


def test_two_starts_that_only_one_reaches_are_no_equivalence() -> None:
    """Were a quarter of the starts reached by one alone, 2 of 20 or fewer would be seen in 9 %."""
    assert p_of_alike(Pairs(9, 2, 0, 9), 0.25) == pytest.approx(0.0913, abs=1e-4)


def test_power_is_a_probability_that_grows_with_the_margin() -> None:
    """From 0 to 1."""
    powers = [Pairs(10, 3, 3, 4).power(margin) for margin in (0.01, 0.1, 0.25, 0.9)]
    assert powers == sorted(powers)
    assert powers[0] == 0
    assert 0.9 < powers[-1] <= 1


def test_the_power_that_is_printed_is_that_of_starts_like_those_seen() -> None:
    """One alone as often as the other, and at least one of them."""
    assert Pairs(10, 3, 1, 6).power(0.25) == power_of(SharedStarts(20), 0.1, 0.1, 0.25)
    assert Pairs(20, 0, 0, 0).power(0.25) == power_of(SharedStarts(20), 0.025, 0.025, 0.25)
    assert Pairs(20, 0, 0, 0).power(0.25, 50) == power_of(SharedStarts(50), 0.025, 0.025, 0.25)
    assert Independent(18, 20, 12, 20).power(0.4) == power_of(OtherStarts(20, 20), 0.75, 0.75, 0.4)
    assert Independent(18, 20, 5, 10).shares == (0.9, 0.5)


def test_power_grows_with_the_starts() -> None:
    """A hundred starts tell more than twenty with the same shares."""
    assert Pairs(10, 3, 3, 4).power(0.25) < Pairs(50, 15, 15, 20).power(0.25)


def test_a_share_has_wilsons_interval() -> None:
    """0 of 20 is 0 to 0.161 (Wilson 1927), not 0 to 0."""
    low, high = interval(0, 20)
    assert low == 0
    assert round(high, 4) == 0.1611


def test_starts_of_ones_own_are_compared_as_independent() -> None:
    """By Fisher's exact test: 10 of 10 against 0 of 10 is 2 / (20 over 10)."""
    assert Independent(10, 10, 0, 10).p == pytest.approx(2 / 184756, rel=1e-12)
    assert Independent(9, 20, 9, 20).p == 1.0
    assert p_of_alike(Independent(20, 20, 20, 20), 0.25) < LEVEL
    assert p_of_alike(Independent(18, 20, 14, 20), 0.25) > LEVEL
    assert Independent(20, 20, 20, 20).power(0.25) > 0.99
    assert Independent(10, 20, 10, 20).power(0.25) < Independent(10, 20, 10, 20).power(0.25, 200)


def test_a_number_of_starts_that_would_tell_is_the_smallest() -> None:
    """Of those whose power is 80 % or more."""
    assert starts_needed({20: 0.5, 50: 0.8, 100: 0.9}) == 50
    assert starts_needed({20: 0.5}) is None


def test_the_numbers_of_starts_that_are_proposed_are_round() -> None:
    """Tens from 20 to 200, each less than twice the one before."""
    assert (MORE[0], MORE[-1]) == (20, 200)
    assert all(starts % 10 == 0 for starts in MORE)
    assert all(less < more < 2 * less for less, more in pairwise(MORE))
