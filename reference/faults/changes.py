"""Changes that mistakes make to arrays, to blocks of parameters, and to answers."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.core.contract import Array
from harness.core.layout import Block, Role
from harness.core.problem import Problem
from reference.faults.kinds import Answers, Blocks

Change = Callable[[Array], Array]
ChangeOfBlocks = Callable[[Blocks], Blocks]
ChangeOfAnswers = Callable[[Answers, Problem], Answers]


@dataclass(frozen=True)
class Which:
    """A choice of one block (parameter tensor) of a network with one hidden layer, by its role,
    layer, group of inputs and head (output tensor).
    """

    name: str
    role: Role
    layer: int
    group: int | None = None
    head: int | None = None

    def among(self, blocks: Iterable[Block]) -> Block:
        """Return the chosen block (parameter tensor). Raises KeyError if the network does not have
        it.
        """
        wanted = self.role, self.layer, self.group, self.head
        for block in blocks:
            if (block.role, block.layer, block.group, block.head) == wanted:
                return block
        raise KeyError(self.name)


W1 = Which("W1", "weight", layer=1, group=0)
V1 = Which("V1", "weight", layer=1, group=1)
B = Which("b", "bias", layer=1)
W2 = Which("W2", "weight", layer=2, head=0)
V2 = Which("V2", "weight", layer=2, head=1)
B_W = Which("b_w", "bias", layer=2, head=0)
B_V = Which("b_v", "bias", layer=2, head=1)
S1_W = Which("S1_w", "weight", layer=2, group=0, head=0)


@dataclass(frozen=True)
class Named:
    """A choice of one block of any network, by its name."""

    name: str

    def among(self, blocks: Iterable[Block]) -> Block:
        """Return the chosen block (parameter tensor). Raises KeyError if the network does not have
        it.
        """
        for block in blocks:
            if block.name == self.name:
                return block
        raise KeyError(self.name)


def change_block(which: Which | Named, change: Change) -> ChangeOfBlocks:
    """Return a function that applies `change` to one block (parameter tensor) and leaves all
    others.
    """

    def changed(p: Blocks) -> Blocks:
        block = which.among(p)
        return {**p, block: change(p[block])}

    return changed


def change_first_entry(which: Which | Named, change: Change) -> ChangeOfBlocks:
    """Return a function that changes the first nonzero entry of a block (a parameter tensor), or
    its first entry if all are 0.
    """

    def changed(w: Array) -> Array:
        first = np.arange(w.size).reshape(w.shape) == np.argmax(w.ravel() != 0)
        return np.where(first, change(w), w)

    return change_block(which, changed)


def swap_blocks(*pairs: tuple[Which, Which]) -> ChangeOfBlocks:
    """Return a function that exchanges the two blocks (parameter tensors) of each pair."""

    def swapped(p: Blocks) -> Blocks:
        changed = dict(p)
        for one, other in pairs:
            a, b = one.among(p), other.among(p)
            changed[a], changed[b] = p[b], p[a]
        return changed

    return swapped


def change_answers(quantities: Sequence[str], change: Change) -> ChangeOfAnswers:
    """Return a function that applies `change` to the answers of some quantities and leaves all
    others.
    """

    def changed(answers: Answers, problem: Problem) -> Answers:
        found = dict(answers)
        for name in quantities:
            found[name] = change(answers[name])
        return found

    return changed


def multiply_by(factor: float) -> Change:
    """Return a function that multiplies an array by a factor."""
    return lambda w: w * factor


def multiply_by_size(where: Callable[[Change], Callable[..., Any]]) -> Callable[..., Any]:
    """Return a function that takes a relative size and returns a change: it multiplies numbers by 1
    + size.

    `where` applies a change to a block (a parameter tensor) or to answers.
    """
    return lambda size, *given: where(multiply_by(1 + size))(*given)


def column_order(w: Array) -> Array:
    """Return a matrix (n, k) with the same numbers in another order: they are taken row by row and
    filled in column by column, as R does.
    """
    return w.ravel().reshape(w.shape[::-1]).T


def roll(w: Array) -> Array:
    """Return an array with its entries shifted by one along its last axis."""
    return np.roll(w, 1, -1)


def reverse_rows(x: Array) -> Array:
    """Return data (D, R, n) with the R rows of each draw in reverse order.

    D counts draws (single problems).
    """
    return x[:, ::-1]
