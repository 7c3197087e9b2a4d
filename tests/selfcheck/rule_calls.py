"""A call of each operation that has a rule of rounding, on nasty numbers: what it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tests.selfcheck.rule_draws import Draws

aten = torch.ops.aten
Made = tuple[Any, tuple[Any, ...], dict[str, Any]]
MAKERS: dict[str, Callable[[Draws], Made]] = {}
UNARY = (
    "abs acos acosh asin asinh atan atanh ceil cos cosh erf erfc erfinv exp exp2 expm1 floor log"
    " log10 log1p log2 neg reciprocal relu round rsqrt sigmoid sign sin sinh sqrt square tan tanh"
    " trunc silu mish hardsigmoid hardswish log_sigmoid_forward selu"
)
BINARY = "maximum minimum fmod remainder logaddexp logaddexp2 atan2 hypot xlogy copysign fmax fmin"
CONSTANTS = (0.0, 1.0, 2.0, -1.0, 0.5, 0.1, -0.3, 3.0, 1e-3, 1000.7)
SLOPES = (0.0, 0.01, 0.25, 1.0, 1.3, -0.2)


def maker(name: str) -> Callable[[Callable[[Draws], Made]], Callable[[Draws], Made]]:
    """Register a function that makes a call of an operation."""

    def register(function: Callable[[Draws], Made]) -> Callable[[Draws], Made]:
        MAKERS[f"aten::{name}"] = function
        return function

    return register


def one(name: str) -> None:
    maker(name)(lambda draws: (getattr(aten, name).default, (draws.tensor(draws.shape()),), {}))


def pair(draws: Draws) -> tuple[Tensor, Tensor]:
    """Return two tensors whose shapes go together, at times as near as can be."""
    shape = draws.shape()
    a = draws.tensor(shape)
    b = draws.tensor(draws.widened(shape) if draws.chance(0.3) else shape)
    if draws.chance(0.2) and a.shape == b.shape:
        b = (a.double() * (1 + 1e-3 * b.double().tanh())).to(a.dtype)
    return (a, b) if draws.chance(0.8) else (b, a)


def two(name: str) -> None:
    def make(draws: Draws) -> Made:
        packet = getattr(aten, name)
        overload = packet.Tensor if "Tensor" in packet.overloads() else packet.default
        return overload, pair(draws), {}

    maker(name)(make)


for each in UNARY.split():
    one(each)
for each in BINARY.split():
    two(each)


def mixed(name: str, alpha: bool) -> None:
    """Sums and products with a tensor or a number, the number with or without a factor."""

    def make(draws: Draws) -> Made:
        packet = getattr(aten, name)
        more = {"alpha": draws.scalar(1, 2, -1, 0.3)} if alpha and draws.chance(0.5) else {}
        if draws.chance(0.3):
            a = draws.tensor(draws.shape())
            other = draws.scalar(*CONSTANTS[1:])
            if draws.chance(0.5):
                return packet.Tensor, (a, torch.tensor(other, dtype=torch.float64)), more
            return packet.Scalar, (a, other), more
        return packet.Tensor, pair(draws), more

    maker(name)(make)


for each in ("add", "sub", "rsub"):
    mixed(each, alpha=True)
for each in ("mul", "div"):
    mixed(each, alpha=False)


@maker("addcmul")
def addcmul(draws: Draws) -> Made:
    shape = draws.shape()
    given = [draws.tensor(shape) for _ in range(3)]
    return aten.addcmul.default, tuple(given), {"value": draws.scalar(1, -0.1, 0.001)}


@maker("addcdiv")
def addcdiv(draws: Draws) -> Made:
    shape = draws.shape()
    given = [draws.tensor(shape) for _ in range(3)]
    return aten.addcdiv.default, tuple(given), {"value": draws.scalar(1, -0.1, 0.001)}


@maker("lerp")
def lerp(draws: Draws) -> Made:
    a, b = pair(draws)
    if draws.chance(0.5):
        return aten.lerp.Scalar, (a, b, draws.scalar(0.1, 0.001, 0.5, 0.9, 0.0, 1.0)), {}
    shape = torch.broadcast_shapes(a.shape, b.shape)
    return aten.lerp.Tensor, (a.expand(shape), b.expand(shape), draws.share(shape)), {}


@maker("pow")
def power(draws: Draws) -> Made:
    a = draws.tensor(draws.shape())
    match draws.random.randrange(4):
        case 0:
            return aten.pow.Tensor_Tensor, (abs(a), draws.tensor(a.shape, "large")), {}
        case 1:
            return aten.pow.Scalar, (draws.scalar(2.0, 0.5, 1.1, 10.0), a), {}
        case _:
            exponent = draws.scalar(2, 3, 0.5, -0.5, -1, -2, 4, 0, 1, 1.5, 0.3, -0.7)
            return aten.pow.Tensor_Scalar, (a, exponent), {}


@maker("logit")
def logit(draws: Draws) -> Made:
    return aten.logit.default, (draws.share(draws.shape()), draws.scalar(None, 1e-6, 0.1)), {}


@maker("logit_backward")
def logit_backward(draws: Draws) -> Made:
    x = draws.share(draws.shape())
    return aten.logit_backward.default, (draws.tensor(x.shape), x, draws.scalar(None, 0.1)), {}


# casts and constants


@maker("_to_copy")
def to_copy(draws: Draws) -> Made:
    dtype = draws.scalar(torch.float64, torch.float32, torch.bfloat16, torch.float16)
    return aten._to_copy.default, (draws.tensor(draws.shape()),), {"dtype": dtype}


@maker("clamp")
def clamp(draws: Draws) -> Made:
    x = draws.tensor(draws.shape())
    return aten.clamp.default, (x, draws.scalar(-0.1, None), draws.scalar(0.3, 0.7)), {}


@maker("masked_fill")
def masked_fill(draws: Draws) -> Made:
    x = draws.tensor(draws.shape())
    return aten.masked_fill.Scalar, (x, x > 0, draws.scalar(0.1, -torch.inf, 0.0)), {}


def cut_at(name: str, gradient: bool, *constants: tuple[float, ...]) -> None:
    def make(draws: Draws) -> Made:
        x = draws.tensor(draws.shape())
        given = [draws.scalar(*each) for each in constants]
        if given and x.numel() and x.is_contiguous() and draws.chance(0.5):
            x.view(-1)[0] = given[0]
        first = (draws.tensor(x.shape),) if gradient else ()
        return getattr(aten, name).default, (*first, x, *given), {}

    maker(name)(make)


ENDS = (0.0, 0.5, 0.1, 0.3, 2.0)
cut_at("threshold", False, ENDS, CONSTANTS)
cut_at("threshold_backward", True, ENDS)
cut_at("hardtanh", False, (-1.0, -0.1), (1.0, 0.1, 6.0))
cut_at("hardtanh_backward", True, (-1.0, -0.1), (1.0, 0.1, 6.0))
cut_at("hardshrink", False, ENDS)
cut_at("hardshrink_backward", True, ENDS)
cut_at("softshrink", False, ENDS)
cut_at("softshrink_backward", True, ENDS)
cut_at("leaky_relu", False, SLOPES)
cut_at("leaky_relu_backward", True, SLOPES, (False,))
cut_at("elu", False, (1.0, 0.3, 1.6732632423543772), (1.0, 1.0507009873554805), (1.0, 0.7))
cut_at("celu", False, (1.0, 0.3, 2.0))
cut_at("softplus", False, (1.0, 2.0, 0.3), (20.0, 1.0, 0.1))
cut_at("softplus_backward", True, (1.0, 2.0, 0.3), (20.0, 1.0, 0.1))
for each in ("silu_backward", "mish_backward", "hardsigmoid_backward", "hardswish_backward"):
    cut_at(each, True)


# activations


@maker("elu_backward")
def elu_backward(draws: Draws) -> Made:
    x = draws.tensor(draws.shape())
    factors = (draws.scalar(1.0, 0.3), draws.scalar(1.0, 1.05), draws.scalar(1.0, 0.7))
    of_result = draws.chance(0.5)
    if of_result:
        x = aten.elu(x, *factors)
    return aten.elu_backward.default, (draws.tensor(x.shape), *factors, of_result, x), {}


@maker("gelu")
def gelu(draws: Draws) -> Made:
    x = draws.tensor(draws.shape())
    return aten.gelu.default, (x,), {"approximate": draws.scalar("none", "tanh")}


@maker("gelu_backward")
def gelu_backward(draws: Draws) -> Made:
    x = draws.tensor(draws.shape())
    approximate = {"approximate": draws.scalar("none", "tanh")}
    return aten.gelu_backward.default, (draws.tensor(x.shape), x), approximate


@maker("tanh_backward")
def tanh_backward(draws: Draws) -> Made:
    x = draws.tensor(draws.shape()).tanh()
    return aten.tanh_backward.default, (draws.tensor(x.shape), x), {}


@maker("sigmoid_backward")
def sigmoid_backward(draws: Draws) -> Made:
    x = draws.tensor(draws.shape()).sigmoid()
    return aten.sigmoid_backward.default, (draws.tensor(x.shape), x), {}


@maker("log_sigmoid_backward")
def log_sigmoid_backward(draws: Draws) -> Made:
    x = draws.tensor(draws.shape())
    buffer = aten.log_sigmoid_forward(x)[1]
    return aten.log_sigmoid_backward.default, (draws.tensor(x.shape), x, buffer), {}


@maker("_prelu_kernel")
def prelu(draws: Draws) -> Made:
    x = draws.tensor(draws.shape())
    return aten._prelu_kernel.default, (x, draws.tensor(x.shape)), {}


@maker("_prelu_kernel_backward")
def prelu_backward(draws: Draws) -> Made:
    x = draws.tensor(draws.shape())
    return (
        aten._prelu_kernel_backward.default,
        (
            draws.tensor(x.shape),
            x,
            draws.tensor(x.shape),
        ),
        {},
    )


@maker("rrelu_with_noise")
def rrelu(draws: Draws) -> Made:
    x = draws.tensor(draws.shape())
    return aten.rrelu_with_noise.default, (x, torch.zeros_like(x), 0.1, 0.3, False), {}


@maker("rrelu_with_noise_backward")
def rrelu_backward(draws: Draws) -> Made:
    x = draws.tensor(draws.shape())
    return (
        aten.rrelu_with_noise_backward.default,
        (
            draws.tensor(x.shape),
            x,
            draws.share(x.shape),
            0.1,
            0.3,
            draws.chance(0.5),
            False,
        ),
        {},
    )


@maker("glu")
def glu(draws: Draws) -> Made:
    shape = draws.filled()
    axis = draws.axis(shape)
    shape[axis] = 2 * shape[axis]
    return aten.glu.default, (draws.tensor(shape), axis), {}


@maker("glu_backward")
def glu_backward(draws: Draws) -> Made:
    shape = draws.filled()
    axis = draws.axis(shape)
    g = draws.tensor(shape)
    shape[axis] = 2 * shape[axis]
    return aten.glu_backward.default, (g, draws.tensor(shape), axis), {}


# softmax


@maker("_softmax")
def softmax(draws: Draws) -> Made:
    shape = draws.shape()
    x = draws.masked(draws.tensor(shape))
    return aten._softmax.default, (x, draws.axis(shape), False), {}


@maker("_safe_softmax")
def safe_softmax(draws: Draws) -> Made:
    shape = draws.shape(1)
    return aten._safe_softmax.default, (draws.masked(draws.tensor(shape)), draws.axis(shape)), {}


@maker("_log_softmax")
def log_softmax(draws: Draws) -> Made:
    shape = draws.shape()
    x = draws.masked(draws.tensor(shape))
    return aten._log_softmax.default, (x, draws.axis(shape), False), {}


@maker("logsumexp")
def logsumexp(draws: Draws) -> Made:
    shape = draws.filled()
    axes = [draws.axis(shape)]
    return (
        aten.logsumexp.default,
        (
            draws.masked(draws.tensor(shape)),
            axes,
            draws.chance(0.5),
        ),
        {},
    )


@maker("_softmax_backward_data")
def softmax_backward(draws: Draws) -> Made:
    shape = draws.shape(1)
    axis = draws.axis(shape)
    p = draws.masked(draws.tensor(shape)).softmax(axis).nan_to_num(0.0)
    return aten._softmax_backward_data.default, (draws.tensor(shape), p, axis, draws.dtype), {}


@maker("_log_softmax_backward_data")
def log_softmax_backward(draws: Draws) -> Made:
    shape = draws.shape(1)
    axis = draws.axis(shape)
    h = draws.tensor(shape).log_softmax(axis)
    return aten._log_softmax_backward_data.default, (draws.tensor(shape), h, axis, draws.dtype), {}
