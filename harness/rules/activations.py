"""Rules for activations made of the logistic, tanh or erf, and for their gradients. A rule bounds
the rounding error of one call of a torch operation.

In all rules of this room x is the input of the activation, h its result and g the gradient by h.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.rules.registry import Call, Error, rule
from harness.rules.special import bound_erf, bound_softplus
from harness.rules.steps import Number, Steps

HALF_ROOT = 0.7071067811865476  # 1 / sqrt(2)
TANH_SCALE = 0.7978845608028654  # sqrt(2 / pi), in gelu by tanh
CUBE = 0.044715  # in gelu by tanh
DENSITY = 0.3989422804014327  # 1 / sqrt(2 pi)
FAR = 1e3  # beyond, exp(-x^2 / 2), 1 - erf and 1 - tanh are 0 in every dtype


def one_like(steps: Steps, like: Number) -> Number:
    """Return ones in the shape of `like`, without error."""
    return steps.exact(torch.ones_like(like.value))


def one_less(steps: Steps, a: Number) -> Number:
    """Return 1 - a, with its rounding error."""
    return steps.sub(one_like(steps, a), a)


def one_more(steps: Steps, a: Number) -> Number:
    """Return 1 + a, with its rounding error."""
    return steps.add(one_like(steps, a), a)


@rule("sigmoid")
def sigmoid(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of the logistic 1 / (1 + exp(-x))."""
    return steps.store(steps.sigmoid(steps.exact(call["self"])))


@rule("tanh_backward")
def tanh_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of tanh's gradient g (1 - h^2); h is the result of tanh
    and g the gradient by h.
    """
    slope = one_less(steps, steps.square(steps.exact(call["output"])))
    return steps.store(steps.mul(steps.exact(call["grad_output"]), slope))


@rule("sigmoid_backward")
def sigmoid_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of the logistic's gradient g h (1 - h); h is the result
    of the logistic and g the gradient by h.

    It holds for any order of the products, and if each intermediate result is rounded to the dtype.
    """
    steps = steps.stepwise()
    h = steps.exact(call["output"])
    slope = steps.mul(h, one_less(steps, h))
    return steps.store(steps.mul(steps.exact(call["grad_output"]), slope))


@rule("silu")
def silu(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of x s, where s is the logistic of x."""
    x = steps.exact(call["self"])
    return steps.store(steps.mul(x, steps.sigmoid(x)))


@rule("silu_backward")
def silu_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of silu's gradient g s (1 + x (1 - s)).

    s is the logistic of the input x, and g the gradient by the result.
    """
    x, g = steps.exact(call["self"]), steps.exact(call["grad_output"])
    s = steps.sigmoid(x)
    slope = steps.mul(s, one_more(steps, steps.mul(x, one_less(steps, s))))
    return steps.store(steps.mul(g, slope))


@rule("mish")
def mish(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of x tanh(log(1 + exp(x)))."""
    x = steps.exact(call["self"])
    return steps.store(steps.mul(x, steps.tanh(bound_softplus(steps, x))))


@rule("mish_backward")
def mish_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of mish's gradient g (t + x s (1 - t^2)).

    s is the logistic of the input x, t = tanh(log(1 + exp(x))), and g is the gradient by the
    result.
    """
    x, g = steps.exact(call["self"]), steps.exact(call["grad_output"])
    t = steps.tanh(bound_softplus(steps, x))
    bend = steps.mul(steps.mul(x, steps.sigmoid(x)), one_less(steps, steps.square(t)))
    return steps.store(steps.mul(g, steps.add(t, bend)))


def put_within(x: Tensor) -> Tensor:
    """Return numbers clamped to [-FAR, FAR]. Beyond FAR, erf and tanh are constant."""
    return x.clamp(-FAR, FAR)


def normal_share(steps: Steps, x: Number) -> Number:
    """Return 1 + erf(x / sqrt(2)), with its rounding error. It is twice the distribution function
    of the normal distribution at x.
    """
    within = steps.exact(put_within(x.value))
    return one_more(steps, bound_erf(steps, steps.scale(within, HALF_ROOT)))


def tanh_argument(steps: Steps, x: Number) -> Number:
    """Return sqrt(2 / pi) (x + 0.044715 x^3), with its rounding error: the argument of tanh in the
    approximate gelu.
    """
    cube = steps.mul(steps.square(x), x)
    return steps.scale(steps.add(x, steps.scale(cube, CUBE)), TANH_SCALE)


@rule("gelu")
def gelu(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of gelu.

    gelu is x / 2 (1 + erf(x / sqrt(2))) or, if it is approximated by tanh, x / 2 (1 + tanh(sqrt(2 /
    pi) (x + 0.044715 x^3))).
    """
    x = steps.exact(call["self"])
    if call["approximate"] == "tanh":
        inner = tanh_argument(steps, steps.exact(put_within(x.value)))
        share = one_more(steps, steps.tanh(inner))
    else:
        share = normal_share(steps, x)
    return steps.store(steps.mul(steps.scale(x, 0.5), share))


@rule("gelu_backward")
def gelu_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of g times the derivative of gelu at its input; g is the
    gradient by the result.
    """
    x, g = steps.exact(call["self"]), steps.exact(call["grad_output"])
    slope = tanh_slope(steps, x) if call["approximate"] == "tanh" else normal_slope(steps, x)
    return steps.store(steps.mul(g, slope))


def normal_slope(steps: Steps, x: Number) -> Number:
    """Return the derivative of gelu at x, with its rounding error: (1 + erf(x / sqrt(2))) / 2 + x
    exp(-x^2 / 2) / sqrt(2 pi).
    """
    within = steps.exact(put_within(x.value))
    density = steps.exp(steps.scale(steps.square(within), -0.5))
    share = steps.scale(normal_share(steps, x), 0.5)
    return steps.add(share, steps.mul(x, steps.scale(density, DENSITY)))


def tanh_slope(steps: Steps, x: Number) -> Number:
    """Return the derivative at x of gelu approximated by tanh, with its rounding error.

    It is (1 + t) / 2 + x / 2 (1 - t^2) sqrt(2 / pi) (1 + 3 c x^2) with c = 0.044715 and t =
    tanh(sqrt(2 / pi) (x + c x^3)). A kernel squares x, which may overflow where 1 - t^2 is 0.
    """
    t = steps.tanh(tanh_argument(steps, steps.exact(put_within(x.value))))
    bend = one_more(steps, steps.scale(steps.square(x), 3 * CUBE))
    bend = steps.mul(one_less(steps, steps.square(t)), steps.scale(bend, TANH_SCALE))
    return steps.add(steps.scale(one_more(steps, t), 0.5), steps.mul(steps.scale(x, 0.5), bend))


@rule("glu")
def glu(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of a s, where a and b are the halves of the input along
    an axis, and s is the logistic of b.
    """
    a, b = (steps.exact(half) for half in call["self"].chunk(2, call["dim"]))
    return steps.store(steps.mul(a, steps.sigmoid(b)))


@rule("glu_backward")
def glu_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the rounding error of glu's gradient: g s, joined with g a s (1 - s).

    a and b are the halves of the input along an axis, s is the logistic of b, and g is the gradient
    by the result. Each intermediate result is rounded to the dtype.
    """
    steps = steps.stepwise()
    a, b = (steps.exact(half) for half in call["self"].chunk(2, call["dim"]))
    g = steps.exact(call["grad_output"])
    s = steps.sigmoid(b)
    slope = steps.mul(steps.mul(a, s), one_less(steps, s))
    errors = steps.store(steps.mul(g, s)), steps.store(steps.mul(g, slope))
    return torch.cat(errors, call["dim"])
