"""A head of outputs with the error that it has, and the part of a loss that follows.

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

    `activated` are the activation of the outputs and its argument; None if the outputs are the
    result of another operation. `shares` are of shape (K,), (R, K) or (D, 1, K), see
    `Loss.shares`.
    """

    error: str
    from_logits: bool
    outputs: Node[V]
    activated: tuple[str, Node[V]] | None
    targets: Array
    shares: Array


@dataclass(frozen=True, eq=False)
class Errors(Generic[V]):
    """A head's part of a loss: the sum of all products of `pairs`, (D, R, n) each, and its slope
    (D, R, K) by the node `by`.
    """

    pairs: tuple[tuple[V, V], ...]
    by: Node[V]
    slope: V
