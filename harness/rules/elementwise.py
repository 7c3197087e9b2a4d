"""Operations on single numbers that round a few times: sums, products, roots and functions."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.rules.registry import Call, Error, rule
from harness.rules.steps import Number, Steps


def number(steps: Steps, given: object, like: Tensor) -> Number:
    """Return an argument as exact numbers: a tensor, or a number of Python's."""
    if isinstance(given, Tensor):
        return steps.exact(given)
    return steps.scalar(float(given), like)  # type: ignore[arg-type]


@rule("add", "sub")
def add(steps: Steps, call: Call) -> Error:
    """Return a + alpha b, whose product may round."""
    a = call["self"]
    like = call.result
    b = number(steps, call["other"], like)
    if call["alpha"] != 1:
        b = steps.mul(number(steps, call["alpha"], like), b)
    sign = -1 if call.name == "aten::sub" else 1
    return steps.store(steps.add(number(steps, a, like), Number(sign * b.value, b.error)))


@rule("rsub")
def subtract_from(steps: Steps, call: Call) -> Error:
    like = call.result
    a = number(steps, call["self"], like)
    if call["alpha"] != 1:
        a = steps.mul(number(steps, call["alpha"], like), a)
    return steps.store(steps.sub(number(steps, call["other"], like), a))


@rule("mul")
def multiply(steps: Steps, call: Call) -> Error:
    like = call.result
    product = steps.mul(number(steps, call["self"], like), number(steps, call["other"], like))
    return steps.store(product)


@rule("div")
def divide(steps: Steps, call: Call) -> Error:
    """Return a / b; a kernel may multiply by the reciprocal of a number of Python's."""
    like = call.result
    a, b = number(steps, call["self"], like), number(steps, call["other"], like)
    quotient = steps.div(a, b)
    if not isinstance(call["other"], Tensor):
        quotient = steps.round(quotient.value, quotient.error)
    return steps.store(quotient)


@rule("reciprocal", "sqrt")
def round_once(steps: Steps, call: Call) -> Error:
    return steps.rounded(call.result)


@rule("exp", "expm1", "log", "log1p", "log2", "log10", "tanh", "sin", "cos", "erf", "erfc", "exp2")
def evaluate_function(steps: Steps, call: Call) -> Error:
    """A function of the mathematical library, right to some units in the last place."""
    return steps.rounded(call.result, 2 * steps.precision.ulp)


@rule("sigmoid")
def sigmoid(steps: Steps, call: Call) -> Error:
    return steps.store(steps.sigmoid(steps.exact(call["self"])))


@rule("tanh_backward")
def tanh_backward(steps: Steps, call: Call) -> Error:
    """Return g (1 - h^2)."""
    h = steps.exact(call["output"])
    one = steps.exact(torch.ones_like(h.value))
    return steps.store(steps.mul(steps.exact(call["grad_output"]), steps.sub(one, steps.square(h))))


@rule("sigmoid_backward")
def sigmoid_backward(steps: Steps, call: Call) -> Error:
    """Return g h (1 - h), in any order of the products."""
    h = steps.exact(call["output"])
    one = steps.exact(torch.ones_like(h.value))
    slope = steps.mul(h, steps.sub(one, h))
    return steps.store(steps.mul(steps.exact(call["grad_output"]), slope))


@rule("pow")
def raise_to_power(steps: Steps, call: Call) -> Error:
    """Return a^b; a small whole exponent, or one half, takes products or a root."""
    return steps.rounded(call.result, 2 * steps.precision.ulp)
