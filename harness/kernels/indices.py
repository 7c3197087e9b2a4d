"""Rules for sums over indices: several numbers are added into one place.

A rule bounds the rounding errors of one operation of torch. The kernels add in memory, so in a
dtype narrower than float32 each addition rounds to it. n terms, including the number that was there
before, take n - 1 additions; a number without additions stays exact. The same operation on ones
counts the terms. Source: ATen/native/Embedding.cpp and cpu/IndexKernel.cpp,
ScatterGatherKernel.cpp, PaddingKernel.cpp, UpSampleKernel.cpp.
"""

from __future__ import annotations

import torch
from torch import Tensor

from harness.kernels.again import (
    add_sizes,
    bound_running_sums,
    count_terms_with,
    repeat_with,
    step_roundoff,
)
from harness.rules.registry import Call, Error, rule
from harness.rules.steps import Steps


@rule("scatter_add")
def scatter_and_add(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the sums of scatter_add."""
    sizes = add_sizes(call, "self", "src")
    return bound_running_sums(steps, sizes, count_terms_with(call, "self", "src"))


@rule("index_add")
def add_at_indices(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the sums of index_add.

    Each source may be multiplied by `alpha`, which is rounded too.
    """
    further = 0.0 if call["alpha"] == 1 else 2.0
    size = repeat_with(
        call, self=abs(call["self"]), source=abs(call["source"]), alpha=abs(call["alpha"])
    )
    terms = repeat_with(
        call, self=torch.ones_like(call["self"]), source=torch.ones_like(call["source"]), alpha=1
    )
    return bound_running_sums(steps, size, terms, further)


@rule("index_put", "_index_put_impl", "_unsafe_index_put", "put")
def put_at_indices(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of numbers that are put or, with `accumulate`, added at indices.

    Only additions round.
    """
    if not call["accumulate"]:
        return None
    source = "source" if "source" in call.given else "values"
    sizes = add_sizes(call, "self", source)
    return bound_running_sums(steps, sizes, count_terms_with(call, "self", source))


@rule("scatter_reduce")
def scatter_and_reduce(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the sums, means and products of scatter_reduce."""
    return _reduce_at_indices(steps, call, "src")


@rule("index_reduce")
def reduce_at_indices(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the means and products of index_reduce."""
    return _reduce_at_indices(steps, call, "source")


def _reduce_at_indices(steps: Steps, call: Call, source: str) -> Error:
    """Return a bound on the error of sums, means and products of numbers at indices.

    `source` is the name of the argument with these numbers. A mean is a sum that is divided. A
    product of n numbers rounds n - 1 times, and may underflow before it is multiplied by numbers
    above 1.
    """
    if call["reduce"] in ("amax", "amin"):
        return None
    sizes: Tensor = add_sizes(call, "self", source)
    terms = _count_reduced(call, call[source])
    if call["reduce"] != "prod":
        return bound_running_sums(steps, sizes, terms, 0.0 if call["reduce"] == "sum" else 1.0)
    above = {name: torch.clamp(abs(call[name]), min=1.0) for name in ("self", source)}
    largest: Tensor = repeat_with(call, **above)
    share = torch.expm1(terms * step_roundoff(steps))
    return steps.limit(largest, share * sizes + terms * steps.precision.tiny * largest)


def _count_reduced(call: Call, source: Tensor) -> Tensor:
    """Return, for each result, how many numbers are combined to its sum, mean or product."""
    start = torch.full_like(call["self"], float(call["include_self"]))
    if call.name == "aten::scatter_reduce":
        return start.scatter_add(call["dim"], call["index"], torch.ones_like(source))
    return start.index_add(call["dim"], call["index"], torch.ones_like(source))


@rule("embedding_dense_backward")
def add_rows(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the gradient by an embedding's table.

    Each row of the gradient by the result is added to the row of its index. It may be divided by
    the number of times that the index occurs, as a product with the reciprocal.
    """
    ones = torch.ones_like(call["grad_output"])
    terms = repeat_with(call, grad_output=ones, scale_grad_by_freq=False)
    further = 2.0 if call["scale_grad_by_freq"] else 0.0
    return bound_running_sums(steps, add_sizes(call, "grad_output"), terms, further)


@rule(
    "reflection_pad1d_backward",
    "reflection_pad2d_backward",
    "reflection_pad3d_backward",
    "replication_pad1d_backward",
    "replication_pad2d_backward",
    "replication_pad3d_backward",
)
def add_reflections(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the gradient of padding by reflection or replication.

    The gradient by a number is the sum of the gradients by all its copies.
    """
    sizes, terms = add_sizes(call, "grad_output"), count_terms_with(call, "grad_output")
    return bound_running_sums(steps, sizes, terms)


@rule("unfold_backward")
def add_windows(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the gradient of unfold: sums over windows that overlap."""
    return bound_running_sums(steps, add_sizes(call, "grad_in"), count_terms_with(call, "grad_in"))


@rule("col2im")
def add_columns(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of fold (col2im): columns are added up where their windows
    overlap.
    """
    return bound_running_sums(steps, add_sizes(call, "self"), count_terms_with(call, "self"))
