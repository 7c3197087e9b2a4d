"""Collects a model's answers to a problem, draw by draw.

A draw is one problem of a stack: parameters, inputs and targets for one evaluation. Own parameters
are the model's own tensors. In shapes, D counts draws, R rows, I inputs, O outputs, and P own
parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from harness.calling.modes import have_same_numbers
from harness.core.contract import Array
from harness.core.implementation import Missing, Observation
from harness.core.problem import QUANTITIES, Problem
from harness.model.module import Model
from harness.model.tensors import to_array

if TYPE_CHECKING:
    from torch import Tensor

Tensors = Mapping[str, Sequence["Tensor"]]  # by quantity


class Draw(NamedTuple):
    """One draw of a problem as tensors.

    `values` has the numbers of each own parameter tensor, `inputs` each input tensor (R, I), and
    `targets` the targets of each output tensor. `number` is the draw's position in the stack. With
    `as_trained`, the model is called in its other modes too (no_grad, eval), and its gradient is
    computed by backward(). `layout` is the memory layout of the inputs and targets, "" if
    contiguous. `neighbours` are the inputs of another draw. `room` has an empty tensor for the
    gradient by each parameter and input. `turn` is the number of earlier draws at which the model
    was called; None if it shall be called in no further mode.
    """

    number: int
    values: list[Tensor]
    inputs: list[Tensor]
    targets: list[Tensor]
    neighbours: list[Tensor]
    room: list[Tensor]
    as_trained: bool
    layout: str = ""
    turn: int | None = None


class Repeat(NamedTuple):
    """The answers to one quantity in a repeated call, if they differ from the first call's.

    `when` is the end of the sentence that reports how the repeated call differs.
    """

    when: str
    quantity: str
    tensors: Sequence[Tensor]


class DrawAnswers:
    """The answers at one draw.

    `tensors` has the answers by quantity. `failed` is the first quantity that raised an error, and
    `error` that error. `repeats` are repeated calls with other answers. `asked` names the modes in
    which the model was called. `conditions` has, by condition (such as a layout), the end of the
    sentence that reports a wrong answer.
    """

    def __init__(self) -> None:
        self.tensors: dict[str, Sequence[Tensor]] = {}
        self.failed = ""
        self.error: Exception | None = None
        self.repeats: list[Repeat] = []
        self.asked: set[str] = set()
        self.conditions: dict[str, str] = {}

    def compare(self, when: str, first: Tensors, again: Tensors) -> None:
        """Add the answers of a repeated call (`again`, by quantity) that differ in any bit from
        those of the first call (`first`).

        `when` is the end of the sentence that reports them.
        """
        for quantity, tensors in again.items():
            if not have_same_numbers(first[quantity], tensors):
                self.repeats.append(Repeat(when, quantity, tensors))


class StackAnswers:
    """The answers at all draws of a problem, or at every draw of a multiple of `step`.

    The answers at the other draws are those of one call for the whole stack, see `add_stack`.
    """

    def __init__(self, model: Model, problem: Problem, step: int = 1) -> None:
        self.model, self.problem, self.step = model, problem, step
        self.stack: Tensors = {}
        self.stack_words = ""
        self.in_stack: dict[str, Array] = {}  # by quantity, where other than alone
        self.tensors: dict[str, list[Sequence[Tensor]]] = {name: [] for name in QUANTITIES}
        self.missing: dict[str, Missing] = {}
        self.repeats: list[tuple[int, Repeat]] = []
        self.asked: set[str] = set()
        self.conditions: dict[str, dict[int, str]] = {}

    def add(self, number: int, answers: DrawAnswers) -> None:
        """Add the answers at one draw; `number` is its position in the stack."""
        for quantity, tensors in answers.tensors.items():
            self.tensors[quantity].append(tensors)
        if answers.error is not None:
            reason = self.model.describe_error(answers.error, self.problem)
            self.missing.setdefault(answers.failed, reason)
        for repeat in answers.repeats:
            self.repeats.append((number, repeat))
        self.asked |= answers.asked
        for condition, words in answers.conditions.items():
            self.conditions.setdefault(condition, {})[number] = words

    def add_stack(self, condition: str, words: str, stack: Tensors) -> None:
        """Add the answers of one call for all D draws by quantity, tensors (D, ...).

        Draws that were evaluated alone keep their answers; the call counts as a repeated one there,
        if its answers differ. `words` are the end of the sentence that reports other answers, and
        `condition` is the name of the condition under which the other draws were evaluated.
        """
        self.stack, self.stack_words = stack, words
        self.asked.add("a stack of draws in one call")
        draws = range(self.problem.draws)
        others = {number: words for number in draws if number % self.step}
        if others:
            self.conditions[condition] = others

    def observation(self) -> Observation:
        """Return the observation: each quantity that has an answer at every draw.

        Other quantities are left out. The observation's reason for missing answers is the reason of
        the first quantity left out, in the order of QUANTITIES.
        """
        arrays = self._join()
        reasons = (self.missing[name] for name in QUANTITIES if name in self.missing)
        others: dict[str, dict[str, Array]] = {}
        for number, (when, quantity, tensors) in self.repeats:
            if quantity not in arrays:
                continue
            answers = others.setdefault(when, {})
            if quantity not in answers:
                answers[quantity] = arrays[quantity].copy()
            answers[quantity][number] = _join_parts(tensors, *arrays[quantity].shape[1:])
        if self.in_stack:
            others[self.stack_words] = self.in_stack
        return Observation(
            arrays,
            next(reasons, None),
            by_own=True,
            others=others,
            asked=frozenset(self.asked),
            conditions=self.conditions,
        )

    def _join(self) -> dict[str, Array]:
        """Join each quantity that has an answer at every draw to one array."""
        problem = self.problem
        by_row = (problem.draws, problem.rows, -1)
        shapes: tuple[tuple[int, ...], ...] = by_row, (problem.draws,), (problem.draws, -1), by_row
        arrays: dict[str, Array] = {}
        for quantity, shape in zip(QUANTITIES, shapes, strict=True):
            draws = self.tensors[quantity]
            if len(draws) != len(range(0, problem.draws, self.step)):
                continue
            try:
                array = _stack(draws, (len(draws), *shape[1:]))
                if self.stack:
                    alone, array = array, to_array(self.stack[quantity], *shape)
                    if not np.array_equal(alone, array[:: self.step], equal_nan=True):
                        self.in_stack[quantity] = array
                        array = array.copy()
                    array[:: self.step] = alone
                arrays[quantity] = array
            except Exception as error:  # numbers that cannot be read, as on the meta device
                reason = self.model.describe_error(error, problem)
                self.missing.setdefault(quantity, reason)
        return arrays


def _stack(draws: Sequence[Sequence[Tensor]], shape: tuple[int, ...]) -> Array:
    """Join the tensors of all draws into one array of this shape.

    Each draw is a list of tensors: one for each parameter (gradients), input tensor or output
    tensor. They are joined along the last axis.
    """
    import torch

    stacks = [torch.stack(parts) for parts in zip(*draws, strict=True)]
    return to_array(stacks, *shape)


def _join_parts(tensors: Sequence[Tensor], *shape: int) -> Array:
    """Join the tensors of one draw (outputs, loss or gradients) along the last axis, reshaped to
    `shape`.
    """
    if len(shape) < 2:
        return to_array(tensors, -1).reshape(shape)
    return to_array(tensors, shape[0], -1)
