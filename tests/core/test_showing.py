"""The element that a failure shows: where the difference matters, in numbers easy to read."""

from typing import Any

import numpy as np
import pytest

from harness.comparing.judge import Judgement, Side, judge
from harness.core.contract import Bounded
from harness.core.verdict import Status


def compare(answers: Any, exact: Any, error: Any, owner: Any = (0, 0)) -> Judgement:
    """Judge answers (D, 2) against exact ones, with bounds of their own on each."""
    answer, value, bound = (np.array(each, dtype=float) for each in (answers, exact, error))
    sides = Side(answer, Bounded(value, bound)), Side(value, Bounded(value, np.zeros_like(value)))
    return judge([sides[0]], [sides[1]], [np.array(owner)], 1e300)


def test_a_saturated_zero_is_not_shown() -> None:
    """Its ratio to a tiny bound is the largest, and stays the verdict's figure."""
    found = compare([[4e-23, 0.0], [3.0, 1.0]], [[0.0, 0.0], [2.0, 1.0]], [[1e-50] * 2, [1e-9] * 2])
    assert (found.status, found.index) == (Status.FAIL, (1, 0))
    assert (found.actual, found.expected, found.allowed) == (3.0, 2.0, 1e-9)
    assert found.factor == pytest.approx(1e9)
    assert found.budget_used == pytest.approx(4e27)


def test_a_difference_is_seen_beside_the_size_of_its_tensor() -> None:
    """A large one of a small tensor before a larger one that is little of a large tensor."""
    found = compare([[1.5, 100.1]], [[1.0, 100.0]], [[1e-6, 1e-9]], owner=(0, 1))
    assert found.index == (0, 0)


def test_numbers_near_1_are_shown_first() -> None:
    """Of draws that are off by as much, seen beside their numbers."""
    found = compare([[2e9, 0.0], [2.0, 0.0]], [[1e9, 0.0], [1.0, 0.0]], [[1e-9] * 2] * 2)
    assert found.index == (1, 0)


def test_what_is_not_finite_is_shown_before_all() -> None:
    """And an element that must be equal after all others."""
    found = compare([[2.0, np.nan]], [[1.0, 1.0]], [[1e-9] * 2])
    assert found.index == (0, 1)
    found = compare([[2.0, 1.001]], [[1.0, 1.0]], [[0.0, 1e-9]])
    assert (found.index, found.factor) == ((0, 1), pytest.approx(1e6, rel=1e-3))
    assert compare([[2.0, 1.0]], [[1.0, 1.0]], [[0.0, 1e-9]]).factor == np.inf


def test_a_pass_shows_what_uses_most_of_its_bound() -> None:
    """Whatever its size."""
    found = compare([[1.0 + 5e-10, 1e-20]], [[1.0, 0.0]], [[1e-9, 1.1e-20]])
    assert (found.status, found.index) == (Status.PASS, (0, 1))
    assert found.factor == found.budget_used
