"""The search for columns within a bound: what it finds, and how much it compares."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness.arithmetic.nearby import AT_ONCE, ColumnTree, Nearby, Places
from harness.core.contract import Array

NUMBERS = st.sampled_from([0.0, -0.0, 1.0, 1 + 2.0**-52, -1.0, 3.0, 5e-324, 1e308, -1e308])
ANY = st.one_of(NUMBERS, st.floats(-4, 4, width=16), st.sampled_from([np.inf, -np.inf, np.nan]))
ERRORS = st.one_of(st.floats(0, 8, width=16), st.sampled_from([0.0, 5e-324, np.inf, np.nan]))


def by_hand(columns: Array, value: Array, error: Array) -> Nearby:
    """Each column compared with each."""
    found, least, most = [], [], []
    for center, bound in zip(value, error, strict=True):
        near = columns[:, (abs(columns - center[:, None]) <= bound[:, None]).all(axis=0)]
        found.append(near.shape[1] > 0)
        least.append(near.min(axis=1, initial=np.inf))
        most.append(near.max(axis=1, initial=-np.inf))
    return Nearby(np.array(found), np.array(least), np.array(most))


def expect_same(columns: Array, value: Array, error: Array) -> None:
    with np.errstate(all="ignore"):
        for one, other in zip(
            ColumnTree(columns).within(value, error), by_hand(columns, value, error), strict=True
        ):
            assert np.array_equal(one, other)


@given(st.data(), st.integers(1, 3), st.integers(0, 40), st.integers(1, 4))
def test_it_finds_what_a_comparison_of_all_finds(
    data: st.DataObject, entries: int, count: int, asked: int
) -> None:
    """To the bit: for equal columns, zeros of either sign, infinities and NaN too."""
    columns = data.draw(arrays(float, (entries, count), elements=ANY))
    value = data.draw(arrays(float, (asked, entries), elements=ANY))
    error = data.draw(arrays(float, (asked, entries), elements=ERRORS))
    expect_same(columns, value, error)


@pytest.mark.parametrize("entries", [1, 2, 20, 300])
@pytest.mark.parametrize("width", [1e-3, 0.1, 3.0])
def test_it_finds_so_among_many(entries: int, width: float) -> None:
    """Alike ones and others, more than are compared at once, within bounds that hold one to all of
    them.
    """
    rng = np.random.default_rng(0)
    few = rng.standard_normal((entries, 40))
    columns = few[:, rng.integers(0, 40, 500)] + width * rng.integers(-2, 3, 500)
    value = columns[:, ::2].T + width / 3
    assert value.size * np.log2(500) > AT_ONCE or entries < 300
    expect_same(columns, value, np.full(value.shape, width))
    expect_same(columns, value, width * rng.random(value.shape))


class Counting(ColumnTree):
    """Counts the nodes that are compared."""

    compared = 0

    def _compare(
        self, asked: Places, nodes: Places, value: Array, error: Array, found: Nearby
    ) -> tuple[Places, Places]:
        self.compared += len(asked)
        return super()._compare(asked, nodes, value, error, found)


@pytest.mark.parametrize("alike", [0.0, 0.9])
@pytest.mark.parametrize("error", [1e-3, 10.0])
def test_four_times_as_many_columns_take_little_more_than_four_times_as_long(
    error: float, alike: float
) -> None:
    """And not sixteen times: each is near one, all are within every bound, or most are 0."""
    rng, compared = np.random.default_rng(0), []
    for count in (2_000, 8_000):
        columns = rng.standard_normal((4, count)) * (rng.random(count) >= alike)
        tree = Counting(columns)
        tree.within(columns.T, np.full((count, 4), error))
        compared.append(tree.compared)
    assert compared[0] >= 2_000
    assert compared[1] < 6 * compared[0]
