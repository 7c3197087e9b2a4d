"""A network's equations as they are evaluated forward, so that their gradients follow, in the same
arithmetic.

Reverse mode (Rumelhart, Hinton and Williams 1986). What is bounded is every implementation that
forms the same numbers from the same sums, each sum in any order: what `affine`, `add`, `sub`,
`scale` and `columns` give is one sum, however they are nested, until `act`, `mul`, `beside` or
another `affine` is put to it; and so is what flows back to a number that is used several times. Not
bounded is an implementation that multiplies such a product out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

ACTIVATIONS = ("relu", "tanh", "logistic", "identity")

Places = NDArray[np.intp]


def transpose(a: Any) -> Any:
    """Each draw's matrix transposed."""
    return a.swapaxes(-1, -2)


@dataclass(frozen=True, eq=False)
class Sum:
    """left @ right^T, added up over pairs of left (D, n, K) and right (D, k, K); left (D, n, k)
    where right is None.

    `extra` are the terms by which an implementation's sum may be longer.
    """

    m: Any
    pairs: tuple[tuple[Any, Any], ...]
    extra: int = 0

    def total(self, extra: int) -> Any:
        """All of it as one sum, by so many terms longer."""
        (left, right), first = self.pairs[0], None
        if len(self.pairs) > 1:
            first, *others = [left for left, right in self.pairs if right is None] or [None]
            products = [pair for pair in self.pairs if pair[1] is not None]
            products += [(left, self._identity(left)) for left in others]
            left, right = (reduce(self.m.join, factors) for factors in zip(*products, strict=True))
        return (
            left
            if right is None
            else self.m.dot(left, self.m.each(transpose, right), extra, plus=first)
        )

    @cached_property
    def formed(self) -> Any:
        """The number that it is."""
        return self.total(self.extra)

    @cached_property
    def value(self) -> Any:
        """The number as others are computed from it."""
        return (
            self.formed
            if self.pairs[0][1] is None and len(self.pairs) == 1
            else self.m.stored(self.formed)
        )

    def mapped(self, change: Callable[[Any], Any]) -> Sum:
        """What a linear map of the last axis makes of it."""

        def pair(left: Any, right: Any) -> tuple[Any, Any]:
            if right is None:
                return change(left), None
            return left, self.m.each(transpose, change(self.m.each(transpose, right)))

        return Sum(self.m, tuple(pair(*each) for each in self.pairs), self.extra)

    def turned(self) -> Sum:
        """Each draw's matrix transposed."""
        flip = [
            (right, left) if right is not None else (self.m.each(transpose, left), None)
            for left, right in self.pairs
        ]
        return Sum(self.m, tuple(flip), self.extra)

    def _identity(self, like: Any) -> Any:
        draws, *_, width = getattr(like, "value", like).shape
        return self.m.lift(np.broadcast_to(np.eye(width), (draws, width, width)))


# from what flows back to a node to what flows back to one that it was made of
Pull = Callable[[Sum], Sum]


@dataclass(frozen=True, eq=False)
class Node:
    """A tensor of the equations: numbers for each row, shape (None, width), or a block of
    parameters (n, k).

    `places` are where a block's entries stand in theta; `bias` where what is added to each column
    stands, if anywhere.
    """

    sum: Sum
    shape: tuple[int | None, int]
    pulls: tuple[tuple[Node, Pull], ...] = ()
    places: Places | None = None
    bias: Places | None = None

    @property
    def value(self) -> Any:
        """Its numbers (D, R, width) or (D, n, k), in the tape's arithmetic."""
        return self.sum.value

    def __str__(self) -> str:
        return f"rows of {self.shape[1]}" if self.shape[0] is None else f"a block {self.shape}"


class Tape:
    """The operations of which equations are written, on nodes; it remembers the order of the nodes.

    Each raises ValueError, in a sentence, for tensors that do not fit.
    """

    def __init__(self, m: Any, draws: int, rows: int, extra: int = 0) -> None:
        self.m, self.extra = m, extra
        self.nodes: list[Node] = []
        self._size = draws, rows

    def leaf(self, value: Any, shape: tuple[int | None, int], places: Places | None = None) -> Node:
        """What the equations start from."""
        return self._plain(value, shape, (), places)

    def spread(self, vector: Node) -> Node:
        """A block (n, 1) as rows of n, all alike."""
        ones = self.leaf(self.m.lift(np.ones((*self._size, 1))), (None, 1))
        rows, places = self.affine(ones, vector), vector.places
        return self._node(
            rows.sum, rows.shape, ((rows, _same),), bias=None if places is None else places[:, 0]
        )

    def affine(self, x: Node, W: Node, b: Node | None = None) -> Node:
        """x W^T + b, with x as rows of k, W (n, k) and b (n,)."""
        fits = x.shape[0] is None and W.shape[0] is not None and x.shape[1] == W.shape[1]
        self._expect(fits, "affine", (x, W), "rows of k numbers and a block (n, k)")
        pulls = (
            (x, lambda e: self._pair(e.value, self._flip(W.value))),
            (W, lambda e: self._pair(*self._flips(e, x.value))),
        )
        product = self._node(self._pair(x.value, W.value), (None, int(W.shape[0] or 0)), pulls)
        return product if b is None else self.add(b, product)

    def weigh(self, x: Node, A: Node) -> Node:
        """[1, x] A^T: the same with the bias as the first column of A (n, 1 + k)."""
        x1, places = self.m.with_ones(x.value), A.places
        back = self.m.each(lambda a: transpose(a[..., 1:]), A.value)
        pulls = (
            (x, lambda e: self._pair(e.value, back)),
            (A, lambda e: self._pair(*self._flips(e, x1))),
        )
        bias = None if places is None else places[:, 0]
        return self._node(self._pair(x1, A.value), (None, int(A.shape[0] or 0)), pulls, bias=bias)

    def act(self, name: str, z: Node) -> Node:
        """An activation of each number: relu, tanh, logistic or identity."""
        if name not in ACTIVATIONS:
            raise ValueError(f"act {name!r} is not known, expected one of {', '.join(ACTIVATIONS)}")
        if name == "identity":
            return z
        # what is beyond the range is as good as infinite to those that level off
        h, slope = self.m.act(name, z.value if name == "relu" else z.sum.formed)
        return self._plain(
            h, z.shape, ((z, lambda e: self._pair(self.m.stored(self.m.mul(e.value, slope)))),)
        )

    def add(self, a: Node, b: Node) -> Node:
        """a + b, of one shape."""
        self._expect(a.shape == b.shape, "add", (a, b), "two of one shape")
        both = Sum(self.m, a.sum.pairs + b.sum.pairs, self.extra)
        return self._node(
            both, a.shape, ((a, _same), (b, _same)), bias=b.bias if a.bias is None else a.bias
        )

    def sub(self, a: Node, b: Node) -> Node:
        """a - b, of one shape."""
        return self.add(a, self.scale(b, -1.0))

    def mul(self, a: Node, b: Node) -> Node:
        """a b, number by number, of one shape."""
        self._expect(a.shape == b.shape, "mul", (a, b), "two of one shape")
        pulls = [(one, self._times(other.value)) for one, other in ((a, b), (b, a))]
        return self._plain(self.m.stored(self.m.mul(a.value, b.value)), a.shape, tuple(pulls))

    def scale(self, a: Node, factor: float) -> Node:
        """A constant times a."""

        def scaled(value: Any) -> Any:
            return self.m.scale(value, factor)

        return self._node(a.sum.mapped(scaled), a.shape, ((a, lambda e: e.mapped(scaled)),))

    def beside(self, *parts: Node) -> Node:
        """Tensors side by side, on the last axis."""
        self._expect(
            len({part.shape[0] for part in parts}) == 1, "beside", parts, "all of one height"
        )
        ends = [int(end) for end in np.cumsum([part.shape[1] for part in parts])]
        pulls = [
            (part, lambda e, start=end - part.shape[1], end=end: e.mapped(self._cut(start, end)))
            for part, end in zip(parts, ends, strict=True)
        ]
        value = reduce(self.m.join, [part.value for part in parts])
        return self._plain(value, (parts[0].shape[0], ends[-1]), tuple(pulls))

    def columns(self, a: Node, start: int, end: int) -> Node:
        """The columns from `start` to before `end`."""
        width = a.shape[1]
        self._expect(
            0 <= start < end <= width, f"columns {start} to {end}", (a,), "columns that are there"
        )

        def padded(value: Any) -> Any:
            return self.m.each(lambda e: np.pad(e, ((0, 0), (0, 0), (start, width - end))), value)

        bias = None if a.bias is None else a.bias[start:end]
        pulls = ((a, lambda e: e.mapped(padded)),)
        return self._node(
            a.sum.mapped(self._cut(start, end)), (a.shape[0], end - start), pulls, bias=bias
        )

    def transpose(self, W: Node) -> Node:
        """A block (n, k) as one of (k, n)."""
        self._expect(W.shape[0] is not None, "transpose", (W,), "a block")
        return self._node(
            W.sum.turned(), (W.shape[1], int(W.shape[0] or 0)), ((W, lambda e: e.turned()),)
        )

    def slopes(self, output: Node, e: Any) -> dict[Node, Sum]:
        """For each node that the output (D, R, O) depends on what flows back to it where e (D, R,
        O) flows back.
        """
        found, slopes = {output: [self._pair(e)]}, {}
        for node in reversed(self.nodes):
            if sums := found.get(node):
                pairs = tuple(pair for each in sums for pair in each.pairs)
                # one more: a derivative may be multiplied into each term before they are added
                slopes[node] = sums[0] if len(sums) == 1 else Sum(self.m, pairs, self.extra + 1)
                for parent, pull in node.pulls:
                    found.setdefault(parent, []).append(pull(slopes[node]))
        return slopes

    def _node(
        self, total: Sum, shape: tuple[int | None, int], pulls: Any, **where: Places | None
    ) -> Node:
        self.nodes.append(Node(total, shape, tuple(pulls), **where))
        return self.nodes[-1]

    def _plain(
        self, value: Any, shape: tuple[int | None, int], pulls: Any, places: Places | None = None
    ) -> Node:
        return self._node(self._pair(value), shape, pulls, places=places)

    def _pair(self, left: Any, right: Any = None) -> Sum:
        return Sum(self.m, ((left, right),), self.extra)

    def _flip(self, value: Any) -> Any:
        return self.m.each(transpose, value)

    def _flips(self, e: Sum, x: Any) -> tuple[Any, Any]:
        return self._flip(e.value), self._flip(x)

    def _times(self, other: Any) -> Pull:
        return lambda e: self._pair(self.m.stored(self.m.mul(e.value, other)))

    def _cut(self, start: int, end: int) -> Callable[[Any], Any]:
        return lambda value: self.m.each(lambda a: a[..., start:end], value)

    def _expect(self, fits: bool, what: str, given: tuple[Node, ...], expected: str) -> None:
        if not fits:
            raise ValueError(
                f"{what} was given {' and '.join(map(str, given))}, expected {expected}"
            )


def _same(e: Sum) -> Sum:
    return e
