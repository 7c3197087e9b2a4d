"""A head of outputs with its error, and its part of a loss.

In shapes, D counts draws (problems of a stack), R rows of data, and K outputs of one head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from harness.core.contract import Array
from reference.mathematics.nodes import Node

V = TypeVar("V")


@dataclass(frozen=True, eq=False)
class Head(Generic[V]):
    """A head's outputs, its targets (D, R, K), and the weights of its errors in the loss.

    `activated` are the name of the outputs' activation and its argument; None if the outputs are
    not the result of an activation. `shares` are of shape (K,), (R, K) or (D, 1, K), see
    `Loss.shares`. D counts draws (problems of a stack), R rows of data and K outputs of one head.
    """

    error: str
    from_logits: bool
    outputs: Node[V]
    activated: tuple[str, Node[V]] | None
    targets: Array
    shares: Array


@dataclass(frozen=True, eq=False)
class Errors(Generic[V]):
    """The part of a loss that comes from a head (output tensor): the sum of the products of all
    `pairs`, (D, R, n) each.

    `slope` (D, R, K) is its derivative by the node `by`. D counts draws (problems of a stack), R
    rows of data and K outputs of one head.
    """

    pairs: tuple[tuple[V, V], ...]
    by: Node[V]
    slope: V
