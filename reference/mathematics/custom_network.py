"""A user's own network: its forward pass is written once; gradients and bounds follow from it.

theta is the vector of the network's T parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np

from harness.arithmetic.plain import Plain, Values
from harness.core.contract import Array, Contract
from harness.core.layout import Block, Layout, Role
from harness.core.numpy_errors import ours
from harness.model.errors import as_cause, raised, words_of
from harness.text.harmless import shown
from reference.mathematics.equations import outputs
from reference.mathematics.network import Derived
from reference.mathematics.nodes import Node
from reference.mathematics.sums import Sum
from reference.mathematics.tape import Tape
from reference.notation.given import widths

V = TypeVar("V")
GROUPS = 9  # of inputs, and heads, at most
OPERATIONS = "affine, act, add, sub, mul, scale, beside, columns and transpose"


@dataclass(frozen=True, eq=False, init=False)
class Equations(Derived):
    """A user's own network, written in the operations of `reference.mathematics.tape.Tape`.

    `inputs` and `outputs` are widths: one number, or one for each group. `shapes` gives the shape,
    (n, k) or (n,), of each block of parameters by name; theta holds the blocks one after the other.
    `forward(m, p, x)` returns the outputs, or a tuple of one tensor for each head. m has the
    operations, p the blocks by name, and x the inputs as rows of numbers; several groups of inputs
    are x1, x2, ... A block (n,) is passed as rows that are all equal.

    Raises ValueError, with a sentence, for anything else.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    layout: Layout
    forward: Callable[..., object]

    def __init__(
        self,
        name: str,
        inputs: int | Sequence[int],
        outputs: int | Sequence[int],
        shapes: Mapping[str, int | tuple[int, ...]],
        forward: Callable[..., object],
    ) -> None:
        sources = widths(f"{name}: inputs", inputs, GROUPS)
        sinks = widths(f"{name}: outputs", outputs, GROUPS)
        if not isinstance(shapes, Mapping):
            raise ValueError(f"{name}: shapes is {shown(shapes, 40)}, expected shapes by name")
        blocks = {}
        for block, shape in shapes.items():
            blocks[block] = widths(f"{name}: block {block}", shape, 2)
        values = name, sources, sinks, _with_roles(Layout.of_shapes(blocks)), forward
        for field, value in zip(self.__dataclass_fields__, values, strict=True):
            object.__setattr__(self, field, value)
        with ours():
            assert self._looked_at  # what is wrong shows now

    @cached_property
    def parts(self) -> tuple[Block, ...]:
        """The blocks in the form of the tape: a block of parameters (n,) becomes one column (n,
        1).
        """
        return tuple(
            replace(block, places=block.places.reshape(len(block.places), -1))
            for block in self.layout.blocks
        )

    def outputs_on(self, tape: Tape[V], blocks: Sequence[Node[V]], x: Node[V]) -> Node[V]:
        """Return the outputs of `forward`, with all heads joined along the last axis.

        Raises ValueError if `forward` does not return rows of each head's width.
        """
        p = {}
        for block, node in zip(self.layout.blocks, blocks, strict=True):
            p[block.name] = node if block.role == "weight" else tape.spread(node)
        groups = []
        start = 0
        for width in self.inputs:
            groups.append(tape.columns(x, start, start + width))
            start += width
        returned = self.forward(tape, p, *(groups if len(groups) > 1 else [x]))
        heads: Sequence[object] = returned if isinstance(returned, tuple | list) else (returned,)
        rows = [head for head in heads if isinstance(head, Node)]
        expected = [f"rows of {width}" for width in self.outputs]
        if len(rows) < len(heads) or [str(head) for head in rows] != expected:
            widths = " and ".join(map(str, heads))
            raise ValueError(f"gave {widths}, expected {' and '.join(expected)}")
        return rows[0] if len(rows) == 1 else tape.beside(*rows)

    def connected(self, entries: Array) -> Array:
        """Return all entries of the blocks (..., T), since all of them are parameters.

        T counts the network's parameters.
        """
        return entries

    @cached_property
    def _looked_at(self) -> _Looking:
        tape = _Looking()
        theta, inputs = np.zeros((1, self.layout.size)), np.zeros((1, 1, sum(self.inputs)))
        try:
            blocks, x, output = outputs(tape, self, theta, inputs)
        except Exception as error:  # whatever a user's function raises
            reason = words_of(error) if issubclass(type(error), ValueError) else raised(error)
            if issubclass(type(error), AttributeError | TypeError):
                reason += f"; m has {OPERATIONS}, and nothing else computes with its numbers"
            raise ValueError(f"{self.name}: forward: {reason}") from as_cause(error)
        slopes = tape.slopes([(output, np.zeros((1, 1, sum(self.outputs))))])
        names = [*(block.name for block in self.layout.blocks), "inputs"]
        for name, node in zip(names, [*blocks, x], strict=True):
            if node not in slopes:
                raise ValueError(
                    f"{self.name}: forward: {name} has no effect on the outputs, expected all to be"
                    " used: leave it out"
                )
        tape.sums += (node.sum for node in tape.nodes)
        tape.sums += slopes.values()
        for each in tape.sums:
            assert each.formed is not None
        return tape

    @property
    def activations(self) -> tuple[str, ...]:
        """Names of the activations, in the order in which they are computed."""
        return tuple(self._looked_at.activations)

    @property
    def widest(self) -> int:
        """The number of terms of the longest sum in the equations."""
        return self._looked_at.counting.longest

    @property
    def added(self) -> int:
        """The largest number of matrix products and single terms in one sum of the equations."""
        return max(len(self.outputs), *(len(each.pairs) for each in self._looked_at.sums))

    def longest_sum(self, amounts: Array) -> int:
        """Return an upper bound on the total of `amounts` (T,) over the parameters in one sum.

        Each product in a sum reads one row of a block, one column or one entry.
        """
        products = max(len(each.pairs) for each in self._looked_at.sums)
        total = 0.0
        for block in self.layout.blocks:
            part = block.of(amounts)
            if block.role == "bias":
                total += part.max()
            else:
                total += max(part.sum(axis=0).max(), part.sum(axis=1).max())
        return products * int(total)

    def sentence(self) -> str:
        """Return the network's name, as used in sentences."""
        return self.name


def _with_roles(layout: Layout) -> Layout:
    """Return the layout with the role "bias" for blocks of one axis and "weight" for all others."""
    blocks = []
    for block in layout.blocks:
        role: Role = "bias" if block.places.ndim == 1 else "weight"
        blocks.append(replace(block, role=role))
    return replace(layout, blocks=tuple(blocks))


class _Counting(Plain):
    """Ordinary arithmetic that stores the number of terms of its longest sum."""

    longest = 1

    def dot(self, a: Values, b: Values, extra: int = 0, plus: Values | None = None) -> Values:
        self.longest = max(self.longest, a.shape[-1] + (plus is not None))
        return super().dot(a, b, extra, plus)


class _Looking(Tape[Values]):
    """A tape for one draw (one problem of a stack) of one row, which stores the activations and
    sums of the equations.
    """

    def __init__(self) -> None:
        self.counting = _Counting(Contract())
        super().__init__(self.counting, 1, 1)
        self.activations: list[str] = []
        self.sums: list[Sum[Values]] = []

    def act(self, name: str, z: Node[Values]) -> Node[Values]:
        """Store the activation's name, and return the activation."""
        self.activations.append(name)
        return super().act(name, z)
