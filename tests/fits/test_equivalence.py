"""Exact tests of equivalence: they err as seldom as they say, and tell as often as they say."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import comb
from scipy.stats import binom

from harness.fits.equivalence import (
    LEVEL,
    Design,
    OtherStarts,
    SharedStarts,
    equivalent_results,
    interval_of_difference,
    largest_difference,
    p_of_equivalence,
    p_of_margin,
)

DESIGNS: list[Design] = [
    SharedStarts(12),
    SharedStarts(20),
    SharedStarts(50),
    SharedStarts(100),
    OtherStarts(20, 20),
    OtherStarts(50, 30),
]


def list_shares(design: Design, difference: float) -> list[tuple[float, float]]:
    """Pairs of shares that differ by so much."""
    most = (1 - difference) / 2 if isinstance(design, SharedStarts) else 1 - difference
    return [(float(second + difference), float(second)) for second in np.linspace(0, most, 97)]


@pytest.mark.parametrize("margin", [0.1, 0.25, 0.4])
@pytest.mark.parametrize("design", DESIGNS, ids=str)
def test_shares_at_the_margin_are_rarely_called_equivalent(design: Design, margin: float) -> None:
    """In at most 5 % of all runs, whatever the shares; the probability is summed, not drawn."""
    results = equivalent_results(design, margin)
    errors = [design.chances(*shares)[results].sum() for shares in list_shares(design, margin)]
    assert max(errors) <= LEVEL + 5e-4  # between the shares over which the largest is taken


def test_newcombes_interval_was_too_short() -> None:
    """A decision by it called 2 of 20 starts that only one trainer reaches equivalent within 0.25:
    wrong in 9 % of all runs.
    """
    chances = SharedStarts(20).chances(0.25, 0.0)
    assert chances[0, :3].sum() == pytest.approx(0.0913, abs=1e-4)
    assert not equivalent_results(SharedStarts(20), 0.25)[0, 2]


@pytest.mark.parametrize("design", DESIGNS, ids=str)
def test_all_results_are_decided_as_one_by_one(design: Design) -> None:
    """A table of results is that of their p-values, and all chances add up to 1."""
    results = equivalent_results(design, 0.25)
    assert design.chances(0.2, 0.3).sum() == pytest.approx(1)
    for second in range(7):
        for first in range(7 - second):
            p = p_of_equivalence(design, first, second, 0.25)
            assert bool(results[second, first]) is (p <= LEVEL)


@pytest.mark.parametrize("margin", [0.1, 0.25, 0.4])
@pytest.mark.parametrize("design", [SharedStarts(3), SharedStarts(17), OtherStarts(8, 12)], ids=str)
def test_every_result_is_decided_by_its_p_value(design: Design, margin: float) -> None:
    """Up to the last one that shows equivalence, and where none does."""
    results = equivalent_results(design, margin)
    for second, first in np.argwhere(np.isfinite(design.scores(margin))):
        p = p_of_equivalence(design, int(first), int(second), margin)
        assert bool(results[second, first]) is (p <= LEVEL)


@pytest.mark.parametrize("design", DESIGNS, ids=str)
def test_results_are_in_order(design: Design) -> None:
    """More successes of the first trainer speak less against its larger share: the largest error is
    therefore at the margin.
    """
    scores = design.scores(0.25)
    for row in scores:
        assert (np.diff(row[np.isfinite(row)]) >= 0).all()


@pytest.mark.parametrize("margin", [-0.3, 0.1, 0.25])
@pytest.mark.parametrize(("first", "second", "n"), [(3, 5, 20), (7, 2, 30), (0, 4, 12), (6, 0, 9)])
def test_the_score_of_pairs_is_tangos(first: int, second: int, n: int, margin: float) -> None:
    """The difference less the margin, over its standard error at the likeliest shares that differ
    by the margin.
    """

    def unlikeliness(share: float) -> float:
        cells = [share + margin, share, 1 - 2 * share - margin]
        counts = [first, second, n - first - second]
        return -sum(
            count * float(np.log(cell)) for count, cell in zip(counts, cells, strict=True) if count
        )

    bounds = (max(0.0, -margin) + 1e-12, (1 - margin) / 2 - 1e-12)
    found = minimize_scalar(unlikeliness, bounds=bounds, method="bounded", options={"xatol": 1e-12})
    error = np.sqrt(n * (2 * found.x + margin - margin**2))
    score = SharedStarts(n).scores(margin)[second, first]
    assert score == pytest.approx((first - second - n * margin) / error, rel=1e-5)


def test_the_score_of_other_starts_is_walds_of_two_more() -> None:
    """Of 3 of 10 and 4 of 8, with one success and one failure added to each."""
    p, q = 4 / 12, 5 / 10
    error = np.sqrt(p * (1 - p) / 12 + q * (1 - q) / 10)
    score = OtherStarts(10, 8).scores(0.25)[4, 3]
    assert score == pytest.approx((p - q - 0.25) / error)


def list_chances(design: Design, margin: float, many: int) -> list[NDArray[np.float64]]:
    """The probability of every result at so many shares that differ by the margin, from one end to
    the other; a table each.
    """
    tables = []
    most = (1 - margin) / 2 if isinstance(design, SharedStarts) else min(1.0, 1 - margin)
    for share in np.linspace(max(0.0, -margin), most, many):
        other = min(max(share + margin, 0.0), 1.0)
        if isinstance(design, OtherStarts):
            of_second = binom.pmf(np.arange(design.second + 1), design.second, share)
            of_first = binom.pmf(np.arange(design.first + 1), design.first, other)
            tables.append(np.outer(of_second, of_first))
            continue
        assert isinstance(design, SharedStarts)
        second, first = np.indices((design.n + 1, design.n + 1))
        neither = np.maximum(design.n - first - second, 0)
        ways = comb(design.n, first) * comb(design.n - first, second)
        rest = max(1 - share - other, 0.0)
        tables.append(ways * other**first * share**second * rest**neither)
    return tables


@pytest.mark.parametrize("margin", [-0.3, 0.1, 0.25])
@pytest.mark.parametrize("design", [SharedStarts(6), OtherStarts(4, 6)], ids=str)
def test_a_p_value_is_the_largest_probability_of_results_as_extreme(
    design: Design, margin: float
) -> None:
    """Summed result by result, over 64 shares that differ by the margin; more change little."""
    scores = design.scores(margin)
    for many, rounding in ((64, 1e-9), (201, 2e-3)):
        tables = list_chances(design, margin, many)
        for second, first in np.argwhere(np.isfinite(scores)):
            extreme = scores <= scores[second, first] + 1e-6
            largest = max(float(table[extreme].sum()) for table in tables)
            p = p_of_margin(design, int(first), int(second), margin)
            assert p == pytest.approx(largest, abs=rounding / 10, rel=rounding)


def test_a_result_that_cannot_be_has_no_score() -> None:
    """Of three starts no two trainers succeed alone on four."""
    second, first = np.indices((4, 4))
    assert (np.isinf(SharedStarts(3).scores(0.25)) == (first + second > 3)).all()


def test_a_score_at_a_share_of_0_is_that_of_the_margin_alone() -> None:
    """Of 4 of 12 at a margin of 0.2 the likeliest share of the second alone is exactly 0."""
    score = SharedStarts(12).scores(0.2)[0, 4]
    assert score == pytest.approx((4 - 12 * 0.2) / np.sqrt(12 * 0.2 * 0.8))


def test_shares_that_leave_nothing_are_shares() -> None:
    """Also where they are more than 1 by rounding."""
    assert SharedStarts(5).chances(0.1, 0.9).sum() == pytest.approx(1)
    assert SharedStarts(5).chances(1.0, 0.0)[0, 5] == SharedStarts(5).chances(0.0, 1.0)[5, 0] == 1


def test_a_limit_lies_between_minus_1_and_1() -> None:
    """In steps of 2^-11, also where one trainer always succeeds alone."""
    design = SharedStarts(20)
    for counts in ((20, 0), (0, 20), (3, 5), (12, 1), (0, 0)):
        low, high = interval_of_difference(design, *counts)
        assert -1 <= low < high <= 1
        assert high == 1 or p_of_margin(design, *counts, high) <= LEVEL
        assert p_of_margin(design, *counts, high - 2.0**-11) > LEVEL
        assert (low * 2**11).is_integer()
        assert (high * 2**11).is_integer()
    assert largest_difference(design, 20, 0) == 1


def test_an_interval_holds_exactly_the_margins_that_are_not_rejected() -> None:
    """On either side, also where the difference is far from 0."""
    for first, second in ((0, 0), (12, 1), (1, 12), (5, 5)):
        design = SharedStarts(20)
        low, high = interval_of_difference(design, first, second)
        assert p_of_margin(design, first, second, high) <= LEVEL
        assert p_of_margin(design, first, second, high - 1e-3) > LEVEL
        assert p_of_margin(design, second, first, -low) <= LEVEL
        assert p_of_margin(design, second, first, -low - 1e-3) > LEVEL


def test_an_interval_covers() -> None:
    """The 90 % interval holds the true difference of shares in at least 90 % of all runs."""
    n = 12
    design = SharedStarts(n)
    limits: dict[tuple[int, int], tuple[float, float]] = {}
    for first in range(n + 1):
        for second in range(n + 1 - first):
            limits[first, second] = interval_of_difference(design, first, second)
    for shares in ((0.3, 0.3), (0.4, 0.1), (0.05, 0.05), (0.0, 0.5), (0.8, 0.1)):
        chances = design.chances(*shares)
        missed = 0.0
        for (first, second), (low, high) in limits.items():
            if not low <= shares[0] - shares[1] <= high:
                missed += float(chances[second, first])
        assert missed <= 0.1 + 1e-3


def draw(design: SharedStarts, shares: tuple[float, float], seed: int) -> NDArray[np.int64]:
    """100,000 runs: the numbers of successes that only the first, or only the second, has."""
    cells = [*shares, 1 - sum(shares)]
    return np.random.default_rng(seed).multinomial(design.n, cells, 100_000)[:, :2]


@pytest.mark.parametrize("shares", [(0.05, 0.05), (0.15, 0.1), (0.0, 0.1)])
def test_power_is_as_often_as_it_happens(shares: tuple[float, float]) -> None:
    """In 100,000 simulated runs, within four standard errors."""
    design = SharedStarts(30)
    results = equivalent_results(design, 0.25)
    power = design.chances(*shares)[results].sum()
    first, second = draw(design, shares, 1).T
    assert results[second, first].mean() == pytest.approx(power, abs=4 * 0.5 / 100_000**0.5)
