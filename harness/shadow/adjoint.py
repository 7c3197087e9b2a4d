"""Bounds from end to end: how much all operations together may move a number, to first order.

The error of a number is the sum over all operations of the derivative of the number by the result
of the operation, times the error of that result. One pass backwards through the shadow gives all
derivatives of a number, so the bound costs one pass for each number. A weighted sum of an answer's
elements is a number like any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.rules.registry import Error
from harness.shadow.replay import Replay

Errors = Sequence[Sequence[Error]]  # of each result of each operation


@dataclass(frozen=True, eq=False)
class Nodes:
    """The results of a replay that may be off: their tensors, and the operation of each."""

    results: list[Tensor]
    operations: list[int]
    places: list[int]  # which result of its operation each is

    def pick(self, errors: Errors) -> list[Error]:
        """Return the errors of the nodes."""
        return [
            errors[operation][place]
            for operation, place in zip(self.operations, self.places, strict=True)
        ]


def list_nodes(replay: Replay, errors: Errors) -> Nodes:
    """Return the results that have an error."""
    nodes = Nodes([], [], [])
    for operation, (results, each) in enumerate(zip(replay.results, errors, strict=True)):
        for place, (result, error) in enumerate(zip(results, each, strict=False)):
            if result is not None and error is not None and result.requires_grad:
                nodes.results.append(result)
                nodes.operations.append(operation)
                nodes.places.append(place)
    return nodes


def find_slopes(number: Tensor, nodes: Nodes) -> list[Tensor | None]:
    """Return the derivative of a number by each node; None if it does not depend on it."""
    if not nodes.results or not number.requires_grad:
        return [None] * len(nodes.results)
    return list(torch.autograd.grad(number, nodes.results, retain_graph=True, allow_unused=True))


def weigh(slopes: Sequence[Tensor | None], errors: Sequence[Error]) -> Tensor:
    """Return, for each node, the sum of |derivative| times error: how far its error reaches.

    An infinite error of no effect is left out.
    """
    reach = torch.zeros(len(slopes), dtype=torch.float64)
    for node, (slope, error) in enumerate(zip(slopes, errors, strict=True)):
        if slope is not None and error is not None:
            share = (abs(slope) * error).sum()
            if not torch.isfinite(share):
                share = torch.where(slope == 0, 0.0, abs(slope) * error).sum()
            reach[node] = share
    return reach


def draw_signs(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Return weights of 1 or -1 in the shape of a tensor, drawn at random."""
    signs = torch.randint(0, 2, tuple(tensor.shape), generator=generator, dtype=torch.float64)
    return (signs * 2 - 1).to(tensor.device)
