"""Rules for activations with a kink (leaky, exponential and hard rectifiers) and for softplus.

In formulas x is the input, h the result and g the gradient by the result. A rule bounds the
rounding error of one call of a torch operation.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harness.rules.registry import Call, Error, repeat, rule
from harness.rules.special import bound_softplus
from harness.rules.steps import Number, Steps

SIXTH = 2.0**-25  # the relative error of 1 / 6 in float32
DRAWN = 1e-6  # rrelu takes drawn slopes where its ends are further apart
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


@rule("leaky_relu")
def leaky_relu(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of where(x > 0, x, c x), with a constant slope c."""
    x = call["self"]
    return scale_negative(steps, x, x, call["negative_slope"])


@rule("leaky_relu_backward")
def leaky_relu_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of where(x > 0, g, c g), with a constant slope c; g is
    the gradient by the result.
    """
    return scale_negative(steps, call["self"], call["grad_output"], call["negative_slope"])


@repeat("rrelu_with_noise")
def repeat_rrelu(
    x: Tensor,
    noise: Tensor,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    *rest: Any,
) -> Tensor:
    """Return where(x > 0, x, c x) with the mean slope c. In training c is random, and the result is
    NaN for x <= 0.
    """
    slope = torch.nan if training else (float(lower) + float(upper)) / 2
    return torch.where(x > 0, x, slope * x)


@repeat("rrelu_with_noise_backward")
def repeat_rrelu_backward(g: Tensor, x: Tensor, noise: Tensor, *given: Any) -> Tensor:
    """Return rrelu's gradient: in training g times the random slope of the forward pass, else
    where(x > 0, g, c g).

    x is the input, g the gradient by the result, and c the mean slope.
    """
    lower, upper, training = given[:3]
    if training and float(upper) - float(lower) > DRAWN:
        return g * noise
    return torch.where(x > 0, g, (float(lower) + float(upper)) / 2 * g)


@rule("rrelu_with_noise")
def rrelu(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of where(x > 0, x, c x), with the mean slope c. In
    training c is random, and the error infinite.
    """
    x = call["self"]
    if call["training"]:
        return torch.full_like(x, torch.inf)
    return scale_negative(steps, x, x, (float(call["lower"]) + float(call["upper"])) / 2)


@rule("rrelu_with_noise_backward")
def rrelu_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of rrelu's gradient: in training g times the random
    slope of the forward pass, else where(x > 0, g, c g).

    x is the input, g the gradient by the result, and c the mean slope.
    """
    g = call["grad_output"]
    if call["training"] and float(call["upper"]) - float(call["lower"]) > DRAWN:
        return steps.store(steps.mul(steps.exact(g), steps.exact(call["noise"])))
    return scale_negative(steps, call["self"], g, (float(call["lower"]) + float(call["upper"])) / 2)


def scale_negative(steps: Steps, x: Tensor, of: Tensor, slope: float) -> Error:
    """Return a bound on the rounding error of where(x > 0, of, slope of), for tensors x and
    `of`.
    """
    stepwise = steps.stepwise()
    times = stepwise.mul(stepwise.constant(slope, x), stepwise.exact(of))
    return torch.where(x > 0, 0.0, stepwise.store(times))


@rule("_prelu_kernel")
def prelu(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of where(x > 0, x, w x), with a learned slope w."""
    error = steps.rounded(call["self"] * call["weight"])
    return torch.where(call["self"] > 0, 0.0, error)


@rule("_prelu_kernel_backward")
def prelu_backward(steps: Steps, call: Call) -> list[Error]:
    """Return bounds on the rounding errors of prelu's gradients by its input x and by its slope w:
    where(x > 0, g, w g) and where(x > 0, 0, x g).

    g is the gradient by the result.
    """
    x, g = call["self"], call["grad_output"]
    by_input = torch.where(x > 0, 0.0, steps.rounded(call["weight"] * g))
    return [by_input, torch.where(x > 0, 0.0, steps.rounded(x * g))]


@rule("elu", "celu", "selu")
def elu(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of an exponential rectifier: where(x > 0, s x, a s
    (exp(c x) - 1)).

    The constants are a (alpha), s (scale) and c (input scale).
    """
    x = steps.exact(call["self"])
    alpha, scale, inner = list_factors(steps, call, x.value)
    above = steps.mul(x, scale)
    below = steps.mul(steps.expm1(steps.mul(x, inner)), steps.mul(alpha, scale))
    return steps.store(steps.where(x.value > 0, above, below))


def list_factors(steps: Steps, call: Call, like: Tensor) -> list[Number]:
    """Return alpha, the scale and the input scale of an exponential rectifier; a factor of 1 is
    exact.
    """
    alpha, scale, inner = float(call.given.get("alpha", SELU_ALPHA)), 1.0, 1.0
    if call.name == "aten::celu":
        inner = 1 / alpha
    elif call.name == "aten::selu":
        scale = SELU_SCALE
    else:
        scale, inner = float(call["scale"]), float(call["input_scale"])
    return [steps.scalar(each, like) for each in (alpha, scale, inner)]


@rule("elu_backward")
def elu_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of the gradient of an exponential rectifier.

    It is where(x > 0, g s, g c a s exp(c x)) or, computed from the result h, g c (h + a s) in place
    of the second formula. g is the gradient by h; the constants are a (alpha), s (scale) and c
    (input scale).
    """
    g, base = steps.exact(call["grad_output"]), steps.exact(call["self_or_result"])
    alpha, scale, inner = list_factors(steps, call, g.value)
    both = steps.mul(alpha, scale)
    if call["is_result"]:
        slope = steps.add(base, both)
    else:
        slope = steps.mul(both, steps.exp(steps.mul(base, inner)))
    below = steps.mul(steps.mul(g, inner), slope)
    return steps.store(steps.where(base.value > 0, steps.mul(g, scale), below))


@rule("hardsigmoid", "hardswish")
def hardsigmoid(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of clamp((x + 3) / 6, 0, 1), or of x times it for
    hardswish.
    """
    x = steps.exact(call["self"])
    share = cut_share(steps, x)
    if call.name == "aten::hardswish":
        share = steps.mul(x, share)
    return steps.store(share)


def cut_share(steps: Steps, x: Number) -> Number:
    """Return clamp((x + 3) / 6, 0, 1), with its rounding error: computed by a product with a
    rounded 1 / 6, or by a quotient.
    """
    inner = steps.add(x, steps.exact(torch.full_like(x.value, 3.0)))
    value = inner.value.clamp(0.0, 6.0)
    inside = (inner.value > 0) & (inner.value < 6)
    clamped = Number(value, torch.where(inside, inner.error, 0.0))
    share = steps.mul(clamped, steps.scalar(1 / 6, x.value))
    return Number(share.value, share.error + steps.u * share.value)


@rule("hardsigmoid_backward")
def hardsigmoid_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of hardsigmoid's gradient: g / 6 for |x| < 3, else 0; g
    is the gradient by the result.

    torch stores 1 / 6 in float32 in every dtype.
    """
    return steps.rounded(call.result, 3) + SIXTH * abs(call.result)


@rule("hardswish_backward")
def hardswish_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of hardswish's gradient.

    It is 0 for x < -3, g (x / 3 + 1 / 2) for x up to 3, and g beyond. g is the gradient by the
    result.
    """
    x, g = steps.exact(call["self"]), steps.exact(call["grad_output"])
    third = steps.round(x.value / 3, torch.zeros_like(x.value), 3)
    slope = steps.add(third, steps.exact(torch.full_like(x.value, 0.5)))
    return torch.where(abs(x.value) <= 3, steps.store(steps.mul(g, slope)), 0.0)


@rule("softplus")
def softplus(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of log(1 + exp(c x)) / c, or of x if c x is above a
    threshold.

    c is a constant (beta). Near the threshold, both formulas are accepted.
    """
    x = steps.exact(call["self"])
    beta = steps.scalar(call["beta"], x.value)
    z = steps.mul(x, beta) if call["beta"] != 1 else x
    more = bound_softplus(steps, z)
    bent = steps.div(more, beta) if call["beta"] != 1 else more
    overflows = torch.isinf(steps.exp(z).error)
    bent = Number(bent.value, torch.where(overflows, torch.inf, bent.error))
    return _bound_below(steps, call, z, bent, x)


@rule("softplus_backward")
def softplus_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of softplus' gradient g e / (1 + e), or of g if c x is
    above a threshold.

    e is exp(c x), g is the gradient by the result, and c is a constant (beta).
    """
    x, g = steps.exact(call["self"]), steps.exact(call["grad_output"])
    beta = steps.scalar(call["beta"], x.value)
    z = steps.mul(x, beta) if call["beta"] != 1 else x
    share = steps.sigmoid(z)
    share = steps.round(share.value, share.error)
    overflows = torch.isinf(steps.exp(z).error)
    bent = steps.mul(g, Number(share.value, torch.where(overflows, torch.inf, share.error)))
    return _bound_below(steps, call, z, bent, g)


def _bound_below(steps: Steps, call: Call, z: Number, bent: Number, above: Number) -> Error:
    """Return a bound on the error of `bent` for z up to the threshold, and of `above` beyond it;
    near the threshold it may be either.
    """
    limit = steps.constant(call["threshold"], z.value)
    near = abs(z.value - limit.value) <= z.error + limit.error
    error = torch.where(z.value > limit.value, 0.0, steps.store(bent))
    return torch.where(near, steps.store(bent) + abs(bent.value - above.value), error)


@repeat("log_sigmoid_forward")
def repeat_log_sigmoid(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return log(1 / (1 + exp(-x))) and exp(-|x|)."""
    buffer = torch.exp(-abs(x))
    return torch.clamp(x, max=0.0) - buffer.log1p(), buffer


@rule("log_sigmoid_forward")
def log_sigmoid(steps: Steps, call: Call) -> list[Error]:
    """Return bounds on the rounding errors of both results: min(x, 0) - log(1 + b), and the buffer
    b = exp(-|x|).
    """
    x = steps.exact(call["self"])
    buffer = steps.exp(steps.exact(-abs(x.value)))
    less = steps.exact(x.value.clamp(max=0.0))
    return [steps.store(steps.sub(less, steps.log1p(buffer))), steps.store(buffer)]


@repeat("log_sigmoid_backward")
def repeat_log_sigmoid_backward(g: Tensor, x: Tensor, buffer: Tensor) -> Tensor:
    """Return the gradient of log_sigmoid: g b / (1 + b) for x > 0, else g / (1 + b), with b =
    exp(-|x|).

    g is the gradient by the result. b is taken from `buffer` or, if that is empty, computed anew.
    """
    b = buffer if buffer.numel() else torch.exp(-abs(x))
    return g * torch.where(x < 0, 1 - b / (1 + b), b / (1 + b))


@rule("log_sigmoid_backward")
def log_sigmoid_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of the gradient of log_sigmoid.

    It is g (1 - b / (1 + b)) for x < 0, else g b / (1 + b). x is the input, g the gradient by the
    result, and b = exp(-|x|).
    """
    x, g, buffer = call["self"], steps.exact(call["grad_output"]), call["buffer"]
    b = steps.exact(buffer) if buffer.numel() else steps.exp(steps.exact(-abs(x)))
    one = steps.exact(torch.ones_like(b.value))
    share = steps.div(b, steps.add(one, b))
    slope = steps.where(x < 0, steps.sub(one, share), share)
    return steps.store(steps.mul(g, slope))
