"""Exact results of operations in ball arithmetic (Arb at 400 bits): formulas by themselves.

Arguments are arrays of balls by the names of an operation's schema; whole numbers, truth values and
numbers of Python's are what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import flint
import numpy as np
import torch
from numpy.typing import NDArray

Balls = NDArray[Any]
Given = Mapping[str, Any]
arb = flint.arb
BITS = 400
SCALAR: dict[str, Callable[..., Any]] = {}
FORMULAS: dict[str, Callable[[Given], Any]] = {}


def lift(given: Any) -> Any:
    """Return an argument with balls in place of floating-point numbers."""
    if isinstance(given, torch.Tensor):
        if not given.is_floating_point():
            return given.numpy()
        flat = [arb(number) for number in given.reshape(-1).tolist()]
        return np.array([*flat, None], dtype=object)[:-1].reshape(given.shape)
    if isinstance(given, float):
        return arb(given)
    return given


def evaluate(name: str, given: Given) -> list[Balls] | None:
    """Return the exact results of a call; None if there is no formula for it."""
    flint.ctx.prec = BITS
    short = name.removeprefix("aten::")
    lifted = {key: lift(value) for key, value in given.items()}
    if short in SCALAR:
        function = SCALAR[short]
        arrays = [value for value in lifted.values() if isinstance(value, np.ndarray)]
        others = [value for value in lifted.values() if not isinstance(value, np.ndarray)]
        if "grad_output" in given or short == "hardshrink_backward":
            return [_map(lambda *each: function(*each, *others), *arrays)]
        return [_map(lambda *each: function(*each), *lifted.values())]
    if short not in FORMULAS:
        return None
    found = FORMULAS[short](lifted)
    return list(found) if isinstance(found, tuple | list) else [found]


def _map(function: Callable[..., Any], *given: Any) -> Balls:
    return np.asarray(np.vectorize(function, otypes=[object])(*given))


def formula(*names: str) -> Callable[[Callable[[Given], Any]], Callable[[Given], Any]]:
    """Register a function as the exact results of operations."""

    def register(function: Callable[[Given], Any]) -> Callable[[Given], Any]:
        for name in names:
            FORMULAS[name] = function
        return function

    return register


def total(x: Balls, axes: Any, keep: bool = True) -> Balls:
    """Return the sum over axes."""
    return np.asarray(np.sum(x, axis=axes, keepdims=keep))


# one number at a time

ZERO, ONE = arb(0), arb(1)
SELU = arb(1.6732632423543772), arb(1.0507009873554805)


def logistic(x: Any) -> Any:
    return 1 / (1 + (-x).exp())


def log1p_exp(x: Any) -> Any:
    return x.exp().log1p()


def larger(a: Any, b: Any) -> Any:
    return a if a > b else arb(b)


def smaller(a: Any, b: Any) -> Any:
    return a if a < b else arb(b)


def logit_of(x: Any) -> Any:
    return (x / (1 - x)).log()


def inside(x: Any, eps: Any) -> bool:
    return eps is None or bool(eps <= x <= 1 - eps)


def tanh_of(x: Any) -> Any:
    return x.tanh()


FUNCTIONS = "acos acosh asin asinh atan atanh cos cosh erf erfc erfinv exp expm1 log log1p sin sinh"
for each in f"{FUNCTIONS} tan tanh sqrt rsqrt".split():
    SCALAR[each] = lambda x, named=each: getattr(x, named)()
SCALAR |= {
    "exp2": lambda x: arb(2) ** x,
    "log2": lambda x: x.log() / arb(2).log(),
    "log10": lambda x: x.log() / arb(10).log(),
    "reciprocal": lambda x: 1 / x,
    "square": lambda x: x * x,
    "sigmoid": logistic,
    "silu": lambda x: x * logistic(x),
    "mish": lambda x: x * tanh_of(log1p_exp(x)),
    "hardsigmoid": lambda x: smaller(larger(x + 3, 0), 6) / 6,
    "hardswish": lambda x: x * smaller(larger(x + 3, 0), 6) / 6,
    "atan2": lambda y, x: arb.atan2(y, x) if y != 0 else arb("nan"),  # Arb knows no -0
    "hypot": lambda a, b: (a * a + b * b).sqrt(),
    "logaddexp": lambda a, b: (a.exp() + b.exp()).log(),
    "logaddexp2": lambda a, b: (arb(2) ** a + arb(2) ** b).log() / arb(2).log(),
    "xlogy": lambda a, b: ZERO if a == 0 else a * b.log(),
    "add": lambda a, b, alpha: a + alpha * b,
    "sub": lambda a, b, alpha: a - alpha * b,
    "rsub": lambda a, b, alpha: b - alpha * a,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "addcmul": lambda a, b, c, value: a + value * b * c,
    "addcdiv": lambda a, b, c, value: a + value * b / c,
    "lerp": lambda a, b, weight: a + weight * (b - a),
    "pow": lambda a, b: arb(a) ** b if b != 0 else ONE,
    "leaky_relu": lambda x, slope: x if x > 0 else x * slope,
    "elu": lambda x, a, s, c: s * x if x > 0 else a * s * (x * c).expm1(),
    "celu": lambda x, a: x if x > 0 else a * (x / a).expm1(),
    "softplus": lambda x, c, limit: x if x * c > limit else log1p_exp(x * c) / c,
    "softshrink": lambda x, c: x - c if x > c else x + c if x < -c else ZERO,
    "_prelu_kernel": lambda x, w: x if x > 0 else w * x,
    "tanh_backward": lambda g, h: g * (1 - h * h),
    "sigmoid_backward": lambda g, h: g * h * (1 - h),
    "silu_backward": lambda g, x: g * logistic(x) * (1 + x * (1 - logistic(x))),
    "hardsigmoid_backward": lambda g, x: g / 6 if -3 < x < 3 else ZERO,
    "selu": lambda x: SELU[1] * (x if x > 0 else SELU[0] * x.expm1()),
    "logit": lambda x, eps: logit_of(x if eps is None else smaller(larger(x, eps), 1 - eps)),
    "logit_backward": lambda g, x, eps: g / (x * (1 - x)) if inside(x, eps) else ZERO,
    "threshold": lambda x, c, value: x if x > c else value,
    "threshold_backward": lambda g, x, c: g if x > c else ZERO,
    "hardtanh": lambda x, low, high: smaller(larger(x, low), high),
    "hardtanh_backward": lambda g, x, low, high: g if low < x < high else ZERO,
    "hardshrink": lambda x, c: x if abs(x) > c else ZERO,
    "hardshrink_backward": lambda g, x, c: g if abs(x) > c else ZERO,
    "softshrink_backward": lambda g, x, c: g if abs(x) > c else ZERO,
    "hardswish_backward": lambda g, x: g * (x / 3 + 0.5) if -3 < x < 3 else g * (x >= 3),
    "leaky_relu_backward": lambda g, x, slope, _: g if x > 0 else g * slope,
    "softplus_backward": lambda g, x, c, limit: g if x * c > limit else g * logistic(x * c),
}


def mish_backward(g: Any, x: Any) -> Any:
    t = log1p_exp(x).tanh()
    return g * (t + x * logistic(x) * (1 - t * t))


def elu_backward(g: Any, x: Any, *factors: Any) -> Any:
    a, s, c, of_result = factors
    if x > 0:
        return g * s
    return g * c * (x + a * s) if of_result else g * c * a * s * (x * c).exp()


SCALAR |= {"mish_backward": mish_backward, "elu_backward": elu_backward}
CUBE = arb("0.044715")


@formula("gelu", "gelu_backward")
def gelu(given: Given) -> Balls:
    by_tanh = given["approximate"] == "tanh"
    if "grad_output" not in given:
        return _map(lambda x: gelu_of(x, by_tanh)[0], given["self"])
    return _map(lambda g, x: g * gelu_of(x, by_tanh)[1], given["grad_output"], given["self"])


def gelu_of(x: Any, by_tanh: bool) -> tuple[Any, Any]:
    """Return gelu and its slope."""
    scale = (2 / arb.pi()).sqrt()
    if by_tanh:
        t = (scale * (x + CUBE * x**3)).tanh()
        bend = scale * (1 + 3 * CUBE * x * x)
        return x / 2 * (1 + t), (1 + t) / 2 + x / 2 * (1 - t * t) * bend
    share = (-x / arb(2).sqrt()).erfc() / 2
    return x * share, share + x * (-x * x / 2).exp() * scale / 2


@formula("log_sigmoid_forward")
def log_sigmoid(given: Given) -> Any:
    x = given["self"]
    return _map(lambda x: -log1p_exp(-x), x), _map(lambda x: (-abs(x)).exp(), x)


@formula("log_sigmoid_backward")
def log_sigmoid_backward(given: Given) -> Balls:
    return _map(
        lambda g, x, b: g / (1 + b) if x < 0 else g * b / (1 + b),
        given["grad_output"],
        given["self"],
        given["buffer"],
    )


@formula("glu")
def glu(given: Given) -> Balls:
    a, b = np.split(given["self"], 2, given["dim"])
    return a * _map(logistic, b)


@formula("glu_backward")
def glu_backward(given: Given) -> Balls:
    a, b = np.split(given["self"], 2, given["dim"])
    s, g = _map(logistic, b), given["grad_output"]
    return np.concatenate([g * s, g * a * s * (1 - s)], given["dim"])


# along axes


def powers_of(x: Balls, axes: Any) -> Balls:
    """Return exp(x - m), m the largest number of a row."""
    return _map(lambda x: ZERO if x == arb("-inf") else x.exp(), x - np.max(x, axes, keepdims=True))


@formula("_softmax", "_safe_softmax")
def softmax(given: Given) -> Balls:
    powers = powers_of(given["self"], given["dim"])
    return np.asarray(powers / total(powers, given["dim"]))


@formula("_log_softmax")
def log_softmax(given: Given) -> Balls:
    x, axis = given["self"], given["dim"]
    apart = x - np.max(x, axis, keepdims=True)
    return np.asarray(apart - _map(lambda s: s.log(), total(powers_of(x, axis), axis)))


@formula("_softmax_backward_data")
def softmax_backward(given: Given) -> Balls:
    g, p = given["grad_output"], given["output"]
    return np.asarray(p * (g - total(g * p, given["dim"])))


@formula("_log_softmax_backward_data")
def log_softmax_backward(given: Given) -> Balls:
    g, h = given["grad_output"], given["output"]
    return np.asarray(g - _map(lambda h: h.exp(), h) * total(g, given["dim"]))


def reduce(losses: Balls, reduction: int) -> Balls:
    """Return losses, their mean or their sum."""
    if reduction == 0:
        return losses
    whole = np.sum(losses, initial=ZERO)
    return np.asarray(whole / losses.size if reduction == 1 else whole, dtype=object)


def shared(slope: Balls, given: Given) -> Balls:
    """Return slopes times the gradient of a loss, over their number for a mean."""
    found = slope * given["grad_output"]
    return np.asarray(found / slope.size if given["reduction"] == 1 else found)


@formula("mse_loss", "huber_loss", "smooth_l1_loss", "soft_margin_loss")
def difference_loss(given: Given) -> Balls:
    def lose(a: Any, b: Any) -> Any:
        if "delta" in given:
            z, end = abs(a - b), given["delta"]
            return z * z / 2 if z <= end else end * (z - end / 2)
        if "beta" in given:
            z, end = abs(a - b), given["beta"]
            return z * z / (2 * end) if z < end else z - end / 2
        return (a - b) * (a - b)

    return reduce(_map(lose, given["self"], given["target"]), given["reduction"])


FORMULAS["soft_margin_loss"] = lambda given: reduce(
    _map(lambda x, t: log1p_exp(-t * x), given["self"], given["target"]), given["reduction"]
)


@formula("mse_loss_backward", "huber_loss_backward", "smooth_l1_loss_backward")
def difference_loss_backward(given: Given) -> Balls:
    def slope(a: Any, b: Any) -> Any:
        z = a - b
        if "delta" in given:
            return smaller(larger(z, -given["delta"]), given["delta"])
        if "beta" in given:
            return smaller(larger(z / given["beta"], -1), 1)
        return 2 * z

    return shared(_map(slope, given["self"], given["target"]), given)


FORMULAS["soft_margin_loss_backward"] = lambda given: shared(
    _map(lambda x, t: -t * logistic(-t * x), given["self"], given["target"]), given
)


@formula("binary_cross_entropy")
def binary_cross_entropy(given: Given) -> Balls:
    def lose(p: Any, t: Any) -> Any:
        yes, no = (arb(-100) if q == 0 else larger(q.log(), -100) for q in (p, 1 - p))
        return -(t * yes + (1 - t) * no)

    losses = _map(lose, given["self"], given["target"])
    return reduce(weighed(losses, given), given["reduction"])


def weighed(losses: Balls, given: Given) -> Balls:
    return losses if given["weight"] is None else np.asarray(losses * given["weight"])


@formula("binary_cross_entropy_with_logits")
def binary_cross_entropy_with_logits(given: Given) -> Balls:
    z, t = given["self"], given["target"]
    more = 1 if given["pos_weight"] is None else 1 + (given["pos_weight"] - 1) * t
    losses = (1 - t) * z + more * _map(lambda z: log1p_exp(-z), z)
    return reduce(weighed(losses, given), given["reduction"])


@formula("binary_cross_entropy_backward")
def binary_cross_entropy_backward(given: Given) -> Balls:
    least = arb(float(np.float32(1e-12)))
    slope = _map(lambda p, t: (p - t) / larger(p * (1 - p), least), given["self"], given["target"])
    return shared(weighed(slope, given), given)


@formula("logsumexp")
def logsumexp(given: Given) -> Balls:
    x, axes = given["self"], tuple(given["dim"])
    whole = total(_map(lambda x: ZERO if x == arb("-inf") else x.exp(), x), axes, given["keepdim"])
    return _map(lambda s: s.log(), whole)


def list_places(given: Given) -> list[tuple[Any, ...]]:
    """Return, for each row that counts, its place in the target and in the input."""
    target = given["target"]
    places = []
    for place in np.ndindex(target.shape):
        if target[place] != given["ignore_index"]:
            places.append((place, (place[0], target[place], *place[1:])))
    return places


@formula("nll_loss_forward", "nll_loss2d_forward")
def negative_logarithm(given: Given) -> Any:
    losses = np.full(given["target"].shape, ZERO, dtype=object)
    weights = losses.copy()
    for place, taken in list_places(given):
        weights[place] = ONE if given["weight"] is None else given["weight"][taken[1]]
        losses[place] = -given["self"][taken] * weights[place]
    if given["reduction"] == 0:
        return losses, np.asarray(ZERO, dtype=object)
    whole, loss = np.sum(weights, initial=ZERO), np.sum(losses, initial=ZERO)
    loss = loss / whole if given["reduction"] == 1 else loss
    return np.asarray(loss, dtype=object), np.asarray(whole, dtype=object)


@formula("nll_loss_backward", "nll_loss2d_backward")
def negative_logarithm_backward(given: Given) -> Balls:
    found = np.full(given["self"].shape, ZERO, dtype=object)
    g = np.broadcast_to(given["grad_output"], given["target"].shape)
    for place, taken in list_places(given):
        weight = ONE if given["weight"] is None else given["weight"][taken[1]]
        found[taken] = -g[place] * weight
        if given["reduction"] == 1:
            found[taken] = found[taken] / given["total_weight"].item()
    return found


@formula("multi_margin_loss", "multi_margin_loss_backward")
def multi_margin_loss(given: Given) -> Balls:
    x, target = given["self"], given["target"]
    rows, classes = x.shape
    losses, slopes = np.full(rows, ZERO, dtype=object), np.full(x.shape, ZERO, dtype=object)
    for row, label in enumerate(target):
        weight = ONE if given["weight"] is None else given["weight"][label]
        for other in range(classes):
            gap = given["margin"] - x[row, label] + x[row, other]
            if other != label and gap > 0:
                losses[row] += gap ** given["p"] * weight / classes
                slope = given["p"] * gap ** (given["p"] - 1) * weight / classes
                slopes[row, other] += slope
                slopes[row, label] -= slope
    if "grad_output" not in given:
        return reduce(losses, given["reduction"])
    slopes = slopes * given["grad_output"].reshape(-1, 1)
    return np.asarray(slopes / rows if given["reduction"] == 1 else slopes)


@formula("_prelu_kernel_backward")
def prelu_backward(given: Given) -> Any:
    g, x, w = given["grad_output"], given["self"], given["weight"]
    by_input = _map(lambda g, x, w: g if x > 0 else w * g, g, x, w)
    return by_input, _map(lambda g, x: ZERO if x > 0 else x * g, g, x)


# sums and products of matrices


@formula("sum")
def add_up(given: Given) -> Balls:
    x, axes = given["self"], list_axes(given)
    whole = np.sum(x, axis=axes, keepdims=given.get("keepdim", False), initial=ZERO)
    return np.asarray(whole, dtype=object)


@formula("mean")
def average(given: Given) -> Balls:
    terms = prod(given["self"].shape[axis] for axis in list_axes(given))
    return np.asarray(add_up(given) / terms, dtype=object)


def list_axes(given: Given) -> tuple[int, ...]:
    return tuple(given.get("dim") or range(given["self"].ndim))


@formula("mm", "bmm", "mv", "dot", "addmm", "baddbmm", "addmv")
def multiply(given: Given) -> Balls:
    arrays = [value for value in given.values() if isinstance(value, np.ndarray)]
    found = np.asarray(arrays[-2] @ arrays[-1], dtype=object)
    if "beta" not in given:
        return found
    return np.asarray(given["beta"] * arrays[0] + given["alpha"] * found, dtype=object)


# norms


def normalise(x: Balls, axes: Any, eps: Any) -> tuple[Balls, Balls, Balls]:
    """Return the normalised numbers, the mean and 1 / sqrt(variance + eps)."""
    terms = prod(x.shape[axis] for axis in axes)
    mean = total(x, axes) / terms
    variance = total((x - mean) ** 2, axes) / terms
    scale = _map(lambda v: (v + eps).rsqrt(), variance)
    return np.asarray((x - mean) * scale), mean, scale


def transform(x: Balls, weight: Any, bias: Any) -> Balls:
    found = x if weight is None else x * weight
    return found if bias is None else np.asarray(found + bias)


@formula("native_layer_norm")
def layer_norm(given: Given) -> Any:
    x = given["input"]
    axes = tuple(range(x.ndim - len(given["normalized_shape"]), x.ndim))
    found, mean, scale = normalise(x, axes, given["eps"])
    return transform(found, given["weight"], given["bias"]), mean, scale


def slope_of_norm(g: Balls, unit: Balls, scale: Balls, axes: Any) -> Balls:
    terms = prod(unit.shape[axis] for axis in axes)
    along = total(g * unit, axes) / terms
    return np.asarray(scale * (g - total(g, axes) / terms - unit * along))


@formula("native_layer_norm_backward")
def layer_norm_backward(given: Given) -> Any:
    x, g, weight = given["input"], given["grad_out"], given["weight"]
    first = x.ndim - len(given["normalized_shape"])
    unit = (x - given["mean"]) * given["rstd"]
    weighted = g if weight is None else g * weight
    axes = tuple(range(first, x.ndim))
    slope = slope_of_norm(weighted, unit, given["rstd"], axes)
    rows = tuple(range(first))
    return slope, total(g * unit, rows, False), total(g, rows, False)


def by_channel(x: Any, like: Balls) -> Any:
    return None if x is None else x.reshape([1, -1] + [1] * (like.ndim - 2))


@formula("native_batch_norm")
def batch_norm(given: Given) -> Any:
    x = given["input"]
    axes = tuple(axis for axis in range(x.ndim) if axis != 1)
    weight, bias = by_channel(given["weight"], x), by_channel(given["bias"], x)
    if not given["training"]:
        scale = _map(lambda v: (v + given["eps"]).rsqrt(), by_channel(given["running_var"], x))
        return transform((x - by_channel(given["running_mean"], x)) * scale, weight, bias)
    found, mean, scale = normalise(x, axes, given["eps"])
    return transform(found, weight, bias), mean.reshape(-1), scale.reshape(-1)


@formula("native_batch_norm_backward")
def batch_norm_backward(given: Given) -> Any:
    x, g = given["input"], given["grad_out"]
    axes = tuple(axis for axis in range(x.ndim) if axis != 1)
    if given["train"]:
        mean, scale = by_channel(given["save_mean"], x), by_channel(given["save_invstd"], x)
    else:
        mean = by_channel(given["running_mean"], x)
        scale = _map(lambda v: (v + given["eps"]).rsqrt(), by_channel(given["running_var"], x))
    unit = (x - mean) * scale
    slope = slope_of_norm(g, unit, scale, axes) if given["train"] else g * scale
    slope = transform(slope, by_channel(given["weight"], x), None)
    return slope, total(g * unit, axes, False), total(g, axes, False)


def grouped(x: Balls, given: Given) -> Balls:
    channels = given["C"] // given["group"]
    return x.reshape(given["N"], given["group"], channels, given["HxW"])


@formula("native_group_norm")
def group_norm(given: Given) -> Any:
    x = grouped(given["input"], given)
    found, mean, scale = normalise(x, (2, 3), given["eps"])
    numbers = [given["weight"], given["bias"]]
    shape = (1, given["group"], -1, 1)
    weight, bias = (None if each is None else each.reshape(shape) for each in numbers)
    found = transform(found, weight, bias).reshape(given["input"].shape)
    return found, mean[:, :, 0, 0], scale[:, :, 0, 0]


@formula("native_group_norm_backward")
def group_norm_backward(given: Given) -> Any:
    x, g = grouped(given["input"], given), grouped(given["grad_out"], given)
    mean, scale = (given[each][:, :, None, None] for each in ("mean", "rstd"))
    unit = (x - mean) * scale
    weight = given["weight"]
    weighted = g if weight is None else g * weight.reshape(1, given["group"], -1, 1)
    slope = slope_of_norm(weighted, unit, scale, (2, 3)).reshape(given["input"].shape)
    return (
        slope,
        total(g * unit, (0, 3), False).reshape(-1),
        total(g, (0, 3), False).reshape(-1),
    )
