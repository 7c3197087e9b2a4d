"""How numbers enter a rule, and what is lost when its result is stored."""

from __future__ import annotations

import math

import pytest
import torch

from harness.rules.ends import Ends
from harness.rules.numbers import Number
from harness.rules.precision import precision_of
from tests.rules.given import (
    INF,
    TINY,
    TINY_FLOAT16,
    TOP,
    TOP_FLOAT16,
    U_BFLOAT16,
    U_FLOAT16,
    U,
    assert_errors,
    number,
)

V, LEAST, MOST = U_FLOAT16, TINY_FLOAT16, TOP_FLOAT16
LIKE = torch.zeros(2, dtype=torch.float64)


def take_ends(dtype: str) -> Ends:
    return Ends(precision_of(dtype))


def wide(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def test_inputs_are_exact() -> None:
    """They are what the operation is given."""
    x = wide(0.1, 2.0)
    assert take_ends("float32").exact(x) == Number(x, None, False)


@pytest.mark.parametrize(
    ("dtype", "held", "not_held"),
    [
        ("float64", 0.3, None),
        ("float32", 1 + 2.0**-23, 1 + 2.0**-24),
        ("bfloat16", 1 + 2.0**-23, 1 + 2.0**-24),
        ("float16", 1 + 2.0**-23, 1 + 2.0**-24),
    ],
)
def test_a_number_of_python_is_rounded_to_the_dtype_of_steps(
    dtype: str, held: float, not_held: float | None
) -> None:
    """It is exact if that dtype, float32 for narrower ones, has it; else off by u of its size."""
    ends = take_ends(dtype)
    exact = ends.scalar(held, LIKE)
    assert exact.bound is None
    assert exact.value.item() == held
    if not_held is not None:
        found = ends.scalar(-not_held, LIKE)
        assert found.value.item() == -not_held
        assert_errors(found, [U * not_held])


def test_a_subnormal_number_of_python_may_be_flushed() -> None:
    """One of 1e-40 may be read as 0, one of -1e-30 is only rounded."""
    ends = take_ends("float32")
    assert_errors(ends.scalar(1e-40, LIKE), [U * 1e-40 + TINY])
    assert_errors(ends.scalar(-1e-30, LIKE), [U * 1e-30])


def test_a_constant_is_rounded_to_the_dtype_of_the_result() -> None:
    """0.3 is off by v of its size in bfloat16, and 0.5 is exact."""
    ends = take_ends("bfloat16")
    found = ends.constant(-0.3, LIKE)
    assert found.value.item() == -0.3
    assert_errors(found, [U_BFLOAT16 * 0.3])
    assert_errors(ends.constant(0.5, LIKE), [0])


def test_a_cast_rounds_what_the_dtype_does_not_hold() -> None:
    """Held numbers and NaN are exact, small ones may be flushed, those beyond are infinite."""
    ends = take_ends("float16")
    assert_errors(ends.cast(wide(1.0, -0.5, 0.0)), [0, 0, 0])
    found = ends.cast(wide(1.0, -0.3, math.nan, 1e-5, -1e-9, 7e4, INF))
    assert_errors(found, [0, V * 0.3, 0, V * 1e-5 + LEAST, V * 1e-9 + LEAST, INF, 0])


def test_a_result_in_the_dtype_of_steps_is_stored_as_it_is() -> None:
    """Its error is what it has; beyond the range it has none, unless it surely is in range."""
    ends = take_ends("float32")
    x = number([1.0, -2.0, 0.0], [0.5, 0.25, 0.0])
    assert_errors(ends.store(x), [0.5, 0.25, 0])
    near = number([0.9 * TOP, -0.9 * TOP, -2 * TOP, 1.0], [0.2 * TOP, 0.05 * TOP, 0.0, 0.5])
    assert_errors(ends.store(near), [INF, 0.05 * TOP, INF, 0.5])
    assert_errors(ends.store(Number(near.value, near.bound, in_range=True)), near.error.tolist())


def test_a_narrow_result_is_rounded_when_it_is_stored() -> None:
    """By v of the largest size that it may have."""
    ends, x = take_ends("float16"), number([1.0, -2.0, 0.0], [0.5, 0.25, 0.0])
    expected = [0.5 + V * 1.5, 0.25 + V * 2.25, 0]
    assert_errors(ends.store(x), expected)
    held = ends.hold(x)
    assert held.value.tolist() == [1, -2, 0]
    assert_errors(held, expected)
    assert_errors(ends.store(Number(x.value, x.bound, in_range=True)), expected)


def test_a_narrow_result_that_may_be_small_may_be_flushed() -> None:
    """It may be below twice the smallest normal number, and is not 0 for sure."""
    ends = take_ends("float16")
    sizes, errors = (1.5, 2.0, 2.5, 4.0, 0.0, -3.0, -3.0), (0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.5)
    x = number([each * LEAST for each in sizes], [each * LEAST for each in errors])
    flushed = (1, 0, 0, 0, 0, 1, 0)
    expected = [
        (e + V * (abs(size) + e) + f) * LEAST
        for size, e, f in zip(sizes, errors, flushed, strict=True)
    ]
    assert_errors(ends.store(x), expected)


def test_what_may_be_beyond_the_range_has_no_bound() -> None:
    """Either sign; the largest number is in range, and an infinite one is exact."""
    ends = take_ends("float16")
    value = wide(MOST, -MOST, 0.9 * MOST, -2 * MOST, INF, -INF, INF)
    error = wide(0, 1.0, 0.2 * MOST, 0.0, 0.0, 0.5, INF)
    assert_errors(ends.limit(value, error), [0, INF, INF, INF, 0, 0, INF])
    assert_errors(ends.limit(wide(MOST, -1.0), wide(0, 0.5)), [0, 0.5])


def test_one_kernel_rounds_so_often_as_it_says() -> None:
    """Once if nothing is said; a narrow result is stored besides, and the errors multiply."""
    x = wide(2.0, -3.0)
    for dtype, u in (("float64", 2.0**-52), ("float32", U)):
        assert_errors(take_ends(dtype).rounded(x), [2 * u, 3 * u])
        assert_errors(take_ends(dtype).rounded(x, 5), [10 * u, 15 * u])
    share = 5 * U + V * (1 + 5 * U)
    assert_errors(take_ends("float16").rounded(x, 5), [2 * share, 3 * share])


def test_the_result_of_one_kernel_may_leave_the_range() -> None:
    """A small one may be flushed, 0 is 0, and one beyond has no bound."""
    single, narrow = take_ends("float32"), take_ends("float16")
    assert_errors(single.rounded(wide(0, -1e-39, 1e-36)), [0, U * 1e-39 + TINY, U * 1e-36])
    assert_errors(single.rounded(wide(1.0, TOP)), [U, INF])
    share = U + V * (1 + U)
    found = narrow.rounded(wide(0, -1e-5, 0.5, -7e4))
    assert_errors(found, [0, share * 1e-5 + LEAST, share * 0.5, INF])
