"""The tensors of equations. Each stores how to compute gradients by the tensors that it depends on.

In shapes, D counts draws (problems of a stack) and R rows of data; a block of parameters is a
matrix (n, k).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from harness.core.contract import Indices
from reference.mathematics.sums import Sum

V = TypeVar("V")
Places = Indices
Shape = tuple[int | None, int]
# from the gradient by a node to the gradient by a node that it was made of
Pull = Callable[[Sum[V]], Sum[V]]
Pulls = tuple[tuple["Node[V]", Pull[V]], ...]


@dataclass(frozen=True, eq=False)
class Node(Generic[V]):
    """A tensor of the equations: rows of numbers (None, width), or a block of parameters (n, k).

    `sum` computes the numbers, and `pulls` the gradients by the tensors that they depend on.
    `places` are the positions of a block's entries in theta, the vector of the network's
    parameters. `bias` are the positions in theta of the number that is added to each column, if
    there is one. `activated` are an activation's name and argument, if the node is its result.
    `parts` are the tensors that the node is joined from, along the last axis.
    """

    sum: Sum[V]
    shape: Shape
    pulls: Pulls[V] = ()
    places: Places | None = None
    bias: Places | None = None
    activated: tuple[str, Node[V]] | None = None
    parts: tuple[Node[V], ...] = ()

    @property
    def value(self) -> V:
        """The numbers (D, R, width) or (D, n, k), in the tape's arithmetic.

        D counts draws (problems of a stack) and R rows of data.
        """
        return self.sum.value

    @property
    def height(self) -> int:
        """The number of rows n of a block of parameters (n, k)."""
        assert self.shape[0] is not None
        return self.shape[0]

    def __str__(self) -> str:
        return f"rows of {self.shape[1]}" if self.shape[0] is None else f"a block {self.shape}"
