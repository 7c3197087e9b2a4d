"""Calls where a rule takes another way, or where a number is on the edge between two ways: draws
seldom make them.

Numbers are written in float64, and rounded to the dtype of a call; one in float32 is so in
narrower ones. TINY is the smallest normal number of float32 and of bfloat16; TOP times 255 is the
largest of bfloat16.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harness.kernels import all as _rules  # noqa: F401
from harness.rules.precision import precision_of
from harness.rules.registry import REPEATED, Call, Error, bind, bound_errors, make_sound
from tests.selfcheck.rule_calls import Made, aten
from tests.selfcheck.rules import widen

TINY, TOP = 2.0**-126, 2.0**120
CORNERS: dict[str, Made] = {}


def t(*numbers: Any) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def add(what: str, operation: Any, *args: Any, **kwargs: Any) -> None:
    CORNERS[what] = operation, args, kwargs


def cast(corner: Made, dtype: str) -> Made:
    """Return a call in a dtype."""
    held = getattr(torch, dtype)

    def cast_one(given: Any) -> Any:
        if isinstance(given, Tensor) and given.is_floating_point():
            return given if given.dtype.itemsize == 4 > held.itemsize else given.to(held)
        return held if given is torch.float64 else given

    operation, args, kwargs = corner
    return operation, tuple(map(cast_one, args)), {k: cast_one(v) for k, v in kwargs.items()}


def bound(corner: Made, dtype: str) -> tuple[list[Any], list[Error]]:
    """Return the results in float64 of a call in a dtype, and their bounds."""
    operation, args, kwargs = cast(corner, dtype)
    args, kwargs = tuple(map(widen, args)), {k: widen(v) for k, v in kwargs.items()}
    name = operation._schema.name
    found = REPEATED.get(name, operation)(*args, **kwargs)
    results = list(found) if isinstance(found, tuple | list) else [found]
    errors = bound_errors(Call(name, bind(operation, args, kwargs), results), precision_of(dtype))
    assert errors is not None
    return results, [None if each is None else make_sound(each) for each in errors]


# sums

LEFT, RIGHT = t([-0.5 * TINY, TINY]), t([0.25 * TINY], [-TINY])
LINE = torch.linspace(-1, 1, 16).double()
add("cumsum-of-both-signs", aten.cumsum.default, t([1.5, -2, 0.25], [0.5, 3, -1]), 1)
add("mm-of-small-on-the-left", aten.mm.default, LEFT, t([-15], [3]))
add("mm-of-small-on-the-right", aten.mm.default, t([-15, 3]), RIGHT)
add("mm-of-small-on-both-sides", aten.mm.default, t([-TINY / 2, 4]), t([3], [TINY / 4]))
add("mm-of-sixteen-and-a-zero", aten.mm.default, (LINE + 1)[None], LINE[:, None])
add("mm-of-zeros", aten.mm.default, t([0, 0], [1, 2]), t([1], [TINY]))
add("addmm-of-small", aten.addmm.default, t([TINY]), LEFT, t([15], [-3]), alpha=-0.5)
add("addmv-to-the-end", aten.addmv.default, t(200 * TOP), t([55 * 2.0**60]), t(-(2.0**60)))

# numbers one by one

A, B = t(1.5, 0.3, 7.0, 1e-14, 1e15), t(0.4, -2.0, 3.0, 1.3e-14, 1.0)
for power in (-2.0, -1.0, -0.5, 0.5, 2.0, 3.0, 4.0, 0.3):
    add(f"pow-to-{power:g}", aten.pow.Tensor_Scalar, A, power)
add("pow-of-a-number", aten.pow.Scalar, 1.1, t(100.0, -50.0))
add("pow-of-a-negative-number", aten.pow.Scalar, -1.1, t(3.0, 2.0))
add("pow-of-zero", aten.pow.Tensor_Scalar, t(0.0, 1.0, torch.inf), 0.3)
add("pow-of-a-single-one", aten.pow.Tensor_Tensor, torch.tensor(1.0), t(torch.inf, 3.0))
add("pow-to-a-single-two", aten.pow.Tensor_Tensor, t(-2.0, 3.0), torch.tensor(2.0))
add("mul-of-small", aten.mul.Tensor, A, B)
add("div-by-a-number", aten.div.Tensor, A, torch.tensor(0.3))
add("div-to-the-floor", aten.div.Tensor_mode, t(7, 6, -6, 0), t(2, 3, 3, 2), rounding_mode="floor")
add("fmod-by-a-rounded-number", aten.fmod.Scalar, A, 0.3)
add("fmod-by-a-number", aten.fmod.Scalar, A, 0.5)
add("remainder-of-a-rounded-number", aten.remainder.Scalar_Tensor, 0.3, A)
add("remainder-beyond-the-range", aten.remainder.Tensor, t(-1e38, 1e38, 3), t(1e-5, 1e-5, 2))
add("rsub-of-a-product", aten.rsub.Tensor, A, B, alpha=0.3)
add("sub-of-a-product", aten.sub.Tensor, A, B, alpha=0.3)
add("addcmul-by-a-number", aten.addcmul.default, A, B, A, value=0.3)
add("addcdiv-by-a-number", aten.addcdiv.default, A, B, A, value=0.3)
add("addcmul-of-small", aten.addcmul.default, t(0), t(1e-30), t(1e30), value=1e-12)
for weight in (0.1, -0.1, 0.5, 0.9, 0.5 - 1e-9, 1e-9 - 0.5):
    add(f"lerp-by-{weight:.9g}", aten.lerp.Scalar, A, B, weight)
add("lerp-to-the-half", aten.lerp.Tensor, A[:3], B[:3], t(0.5, 0.25, -0.75))
add("rsqrt-of-small", aten.rsqrt.default, A)
WHOLE = torch.tensor([3, 257, 65793, 16777217, -33554435])
for name in ("add", "mul", "div"):
    add(f"{name}-of-whole-numbers", getattr(aten, name).Tensor, A, WHOLE)

# functions

SHARES = t(0.1, 0.25, 0.9, 0.75, 0.05, 0.99, 0.5)
SLOPES = t(2, -2, -3, 0.5, -1, 1, -1)
for eps in (0.1, 0.25):
    add(f"logit-to-{eps}", aten.logit.default, SHARES, eps)
    add(f"logit-backward-to-{eps}", aten.logit_backward.default, SLOPES, SHARES, eps)
add("logit-backward", aten.logit_backward.default, t(2, 2, 2, 2, 2), t(1.5, -0.5, 0.3, 1, 0))
add("erfinv-to-the-end", aten.erfinv.default, t(1, -1, 0.5, -0.999))
add("sinh-to-the-end", aten.sinh.default, t(88.5, 89.0, -89.0, 90.0, 1.0))
add("cosh-to-the-end", aten.cosh.default, t(88.5, 89.0, -89.0, 90.0, 1.0))
add("erf-of-each-part", aten.erf.default, t(0.1, -1.3, 1.4, -1.5, 3.6, 3.7))
EQUAL = t(torch.inf, -torch.inf, 3, -2, 0), t(torch.inf, -torch.inf, 3, 1, -0.5)
add("logaddexp-of-infinity", aten.logaddexp.default, *EQUAL)
add("logaddexp2-of-infinity", aten.logaddexp2.default, *EQUAL)
add("xlogy-of-a-number", aten.xlogy.Scalar_Self, 0.3, t(0.0, 2.0, 1.0, 0.9))
add("xlogy-of-zero", aten.xlogy.Tensor, t(0, 0, 2, -3), t(0.0, 2.0, 0.0, 1.001))
add("xlog1py", aten.special_xlog1py.default, t(0, 0.3, 2, -3), t(-1.0, 2.0, 0.01, 1.001))

# casts and rectifiers

held = {"dtype": torch.float64}
add("arange", aten.arange.start_step, -0.1, 1.0, 0.3, **held)
add("arange-of-whole-numbers", aten.arange.start_step, 0, 300, 7, **held)
add("arange-from-a-half", aten.arange.start_step, 0.5, 300, 7, **held)
add("arange-of-steps", aten.arange.start_step, 0, 2, 0.3, **held)
add("arange-from-a-whole-number", aten.arange.start, 0, 2.5, **held)
add("arange-to-a-half", aten.arange.default, 0.5, **held)
add("arange-to-a-whole-number", aten.arange.default, 300, **held)
add("linspace-upwards", aten.linspace.default, -3.0, 1.0, 5, **held)
add("linspace-downwards", aten.linspace.default, 1.0, -3.0, 5, **held)
PLACES = torch.tensor([0, 2])
add("scatter-with-a-sum", aten.scatter.reduce, A, 0, PLACES, B[:2], reduce="add")
ENDS = t(0.3, -0.3, 0.1, -0.1, 1.5, 3, -3)
add("threshold-at-it", aten.threshold.default, ENDS, 0.3, 0.1)
for name in ("hardshrink", "softshrink"):
    add(f"{name}-at-its-end", getattr(aten, name).default, ENDS, 0.3)
    add(f"{name}-backward-at-its-end", getattr(aten, f"{name}_backward").default, SLOPES, ENDS, 0.3)
KINKS = t(-3, -2.9, -2.5, 2.5, 3, 3.5, 0)
for name in ("hardsigmoid", "hardswish"):
    add(f"{name}-at-its-kinks", getattr(aten, name).default, KINKS)
    add(f"{name}-backward-at-its-kinks", getattr(aten, f"{name}_backward").default, SLOPES, KINKS)
add("rrelu", aten.rrelu_with_noise.default, ENDS, torch.zeros(7))
DRAWN = torch.where(ENDS > 0, t(1.0), 0.3)
rrelu_backward = aten.rrelu_with_noise_backward.default
add("rrelu-backward-of-one-slope", rrelu_backward, SLOPES, ENDS, DRAWN, 0.3, 0.3, True, False)
for beta, threshold in ((1.0, 0.1), (0.3, 0.1), (1.0, 200.0)):
    given = t(0.1, 0.3, 1 / 3, -1, 0.5, 100, 90), beta, threshold
    add(f"softplus-{beta}-{threshold}", aten.softplus.default, *given)
    add(f"softplus-backward-{beta}-{threshold}", aten.softplus_backward.default, SLOPES, *given)
