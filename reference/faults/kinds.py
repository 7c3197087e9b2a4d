"""Kinds of faults: the equations with one mistake, in the meaning of parameters, in a number, in an
activation or in an answer.

In shapes, D counts draws (problems of a stack), R rows of data, and I inputs of all groups; T
counts the network's parameters, which form the vector theta.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any, ClassVar

import numpy as np

from harness.arithmetic.plain import Plain
from harness.core.contract import Array, Contract
from harness.core.formulation import Family, Formulation
from harness.core.layout import Block, Layout
from harness.core.linear import LinearMap
from harness.core.loss import ERRORS, Loss
from harness.core.problem import QUANTITIES, Problem
from reference.mathematics.equations import evaluate
from reference.mathematics.questions import at_theta

Answers = dict[str, Array]
Blocks = Mapping[Block, Array]
SLOPES = ("gradient", "input_gradient")


def solve(
    problem: Problem,
    contract: Contract,
    arithmetic: Callable[[Contract], Plain] = Plain,
    equations: Callable[..., Answers] = evaluate,
) -> Answers:
    """Return every quantity (outputs, loss, gradients) of a problem, computed by the equations at
    theta, the network's parameters.

    `contract` declares properties of the arithmetic, and `arithmetic` makes the arithmetic from it:
    ordinary by default.
    """
    with np.errstate(all="ignore"):
        answers = equations(arithmetic(contract), at_theta(problem))
    return {name: np.asarray(answers[name], dtype=np.float64) for name in QUANTITIES}


def undecayed(problem: Problem) -> Problem:
    """Return a copy of the problem in which the loss has no weight decay."""
    return replace(problem, loss=replace(problem.loss, decay=0.0))


def decayed(answers: Answers, problem: Problem) -> Answers:
    """Return a copy of answers, computed without weight decay, to which the problem's decay is
    added.

    It acts on the right parameters, even if a mistake has read other ones.
    """
    if not problem.loss.has_decay:
        return answers
    decays, theta = problem.decays, problem.theta
    return {
        **answers,
        "loss": answers["loss"] + (decays * theta**2).sum(axis=1),
        "gradient": answers["gradient"] + 2 * decays * theta,
    }


# What a mistake changes: one kind of fault each.


@dataclass(frozen=True)
class Fault(ABC):
    """One mistake: its name, a description in words, its change, and the first quantity that it
    spoils.

    `change` is a function; each kind of fault (a subclass) applies it to other numbers. A `sized`
    fault has no size yet: `at` returns one with a size, relative to the number that it changes.
    `errors` are the errors of losses that can have it, all by default.
    """

    name: str
    words: str
    change: Callable[..., Any]
    spoils: str = "forward"
    sized: bool = False
    size: float | None = None
    errors: tuple[str, ...] = field(default=ERRORS, kw_only=True)
    across_draws: ClassVar[bool] = False  # may it take one draw's answers for another's?

    def at(self, size: float) -> Fault:
        """Return a copy of this sized fault (a mistake) with a size, relative to the number that it
        changes.
        """
        spelled = f"{size:.0e}".replace("e-0", "e-")
        words, change = f"{self.words} off by {spelled}", partial(self.change, size)
        return replace(
            self, name=f"{self.name}_{spelled}", words=words, change=change, sized=False, size=size
        )

    @abstractmethod
    def run(self, problem: Problem, contract: Contract) -> Answers:
        """Return every quantity, computed by the equations with the mistake; the gradient (D, T) is
        by theta, the network's parameters.

        D counts draws (problems of a stack) and T the network's parameters.
        """

    def fits(self, network: Family) -> bool:
        """Can a network have this fault (a mistake)?"""
        return True

    def suits(self, loss: Loss, network: Family) -> bool:
        """Can a loss of the network's outputs have this fault (a mistake)?"""
        return set(loss.errors(1)) <= set(self.errors)


class OnBlocks(Fault):
    """A change of blocks of parameters: `change` takes arrays by block and returns arrays by block.

    A network cannot have this fault (a mistake) if the change does nothing in it, or if it lacks
    the blocks.
    """

    def changed(self, layout: Layout, vectors: Array) -> Array:
        """Return a copy of parameter vectors (D, T) in which the mistake is made.

        D counts draws (problems of a stack) and T the network's parameters.
        """
        rows = [
            layout.join(_change_by_name(self.change, layout, layout.split(vector)))
            for vector in vectors
        ]
        return np.stack(rows)

    def fits(self, network: Family) -> bool:
        numbers = 1.0 + np.arange(network.layout.size)[None] / 3
        try:
            return bool((self.changed(network.layout, numbers) != numbers).any())
        except (KeyError, IndexError, ValueError):  # no such block, no such column, another shape
            return False


class Misread(OnBlocks):
    """An implementation takes parameters for others, such as a matrix for its transpose. Its
    gradient is right for the parameters that it has read.
    """

    def run(self, problem: Problem, contract: Contract) -> Answers:
        mistaken = reading(problem.network, self.change)
        read = replace(undecayed(at_theta(problem)), formulation=mistaken)
        answers = solve(read, contract)
        slope = mistaken.pull_back(answers["gradient"])
        return decayed({**answers, "gradient": slope}, problem)


@cache
def reading(network: Family, change: Callable[[Blocks], Blocks]) -> Formulation:
    """Return the map from the right parameters to the parameters as the mistake reads them:
    `change` applied to the network's blocks.
    """
    layout = network.layout
    meaning = partial(_change_by_name, change, layout)
    return Formulation.from_meaning(layout, network, meaning, idle=True)


def _change_by_name(
    change: Callable[[Blocks], Blocks], layout: Layout, tensors: Mapping[str, Array]
) -> dict[str, Array]:
    blocks = {block: tensors[block.name] for block in layout.blocks}
    return {block.name: array for block, array in change(blocks).items()}


class Off(OnBlocks):
    """An implementation that computes with wrong numbers in its parameters."""

    def run(self, problem: Problem, contract: Contract) -> Answers:
        asked = undecayed(at_theta(problem))
        other = self.changed(asked.network.layout, asked.own)
        return decayed(solve(replace(asked, own=other), contract), problem)


@dataclass(frozen=True)
class Slope(OnBlocks):
    """A gradient with wrongly assembled blocks (its parts for single parameter tensors)."""

    spoils: str = "gradient"

    def run(self, problem: Problem, contract: Contract) -> Answers:
        answers = solve(undecayed(problem), contract)
        slope = self.changed(problem.network.layout, answers["gradient"])
        return decayed({**answers, "gradient": slope}, problem)


@dataclass(frozen=True)
class Answer(Fault):
    """Wrong answers computed from right ones.

    `change` takes answers by quantity and the problem, and returns the wrong answers. It rounds
    each number at most `roundings` times. `kept_in` is the dtype in which the answers are stored,
    if it is not that of the computation.
    """

    roundings: Callable[[Problem], float] = lambda problem: 6.0
    kept_in: str = ""
    across_draws: ClassVar[bool] = True

    def run(self, problem: Problem, contract: Contract) -> Answers:
        answers: Answers = self.change(solve(problem, contract), problem)
        return answers


class Posed(Fault):
    """Right answers to a wrong problem: `change` takes the problem and returns the wrong one."""

    def run(self, problem: Problem, contract: Contract) -> Answers:
        return solve(self.change(problem), contract)


@dataclass(frozen=True)
class Data(Fault):
    """Inputs or targets (D, R, ...) that are read wrongly; `part` is the name of either.

    `matrix` returns the linear map that `change` is, for inputs of a shape (R, I), both flattened;
    it is needed unless each input as read is one given input times a factor. D counts draws
    (problems of a stack), R rows of data and I inputs of all groups.
    """

    part: str = "inputs"
    matrix: Callable[[tuple[int, ...]], LinearMap] | None = None
    backward: Callable[[Array], Array] | None = None

    def fits(self, network: Family) -> bool:
        widths = network.inputs if self.part == "inputs" else network.outputs
        numbers = 1.0 + np.arange(2 * sum(widths)).reshape(1, 2, -1)
        return bool((self.change(numbers) != numbers).any())

    def run(self, problem: Problem, contract: Contract) -> Answers:
        changed = {self.part: self.change(getattr(problem, self.part))}
        answers = solve(replace(problem, **changed), contract)
        if self.part != "inputs":
            return answers
        return {**answers, "input_gradient": self.back(answers["input_gradient"])}

    def reads(self, shape: tuple[int, ...]) -> LinearMap:
        """Return the linear map from the given inputs (R, I) to those read, both flattened.

        R counts rows of data and I inputs of all groups.
        """
        if self.matrix is not None:
            return self.matrix(shape)
        size = int(np.prod(shape))
        factor = self.change(np.ones((1, *shape))).ravel()
        numbered = self.change(np.arange(size).reshape(1, *shape)).ravel()
        given = np.rint(numbered / factor).astype(int)
        return LinearMap(factor, given, np.arange(size + 1), (size, size))

    def back(self, slope: Array) -> Array:
        """Return the gradient by the given inputs, computed from the gradient (D, R, I) by the
        inputs as they are read.

        D counts draws (problems of a stack), R rows of data and I inputs of all groups.
        """
        if self.backward is not None:
            return self.backward(slope)
        flat = slope.reshape(len(slope), -1)
        return self.reads(slope.shape[1:]).transpose(flat).reshape(slope.shape)


@dataclass(frozen=True)
class Hidden(Fault):
    """Another activation of one layer, instead of an activation in `of`.

    `change` takes z, the right activation h and its derivative (None is 1), and returns another h
    and its derivative. `layer` is the number of the activation in the network, from 0.
    """

    of: str = "tanh logistic relu"
    layer: int = 0

    def fits(self, network: Family) -> bool:
        names = network.activations
        return self.layer < len(names) and names[self.layer] in self.of.split()

    def number_in(self, network: Family) -> int:
        """Return the number of activations other than the identity before this one in the
        network.
        """
        return sum(name != "identity" for name in network.activations[: self.layer])

    def run(self, problem: Problem, contract: Contract) -> Answers:
        number = self.number_in(problem.network)
        return solve(problem, contract, partial(_Replaced, self.change, number))


class _Replaced(Plain):
    """Ordinary arithmetic with one activation replaced.

    `which` is the number of the replaced activation, from 0; the identity is not counted.
    """

    def __init__(self, replacement: Callable[..., Any], which: int, contract: Contract) -> None:
        super().__init__(contract)
        self.replacement, self.left = replacement, which

    def act(self, name: str, z: Array) -> tuple[Array, Any]:
        h, d = super().act(name, z)
        if name == "identity":
            return h, d
        self.left -= 1
        if self.left == -1:
            h, d = self.replacement(z, h, d)
        return h, d
