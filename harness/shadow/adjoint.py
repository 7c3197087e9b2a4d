"""Bounds from end to end: how much all operations together may move a number, to first order.

The error of a number is the sum over all operations of the derivative of the number by the result
of the operation, times the error of that result. One pass backwards through the shadow gives all
derivatives of a number, so the bound costs one pass for each number. A weighted sum of an answer's
elements is a number like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.rules.registry import Error
from harness.shadow.replay import Replay

Errors = Sequence[Sequence[Error]]  # of each result of each operation


@dataclass(frozen=True, eq=False)
class Reach:
    """How far errors reach: for each number, the sum over all operations, and each one's share.

    `total` has shape (N,) for N numbers, `shares` (N, operations).
    """

    total: Tensor
    shares: Tensor


def reach_of(replay: Replay, errors: Errors, numbers: Sequence[Tensor]) -> Reach:
    """Return how far the errors of all operations move some numbers (tensors of one element)."""
    nodes, bounds, owners = _list_nodes(replay, errors)
    shares = torch.zeros(len(numbers), len(replay.results), dtype=torch.float64)
    if nodes:
        for row, number in enumerate(numbers):
            if number.requires_grad:
                slopes = _differentiate(number, nodes)
                for slope, bound, owner in zip(slopes, bounds, owners, strict=True):
                    if slope is not None:
                        shares[row, owner] += _weigh(slope, bound)
    return Reach(shares.sum(1), shares)


def _weigh(slope: Tensor, bound: Tensor) -> Tensor:
    """Return the sum of |slope| bound, where an infinite bound of no effect is left out."""
    return torch.where(slope == 0, 0.0, abs(slope) * bound).sum()


def _differentiate(number: Tensor, nodes: Sequence[Tensor]) -> Sequence[Tensor | None]:
    found: Sequence[Tensor | None] = torch.autograd.grad(
        number, nodes, retain_graph=True, allow_unused=True
    )
    return found


def _list_nodes(replay: Replay, errors: Errors) -> tuple[list[Tensor], list[Tensor], list[int]]:
    """Return the results that round, their errors, and the number of the operation of each."""
    nodes: list[Tensor] = []
    bounds: list[Tensor] = []
    owners: list[int] = []
    for owner, (results, each) in enumerate(zip(replay.results, errors, strict=True)):
        for result, error in zip(results, each, strict=False):
            if result is not None and error is not None and result.requires_grad:
                nodes.append(result)
                bounds.append(error)
                owners.append(owner)
    return nodes, bounds, owners


def project(tensor: Tensor, weights: Tensor) -> Tensor:
    """Return a number: the sum of a tensor's elements times weights."""
    return (tensor * weights).sum()


def draw_signs(shape: Any, generator: torch.Generator) -> Tensor:
    """Return weights of 1 or -1, drawn at random."""
    signs = torch.randint(0, 2, tuple(shape), generator=generator)
    return signs.double() * 2 - 1
