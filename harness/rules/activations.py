"""Rules for activations made of the logistic, tanh or erf, and for their gradients.

In all rules of this room x is the input, h the result of the forward pass and g the gradient by h.
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
    """Return ones in the shape of numbers."""
    return steps.exact(torch.ones_like(like.value))


def one_less(steps: Steps, a: Number) -> Number:
    """Return 1 - a."""
    return steps.sub(one_like(steps, a), a)


def one_more(steps: Steps, a: Number) -> Number:
    """Return 1 + a."""
    return steps.add(one_like(steps, a), a)


@rule("sigmoid")
def sigmoid(steps: Steps, call: Call) -> Error:
    """Return the error of 1 / (1 + exp(-x))."""
    return steps.store(steps.sigmoid(steps.exact(call["self"])))


@rule("tanh_backward")
def tanh_backward(steps: Steps, call: Call) -> Error:
    """Return the error of g (1 - h^2)."""
    slope = one_less(steps, steps.square(steps.exact(call["output"])))
    return steps.store(steps.mul(steps.exact(call["grad_output"]), slope))


@rule("sigmoid_backward")
def sigmoid_backward(steps: Steps, call: Call) -> Error:
    """Return the error of g h (1 - h), in any order of the products; each step is stored."""
    steps = steps.stepwise()
    h = steps.exact(call["output"])
    slope = steps.mul(h, one_less(steps, h))
    return steps.store(steps.mul(steps.exact(call["grad_output"]), slope))


@rule("silu")
def silu(steps: Steps, call: Call) -> Error:
    """Return the error of x s, s the logistic of x."""
    x = steps.exact(call["self"])
    return steps.store(steps.mul(x, steps.sigmoid(x)))


@rule("silu_backward")
def silu_backward(steps: Steps, call: Call) -> Error:
    """Return the error of g s (1 + x (1 - s)), s the logistic of x."""
    x, g = steps.exact(call["self"]), steps.exact(call["grad_output"])
    s = steps.sigmoid(x)
    slope = steps.mul(s, one_more(steps, steps.mul(x, one_less(steps, s))))
    return steps.store(steps.mul(g, slope))


@rule("mish")
def mish(steps: Steps, call: Call) -> Error:
    """Return the error of x tanh(log(1 + exp(x)))."""
    x = steps.exact(call["self"])
    return steps.store(steps.mul(x, steps.tanh(bound_softplus(steps, x))))


@rule("mish_backward")
def mish_backward(steps: Steps, call: Call) -> Error:
    """Return the error of g (t + x s (1 - t^2)), s the logistic of x and t = tanh(log(1 +
    exp(x))).
    """
    x, g = steps.exact(call["self"]), steps.exact(call["grad_output"])
    t = steps.tanh(bound_softplus(steps, x))
    bend = steps.mul(steps.mul(x, steps.sigmoid(x)), one_less(steps, steps.square(t)))
    return steps.store(steps.mul(g, steps.add(t, bend)))


def put_within(x: Tensor) -> Tensor:
    """Return numbers clamped to [-FAR, FAR]: beyond it, erf and tanh are constant."""
    return x.clamp(-FAR, FAR)


def normal_share(steps: Steps, x: Number) -> Number:
    """Return 1 + erf(x / sqrt(2)), twice the share of a normal distribution below x."""
    within = steps.exact(put_within(x.value))
    return one_more(steps, bound_erf(steps, steps.scale(within, HALF_ROOT)))


def tanh_argument(steps: Steps, x: Number) -> Number:
    """Return sqrt(2 / pi) (x + 0.044715 x^3)."""
    cube = steps.mul(steps.square(x), x)
    return steps.scale(steps.add(x, steps.scale(cube, CUBE)), TANH_SCALE)


@rule("gelu")
def gelu(steps: Steps, call: Call) -> Error:
    """Return the error of x / 2 (1 + erf(x / sqrt(2))), or x / 2 (1 + tanh(sqrt(2 / pi) (x +
    0.044715 x^3))).
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
    """Return the error of g times the slope of gelu."""
    x, g = steps.exact(call["self"]), steps.exact(call["grad_output"])
    slope = tanh_slope(steps, x) if call["approximate"] == "tanh" else normal_slope(steps, x)
    return steps.store(steps.mul(g, slope))


def normal_slope(steps: Steps, x: Number) -> Number:
    """Return the slope of gelu: (1 + erf(x / sqrt(2))) / 2 + x exp(-x^2 / 2) / sqrt(2 pi)."""
    within = steps.exact(put_within(x.value))
    density = steps.exp(steps.scale(steps.square(within), -0.5))
    share = steps.scale(normal_share(steps, x), 0.5)
    return steps.add(share, steps.mul(x, steps.scale(density, DENSITY)))


def tanh_slope(steps: Steps, x: Number) -> Number:
    """Return the slope of gelu by tanh: (1 + t) / 2 + x / 2 (1 - t^2) sqrt(2 / pi) (1 + 3 c x^2).

    A kernel squares x, which may overflow where 1 - t^2 is 0.
    """
    t = steps.tanh(tanh_argument(steps, steps.exact(put_within(x.value))))
    bend = one_more(steps, steps.scale(steps.square(x), 3 * CUBE))
    bend = steps.mul(one_less(steps, steps.square(t)), steps.scale(bend, TANH_SCALE))
    return steps.add(steps.scale(one_more(steps, t), 0.5), steps.mul(steps.scale(x, 0.5), bend))


@rule("glu")
def glu(steps: Steps, call: Call) -> Error:
    """Return the error of a s, where a and b are the halves of an axis and s the logistic of b."""
    a, b = (steps.exact(half) for half in call["self"].chunk(2, call["dim"]))
    return steps.store(steps.mul(a, steps.sigmoid(b)))


@rule("glu_backward")
def glu_backward(steps: Steps, call: Call) -> Error:
    """Return the error of g s, joined with g a s (1 - s); each step is stored."""
    steps = steps.stepwise()
    a, b = (steps.exact(half) for half in call["self"].chunk(2, call["dim"]))
    g = steps.exact(call["grad_output"])
    s = steps.sigmoid(b)
    slope = steps.mul(steps.mul(a, s), one_less(steps, s))
    errors = steps.store(steps.mul(g, s)), steps.store(steps.mul(g, slope))
    return torch.cat(errors, call["dim"])
