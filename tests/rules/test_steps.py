"""Each step carries the largest error that those of its arguments can cause, and rounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import pytest
import torch

from harness.rules.numbers import Number
from harness.rules.steps import Steps
from tests.rules.given import TINY, U_BFLOAT16, U, assert_errors, number, take_steps

Step = Callable[[Steps, Number, Number], Number]
TWO: dict[str, tuple[Step, Callable[[float, float], float]]] = {
    "add": (Steps.add, lambda a, b: a + b),
    "sub": (Steps.sub, lambda a, b: a - b),
    "mul": (Steps.mul, lambda a, b: a * b),
    "div": (Steps.div, lambda a, b: a / b),
}
LEFT, RIGHT = (1.5, -3.25, 0.7, -1.0), (-0.6, -2.0, 5.5, 1.0)
LEFT_ERRORS, RIGHT_ERRORS = (0.2, 0.03, 0.0, 0.5), (0.1, 0.0, 0.4, 0.25)


@pytest.mark.parametrize("what", list(TWO))
def test_two_exact_numbers_are_rounded_once(what: str) -> None:
    """A sum, difference, product or quotient loses u of its size."""
    step, function = TWO[what]
    found = step(take_steps(), number(LEFT), number(RIGHT))
    exact = list(map(function, LEFT, RIGHT))
    assert found.value.tolist() == pytest.approx(exact, rel=1e-15)
    assert_errors(found, [U * abs(each) for each in exact])
    assert found.in_range


@pytest.mark.parametrize("what", list(TWO))
def test_two_numbers_carry_the_worst_of_their_corners(what: str) -> None:
    """Arguments move within their errors: the farthest result is at a corner, which is rounded."""
    step, function = TWO[what]
    found = step(take_steps(), number(LEFT, LEFT_ERRORS), number(RIGHT, RIGHT_ERRORS))
    expected = []
    for a, b, by_a, by_b in zip(LEFT, RIGHT, LEFT_ERRORS, RIGHT_ERRORS, strict=True):
        corners = product((a - by_a, a + by_a), (b - by_b, b + by_b))
        carried = max(abs(function(*each) - function(a, b)) for each in corners)
        expected.append(carried + U * (abs(function(a, b)) + carried))
    assert_errors(found, expected)
    assert found.in_range


@pytest.mark.parametrize("what", list(TWO))
def test_an_exact_number_beside_one_with_errors_has_none(what: str) -> None:
    """One exact argument is one whose error is 0."""
    step, zeros = TWO[what][0], (0.0,) * 4
    for bare, same in (
        (
            (number(LEFT), number(RIGHT, RIGHT_ERRORS)),
            (number(LEFT, zeros), number(RIGHT, RIGHT_ERRORS)),
        ),
        (
            (number(LEFT, LEFT_ERRORS), number(RIGHT)),
            (number(LEFT, LEFT_ERRORS), number(RIGHT, zeros)),
        ),
    ):
        expected = step(take_steps(), *same).error.tolist()
        assert_errors(step(take_steps(), *bare), expected)


def test_a_quotient_by_what_may_be_zero_has_no_bound() -> None:
    """A divisor of 0.5 that is off by 0.6 may be 0."""
    assert_errors(take_steps().div(number([1.0]), number([0.5], [0.6])), [math.inf])


def test_a_square_is_a_product() -> None:
    """(a + e)^2 is a^2 + 2 |a| e + e^2, rounded."""
    found = take_steps().square(number([-3.0], [0.5]))
    assert_errors(found, [3.25 + U * (9 + 3.25)])


def test_a_multiple_by_a_power_of_two_is_exact() -> None:
    """Only the argument's error is multiplied, by the factor's size."""
    steps = take_steps()
    for factor in (0.25, -2.0, 1.0):
        exact = steps.scale(number([-4.0, 3.0, 0.0]), factor)
        assert exact.value.tolist() == [-4 * factor, 3 * factor, 0]
        assert_errors(exact, [0, 0, 0])
        assert_errors(steps.scale(number([-4.0, 3.0], [0.5, 0.0]), factor), [0.5 * abs(factor), 0])


def test_a_multiple_by_another_number_is_rounded_twice() -> None:
    """The factor is rounded by u of its size, and the product once more."""
    found = take_steps().scale(number([-4.0, 3.0]), 0.3)
    assert found.value.tolist() == pytest.approx([-1.2, 0.9], rel=1e-15)
    assert_errors(found, [(U + U * (1 + U)) * each for each in (1.2, 0.9)])


ROWS = ((1.5, -2.0, 0.0), (0.5, 3.0, -4.0))
ERRORS = ((0.2, 0.1, 0.3), (0.0, 0.5, 0.25))


def test_a_sum_rounds_once_for_each_number_but_zero() -> None:
    """The error of a sum in any order is at most n u times the sum of sizes (Higham 2002, 4.2)."""
    steps, rows = take_steps(), Number(torch.tensor(ROWS, dtype=torch.float64))
    found = steps.sum(rows, 1)
    assert found.value.tolist() == [-0.5, -0.5]
    assert_errors(found, [2 * U * 3.5, 3 * U * 7.5])
    whole = steps.sum(rows)
    assert (whole.value.item(), whole.value.shape) == (-1.0, ())
    assert_errors(whole, [5 * U * 11])
    assert steps.sum(rows, 1, keepdim=True).value.shape == (2, 1)


def test_a_sum_carries_all_errors_of_its_terms() -> None:
    """They add up, and are rounded with the terms."""
    rows = Number(
        torch.tensor(ROWS, dtype=torch.float64), torch.tensor(ERRORS, dtype=torch.float64)
    )
    found = take_steps().sum(rows, 1)
    assert_errors(found, [0.6 + 3 * U * (3.5 + 0.6), 0.75 + 3 * U * (7.5 + 0.75)])


def test_a_sum_over_no_axis_is_what_it_is_of() -> None:
    """A single number is its sum."""
    single = Number(torch.tensor(2.0).double(), torch.tensor(0.5).double())
    assert take_steps().sum(single) is single


def test_a_mean_is_a_sum_that_is_rounded_twice() -> None:
    """The reciprocal of the number of terms is rounded, and the product with it."""
    steps, rows = take_steps(), Number(torch.tensor(ROWS, dtype=torch.float64))
    carried = [2 * U * 3.5 / 3, 3 * U * 7.5 / 3]
    found = steps.mean(rows, 1)
    assert found.value.tolist() == pytest.approx([-0.5 / 3] * 2, rel=1e-15)
    assert_errors(found, [each + 2 * U * (0.5 / 3 + each) for each in carried])
    assert steps.mean(rows, 1, keepdim=True).value.shape == (2, 1)


def rise(function: Callable[[float], float]) -> Callable[[float, float], float]:
    """Return how far a function that is steepest above, or below if it falls, moves within e."""

    def measure(a: float, e: float) -> float:
        return max(abs(function(a + e) - function(a)), abs(function(a - e) - function(a)))

    return measure


def bend_tanh(a: float, e: float) -> float:
    """Return e times the largest slope within e, which is at most 1; tanh moves by 2 at most.

    Up to a distance of one half the slope grows by at most 3.5 of itself for each unit.
    """
    slope = 1 - math.tanh(a) ** 2
    return min(e * (min(slope * (1 + 3.5 * e), 1) if e <= 0.5 else 1), 2)


def bend_logistic(a: float, e: float) -> float:
    """Return e times the largest slope within e, at most 1/4; the logistic moves by 1 at most."""
    slope = logistic(a) * (1 - logistic(a))
    moved = e * (min(slope * (1 + 1.75 * e), 0.25) if e <= 0.5 else 0.25)
    return min(moved, 1) + TINY


def logistic(a: float) -> float:
    return 1 / (1 + math.exp(-a))


# the function, what an error of its argument becomes, and how often a result is rounded: 2 ulp are
# 4 roundoffs, a root is right to 1 ulp, and a logistic has an addition and a division besides
ONE: dict[
    str,
    tuple[
        Callable[[Steps, Number], Number],
        Callable[[float], float],
        Callable[[float, float], float],
        int,
    ],
] = {
    "sqrt": (Steps.sqrt, math.sqrt, rise(math.sqrt), 2),
    "rsqrt": (Steps.rsqrt, lambda a: a**-0.5, rise(lambda a: a**-0.5), 4),
    "exp": (Steps.exp, math.exp, rise(math.exp), 4),
    "expm1": (Steps.expm1, math.expm1, rise(math.exp), 4),
    "log": (Steps.log, math.log, lambda a, e: e / (a - e), 4),
    "log1p": (Steps.log1p, math.log1p, lambda a, e: e / (1 + a - e), 4),
    "tanh": (Steps.tanh, math.tanh, bend_tanh, 4),
    "sigmoid": (Steps.sigmoid, logistic, bend_logistic, 6),
}
# numbers, and how far they are off
POINTS = ((0.3, 0.1), (0.9, 0.25), (2.5, 0.5), (7.0, 0.75), (4.0, 0.0), (0.6, 1e-9))
FURTHER = ((0.0, 0.2), (-0.8, 0.3), (0.1, 0.5), (-1.5, 0.7), (1.0, 3.0), (-2.0, 6.0))
ALL_REAL = ("exp", "expm1", "tanh", "sigmoid")


def list_points(what: str) -> tuple[tuple[float, float], ...]:
    """Return where a function is asked: the root and the logarithm at positive numbers."""
    return POINTS + FURTHER if what in ALL_REAL else POINTS


@pytest.mark.parametrize("what", list(ONE))
def test_a_function_of_an_exact_number_is_off_by_its_own_error(what: str) -> None:
    """So many roundoffs of its size."""
    step, function, _, roundings = ONE[what]
    points = [a for a, _ in list_points(what) if what == "sigmoid" or function(a) != 0]
    found = step(take_steps(), number(points))
    exact = list(map(function, points))
    assert found.value.tolist() == pytest.approx(exact, rel=1e-14)
    assert_errors(found, [roundings * U * abs(each) for each in exact])


@pytest.mark.parametrize("what", list(ONE))
def test_a_function_carries_the_error_of_its_argument(what: str) -> None:
    """By how far it moves within it (the root, exp), or by the largest slope there."""
    step, function, move, roundings = ONE[what]
    points = list_points(what)
    found = step(take_steps(), number(*zip(*points, strict=True)))
    for (a, e), error in zip(points, found.error.tolist(), strict=True):
        carried = move(a, e)
        expected = carried + roundings * U * (abs(function(a)) + carried)
        assert error == pytest.approx(expected, rel=1e-6 if e == 1e-9 else 1e-11)


def test_an_error_of_tanh_is_at_most_two() -> None:
    """Its results are between -1 and 1; those of the logistic are between 0 and 1."""
    steps, far = take_steps(), number([0.0], [100.0])
    assert_errors(steps.tanh(far), [2 + 4 * U * 2])
    carried = 1 + TINY
    assert_errors(steps.sigmoid(far), [carried + 6 * U * (0.5 + carried)])


def test_an_exponential_far_below_has_a_bound_however_large_the_error() -> None:
    """A number of -1000 that is off by 1000 is at most 0, and its exponential at most 1."""
    steps, inexact = take_steps(), number([-1000.0, -2000.0], [1000.0, 1999.0])
    assert_errors(steps.exp(inexact), [each * (1 + 4 * U) + TINY for each in (1.0, math.exp(-1.0))])


def test_steps_of_a_wide_dtype_are_the_same_one_by_one() -> None:
    """Where results are not narrower than steps, each step is rounded in any case."""
    for dtype in ("float64", "float32"):
        steps = take_steps(dtype)
        assert steps.stepwise() is steps


def test_steps_one_by_one_round_to_the_narrow_dtype() -> None:
    """A product is rounded to bfloat16; a root and functions of float32 once more, to bfloat16.

    A function is off by 4 u of float32: with the rounding v, by v + 4 u (1 + v). A root is taken
    for no better; a reciprocal root rounds a root, which counts half, and then a quotient.
    """
    steps, v = take_steps("bfloat16").stepwise(), U_BFLOAT16
    a, function = number([4.0]), v + 4 * U * (1 + v)
    assert_errors(steps.mul(a, a), [16 * v])
    assert_errors(steps.exp(a), [math.exp(4) * function])
    assert_errors(steps.sqrt(a), [2 * function])
    assert_errors(steps.rsqrt(a), [0.5 * (v + function / 2)])
    assert_errors(steps.sigmoid(a), [logistic(4) * (2 * v + function)])


def test_a_choice_takes_each_number_with_its_error() -> None:
    """Of exact numbers it is exact."""
    steps, mask = take_steps(), torch.tensor([True, False])
    a, b = number([1.0, 2.0]), number([3.0, 4.0])
    chosen = steps.where(mask, a, b)
    assert chosen.value.tolist() == [1, 4]
    assert chosen.bound is None
    inexact = steps.where(mask, number([1.0, 2.0], [0.1, 0.2]), b)
    assert inexact.value.tolist() == [1, 4]
    assert_errors(inexact, [0.1, 0])
    assert_errors(steps.where(mask, b, number([1.0, 2.0], [0.1, 0.2])), [0, 0.2])
