"""Rules for numbers that are stored in a dtype: casts, constants, and thresholds."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.rules.registry import Call, Error, rule
from harness.rules.steps import Number, Steps


@rule(
    "_to_copy",
    "copy",
    "clamp",
    "clamp_max",
    "clamp_min",
    "fill",
    "full",
    "full_like",
    "hardtanh",
    "masked_fill",
    "nan_to_num",
    "new_full",
    "scalar_tensor",
    "scatter",
    "where",
)
def store_in_dtype(steps: Steps, call: Call) -> Error:
    """Return the error of rounding once to the dtype; 0 for numbers that the dtype can hold.

    The error is infinite if the operation also reduces numbers (argument `reduce`).
    """
    if call.given.get("reduce") is not None:
        return torch.full_like(call.result, torch.inf)
    return steps.cast(call.result)


@rule("arange", "linspace")
def count(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of start + i step, as in torch.arange: `step`, the
    product and the sum are rounded.
    """
    if all(isinstance(each, int | None) for each in (call.given.get("start"), call["end"])):
        step = call.given.get("step", 1)
        if isinstance(step, int):
            return steps.cast(call.result)
    ends = max(abs(float(call.given.get("start", 0))), abs(float(call["end"])))
    size = torch.full_like(call.result, ends)
    return steps.store(Number(call.result, steps.u * (4 * size + abs(call.result))))


@rule("threshold")
def threshold(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of where(x > threshold, x, value).

    The rounded threshold may lie on the other side of an x near it; the bound then allows both
    branches.
    """
    x = call["self"]
    value = steps.constant(call["value"], x)
    near = is_near(steps, x, call["threshold"])
    distance = abs(x - value.value) + value.error
    return torch.where(near, distance, steps.cast(call.result))


@rule("threshold_backward")
def threshold_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of where(x > threshold, g, 0); g is the gradient by the
    result, and x the input.
    """
    near = is_near(steps, call["self"], call["threshold"])
    return torch.where(near, abs(call["grad_output"]), 0.0)


@rule("hardtanh_backward")
def hardtanh_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of hardtanh's gradient: g (the gradient by the result)
    if the input x is between two constants, else 0.
    """
    x = call["self"]
    near = is_near(steps, x, call["min_val"]) | is_near(steps, x, call["max_val"])
    return torch.where(near, abs(call["grad_output"]), 0.0)


@rule("hardshrink")
def hardshrink(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of where(|x| > c, x, 0), with a constant c."""
    near = is_near(steps, abs(call["self"]), call["lambd"])
    return torch.where(near, abs(call["self"]), 0.0)


@rule("hardshrink_backward")
def hardshrink_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of where(|x| > c, g, 0), with a constant c; g is the
    gradient by the result.
    """
    return torch.where(is_near(steps, abs(call["self"]), call["lambd"]), abs(call["grad_out"]), 0.0)


@rule("softshrink")
def softshrink(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of softshrink with the constant c: x - c for x > c, x +
    c for x < -c, else 0.
    """
    x = abs(call["self"])
    stepwise = steps.stepwise()
    constant = stepwise.constant(call["lambd"], x)
    beyond = stepwise.sub(stepwise.exact(x), constant)
    error = torch.where(x > constant.value, stepwise.store(beyond), 0.0)
    return torch.where(is_near(steps, x, call["lambd"]), 2 * constant.error, error)


@rule("softshrink_backward")
def softshrink_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of where(|x| > c, g, 0), with a constant c; g is the
    gradient by the result.
    """
    near = is_near(steps, abs(call["self"]), call["lambd"])
    return torch.where(near, abs(call["grad_output"]), 0.0)


def is_near(steps: Steps, x: Tensor, constant: float) -> Tensor:
    """Return a mask of the numbers x that are so near to a constant that rounding the constant may
    change whether x is above it.
    """
    rounded = steps.constant(constant, x)
    return (abs(x - rounded.value) <= rounded.error) & (rounded.error > 0)
