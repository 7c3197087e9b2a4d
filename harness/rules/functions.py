"""Rules for functions of mathematical libraries, each right to some units in the last place (ulp).

Source: CUDA C++ Programming Guide, "Mathematical Functions", single precision. Its errors are the
largest of the libraries that torch calls: SLEEF promises 1 ulp (sine and cosine 3.5), MKL 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.rules.registry import Call, Error, repeat, rule
from harness.rules.special import bound_erf, bound_softplus
from harness.rules.steps import Number, Steps

UNITS = {
    "acos": 2.0,
    "acosh": 4.0,
    "asin": 4.0,
    "asinh": 3.0,
    "atan": 2.0,
    "atan2": 3.0,
    "atanh": 3.0,
    "cos": 3.5,
    "cosh": 2.0,
    "erfc": 4.0,
    "exp": 2.0,
    "exp2": 2.0,
    "expm1": 2.0,
    "hypot": 3.0,
    "log": 2.0,
    "log10": 3.0,
    "log1p": 2.0,
    "log2": 2.0,
    "sin": 3.5,
    "sinh": 3.0,
    "tan": 4.0,
    "tanh": 2.0,
}


@rule(*UNITS)
def evaluate_function(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of a function of a mathematical library, such as sin.
    One unit in the last place is at most two unit roundoffs.
    """
    units = UNITS[call.name.removeprefix("aten::")]
    error = steps.rounded(call.result, 2 * units)
    if call.name in ("aten::sinh", "aten::cosh"):
        # computed from exp(|x|), which overflows before half of it does
        beyond = abs(call["self"]).exp() > steps.largest
        error = torch.where(beyond & call.result.isfinite(), torch.inf, error)
    return error


@rule("erf")
def erf(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of erf(x): computed by a library in float32 and wider,
    by the polynomials of `bound_erf` in a narrower dtype.
    """
    if steps.precision.narrow:
        return steps.store(bound_erf(steps, steps.exact(call["self"])))
    return steps.rounded(call.result, 4)


@rule("erfinv")
def invert_erf(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of y, the inverse of erf, which kernels compute by
    Newton steps on erf.

    The last step uses a residual with the rounding errors of erf and of a difference. This moves y
    by their error divided by the derivative of erf at y.
    """
    y = call.result
    slope = 1.1283791670955126 * torch.exp(-y * y)
    carried = (steps.precision.function + steps.u) * abs(call["self"]) / slope
    return steps.store(steps.function(y, carried))


@rule("logit")
def logit(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of log(x / (1 - x)), with x clamped to [eps, 1 - eps].

    Each intermediate result is rounded to the dtype.
    """
    steps = steps.stepwise()
    x = steps.exact(call["self"])
    eps = call["eps"]
    one = steps.exact(torch.ones_like(x.value))
    if eps is not None:
        low = steps.constant(eps, x.value)
        high = steps.sub(one, low)
        x = cut(x, low, high)
    return steps.store(steps.log(steps.div(x, steps.sub(one, x))))


@repeat("logit_backward")
def repeat_logit_backward(g: Tensor, x: Tensor, eps: float | None = None) -> Tensor:
    """Return logit's gradient g / (x (1 - x)), where x is the input and g the gradient by the
    result.

    It is 0 for x outside [eps, 1 - eps]. If eps is None, it is NaN for x outside [0, 1].
    """
    slope = g / (x * (1 - x))
    if eps is None:
        return torch.where((x < 0) | (x > 1), torch.nan, slope)
    return torch.where((x < eps) | (x > 1 - eps), 0.0, slope)


@rule("logit_backward")
def logit_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of logit's gradient g / (x (1 - x)), which is 0 for x
    outside [eps, 1 - eps].

    x is the input, and g the gradient by the result.
    """
    steps = steps.stepwise()
    x, g = steps.exact(call["self"]), steps.exact(call["grad_output"])
    one = steps.exact(torch.ones_like(x.value))
    slope = steps.div(g, steps.mul(x, steps.sub(one, x)))
    error = steps.store(slope)
    eps = call["eps"]
    if eps is None:
        return error
    low = steps.constant(eps, x.value)
    near = (abs(x.value - eps) <= low.error) | (abs(1 - eps - x.value) <= low.error + steps.u)
    outside = (x.value < eps) | (x.value > 1 - eps)
    return torch.where(near, abs(slope.value) + error, torch.where(outside, 0.0, error))


def cut(x: Number, low: Number, high: Number) -> Number:
    """Return x clamped to [low, high], all with errors."""
    value = torch.minimum(torch.maximum(x.value, low.value), high.value)
    error = torch.where(x.value > low.value, x.error, low.error)
    return Number(value, torch.where(x.value < high.value, error, high.error))


@rule("logaddexp", "logaddexp2")
def add_exponentials(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of logaddexp(a, b) = max(a, b) + log(1 + exp(-|a -
    b|)).
    """
    a, b = steps.exact(call["self"]), steps.exact(call["other"])
    both = torch.isinf(a.value) & (a.value == b.value)
    difference = steps.sub(steps.where(both, steps.exact(torch.zeros_like(a.value)), a), b)
    difference = Number(-abs(difference.value), difference.error)
    base = 1.0
    if call.name == "aten::logaddexp2":
        base = 0.6931471805599453
        difference = steps.mul(difference, steps.scalar(base, a.value))
    more = bound_softplus(steps, difference)
    if base != 1:
        more = steps.div(more, steps.scalar(base, a.value))
    larger = steps.exact(torch.maximum(a.value, b.value))
    error = steps.store(steps.add(larger, more))
    return torch.where(both, 0.0, error)


@rule("xlogy", "special_xlog1py")
def multiply_logarithm(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of x log(y) or x log(1 + y); the result is 0 if x is 0.

    Each intermediate result is rounded to the dtype.
    """
    steps = steps.stepwise()
    arguments = [call["self"], call["other"]]
    numbers = [
        steps.exact(each.double())
        if isinstance(each, torch.Tensor)
        else steps.scalar(each, call.result)
        for each in arguments
    ]
    x, y = numbers
    log = steps.log(y) if call.name == "aten::xlogy" else steps.log1p(y)
    error = steps.store(steps.mul(x, log))
    return torch.where((x.value == 0) | call.result.isinf(), 0.0, error)
