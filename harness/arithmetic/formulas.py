"""The formulas of rounding, for NumPy arrays and torch tensors alike: they use operators only.

`error` is a bound on the absolute error of `value` or `slope`, `error_a` of `a`, and so on. u is
the unit roundoff, and `tiny` the smallest normal number of a dtype. Source: Higham, Accuracy and
Stability of Numerical Algorithms (2nd ed., 2002), sections 2.2 and 3.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from harness.core.contract import Array

if TYPE_CHECKING:
    from torch import Tensor

A = TypeVar("A", Array, "Tensor")


# (f'(z + e) / f'(z) - 1) / e is at most this for e up to 1/2
TANH, LOGISTIC = 3.5, 1.75


def round_sum(value: A, error: A, u: float) -> A:
    """Return the error of a sum or difference `value`: its terms move it by `error`, then it is
    rounded once.
    """
    return error + u * (abs(value) + error)


def carry_product(a: A, error_a: A, b: A, error_b: A) -> A:
    """Return the error of a product a b before it is rounded."""
    return error_a * (abs(b) + error_b) + abs(a) * error_b


def carry_quotient(quotient: A, error_a: A, error_b: A, least_b: A) -> A:
    """Return the error of a quotient a / b before it is rounded, if |b| is at least `least_b`."""
    return (error_a + abs(quotient) * error_b) / least_b


def steepen(slope: A, error: A, growth: float) -> A:
    """Return a bound on the slope of tanh or the logistic at all arguments within `error` of a
    point.

    `slope` is the slope at the point, and `error` is at most 1/2. `growth` bounds the relative
    growth of the slope per unit of distance: it is TANH or LOGISTIC.
    """
    return slope * (1 + growth * error)


def round_result(value: A, error: A, roundings: float, u: float, tiny: A | float) -> A:
    """Return the error of a result that is off by `error` and then rounded `roundings` times.

    `tiny` is the error by which it may underflow.
    """
    return error + roundings * u * (abs(value) + error) + tiny
