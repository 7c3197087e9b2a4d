"""Steps near the ends of the range: what may be flushed to 0, and what may overflow."""

from __future__ import annotations

import math

import pytest
import torch

from harness.rules.numbers import Number
from tests.rules.given import (
    INF,
    TINY,
    TINY_FLOAT16,
    TOP,
    U_FLOAT16,
    U,
    assert_errors,
    number,
    take_steps,
)


def test_a_product_may_underflow_where_no_factor_is_zero() -> None:
    """Flushing changes a result by less than the smallest normal number; 0 times b is 0."""
    steps = take_steps()
    small = steps.mul(number([1e-30, 1.0, -1e-39, 2e-30]), number([1e-30, 1e-39, 1.0, 10.0]))
    expected = [U * size + TINY for size in (1e-60, 1e-39, 1e-39, 2e-29)]
    assert_errors(small, expected)
    assert small.in_range
    alone = steps.mul(number([2e-30]), number([-10.0]))  # TINY is 1 % of its rounding
    assert_errors(alone, [U * 2e-29 + TINY])
    assert_errors(steps.mul(number([0.0, 5.0, 0.0]), number([5.0, 0.0, 0.0])), [0, 0, 0])


def test_a_quotient_may_underflow_where_it_is_not_of_zero_nor_by_infinity() -> None:
    """0 / b and a / inf are 0, exactly."""
    steps = take_steps()
    small = steps.div(number([1e-30, 1.0]), number([1e30, 1e39]))
    assert_errors(small, [U * 1e-60 + TINY, U * 1e-39 + TINY])
    assert_errors(steps.div(number([0.0, 5.0]), number([5.0, INF])), [0, 0])


def test_a_product_of_inexact_numbers_may_underflow_where_it_is_not_zero() -> None:
    """Where a factor is 0 exactly it is exact; where its error is carried it may be flushed."""
    a = number([1e-30, 0.0, 0.0, 1e-40, 3.0], [0.0, 0.0, 1e-36, 1e-41, 0.0])
    b = number([1e-30, 3.0, 1e-3, 1.0, 0.0])
    expected = [U * 1e-60 + TINY, 0, 1e-39 * (1 + U) + TINY, 1e-41 + U * 1.1e-40 + TINY, 0]
    assert_errors(take_steps().mul(a, b), expected)


def test_functions_may_underflow_where_they_are_not_zero() -> None:
    """exp(-100) may be flushed, tanh(0) may not."""
    steps, e = take_steps(), math.exp(-100)
    assert_errors(steps.exp(number([-100.0])), [4 * U * e + TINY])
    assert_errors(steps.tanh(number([0.0, 1e-39])), [0, 4 * U * 1e-39 + TINY])
    assert_errors(steps.expm1(number([0.0], [0.0])), [0])


def test_a_logistic_may_underflow_twice() -> None:
    """Its exponential may, and its quotient."""
    found = take_steps().sigmoid(number([-200.0]))
    assert_errors(found, [TINY + 6 * U * (math.exp(-200) + TINY) + TINY])


def test_only_a_subnormal_multiple_by_a_power_of_two_may_be_flushed() -> None:
    """Half the smallest normal number is subnormal; the number itself, and 0, are not."""
    steps = take_steps()
    found = steps.scale(number([TINY, -TINY, 2 * TINY, -2 * TINY, 0.0, -4.0]), 0.5)
    assert_errors(found, [TINY, TINY, 0, 0, 0, 0])


def test_float16_is_only_flushed_near_its_smallest_number() -> None:
    """A step that surely is twice the smallest normal number or more is normal after rounding.

    In other dtypes adding the smallest number costs nothing; float16's is 6e-5.
    """
    steps, tiny = take_steps("float16").stepwise(), TINY_FLOAT16
    sizes = (1.5, 2.0, 2.5, 4.0, -1.5, -4.0)
    one = number([1.0] * 6)
    found = steps.mul(number([size * tiny for size in sizes]), one)
    flushed = (tiny, 0, 0, 0, tiny, 0)
    rounded = [U_FLOAT16 * abs(size) * tiny for size in sizes]
    assert_errors(found, [u + f for u, f in zip(rounded, flushed, strict=True)])
    assert_errors(steps.mul(number([0.0, 1.0]), number([3.0, 0.0])), [0, 0])
    inexact = steps.mul(number([3 * tiny, 5 * tiny], [2 * tiny, 2 * tiny]), number([1.0, 1.0]))
    moved = [2 * tiny + U_FLOAT16 * each * tiny for each in (5, 7)]
    assert_errors(inexact, [moved[0] + tiny, moved[1]])


def test_a_result_that_may_be_beyond_the_range_has_no_bound() -> None:
    """With its error, it overflows; others keep their bounds."""
    steps = take_steps()
    near, one = number([0.9 * TOP, -0.9 * TOP, 1.0], [0.2 * TOP, 0.2 * TOP, 0.0]), [1.0] * 3
    assert_errors(steps.mul(near, number(one)), [INF, INF, U])
    assert_errors(steps.add(near, number([0.0] * 3)), [INF, INF, U])
    half = number([0.45 * TOP, -0.45 * TOP, 1.0], [0.1 * TOP, 0.1 * TOP, 0.5])
    assert_errors(steps.scale(half, 2.0), [INF, INF, 1.0])
    assert_errors(steps.scale(number([-0.75 * TOP]), 2.0), [INF])


def test_the_largest_number_is_in_range() -> None:
    """An exact multiple may be it, to the bit; a sum that is rounded may not."""
    steps = take_steps()
    assert_errors(steps.scale(number([TOP / 2, TOP]), 2.0), [0, INF])
    assert_errors(steps.add(number([TOP, 1.0]), number([0.0, 1.0])), [INF, 2 * U])


def test_a_sum_has_no_bound_where_an_order_of_its_terms_overflows() -> None:
    """Two numbers of a row may be added first."""
    steps = take_steps()
    for errors in (None, [0.0] * 3):
        assert_errors(steps.sum(number([0.6 * TOP, 0.6 * TOP, -0.9 * TOP], errors)), [INF])
    assert_errors(steps.sum(number([0.6 * TOP, -0.3 * TOP], [0.2 * TOP, 0.0])), [INF])


def test_a_sum_to_the_end_may_overflow_when_it_is_stored() -> None:
    """The sum of sizes is in range, but not with the error: it is looked at once more."""
    steps = take_steps()
    found = steps.sum(number([TOP / 2, TOP / 2]))
    assert not found.in_range
    assert steps.store(found).item() == INF


@pytest.mark.parametrize("errors", [None, [0.5, 0.5]], ids=["exact", "inexact"])
def test_an_infinite_sum_of_finite_errors_is_exact(errors: list[float] | None) -> None:
    """Infinity and a number are infinity, whatever the number's error; it is stored so."""
    steps = take_steps()
    b = number([1.0, 2.0], errors)
    found = steps.add(number([INF, 1.0]), b)
    carried = 0 if errors is None else 0.5
    assert_errors(found, [carried, carried + U * (3 + carried)])
    assert_errors(steps.store(found), [0, carried + U * (3 + carried)])


def test_a_sum_of_masks_and_what_overflows_is_told_apart() -> None:
    """Infinity is exact, and a finite sum beyond the range has no bound."""
    found = take_steps().sub(number([-INF, -0.9 * TOP, 1.0]), number([1.0, 0.9 * TOP, 3.0]))
    assert_errors(found, [0, INF, 2 * U])


def test_an_empty_tensor_is_in_range() -> None:
    """It has no numbers that may overflow."""
    none = Number(torch.zeros(0, dtype=torch.float64))
    assert take_steps().mul(none, none).in_range
