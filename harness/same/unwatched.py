"""Compares answers that nobody can watch (of ONNX Runtime, JAX, a binary) with a model's shadow.

Such a side is allowed what the reference's operations may lose in the dtype in which the reference
was watched: it may form the same sums in any order.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from harness.same.compare import WIDEST, Compared, Outcome, Tensors, divide
from harness.same.elements import have_same_infinities
from harness.shadow.adjoint import draw_signs
from harness.shadow.replay import widen
from harness.shadow.shadow import Shadow


def compare_unwatched(
    reference: Shadow, answers: Tensors, generator: torch.Generator
) -> list[Compared]:
    """Compare answers, by name, with those of a reference's shadow."""
    return [_compare(reference, name, widen(each), generator) for name, each in answers.items()]


def _compare(reference: Shadow, name: str, actual: Tensor, generator: torch.Generator) -> Compared:
    """Compare an answer as a sum with random signs, and in the element that differs most."""
    shadow = reference.read(name)
    expected = shadow.detach()
    if actual.shape != expected.shape:
        return Compared(name, "shape", math.inf)
    if not expected.is_floating_point():
        same = torch.equal(actual, expected)
        return Compared(name, "same" if same else "differs", 0.0 if same else math.inf)
    if not bool(torch.isfinite(expected).all() & torch.isfinite(actual).all()):
        alike = have_same_infinities(actual, expected)
        return Compared(name, "not finite", 0.0 if alike else math.inf)
    apart = actual - expected
    place = abs(apart).argmax()
    element = torch.zeros_like(expected)
    element.view(-1)[place] = 1.0
    weights = [draw_signs(expected, generator), element]
    reaches = reference.reach([(shadow * each).sum() for each in weights])
    allowed = [reach.as_run + reach.in_float64 for reach in reaches]
    factors = [
        divide(abs(float((apart * each).sum())), most)
        for each, most in zip(weights, allowed, strict=True)
    ]
    size = float(torch.linalg.vector_norm(expected))
    outcome = _decide(max(factors), divide(allowed[0], size), size)
    unruled = reaches[0].unruled
    where = tuple(int(each) for each in torch.unravel_index(place, expected.shape))
    return Compared(
        name,
        "no rule" if unruled else outcome,
        max(factors),
        divide(allowed[0], size),
        where,
        float(actual[where]),
        float(expected[where]),
        allowed[1],
        unruled=unruled,
    )


def _decide(factor: float, resolution: float, size: float) -> Outcome:
    if factor > 1:
        return "differs"
    if not size:
        return "not seen"
    return "too wide" if resolution > WIDEST else "same"
