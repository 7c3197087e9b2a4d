"""Rules for bags of embeddings: sums, means or maxima of the rows of a bag, and their gradients.

A rule bounds the rounding errors of one operation of torch. A bag is a list of indices of rows of a
table. Rows are added in memory (ATen/native/EmbeddingBag.cpp): in a narrow dtype each addition may
round to it. The repetition in float64 uses the equations, since torch's own backward operations
have no derivative. `mode` is 0 for sums, 1 for means and 2 for maxima.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harness.kernels.again import bound_running_sums
from harness.kernels.distances import bound_shorter
from harness.rules.registry import Call, Error, repeat, rule
from harness.rules.steps import Steps

MEAN, MAXIMUM = 1, 2


def name_bags(indices: Tensor, offsets: Tensor) -> Tensor:
    """Return the number of the bag that each index belongs to; `offsets` has the start of
    each bag.
    """
    places = torch.arange(len(indices), device=indices.device, dtype=offsets.dtype)
    return torch.searchsorted(offsets, places, right=True) - 1


@repeat("_embedding_bag")
def repeat_bags(*given: Any) -> Any:
    """Return the bags, and None for the operation's other results.

    These depend on the kernel's path, and are taken as observed. `given` are the operation's
    arguments, in their order.
    """
    return torch.ops.aten._embedding_bag(*given)[0], None, None, None


@rule("_embedding_bag", "_embedding_bag_forward_only")
def add_bags(steps: Steps, call: Call) -> Error:
    """Return a bound on the errors of the bags; a mean is divided once, or multiplied by a
    reciprocal.
    """
    if call["mode"] == MAXIMUM:
        return None
    weights = call["per_sample_weights"]
    arguments = dict(call.given)
    arguments["weight"] = abs(call["weight"])
    arguments["per_sample_weights"] = None if weights is None else abs(weights)
    size = torch.ops.aten._embedding_bag(**arguments)[0]
    arguments["weight"] = torch.ones_like(call["weight"])
    terms = torch.ops.aten._embedding_bag(**arguments | {"mode": 0, "per_sample_weights": None})[0]
    further = 2.0 if call["mode"] == MEAN else 0.0
    if weights is not None:
        further += 1.0
    return bound_running_sums(steps, size, terms, further)


@repeat("_embedding_bag_backward")
def repeat_bags_backward(
    grad: Tensor,
    indices: Tensor,
    offsets: Tensor,
    offset2bag: Tensor,
    bag_size: Tensor,
    maximum: Tensor,
    rows: int,
    by_frequency: bool,
    mode: int,
    sparse: bool,
    weights: Tensor | None,
    padding: int = -1,
) -> Tensor:
    """Return the gradient by the table, given the gradient by the bags, `grad`.

    The other arguments are those of torch's operation. `maximum` has the indices of the rows that
    are the maxima, `rows` is the number of rows of the table, and `by_frequency` is
    scale_grad_by_freq.
    """
    gradient = grad.new_zeros(rows, grad.shape[1])
    if mode == MAXIMUM:
        not_empty = bag_size[:, None] > 0
        return gradient.scatter_add(
            0, maximum.clamp(min=0).long(), torch.where(not_empty, grad, 0.0)
        )
    shares = grad[name_bags(indices, offsets)]
    if mode == MEAN:
        shares = shares / bag_size[name_bags(indices, offsets)][:, None]
    if weights is not None:
        shares = shares * weights[:, None]
    if by_frequency:
        shares = shares / torch.bincount(indices, minlength=rows)[indices][:, None]
    return gradient.index_add(0, indices, torch.where((indices == padding)[:, None], 0.0, shares))


@rule("_embedding_bag_backward", "_embedding_bag_dense_backward")
def add_bags_backward(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the gradient by the table.

    Each term may be divided by a number of rows and weighted: three roundings. The bound is
    infinite with `scale_grad_by_freq`, since torch divides by the count of another index.
    """
    if call["scale_grad_by_freq"]:
        return torch.full_like(call.result, torch.inf)
    arguments = dict(call.given)
    if call["per_sample_weights"] is not None:
        arguments["per_sample_weights"] = abs(call["per_sample_weights"])
    size = repeat_bags_backward(*(arguments | {"grad": abs(call["grad"])}).values())
    plain: dict[str, Any] = {"grad": torch.ones_like(call["grad"]), "per_sample_weights": None}
    plain["mode"] = MAXIMUM if call["mode"] == MAXIMUM else 0
    terms = repeat_bags_backward(*(arguments | plain).values())
    further = 0.0 if call["mode"] == MAXIMUM else 3.0
    return bound_running_sums(steps, size, terms, further)


@repeat("_embedding_bag_per_sample_weights_backward")
def repeat_weights_backward(
    grad: Tensor,
    table: Tensor,
    indices: Tensor,
    offsets: Tensor,
    offset2bag: Tensor,
    mode: int,
    padding: int = -1,
) -> Tensor:
    """Return the gradient by the weights of the indices: products of the table's rows with the
    gradient by their bags, `grad`.
    """
    products = (grad[name_bags(indices, offsets)] * table[indices]).sum(1)
    return torch.where(indices == padding, 0.0, products)


@rule("_embedding_bag_per_sample_weights_backward")
def multiply_rows(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the gradient by the weights of the indices.

    It is a sum of products; each product may be rounded to the dtype before it is added.
    """
    sizes = {"grad": abs(call["grad"]), "weight": abs(call["weight"])}
    arguments = {**call.given, **sizes}
    size = repeat_weights_backward(*arguments.values())
    return bound_running_sums(steps, size, float(call["grad"].shape[1]), 1.0)


@repeat("embedding_renorm")
def shorten_rows(table: Tensor, indices: Tensor, most: float, power: float) -> Tensor:
    """Return a copy of the table in which the rows at `indices` have at most the norm `most`.

    `power` is the order of the norm. Longer rows are scaled.
    """
    lengths = torch.linalg.vector_norm(table, power, 1, keepdim=True)
    named = torch.zeros(len(table), 1, dtype=torch.bool, device=table.device)
    named[indices.reshape(-1)] = True
    return torch.where(named & (lengths > most), table * (most / (lengths + 1e-7)), table)


@rule("embedding_renorm")
def bound_shorter_rows(steps: Steps, call: Call) -> Error:
    """Return a bound on the error of the rows that are scaled to a smaller norm; other rows are
    exact.
    """
    table = call["self"]
    power, most = float(call["norm_type"]), float(call["max_norm"])
    error = bound_shorter(steps, table, power, most, [1])
    named = torch.zeros(len(table), 1, dtype=torch.bool, device=table.device)
    named[call["indices"].reshape(-1)] = True
    return torch.where(named, error, 0.0)
