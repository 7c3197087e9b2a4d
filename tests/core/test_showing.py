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


def weigh(
    subject: Any, reference: Any, exact: Any = 10.0, of_reference: Any = None, bounds: Any = 0.01
) -> Judgement:
    """Judge one tensor of two elements; each side has exact answers and bounds of its own."""
    theirs = exact if of_reference is None else of_reference
    mine, other = bounds if isinstance(bounds, tuple) else (bounds, bounds)
    sides = [
        Side(np.array([given], dtype=float), Bounded(*(np.full((1, 2), 0.0) + n for n in own)))
        for given, own in ((subject, (exact, mine)), (reference, (theirs, other)))
    ]
    return judge([sides[0]], [sides[1]], [np.array([0, 0])], 1e300)


def test_a_declared_difference_is_none() -> None:
    """The first two answers differ most, but were to differ by nearly as much."""
    found = weigh([11.0, 10.5], [1.0, 10.0], exact=[10.8, 10.0], of_reference=[1.0, 10.0])
    assert found.index == (0, 1)


def test_a_difference_to_either_side_counts() -> None:
    """Both sides are off by less than their difference."""
    assert weigh([9.6, 10.6], [10.4, 10.0]).index == (0, 0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_distance_of_a_side_from_its_exact_answer_counts(sign: float) -> None:
    """Of the side that is outside its bounds: what the other side is off by makes the difference
    smaller.
    """
    far, near = [10.0 + sign, 10.0 + 0.7 * sign], [10.0 + 0.5 * sign, 10.0]
    assert weigh(far, near, bounds=(0.01, 0.6)).index == (0, 0)
    assert weigh(near, far, bounds=(0.6, 0.01)).index == (0, 0)


@pytest.mark.parametrize(("answer", "factor"), [(1.75, 5.0), (2.125, 1.5)])
def test_the_factor_is_that_by_which_two_answers_differ_too_much(
    answer: float, factor: float
) -> None:
    """It is the share of the bounds if they do not differ by more than is allowed and declared."""
    found = weigh([answer, 1.0], [1.0, 1.0], exact=[0.5, 1.0], of_reference=1.0, bounds=(0.25, 0.0))
    assert (found.index, found.allowed, found.factor) == ((0, 0), 0.75, factor)


def test_only_a_failure_shows_another_element_than_the_worst() -> None:
    """One that uses all of its bound passes, and is shown itself."""
    least = 2.0**-60
    for used, index in ((1.0, (0, 0)), (1.5, (0, 1))):
        found = compare([[used * least, 10 + 0.0625]], [[0.0, 10.0]], [[least, 0.0625 / used]])
        assert found.index == index


def test_the_stack_with_the_largest_difference_is_shown() -> None:
    """Whichever comes first."""
    sides = [
        Side(np.array([[answer, 1.0]]), Bounded(np.ones((1, 2)), np.full((1, 2), 1e-9)))
        for answer in (1.00001, 1.5, 1.0, 1.0)
    ]
    for order in ([0, 1], [1, 0]):
        found = judge([sides[each] for each in order], sides[2:], [np.array([0, 0])] * 2, 1e300)
        assert found.actual == 1.5
