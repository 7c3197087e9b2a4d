"""Rules for sums of products over several axes, and other products of vectors.

A rule bounds the rounding errors of one operation of torch. A sum of n terms in any order is off by
n u of the sum of their sizes, with the unit roundoff u (Jeannerod and Rump 2013).
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.kernels.again import (
    add_sizes,
    bound_running_sums,
    compound,
    multiply_all,
    repeat_with,
    step_roundoff,
)
from harness.rules.registry import Call, Error, rule
from harness.rules.steps import Number, Steps
from harness.rules.sums import bound_products


@rule("vdot")
def multiply_vectors(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the dot product of two vectors."""
    size = abs(call["self"]).dot(abs(call["other"]))
    return bound_products(steps, call.result, size, len(call["self"]))


@rule("addbmm")
def add_matrices(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of beta c + alpha (sum over i of a_i @ b_i), for matrices c, a_i
    and b_i.

    Each product of two matrices may be added in memory, with a rounding to the dtype of the result.
    """
    beta, alpha = abs(call["beta"]), abs(call["alpha"])
    names = ("self", "batch1", "batch2")
    sizes = {name: abs(call[name]) for name in names}
    size = repeat_with(call, **sizes, beta=beta, alpha=alpha)
    pairs, _, inner = call["batch1"].shape
    roundings = pairs * inner + 1 + (2 if alpha != 1 or beta != 1 else 0)
    error = roundings * (steps.u * size + steps.least(size > 0))
    if steps.precision.narrow:
        error = error + pairs * steps.precision.stored * (size + error)
    return steps.store(Number(call.result, steps.limit(size, error)))


@rule("addr")
def add_outer_product(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of beta c + alpha a b^T, for a matrix c and vectors a and b.

    Four roundings may act on a number: of alpha, of two products and of the sum, each to the dtype
    of the result (ATen/native/cpu/LinearAlgebraKernel.cpp).
    """
    sizes = {name: abs(call[name]) for name in ("self", "vec1", "vec2", "beta", "alpha")}
    size: Tensor = repeat_with(call, **sizes)
    share = compound(4, step_roundoff(steps))
    return steps.limit(size, share * size + 3 * steps.precision.tiny * (size > 0).double())


@rule("trace")
def add_diagonal(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of a trace, the sum of a matrix's diagonal."""
    size = add_sizes(call, "self")
    return steps.store(Number(call.result, len(call["self"]) * steps.u * size))


@rule("native_dropout_backward")
def multiply_by_mask(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of dropout's gradient: a mask times the gradient times the scale.

    The scale may first be rounded to their dtype.
    """
    share = compound(2, step_roundoff(steps))
    error = share * abs(call.result) + steps.precision.tiny * (call.result != 0).double()
    return steps.limit(call.result, error)


@rule("linalg_cross")
def multiply_crosswise(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of a cross product.

    Each number is a difference of two products; both may be rounded to the dtype of the result.
    """
    dim = call["dim"]
    shape = call.result.shape
    a, b = abs(call["self"]).expand(shape), abs(call["other"]).expand(shape)
    left = a.roll(-1, dim) * b.roll(-2, dim)
    right = a.roll(-2, dim) * b.roll(-1, dim)
    return bound_running_sums(steps, left + right, 2.0, 1.0)


@rule("_trilinear")
def multiply_three(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of sums of products of three numbers.

    The kernel (ATen/native/Linear.cpp) loops over one axis. It multiplies two arguments, then the
    third, and adds the result in memory; each of these may round to the dtype of the result. A
    product may underflow before it is multiplied by a large number.
    """
    size: Tensor = add_sizes(call, "i1", "i2", "i3")
    shape = find_shape(call)
    terms = multiply_all([shape[axis] for axis in call["sumdim"]])
    largest = [abs(call[name]).max() for name in ("i1", "i2", "i3")]
    lost = torch.stack(largest).clamp(min=1.0).max() * (size > 0).double()
    error = (terms + 2) * (steps.u * size + steps.tiny * lost)
    if steps.precision.narrow:
        roundings = 2 + shape[call["unroll_dim"]]
        error = error + roundings * (
            steps.precision.stored * (size + error) + steps.precision.tiny * lost
        )
    pairs = torch.stack([largest[0] * largest[1], largest[1] * largest[2]]).max()
    return steps.limit(torch.maximum(size, terms * pairs), error)


def find_shape(call: Call) -> list[int]:
    """Return the shape of the product of a _trilinear call's three arguments, before it is
    summed.
    """
    shapes: list[list[int]] = []
    for name, expand in (("i1", "expand1"), ("i2", "expand2"), ("i3", "expand3")):
        shape = list(call[name].shape)
        for axis in sorted(call[expand]):
            shape.insert(axis, 1)
        shapes.append(shape)
    return [max(lengths) for lengths in zip(*shapes, strict=True)]
