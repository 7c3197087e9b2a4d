"""The operations in which networks are written, with their gradients, in any arithmetic.

Gradients are computed in reverse mode (Rumelhart, Hinton and Williams 1986). Bounds hold for every
implementation that computes the same numbers from the same sums, each sum in any order. The result
of nested `affine`, `add`, `sub`, `scale` and `columns` is one sum, until it is used by `act`,
`mul`, `beside` or another `affine`. The gradient by a number that is used several times is one sum
too. Bounds do not hold for an implementation that expands a product with such a sum.

In shapes, D counts draws (problems of a stack), R rows of data and O outputs; a block of parameters
is a matrix (n, k).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Generic, TypeVar

import numpy as np

from harness.arithmetic.interface import Arithmetic
from reference.mathematics.nodes import Node, Places, Pull, Pulls, Shape
from reference.mathematics.sums import Sum, transpose, weights_back
from reference.notation.activations import OUTPUTS, expect_activation

V = TypeVar("V")


class Tape(Generic[V]):
    """The operations in which equations are written. They take and return nodes; the tape stores
    all nodes in order.

    Each operation raises ValueError, with a sentence, for tensors that do not fit.
    """

    def __init__(self, m: Arithmetic[V], draws: int, rows: int, extra: int = 0) -> None:
        self.m, self.extra = m, extra
        self.nodes: list[Node[V]] = []
        self._size = draws, rows

    def leaf(self, value: V, shape: Shape, places: Places | None = None) -> Node[V]:
        """Return a tensor that is no result of an operation: a block, the inputs or a constant."""
        return self._plain(value, shape, (), places)

    def spread(self, vector: Node[V]) -> Node[V]:
        """Return a block of parameters (n, 1) as rows of n numbers that are all equal."""
        ones = self.leaf(self.m.lift(np.ones((*self._size, 1))), (None, 1))
        rows = self.affine(ones, vector)
        return self._node(rows.sum, rows.shape, ((rows, _same),), _first_column(vector))

    def affine(self, x: Node[V], W: Node[V], b: Node[V] | None = None) -> Node[V]:
        """Return x W^T + b. x has rows of k numbers, W is a block of parameters (n, k), and b (n,)
        is added to every row.
        """
        fits = x.shape[0] is None and W.shape[0] is not None and x.shape[1] == W.shape[1]
        self._expect(fits, "affine", (x, W), "rows of k numbers and a block (n, k)")

        def to_rows(e: Sum[V]) -> Sum[V]:
            return self._pair(e.value, self._flip(W.value))

        def to_block(e: Sum[V]) -> Sum[V]:
            return self._pair(self._flip(e.value), self._flip(x.value))

        pulls = (x, to_rows), (W, to_block)
        product = self._node(self._pair(x.value, W.value), (None, W.height), pulls)
        return product if b is None else self.add(b, product)

    def weigh(self, x: Node[V], A: Node[V]) -> Node[V]:
        """Return [1, x] A^T: an affine map of x, whose bias is the first column of the block (a
        parameter tensor) A (n, 1 + k).
        """
        x1 = self.m.with_ones(x.value)
        back = self.m.each(weights_back, A.value)

        def to_rows(e: Sum[V]) -> Sum[V]:
            return self._pair(e.value, back)

        def to_block(e: Sum[V]) -> Sum[V]:
            return self._pair(self._flip(e.value), self._flip(x1))

        pulls = (x, to_rows), (A, to_block)
        return self._node(self._pair(x1, A.value), (None, A.height), pulls, _first_column(A))

    def act(self, name: str, z: Node[V]) -> Node[V]:
        """Return an activation of each number (relu, tanh, logistic or identity), or the softmax of
        each row.
        """
        expect_activation("act", name, OUTPUTS)
        if name == "identity":
            return z
        if name == "softmax":
            return self._softmax(z)
        # what is beyond the range is as good as infinite to those that level off
        h, slope = self.m.act(name, z.value if name == "relu" else z.sum.formed)
        return self._plain(h, z.shape, ((z, self._times(slope)),), activated=(name, z))

    def _softmax(self, z: Node[V]) -> Node[V]:
        self._expect(z.shape[0] is None, "softmax", (z,), "rows of numbers")
        p = self.m.stored(self.m.softmax(z.sum.formed), "softmax")

        def back(e: Sum[V]) -> Sum[V]:
            return self._pair(self.m.stored(self.m.softmax_back(p, e.value)))

        return self._plain(p, z.shape, ((z, back),), activated=("softmax", z))

    def add(self, a: Node[V], b: Node[V]) -> Node[V]:
        """Return a + b; both have one shape."""
        self._expect(a.shape == b.shape, "add", (a, b), "two of one shape")
        both = Sum(self.m, a.sum.pairs + b.sum.pairs, self.extra)
        bias = b.bias if a.bias is None else a.bias
        return self._node(both, a.shape, ((a, _same), (b, _same)), bias)

    def sub(self, a: Node[V], b: Node[V]) -> Node[V]:
        """Return a - b; both have one shape."""
        return self.add(a, self.scale(b, -1.0))

    def mul(self, a: Node[V], b: Node[V]) -> Node[V]:
        """Return a times b, element by element; both have one shape."""
        self._expect(a.shape == b.shape, "mul", (a, b), "two of one shape")
        pulls = (a, self._times(b.value)), (b, self._times(a.value))
        return self._plain(self.m.stored(self.m.mul(a.value, b.value)), a.shape, pulls)

    def scale(self, a: Node[V], factor: float) -> Node[V]:
        """Return a times a constant."""

        def scaled(value: V) -> V:
            return self.m.scale(value, factor)

        return self._node(a.sum.mapped(scaled), a.shape, ((a, lambda e: e.mapped(scaled)),))

    def beside(self, *parts: Node[V]) -> Node[V]:
        """Return tensors joined along the last axis."""
        self._expect(
            len({part.shape[0] for part in parts}) == 1, "beside", parts, "all of one height"
        )
        pulls: list[tuple[Node[V], Pull[V]]] = []
        width = 0
        for part in parts:
            pulls.append((part, self._columns_back(width, width + part.shape[1])))
            width += part.shape[1]
        value = reduce(self.m.join, [part.value for part in parts])
        return self._plain(value, (parts[0].shape[0], width), tuple(pulls), parts=parts)

    def columns(self, a: Node[V], start: int, end: int) -> Node[V]:
        """Return the columns from `start` up to, but not including, `end`."""
        width = a.shape[1]
        self._expect(
            0 <= start < end <= width, f"columns {start} to {end}", (a,), "columns that are there"
        )

        def padded(value: V) -> V:
            return self.m.each(lambda e: np.pad(e, ((0, 0), (0, 0), (start, width - end))), value)

        bias = None if a.bias is None else a.bias[start:end]
        cut = a.sum.mapped(self._cut(start, end))
        return self._node(cut, (a.shape[0], end - start), ((a, lambda e: e.mapped(padded)),), bias)

    def transpose(self, W: Node[V]) -> Node[V]:
        """Return a block of parameters (n, k) transposed, as a block (k, n)."""
        self._expect(W.shape[0] is not None, "transpose", (W,), "a block")
        return self._node(W.sum.turned(), (W.shape[1], W.height), ((W, lambda e: e.turned()),))

    def slopes(self, seeds: Sequence[tuple[Node[V], V]]) -> dict[Node[V], Sum[V]]:
        """Return the gradient of a loss by each node on which the nodes of `seeds` depend.

        A seed is a node, and a part of the loss's gradient by it, in its shape.
        """
        arrived: dict[Node[V], list[Sum[V]]] = {}
        for node, e in seeds:
            arrived.setdefault(node, []).append(self._pair(e))
        slopes: dict[Node[V], Sum[V]] = {}
        for node in reversed(self.nodes):
            if node not in arrived:
                continue
            slopes[node] = self._added(arrived[node])
            for parent, pull in node.pulls:
                arrived.setdefault(parent, []).append(pull(slopes[node]))
        return slopes

    def _added(self, sums: list[Sum[V]]) -> Sum[V]:
        if len(sums) == 1:
            return sums[0]
        pairs = tuple(pair for each in sums for pair in each.pairs)
        # one more: a derivative may be multiplied into each term before they are added
        return Sum(self.m, pairs, self.extra + 1)

    def _node(
        self, total: Sum[V], shape: Shape, pulls: Pulls[V], bias: Places | None = None
    ) -> Node[V]:
        self.nodes.append(Node(total, shape, pulls, bias=bias))
        return self.nodes[-1]

    def _plain(
        self,
        value: V,
        shape: Shape,
        pulls: Pulls[V],
        places: Places | None = None,
        activated: tuple[str, Node[V]] | None = None,
        parts: tuple[Node[V], ...] = (),
    ) -> Node[V]:
        node = Node(self._pair(value), shape, pulls, places, activated=activated, parts=parts)
        self.nodes.append(node)
        return node

    def _pair(self, left: V, right: V | None = None) -> Sum[V]:
        return Sum(self.m, ((left, right),), self.extra)

    def _flip(self, value: V) -> V:
        return self.m.each(transpose, value)

    def _times(self, other: V | None) -> Pull[V]:
        return lambda e: self._pair(self.m.stored(self.m.mul(e.value, other)))

    def _cut(self, start: int, end: int) -> Callable[[V], V]:
        return lambda value: self.m.each(lambda a: a[..., start:end], value)

    def _columns_back(self, start: int, end: int) -> Pull[V]:
        return lambda e: e.mapped(self._cut(start, end))

    def _expect(self, fits: bool, what: str, given: tuple[Node[V], ...], expected: str) -> None:
        if not fits:
            raise ValueError(
                f"{what} was given {' and '.join(map(str, given))}, expected {expected}"
            )


def _same(e: Sum[V]) -> Sum[V]:
    return e


def _first_column(block: Node[V]) -> Places | None:
    return None if block.places is None else block.places[:, 0]
