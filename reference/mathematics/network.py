"""The verified family of networks: groups of inputs, one hidden layer, and heads of outputs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.core.contract import Array, Bounds, Contract
from harness.core.layout import Block, Layout
from harness.core.problem import Problem
from harness.core.progress import Say
from reference.mathematics.oracle import oracle, stages
from reference.mathematics.tape import ACTIVATIONS, Node, Tape

V = TypeVar("V")
LETTERS = "WVU"  # of groups of inputs, and of heads
# activations in NumPy; of complex numbers too, whose imaginary parts carry a derivative
WRITTEN = {
    "identity": "",
    "relu": "def relu(z):\n    return np.where(z.real > 0, z, 0)\n\n",
    "tanh": "tanh = np.tanh\n\n",
    "logistic": (
        """\
def logistic(z):
    e = np.exp(np.where(z.real > 0, -z, z))  # of what is not positive: it does not overflow
    return np.where(z.real > 0, 1, e) / (1 + e)

"""
    ),
}


def widths(name: str, given: object, most: int = len(LETTERS)) -> tuple[int, ...]:
    """Return a width, or one width for each group, as a tuple. Raises ValueError for anything
    else.
    """
    group = tuple(given) if isinstance(given, Iterable) else (given,)
    if 0 < len(group) <= most and all(isinstance(w, Integral) and int(w) > 0 for w in group):
        return tuple(int(w) for w in group)
    numbers = f"one to {most} whole numbers from 1"
    if name == "hidden":
        numbers = "a whole number, at least 1"
    raise ValueError(f"{name} is {group[0] if len(group) == 1 else group}, expected {numbers}")


class Derived:
    """A network whose bounds follow from its equations.

    `explain` finds a likely mistake that explains wrong answers. The package `reference` sets it:
    it needs the faults, and these import networks.
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

    def likely(
        self,
        problems: Sequence[object],
        observed: Sequence[Mapping[str, Array]],
        outside: str,
        contract: Contract,
        say: Say,
    ) -> str:
        """Return the mistake that explains observed answers; see
        `reference.faults.likely.likely`.
        """
        return self.explain(problems, observed, outside, contract, say)


@dataclass(frozen=True, eq=False, init=False)
class Network(Derived):
    """A network with one hidden layer: h = g(W1 x1 + V1 x2 + b), o1 = f(W2 h + b_w), o2 = f(V2 h +
    b_v).

    It has one or more groups of inputs (x1, x2) and heads of outputs (o1, o2). `inputs` and
    `outputs` are widths: one number, or one for each group; `activation` is g, `output` is f. The
    masks `to_hidden` (hidden, all inputs) and `to_output` (all outputs, hidden) say which
    connections exist, all by default.

    theta is the vector of all parameters in nnet's order: for each hidden unit its bias, then the
    weights of its inputs; for each output its bias, then the weights of the hidden units. Raises
    ValueError for widths, activations or masks that make no network.
    """

    inputs: tuple[int, ...]
    hidden: int
    outputs: tuple[int, ...]
    activation: str
    output: str
    to_hidden: NDArray[np.bool_] = field(repr=False)
    to_output: NDArray[np.bool_] = field(repr=False)

    def __init__(
        self,
        inputs: int | Sequence[int],
        hidden: int,
        outputs: int | Sequence[int],
        activation: str = "tanh",
        output: str = "identity",
        to_hidden: ArrayLike | None = None,
        to_output: ArrayLike | None = None,
    ) -> None:
        sources = widths("inputs", inputs)
        (hidden,) = widths("hidden", [hidden])
        sinks = widths("outputs", outputs)
        _expect_activation("activation", activation)
        _expect_activation("output", output)
        into_hidden = _mask("to_hidden", to_hidden, (hidden, sum(sources)))
        into_output = _mask("to_output", to_output, (sum(sinks), hidden))
        values = sources, hidden, sinks, activation, output, into_hidden, into_output
        for name, value in zip(self.__dataclass_fields__, values, strict=True):
            object.__setattr__(self, name, value)

    @property
    def activations(self) -> tuple[str, str]:
        return self.activation, self.output

    @property
    def widest(self) -> int:
        """The number of terms of the longest sum that a parameter enters."""
        return max(1 + sum(self.inputs), 1 + self.hidden, sum(self.outputs))

    @property
    def added(self) -> int:
        """The largest number of matrix products and biases that are added up to one number."""
        return max(len(self.inputs) + 1, len(self.outputs))

    @cached_property
    def _places(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The position in theta of each entry of A (H, 1+I) and B (O, 1+H), -1 where there is no
        connection.

        The matrix A maps [1, inputs] to the hidden units and B maps [1, hidden units] to the
        outputs, so that their first columns are biases. H counts hidden units, I all inputs, and O
        all outputs.
        """
        A = np.pad(self.to_hidden, ((0, 0), (1, 0)), constant_values=True)
        B = np.pad(self.to_output, ((0, 0), (1, 0)), constant_values=True)
        exists = np.concatenate([A.ravel(), B.ravel()])
        places = np.where(exists, np.cumsum(exists) - 1, -1)
        return places[: A.size].reshape(A.shape), places[A.size :].reshape(B.shape)

    @cached_property
    def layout(self) -> Layout:
        """The blocks of theta, first of the hidden layer: W1 and V1 (H, inputs of the group) and b
        (H,).

        Then the blocks of each head follow: W2 (outputs of the head, H) and b_w, V2 and b_v.
        """
        A, B = self._places
        groups = np.split(A[:, 1:], np.cumsum(self.inputs)[:-1], axis=1)
        heads = np.split(B, np.cumsum(self.outputs)[:-1])
        blocks = [
            Block(f"{LETTERS[group]}1", columns, "weight", layer=1, group=group)
            for group, columns in enumerate(groups)
        ]
        blocks.append(Block("b", A[:, 0], "bias", layer=1))
        for head, rows in enumerate(heads):
            letter = LETTERS[head]
            blocks.append(Block(f"{letter}2", rows[:, 1:], "weight", layer=2, head=head))
            blocks.append(Block(f"b_{letter.lower()}", rows[:, 0], "bias", layer=2, head=head))
        return Layout(int(max(A.max(), B.max())) + 1, tuple(blocks))

    @cached_property
    def is_complete(self) -> bool:
        """Does every connection exist?"""
        return bool(self.to_hidden.all() and self.to_output.all())

    @cached_property
    def parts(self) -> tuple[Block, Block]:
        """The two matrices A (H, 1+I) and B (O, 1+H) as blocks; the first column has the bias of
        each unit.
        """
        A, B = self._places
        return Block("A", A), Block("B", B)

    def outputs_on(self, tape: Tape[V], blocks: Sequence[Node[V]], x: Node[V]) -> Node[V]:
        """Return f(B [1, g(A [1, x])]).

        x has all groups of inputs side by side, and the result all heads of outputs.
        """
        A, B = blocks
        return tape.act(self.output, tape.weigh(tape.act(self.activation, tape.weigh(x, A)), B))

    def connected(self, entries: Array) -> Array:
        """Return the entries of connections that exist (..., T), out of all entries of A and B,
        flat (..., H(1+I) + O(1+H)).
        """
        if self.is_complete:
            return entries
        exists = np.concatenate([places.ravel() for places in self._places]) >= 0
        return np.ascontiguousarray(entries[..., exists])

    def longest_sum(self, amounts: Array) -> int:
        """Return the largest total of `amounts` (T,), one for each parameter, over one row or one
        column of A or B.

        A row belongs to one unit, a column to one input or hidden unit.
        """
        longest = 0.0
        for part in self.parts:
            w = part.of(amounts)
            longest = max(longest, w.sum(axis=1).max(), w[:, 1:].sum(axis=0).max())
        return int(longest)

    def script(self) -> str:
        """Return Python text that defines `network`, a NumPy function that returns the outputs by
        head.

        The function takes the blocks of parameters and the groups of inputs, real or complex.
        """
        x = [f"x{group + 1}" for group in range(len(self.inputs))]
        hidden: list[str] = []
        heads: list[list[str]] = [[] for _ in self.outputs]
        for block in self.layout.blocks:
            terms = hidden if block.head is None else heads[block.head]
            if block.role == "bias":
                terms.append(block.name)
            else:
                factor = "h" if block.group is None else x[block.group]
                terms.append(f"{factor} @ {block.name}.T")
        outputs = [_activated(self.output, terms) for terms in heads]
        lines = (
            f"def network({', '.join([*(block.name for block in self.layout.blocks), *x])}):",
            f"    h = {_activated(self.activation, hidden)}",
            f"    return [{', '.join(outputs)}]",
        )
        return "".join(WRITTEN[act] for act in dict.fromkeys(self.activations)) + "\n".join(lines)

    def sentence(self) -> str:
        """Return the network in a few words."""
        inputs, outputs = "+".join(map(str, self.inputs)), "+".join(map(str, self.outputs))
        sparse = "" if self.is_complete else ", not all connected"
        return (
            f"{inputs}-{self.hidden}-{outputs}, {self.activation} hidden, {self.output}"
            f" outputs{sparse}"
        )


def _expect_activation(name: str, act: str) -> None:
    if act not in ACTIVATIONS:
        called = "; sigmoid is called logistic here" if act == "sigmoid" else ""
        raise ValueError(
            f"{name} {act!r} is not known, expected one of {', '.join(ACTIVATIONS)}{called}"
        )


def _mask(name: str, given: ArrayLike | None, shape: tuple[int, int]) -> NDArray[np.bool_]:
    mask = np.ones(shape, dtype=bool) if given is None else np.asarray(given, dtype=bool)
    if mask.shape != shape:
        raise ValueError(f"{name} has shape {mask.shape}, expected {shape}")
    return mask


def _activated(name: str, terms: Sequence[str]) -> str:
    total = " + ".join(terms)
    return total if name == "identity" else f"{name}({total})"
