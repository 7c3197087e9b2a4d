"""Rules for operations on single numbers: sums, products, roots and powers."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.rules.numbers import are_exact
from harness.rules.registry import Call, Error, rule
from harness.rules.steps import Number, Steps


def number(steps: Steps, given: Tensor | float, like: Tensor) -> Number:
    """Return an argument of an operation with its error: tensors are exact, Python numbers are
    rounded to the dtype.

    A tensor without axes is rounded as well if `like` has axes: torch ignores the dtype of such a
    tensor then. So are whole numbers, which torch converts to the dtype first.
    """
    if not isinstance(given, Tensor):
        return steps.scalar(float(given), like)
    numbers = given.double()
    if not given.is_floating_point() or (given.ndim == 0 and like.ndim > 0):
        return Number(numbers, steps.cast(numbers))
    return steps.exact(numbers)


@rule("add", "sub")
def add(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of a + alpha b; the product may be rounded."""
    a = number(steps, call["self"], call.result)
    combine = steps.sub if call.name == "aten::sub" else steps.add
    return steps.store(combine(a, scale_by_alpha(steps, call, "other")))


def scale_by_alpha(steps: Steps, call: Call, name: str) -> Number:
    """Return alpha times the argument `name`, with its error. In a dtype narrower than float32,
    both alpha and the product are rounded to the dtype.
    """
    stepwise = steps.stepwise()
    factor = number(stepwise, call[name], call.result)
    if call["alpha"] == 1:
        return factor
    return stepwise.mul(number(stepwise, call["alpha"], call.result), factor)


@rule("rsub")
def subtract_from(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of b - alpha a (torch.rsub)."""
    b = number(steps.stepwise(), call["other"], call.result)
    return steps.store(steps.sub(b, scale_by_alpha(steps, call, "self")))


@rule("mul")
def multiply(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of a b."""
    like = call.result
    product = steps.mul(number(steps, call["self"], like), number(steps, call["other"], like))
    return steps.store(product)


@rule("div")
def divide(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of a / b; a kernel may multiply by the reciprocal of a
    Python number.

    With a rounding mode, such as "floor", the result may be off by 1 if the quotient is as near to
    a whole number as its error.
    """
    like = call.result
    a, b = number(steps, call["self"], like), number(steps, call["other"], like)
    quotient = steps.div(a, b)
    if not isinstance(call["other"], Tensor):
        quotient = steps.round(quotient.value, quotient.error)
    if call.given.get("rounding_mode") is None:
        return steps.store(quotient)
    near = abs(quotient.value - quotient.value.round()) <= quotient.error
    return steps.store(Number(like, torch.where(near, 1.0, 0.0)))


@rule("fmod", "remainder")
def take_remainder(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of the remainder of a division. The remainder is exact,
    except for the sum that gives it the divisor's sign.

    The error is infinite if the divisor was rounded, or if the quotient is beyond the dtype's
    range: the library SLEEF computes the quotient first.
    """
    a, b = (number(steps, call[name], call.result) for name in ("self", "other"))
    lost = (b.error > 0) | (a.error > 0) | (abs(a.value / b.value) > steps.largest)
    return torch.where(lost, torch.inf, steps.rounded(call.result))


@rule("reciprocal")
def round_once(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of 1 / a."""
    return steps.rounded(call.result)


@rule("square")
def square(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of a^2."""
    return steps.store(steps.square(steps.exact(call["self"])))


@rule("sqrt")
def take_root(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of sqrt(a)."""
    return steps.store(steps.sqrt(steps.exact(call["self"])))


@rule("rsqrt")
def take_reciprocal_root(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of 1 / sqrt(a), if each intermediate result is rounded
    to the dtype.
    """
    steps = steps.stepwise()
    return steps.store(steps.rsqrt(steps.exact(call["self"])))


@rule("addcmul", "addcdiv")
def add_product(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of torch.addcmul, a + c b1 b2, or torch.addcdiv, a + c
    b1 / b2.

    The constant factor c may be applied first or last.
    """
    combine = steps.mul if call.name == "aten::addcmul" else steps.div
    one, other = steps.exact(call["tensor1"]), steps.exact(call["tensor2"])
    term = combine(one, other)
    if call["value"] != 1:
        factor = steps.scalar(call["value"], call.result)
        last, first = steps.mul(factor, term), combine(steps.mul(factor, one), other)
        term = Number(last.value, torch.maximum(last.error, first.error))
    return steps.store(steps.add(steps.exact(call["self"]), term))


@rule("lerp")
def interpolate(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of torch.lerp with the weight w.

    It is a + w (b - a) if |w| is below one half, else b - (b - a) (1 - w).
    """
    a, b = steps.exact(call["self"]), steps.exact(call["end"])
    w = number(steps, call["weight"], call.result)
    one = steps.exact(torch.ones_like(w.value))
    difference = steps.sub(b, a)
    from_a = steps.add(a, steps.mul(w, difference))
    from_b = steps.sub(b, steps.mul(difference, steps.sub(one, w)))
    near = abs(abs(w.value) - 0.5) <= w.error
    error = torch.where(abs(w.value) < 0.5, from_a.error, from_b.error)
    error = torch.where(near, torch.maximum(from_a.error, from_b.error), error)
    return steps.store(Number(call.result, error))


@rule("pow")
def raise_to_power(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of a^b. For the exponents -2, -1, -1/2, 1/2, 2 and 3 it
    is the error of products, quotients and roots.

    The function pow is right to 4 units in the last place (CUDA C++ Programming Guide, mathematical
    functions: powf). A Python number is rounded to the dtype: rounding the base moves a^b by the
    factor b, rounding the exponent by the factor log a.
    """
    base, exponent = call["self"], call["exponent"]
    if not isinstance(exponent, Tensor) and float(exponent) in (-2.0, -1.0, -0.5, 0.5, 2.0, 3.0):
        assert isinstance(base, Tensor)
        return steps.store(raise_simply(steps.stepwise(), steps.exact(base), float(exponent)))
    stepwise = steps.stepwise()
    a, b = number(stepwise, base, call.result), number(stepwise, exponent, call.result)
    if are_exact(a, b):
        return steps.store(steps.round(call.result, None, 8))
    moved = a.error / abs(a.value) * abs(b.value)
    moved = torch.where(a.error > 0, moved, 0.0)
    moved = moved + torch.where(b.error > 0, b.error * abs(a.value.log()), 0.0)
    carried = torch.where(call.result == 0, 0.0, abs(call.result) * torch.expm1(moved))
    return steps.store(steps.round(call.result, carried, 8))


def raise_simply(steps: Steps, a: Number, exponent: float) -> Number:
    """Return a to the power of an exponent (-2, -1, -1/2, 1/2, 2 or 3), with its rounding error, by
    products, quotients and roots.
    """
    if exponent == 0.5:
        return steps.sqrt(a)
    if exponent == -0.5:
        return steps.rsqrt(a)
    power = a if exponent == -1 else steps.square(a)
    if exponent == 3:
        return steps.mul(power, a)
    if exponent == 2:
        return power
    return steps.div(steps.exact(torch.ones_like(a.value)), power)
