"""The verified family of networks: groups of inputs, one hidden layer, and heads of outputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from harness.core.contract import Array, Bounds, Contract, Indices, Mask
from harness.core.layout import Block, Layout
from harness.core.problem import Problem
from harness.waiting.progress import Say
from reference.mathematics.layers import compute_layers
from reference.mathematics.nodes import Node
from reference.mathematics.numbers import list_numbers
from reference.mathematics.oracle import oracle, stages
from reference.mathematics.tape import Tape
from reference.notation.activations import Activation, Output, expect_activation
from reference.notation.given import (
    LETTERS,
    count_hidden,
    mask,
    mask_skip,
    settle_outputs,
    widths,
)
from reference.notation.written import write_network

V = TypeVar("V")


class Derived:
    """A network whose bounds follow from its equations.

    `explain` finds a likely mistake that explains wrong answers. The package `reference` sets it,
    to avoid a circular import: it uses the faults, which import networks.
    """

    explain: ClassVar[Callable[..., str]]

    def oracle(
        self,
        problem: object,
        contract: Contract,
        seen: Array | None = None,
        known: Bounds | None = None,
    ) -> Bounds:
        """Return every quantity of a problem with its bound; see
        `reference.mathematics.oracle.oracle`.
        """
        assert isinstance(problem, Problem)
        return oracle(problem, contract, seen, known)

    def stages(self, problem: object, contract: Contract, seen: Array) -> tuple[int, int, str]:
        """Look for intermediate numbers in `seen`; see `reference.mathematics.oracle.stages`."""
        assert isinstance(problem, Problem)
        return stages(problem, contract, seen)

    def numbers(self, problem: object, contract: Contract) -> list[Array]:
        """Return all numbers on the way to a problem's answers; see
        `reference.mathematics.numbers`.
        """
        assert isinstance(problem, Problem)
        return list_numbers(problem, contract)

    def layers(self, problem: object) -> tuple[list[Array], Array]:
        """Return the arguments of the activations, and the outputs; see
        `reference.mathematics.layers.compute_layers`.
        """
        assert isinstance(problem, Problem)
        return compute_layers(problem)

    def likely(
        self,
        problems: Sequence[object],
        observed: Sequence[Mapping[str, Array]],
        outside: str,
        contract: Contract,
        say: Say,
    ) -> str:
        """Return the mistake that explains observed answers; see
        `reference.explaining.likely.likely`.
        """
        return self.explain(problems, observed, outside, contract, say)


@dataclass(frozen=True, eq=False, init=False)
class Network(Derived):
    """A network with one hidden layer: h = g(W1 x1 + V1 x2 + b), o1 = f(W2 h + b_w), o2 = f(V2 h +
    b_v).

    It has one or more groups of inputs (x1, x2) and heads of outputs (o1, o2). `inputs` and
    `outputs` are widths: one number, or one for each group. `activation` is g. `output` is f: one
    name, or one for each head; "softmax" is over all outputs of a head. The masks `to_hidden`
    (hidden, all inputs) and `to_output` (all outputs, hidden) mark the connections that exist, by
    default all.

    With `skip`, as in nnet, the outputs also read the inputs: o1 = f(W2 h + S1_w x1 + S2_w x2 +
    b_w). It may be a mask (all outputs, all inputs) of the connections that exist. With `hidden=0`
    there is no hidden layer, and `skip` is implied: o1 = f(S1_w x1 + S2_w x2 + b_w).

    theta is the vector of all parameters in nnet's order: for each hidden unit its bias, then the
    weights of its inputs; for each output its bias, then the weights of the hidden units, then
    those of the inputs.

    Raises ValueError for widths, activations or masks that make no network.
    """

    inputs: tuple[int, ...]
    hidden: int
    outputs: tuple[int, ...]
    activation: str
    output: str | tuple[str, ...]
    to_hidden: Mask = field(repr=False)
    to_output: Mask = field(repr=False)
    skip: Mask = field(repr=False)

    def __init__(
        self,
        inputs: int | Sequence[int],
        hidden: int,
        outputs: int | Sequence[int],
        activation: Activation = "tanh",
        output: Output | Sequence[Output] = "identity",
        to_hidden: ArrayLike | None = None,
        to_output: ArrayLike | None = None,
        skip: bool | ArrayLike = False,
    ) -> None:
        sources = widths("inputs", inputs)
        hidden = count_hidden(hidden)
        sinks = widths("outputs", outputs)
        expect_activation("activation", activation)
        output = settle_outputs(output, len(sinks))
        if not hidden:
            activation = "identity"  # of no unit
        into_hidden = mask("to_hidden", to_hidden, (hidden, sum(sources)))
        into_output = mask("to_output", to_output, (sum(sinks), hidden))
        past_hidden = mask_skip(skip, hidden, (sum(sinks), sum(sources)))
        values = sources, hidden, sinks, activation, output, into_hidden, into_output, past_hidden
        for name, value in zip(self.__dataclass_fields__, values, strict=True):
            object.__setattr__(self, name, value)

    @property
    def activations(self) -> tuple[str, ...]:
        """The names of the activations of the hidden units and of the outputs, in this order; each
        head's once.
        """
        return self.activation, *dict.fromkeys(self.head_outputs)

    @property
    def head_outputs(self) -> tuple[str, ...]:
        """The activation of each head's outputs."""
        if isinstance(self.output, str):
            return (self.output,) * len(self.outputs)
        return self.output

    @property
    def has_skip(self) -> bool:
        """Is there a connection from an input to an output?"""
        return bool(self.skip.any())

    @property
    def widest(self) -> int:
        """The number of terms of the longest sum that contains a parameter."""
        inputs, outputs = sum(self.inputs), sum(self.outputs)
        longest = max(1 + inputs, 1 + self.hidden, outputs)
        if self.has_skip:  # of an output, and of the gradient by an input
            longest = max(longest, 1 + self.hidden + inputs, self.hidden + outputs)
        return longest

    @property
    def added(self) -> int:
        """The largest number of matrix products and biases in one sum."""
        inputs, outputs = len(self.inputs), len(self.outputs)
        most = max(inputs + 1, outputs)
        if self.has_skip:  # in an output, and in the gradient by an input
            most = max(most, inputs + 2, outputs + 1)
        return most

    @cached_property
    def _places(self) -> tuple[Indices, Indices]:
        """The position in theta of each entry of A (H, 1+I) and B (O, 1+H), -1 for a missing
        connection.

        The matrix A maps [1, inputs] to the hidden units and B maps [1, hidden units] to the
        outputs, so that their first columns are biases. H counts hidden units, I all inputs, and O
        all outputs. With skip connections B is (O, 1+H+I), and maps [1, hidden units, inputs].
        """
        into_output = self.to_output
        if self.has_skip:
            into_output = np.concatenate([self.to_output, self.skip], axis=1)
        A, B = (
            np.concatenate([np.ones((len(mask), 1), dtype=bool), mask], axis=1)
            for mask in (self.to_hidden, into_output)
        )
        exists = np.concatenate([A.ravel(), B.ravel()])
        places = np.where(exists, np.cumsum(exists) - 1, -1)
        return places[: A.size].reshape(A.shape), places[A.size :].reshape(B.shape)

    @property
    def layout(self) -> Layout:
        """The blocks (parameter tensors) of theta, with their names and positions.

        First come those of the hidden layer: W1 and V1 (H, inputs of the group) and b (H,). The
        blocks of each head follow: W2 (outputs of the head, H), S1_w and S2_w (outputs of the head,
        inputs of the group) and b_w; for the second head V2, S1_v, S2_v and b_v. Without hidden
        units there are only S1_w, ... and the biases of the heads; without skip connections there
        is no S1_w, ... H counts hidden units.
        """
        return self._layout

    @cached_property
    def _layout(self) -> Layout:
        A, B = self._places
        blocks: list[Block] = []
        if self.hidden:
            for group, columns in enumerate(self._split_groups(A[:, 1:])):
                name = f"{LETTERS[group]}1"
                blocks.append(Block(name, columns, "weight", layer=1, group=group))
            blocks.append(Block("b", A[:, 0], "bias", layer=1))
        for head, rows in enumerate(np.split(B, np.cumsum(self.outputs)[:-1])):
            blocks += self._list_blocks_of_head(head, rows)
        return Layout(int(B.max()) + 1, tuple(blocks))

    def _list_blocks_of_head(self, head: int, rows: Indices) -> list[Block]:
        """Return the blocks (parameter tensors) of a head, given its rows of the matrix B of
        positions (see `_places`).
        """
        letter, blocks = LETTERS[head], []
        if self.hidden:
            columns = rows[:, 1 : 1 + self.hidden]
            blocks.append(Block(f"{letter}2", columns, "weight", layer=2, head=head))
        if self.has_skip:
            for group, columns in enumerate(self._split_groups(rows[:, 1 + self.hidden :])):
                name = f"S{group + 1}_{letter.lower()}"
                blocks.append(Block(name, columns, "weight", layer=2, group=group, head=head))
        blocks.append(Block(f"b_{letter.lower()}", rows[:, 0], "bias", layer=2, head=head))
        return blocks

    def _split_groups(self, columns: Indices) -> list[Indices]:
        """Split columns, one for each input, by groups of inputs."""
        return np.split(columns, np.cumsum(self.inputs)[:-1], axis=1)

    @cached_property
    def is_complete(self) -> bool:
        """Does every connection exist? (Skip connections: none or all.)"""
        return bool(
            self.to_hidden.all() and self.to_output.all() and (self.skip.all() or not self.has_skip)
        )

    @cached_property
    def parts(self) -> tuple[Block, ...]:
        """The matrices A (H, 1+I) of the hidden units and B (O, 1+H) or (O, 1+H+I) of the outputs,
        as blocks; their first columns are biases.

        H counts hidden units, I inputs and O outputs.

        Without hidden units there is only B.
        """
        A, B = self._places
        return (Block("A", A), Block("B", B)) if self.hidden else (Block("B", B),)

    def outputs_on(self, tape: Tape[V], blocks: Sequence[Node[V]], x: Node[V]) -> Node[V]:
        """Return the outputs f(B [1, g(A [1, x])]), or with skip connections f(B [1, g(A [1, x]),
        x]).

        A and B are the two `blocks`; g and f are the activations of hidden units and outputs.

        x has all groups of inputs, and the result all heads of outputs, joined along the last axis.
        """
        *_, B = blocks
        if not self.hidden:
            return self.activate(tape, tape.weigh(x, B))
        h = tape.act(self.activation, tape.weigh(x, blocks[0]))
        if self.has_skip:
            h = tape.beside(h, x)
        return self.activate(tape, tape.weigh(h, B))

    def activate(self, tape: Tape[V], z: Node[V]) -> Node[V]:
        """Return the outputs: the activations of z."""
        if isinstance(self.output, str) and (self.output != "softmax" or len(self.outputs) == 1):
            return tape.act(self.output, z)
        heads = []
        start = 0
        for name, width in zip(self.head_outputs, self.outputs, strict=True):
            heads.append(tape.act(name, tape.columns(z, start, start + width)))
            start += width
        return tape.beside(*heads)

    def connected(self, entries: Array) -> Array:
        """Return the entries (..., T) of existing connections, given all entries of the matrices A
        and B, flat (..., H(1+I) + O(1+H)); see `parts`.

        With skip connections B has O I entries more. T counts the network's parameters.
        """
        if self.is_complete:
            return entries
        exists = np.concatenate([places.ravel() for places in self._places]) >= 0
        return np.ascontiguousarray(entries[..., exists])

    def longest_sum(self, amounts: Array) -> int:
        """Return the largest total of `amounts` (T,) over the parameters in one row or column of A
        or B.

        `amounts` has one number for each parameter. A row belongs to one unit, a column to one
        input or hidden unit. An input may have a column in A and, by skip connections, one in B:
        these are added up.
        """
        A, B = (Block("", places).of(amounts) for places in self._places)
        by_hidden = B[:, 1 : 1 + self.hidden].sum(axis=0)
        by_input = A[:, 1:].sum(axis=0)
        if self.has_skip:
            by_input = by_input + B[:, 1 + self.hidden :].sum(axis=0)
        sums = [A.sum(axis=1), B.sum(axis=1), by_hidden, by_input]
        return int(max(each.max(initial=0.0) for each in sums))

    def script(self) -> str:
        """Return Python text that defines `network`, a NumPy function that returns the outputs by
        head.

        The function takes the blocks of parameters and the groups of inputs, real or complex.
        """
        names = self.activation, self.head_outputs
        return write_network(self.layout.blocks, len(self.inputs), *names)

    def sentence(self) -> str:
        """Return the network in a few words, as "4-3-2, tanh hidden, ..."."""
        inputs, outputs = "+".join(map(str, self.inputs)), "+".join(map(str, self.outputs))
        hidden = f"{self.activation} hidden" if self.hidden else "no hidden units"
        named = " and ".join(dict.fromkeys(self.head_outputs))
        parts = [f"{inputs}-{self.hidden}-{outputs}", hidden, f"{named} outputs"]
        if self.hidden and self.has_skip:
            parts.append("skip connections")
        if not self.is_complete:
            parts.append("not all connected")
        return ", ".join(parts)
