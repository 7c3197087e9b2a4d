"""What is asked of numbers and of their axes, at the edges of each answer."""

from __future__ import annotations

import math

import pytest
import torch

from harness.rules.numbers import (
    Dims,
    are_exact,
    as_tensor,
    carry_root,
    count_rounded,
    count_terms,
    find_steepest,
    is_held,
    is_ordinary,
    is_within,
    list_axes,
    may_change,
)
from tests.rules.given import TINY, TOP, U, number

NONE = torch.zeros(0, dtype=torch.float64)
EXACT, INEXACT = number([1.0, -2.0]), number([1.0, -2.0], [0.5, 0.0])


def wide(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def test_exact_numbers_have_errors_of_zero() -> None:
    """A number without a bound is off by 0; two are exact if neither has a bound."""
    assert EXACT.error.tolist() == [0, 0]
    assert INEXACT.error.tolist() == [0.5, 0]
    assert EXACT.in_range is False  # nothing is known
    pairs = ((EXACT, EXACT), (EXACT, INEXACT), (INEXACT, EXACT), (INEXACT, INEXACT))
    assert [are_exact(*pair) for pair in pairs] == [True, False, False, False]


def test_all_of_the_numbers_are_within_a_size_or_they_are_not() -> None:
    """The size itself is within, NaN is not, and no numbers are."""
    sizes = ((1.0, 2.0), (1.0, 3.0), (2.0,), (math.nan, 1.0), ())
    assert [is_within(wide(*each), 2.0) for each in sizes] == [True, False, True, False, True]


def test_a_number_is_lost_beside_errors_that_are_far_larger() -> None:
    """A double has 53 bits: 2^-55 is lost beside 1 and changes nothing, 2^-54 may round it."""
    assert 1 + 2.0**-55 == 1
    changes = ((1.0, 2.0**-54), (2.0, 2.0**-54), (1.0, 2.0**-55), (1.0, 2.0**-50))
    assert [may_change(wide(size), tiny) for size, tiny in changes] == [True, False, False, True]
    assert may_change(wide(1.0, 0.0), 2.0**-60)
    assert may_change(wide(math.nan), 2.0**-60)
    assert may_change(NONE, 1.0) is True


def test_a_root_moves_most_below_its_argument() -> None:
    """By sqrt(a) - sqrt(a - e), at most sqrt(e); an argument of 0 without an error, by 0."""
    a = number([4.0, 0.25, 0.0, 0.0, 0.81], [0.5, 0.09, 1e-10, 0.0, 0.0])
    expected = [2 - math.sqrt(3.5), 0.5 - 0.4, 1e-5, 0, 0]
    found = carry_root(a.value.sqrt(), a).tolist()
    assert found == pytest.approx(expected, rel=1e-12, abs=0)
    one = number([1e-4], [4.0])
    assert carry_root(one.value.sqrt(), one).tolist() == [2]  # sqrt(1e-4 + 4) - 0.01 is less


def test_ordinary_numbers_are_far_from_both_ends() -> None:
    """The error of the least is over 2^54 TINY; twice the largest, with its errors, is in range."""
    least = 2.0**54 * TINY
    assert is_ordinary(NONE, U, TINY, TOP) is True
    assert is_ordinary(wide(1.0, 100.0), U, TINY, TOP) is True
    assert is_ordinary(wide(4 * least), 0.5, TINY, TOP) is True
    assert is_ordinary(wide(2 * least, 1.0), 0.5, TINY, TOP) is False
    assert is_ordinary(wide(0.0, 1.0), U, TINY, TOP) is False
    for share, terms, most in ((0.5, 1, TOP / 2.5), (0.5, 4, TOP / 4)):
        size = wide(1.0, most)
        assert is_ordinary(size, share, TINY, TOP, terms) is True
        assert is_ordinary(size * 1.001, share, TINY, TOP, terms) is False
    assert is_ordinary(wide(TOP / 2.5), 0.5, TINY, TOP) is True


def test_beyond_one_half_a_slope_is_the_largest_anywhere() -> None:
    """Up to it, it grows by a share of itself for each unit, but to the largest at most."""
    slope, error = wide(0.125, 0.125, 0.125, 0.875), wide(0.25, 0.5, 0.75, 0.5)
    assert find_steepest(slope, error, 2.0, 1.0).tolist() == [0.1875, 0.25, 1, 1]


def test_a_dtype_has_a_number_or_rounds_it() -> None:
    """0.1 is held by float64 alone, 0.5 by all, 1 + 2^-8 by float32."""
    assert as_tensor(0.1, wide(1.0, 2.0)).item() == 0.1
    assert is_held(0.1, "float64")
    assert not is_held(0.1, "float32")
    assert is_held(0.5, "bfloat16")
    assert is_held(1 + 2.0**-8, "float32")
    assert not is_held(1 + 2.0**-8, "bfloat16")


@pytest.mark.parametrize(
    ("dims", "axes"),
    [(None, [0, 1, 2]), ([], [0, 1, 2]), (1, [1]), (-1, [2]), ([0], [0]), ([0, -2], [0, 1])],
)
def test_axes_are_counted_from_either_end(dims: Dims, axes: list[int]) -> None:
    """Without any, and with an empty list, all are meant."""
    assert list_axes(torch.zeros(2, 3, 4), dims) == axes


def test_a_single_number_has_no_axes() -> None:
    """Though torch takes the axis 0 of it; a vector has one."""
    assert list_axes(torch.zeros(()), 0) == []
    assert list_axes(torch.zeros(()), None) == []
    assert list_axes(torch.zeros(3), None) == [0]


def test_terms_of_a_sum_are_counted() -> None:
    """All of them, or those that are not 0 of each row."""
    x = torch.ones(2, 3, 4)
    assert [count_terms(x, axes) for axes in ([], [0], [1, 2])] == [1, 2, 12]
    assert count_rounded(x, [1, 2]) == 12
    x[0, 0, :3] = 0
    for keepdim in (False, True):
        counts = count_rounded(x, [1, 2], keepdim)
        assert isinstance(counts, torch.Tensor)
        assert counts.tolist() == ([[[9]], [[12]]] if keepdim else [9, 12])
    zeros, rows = count_rounded(torch.zeros(2, 3), [1]), count_rounded(x, [1, 2])
    assert isinstance(zeros, torch.Tensor)
    assert isinstance(rows, torch.Tensor)
    assert (zeros.tolist(), rows.shape) == ([0, 0], (2,))
