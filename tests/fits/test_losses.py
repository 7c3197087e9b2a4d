"""Losses of two trainers from the same starts."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binom

from harness.fits.equivalence import LEVEL, SharedStarts, equivalent_results
from harness.fits.losses import Losses, Ratios, power_of_alike, power_of_difference
from harness.fits.quality import propose_quality
from harness.fits.shares import CONVINCING, Pairs

Numbers = NDArray[np.float64]
RUNS = 10_000
RATIO, MARGIN = 1.1, 0.25
MARGIN_LOG = float(np.log(RATIO))


def losses(ends: list[float], starts: float = 100.0, rounding: float = 1e-16) -> Losses:
    """The losses of a trainer, all from a start with the same loss."""
    given = np.array(ends)
    errors = rounding * np.where(np.isfinite(given), given, 0)
    return Losses(given, errors, np.full(len(given), starts))


def compare(mine: list[float], theirs: list[float], **how: float) -> Ratios:
    """The ratios of two trainers' losses, by a factor of 1.1."""
    return Ratios.of(losses(mine, **how), losses(theirs, **how), RATIO)


def test_ratios_are_counted_beyond_the_factor() -> None:
    """Higher by more than 1.1, lower by more than 1.1, and alike."""
    found = compare([1.0, 1.05, 2.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.05, 1.2])
    assert (found.higher, found.lower, found.n) == (1, 1, 5)
    assert found.typical == 1.0


def test_losses_of_zero_and_losses_that_are_not_finite_count() -> None:
    """Zero against zero is alike, zero against a loss is lower, a loss against none is lower."""
    inf = np.inf
    found = compare([0.0, 0.0, 1.0, inf, inf], [0.0, 1.0, 0.0, 1.0, inf])
    assert (found.higher, found.lower, found.n, found.unfinished) == (2, 1, 4, 1)
    assert list(found.logs) == [-inf, 0.0, inf, inf]


def test_losses_that_differ_by_rounding_are_alike() -> None:
    """However large their ratio."""
    tiny = Losses(np.array([1e-30]), np.array([1e-28]), np.array([1.0]))
    other = Losses(np.array([1e-29]), np.array([1e-28]), np.array([1.0]))
    found = Ratios.of(tiny, other, RATIO)
    assert (found.higher, found.lower, found.typical) == (0, 0, 1.0)


@pytest.mark.parametrize("turned", [False, True])
def test_a_ratio_beyond_the_factor_by_no_more_than_rounding_is_alike(turned: bool) -> None:
    """1.15 to 1 is higher if both are known exactly, and alike if either may be off by a tenth."""
    starts = np.array([100.0])
    for errors, higher in (((0.0, 0.0), 1), ((0.1, 0.0), 0), ((0.0, 0.1), 0)):
        sides = [
            Losses(np.array([end]), np.array([error]), starts)
            for end, error in zip((1.15, 1.0), errors, strict=True)
        ]
        found = Ratios.of(*reversed(sides), RATIO) if turned else Ratios.of(*sides, RATIO)
        assert (found.lower if turned else found.higher) == higher
        assert (found.higher if turned else found.lower) == 0
    found = Ratios.of(
        Losses(np.array([1.05]), np.array([0.03]), starts),
        Losses(np.array([1.0]), np.array([0.03]), starts),
        RATIO,
    )
    assert found.typical == 1.0


def test_losses_of_some_starts_are_taken() -> None:
    """In their order."""
    found = losses([1.0, 2.0, 3.0]).take(np.array([2, 0]))
    assert [list(part) for part in found] == [[3.0, 1.0], [3e-16, 1e-16], [100.0, 100.0]]


def test_a_loss_has_fallen_only_beyond_the_factor() -> None:
    """A fall by exactly the factor is none."""
    found = Losses(np.array([1.0, 0.99]), np.zeros(2), np.array([1.5, 1.5])).have_trained(1.5)
    assert list(found) == [False, True]


def test_starts_from_which_nobody_trains_say_nothing() -> None:
    """Two trainers that leave every loss where it was are not alike: nothing was asked."""
    found = compare([99.0, 99.0, 1.0], [98.0, 99.0, 1.0])
    assert (found.n, found.untrained) == (1, 2)


def test_the_interval_is_that_of_the_sign_test() -> None:
    """Of 20 ratios the 6th and the 15th: at most 5 may lie beyond a limit, with 2.1 %."""
    ends = list(np.exp(np.arange(20.0)))
    found = Ratios.of(losses(ends, 1e12), losses([1.0] * 20, 1e12), RATIO)
    assert found.interval == pytest.approx((np.exp(5.0), np.exp(14.0)))
    assert compare([1.0] * 4, [1.0] * 4).interval == (0.0, np.inf)
    five = compare([1.0, 2.0, 3.0, 4.0, 5.0], [1.0] * 5)
    assert five.interval == pytest.approx((1.0, 5.0))  # all five on one side: 3.1 %


def test_a_rare_failure_does_not_hide_behind_the_median() -> None:
    """A trainer that ends far higher from 3 of 10 starts is not alike, however many starts."""
    for n in (20, 100, 500):
        mine = [50.0 if start % 10 < 3 else 1.0 for start in range(n)]
        found = compare(mine, [1.0] * n)
        assert found.typical == 1.0
        assert found.p_of_alike(MARGIN) > LEVEL


def normal(rng: np.random.Generator, shape: tuple[int, int]) -> Numbers:
    """Logarithms of ratios about 0, of the size of the factor."""
    return rng.normal(0, MARGIN_LOG, shape)


def heavy(rng: np.random.Generator, shape: tuple[int, int]) -> Numbers:
    """With heavy tails."""
    return np.asarray(MARGIN_LOG * rng.standard_t(1, shape))


def valleys(rng: np.random.Generator, shape: tuple[int, int]) -> Numbers:
    """Ends in several valleys: most alike, some far apart, either way."""
    return rng.choice([-4.0, -1.0, 0.0, 0.0, 0.0, 1.0, 4.0], shape) + rng.normal(0, 1e-3, shape)


def lopsided(rng: np.random.Generator, shape: tuple[int, int]) -> Numbers:
    """A median of 0 with a long tail on one side."""
    return np.asarray(rng.exponential(1.0, shape) - np.log(2)) * MARGIN_LOG


KINDS = [normal, heavy, valleys, lopsided]
Kind = Callable[[np.random.Generator, tuple[int, int]], Numbers]


def decide(logs: Numbers) -> tuple[Numbers, Numbers]:
    """How often runs (RUNS, n) of logarithms of ratios are called alike, and the first higher."""
    n = logs.shape[1]
    higher, lower = (logs > MARGIN_LOG).sum(axis=1), (logs < -MARGIN_LOG).sum(axis=1)
    alike, first = np.zeros(len(logs)), np.zeros(len(logs))
    for run, counts in enumerate(zip(higher, lower, strict=True)):
        alike[run], first[run] = decide_counts(n, *counts)
    return alike, first


@cache
def decide_counts(n: int, higher: int, lower: int) -> tuple[bool, bool]:
    """Are both alike, and is the first higher, of n starts?"""
    ratios = Ratios(np.zeros(n), int(higher), int(lower), 0, 0)
    is_first = ratios.pairs.p < CONVINCING and higher > lower
    return ratios.p_of_alike(MARGIN) <= LEVEL, is_first


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_typical_ratio_at_the_factor_is_rarely_called_alike(kind: Kind) -> None:
    """In at most 5 % of 10,000 runs, whatever the shape of the ratios."""
    for n in (12, 20, 40):
        logs = kind(np.random.default_rng(n), (RUNS, n)) + MARGIN_LOG
        alike, _ = decide(logs)
        assert alike.mean() <= LEVEL + 3 * (LEVEL / RUNS) ** 0.5


@pytest.mark.parametrize("kind", [normal, heavy, valleys], ids=lambda kind: kind.__name__)
def test_trainers_that_do_not_differ_are_rarely_called_different(kind: Kind) -> None:
    """One or the other is called higher in at most 1 % of 10,000 runs."""
    for n in (12, 20, 40):
        logs = kind(np.random.default_rng(n), (RUNS, n))
        _, first = decide(logs)
        _, second = decide(-logs)
        assert (first + second).mean() <= CONVINCING + 3 * (CONVINCING / RUNS) ** 0.5


@pytest.mark.parametrize(("n", "shares"), [(20, (0.1, 0.02)), (40, (0.1, 0.02)), (60, (0.42, 0.4))])
def test_power_is_as_often_as_it_happens(n: int, shares: tuple[float, float]) -> None:
    """Of both decisions, in 10,000 runs, within four standard errors; also where the median is what
    decides.
    """
    cells = [*shares, 1 - sum(shares)]
    counts = np.random.default_rng(n).multinomial(n, cells, RUNS)[:, :2]
    logs = np.zeros((RUNS, n))
    for run, (higher, lower) in enumerate(counts):
        logs[run, :higher] = 1.0
        logs[run, higher : higher + lower] = -1.0
    alike, first = decide(logs)
    error = 4 * 0.5 / RUNS**0.5
    assert alike.mean() == pytest.approx(power_of_alike(n, *shares, MARGIN), abs=error)
    power = power_of_difference(n, *shares, CONVINCING)
    assert first.mean() == pytest.approx(power, abs=error)


def test_the_power_that_is_printed_is_that_of_starts_like_those_seen() -> None:
    """Higher and lower ones as frequent as both were, and at least one of them."""
    found = compare([1.0] * 18 + [2.0, 2.0], [1.0] * 20)
    assert found.power(MARGIN) == power_of_alike(20, 0.05, 0.05, MARGIN)
    both = compare([1.0] * 18 + [2.0, 1.0], [1.0] * 18 + [1.0, 2.0])
    assert both.power(MARGIN) == found.power(MARGIN)
    alike = compare([1.0] * 20, [1.0] * 20)
    assert alike.power(MARGIN) == power_of_alike(20, 0.025, 0.025, MARGIN)
    assert alike.power(MARGIN) < alike.power(MARGIN, 50)


def test_the_power_to_show_a_difference_is_that_of_the_shares_seen() -> None:
    """Whoever is higher: 4 of 10 starts higher and none lower show in 20 starts with 58 %."""
    higher, lower = [2.0] * 4 + [1.0] * 6, [1.0] * 10
    # 8 or more of 20 are needed, since 2 / 2^8 is less than 1 %
    expected = binom.sf(7, 20, 0.4)
    assert compare(higher, lower).power_of_difference(20) == pytest.approx(expected)
    assert compare(lower, higher).power_of_difference(20) == pytest.approx(expected)
    for counts in ((4, 1), (1, 4)):
        seen = Ratios(np.zeros(10), *counts, 0, 0)
        assert seen.power_of_difference(20) == power_of_difference(20, 0.4, 0.1, CONVINCING)


def test_the_power_to_show_a_difference_is_that_of_mcnemars_test() -> None:
    """Summed result by result, also of results with starts on both sides."""
    chances, power = SharedStarts(20).chances(0.5, 0.1), 0.0
    for second, first in np.ndindex(21, 21):
        if first > second and first + second <= 20:
            found = Pairs(20 - first - second, first, second, 0).p < CONVINCING
            power += float(chances[second, first]) * found
    assert power_of_difference(20, 0.5, 0.1, CONVINCING) == pytest.approx(power)


def test_alike_asks_for_the_median_too() -> None:
    """Half of the ratios higher and half lower have no share more, and no typical ratio near 1."""
    n = 200
    found = Ratios(np.zeros(n), 100, 100, 0, 0)
    assert equivalent_results(SharedStarts(n), MARGIN)[100, 100]
    assert found.p_of_alike(MARGIN) > LEVEL
    for counts in ((95, 90), (90, 95)):
        more = Ratios(np.zeros(n), *counts, 0, 0)
        assert more.pairs == Pairs(15, *counts, 0)
        assert more.p_of_alike(MARGIN) == pytest.approx(binom.cdf(95, n, 0.5))


def test_sets_of_data_are_decided_together() -> None:
    """Ratios of several sets are one sample, in order."""
    found = Ratios.pool([compare([2.0, 1.0], [1.0, 1.0]), compare([1.0, np.inf], [3.0, np.inf])])
    assert (found.n, found.higher, found.lower, found.unfinished) == (3, 1, 1, 1)
    assert list(found.logs) == sorted(found.logs)


@pytest.mark.parametrize("shares", [(0.5, 0.0), (0.4, 0.1), (0.25, 0.25)])
def test_sets_that_differ_do_not_make_the_level_larger(shares: tuple[float, float]) -> None:
    """The mean share of higher ones is at the margin: alike in at most 5 % of 10,000 runs."""
    rng = np.random.default_rng(7)
    higher = sum(rng.binomial(10, share, RUNS) for share in shares for _ in range(2))
    runs = [decide_counts(40, int(count), 0)[0] for count in np.asarray(higher)]
    assert np.mean(runs) <= LEVEL + 3 * (LEVEL / RUNS) ** 0.5


def test_a_quality_is_proposed_in_the_widest_gap() -> None:
    """Whoever reached which loss; none where the losses are close together, or above the start."""
    low, high = [0.01, 0.011, 0.012, 0.013, 0.9], [1.0, 1.1, 0.012, 1.2, 1.3]
    said = propose_quality([losses(low), losses(high)])
    assert said == propose_quality([losses(high), losses(low)])
    assert "0.11" in said
    assert "5 of 10 are below" in said
    assert not propose_quality([losses([1.0, 1.01, 1.02]), losses([1.0, 1.01, 1.02])])
    assert not propose_quality([losses([1.0]), losses([200.0])])
