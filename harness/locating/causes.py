"""Finds likely causes of a difference: relations of the first operation that differs to an
operation of the reference.

They show the usual mistakes in attention: a missing scale, a transposed matrix, a softmax
along another axis, a norm after a layer instead of before it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from harness.core.finding import HintKind
from harness.locating.located import locate
from harness.rules.registry import bind
from harness.shadow.places import Place
from harness.shadow.recording import Operation
from harness.shadow.shadow import Shadow
from harness.words.wording import describe_operation

NEAR = 1e-10  # of the largest number of an array: arrays that are nearer are equal
# operations that read an array beside the one that transforms it
BESIDE = ("aten::add", "aten::clone", "aten::copy", "aten::sub")
AXES = ("dim", "axis")
FEWEST = 3  # numbers of a result that may tell a factor
Cause = tuple[HintKind, str]


class Causes:
    """Compares the first operation that differs with the operations of the reference.

    `name` is the reference's name.
    """

    def __init__(self, subject: Shadow, reference: Shadow, first: Operation, name: str) -> None:
        self.subject, self.reference, self.name = subject, reference, name
        self.first, self.said = first, describe_shortly(first)
        self.inputs = read_inputs(subject, first)

    def find(self) -> list[Cause]:
        """Return the first kind of cause that fits, as a list of one; empty if none does."""
        found = [*self._find_factor(), *self._find_arguments(), *self._find_transposed()]
        likely = [(HintKind.LIKELY, sentence) for sentence in found[:1]]
        return likely or [(HintKind.NOTE, sentence) for sentence in [*self._find_order()][:1]]

    def _list_alike(self) -> Iterator[tuple[Operation, list[Tensor]]]:
        """Yield the reference's operations of the same kind and pass, with their inputs."""
        for operation in self.reference.watched.run.operations:
            alike = name_kind(operation) == name_kind(self.first)
            if alike and operation.backward == self.first.backward:
                yield operation, read_inputs(self.reference, operation)

    def _find_factor(self) -> Iterator[str]:
        """Yield whether the result is a multiple of a result of the reference."""
        mine = next(self._list_results(self.subject, [self.first]), None)
        if mine is None or mine.numel() < FEWEST or not bool(torch.isfinite(mine).all()):
            return
        operations = self.reference.watched.run.operations
        for theirs in self._list_results(self.reference, operations):
            factor = find_factor(mine, theirs)
            if factor is not None:
                digits = 7 if abs(factor - 1) > 1e-6 else 13
                yield f"the result of {self.said} is {factor:.{digits}g} times that of {self.name}"
                return

    def _list_results(self, side: Shadow, operations: Sequence[Operation]) -> Iterator[Tensor]:
        for operation in operations:
            for place in operation.results:
                if place is not None and operation.backward == self.first.backward:
                    tensor = side.replay.read(place).detach()
                    if tensor.is_floating_point():
                        yield tensor

    def _find_arguments(self) -> Iterator[str]:
        """Yield sentences on arguments that differ from those of an operation of the same kind
        with the same inputs.
        """
        for operation, inputs in self._list_alike():
            if len(inputs) == len(self.inputs) and all(map(are_equal, self.inputs, inputs)):
                own, others = read_arguments(self.first, inputs), read_arguments(operation, inputs)
                for argument in own:
                    if argument in others and own[argument] != others[argument]:
                        yield (
                            f"{argument} of {self.said} is {own[argument]}, in {self.name}"
                            f" {others[argument]}"
                        )

    def _find_transposed(self) -> Iterator[str]:
        """Yield whether an input is the transpose of that of an operation of the same kind."""
        for _, inputs in self._list_alike():
            for mine, theirs in zip(self.inputs, inputs, strict=False):
                if mine.ndim > 1 and are_equal(mine.mT, theirs) and not are_equal(mine, theirs):
                    yield f"an input of {self.said} is the transpose of that in {self.name}"

    def _find_order(self) -> Iterator[str]:
        """Yield which operation of the reference reads the same numbers, if none of the same kind
        does.
        """
        for mine in self.inputs:
            readers = self._list_readers(mine)
            if readers and name_kind(self.first) not in map(name_kind, readers):
                theirs = describe_shortly(readers[0])
                yield f"{self.name} gives the input of {self.said} to {theirs}"

    def _list_readers(self, numbers: Tensor) -> list[Operation]:
        """Return the operations of the reference that transform these numbers."""
        return [
            operation
            for operation in self.reference.watched.run.operations
            if operation.backward == self.first.backward
            and operation.functional not in BESIDE
            and any(hold_equal(numbers, each) for each in read_inputs(self.reference, operation))
        ]


def list_causes(
    subject: Shadow, reference: Shadow, first: Sequence[Operation], name: str
) -> list[Cause]:
    """Return likely causes for a difference that begins at the operations `first`; none if the
    first of them is the reference's.
    """
    if not first or first[0] not in subject.watched.run.operations:
        return []
    return Causes(subject, reference, first[0], name).find()


def describe_shortly(operation: Operation) -> str:
    """Return an operation in words, without its line of source: "tanh in hidden"."""
    return describe_operation(replace(locate(operation), source=""))


def name_kind(operation: Operation) -> str:
    """Return the name of an operation without its variant: "softmax" for "aten::_safe_softmax"."""
    return operation.functional.removeprefix("aten::").removeprefix("_").removeprefix("safe_")


def read_inputs(side: Shadow, operation: Operation) -> list[Tensor]:
    """Return the floating-point arrays that an operation reads, as repeated in float64."""
    tensors = [side.replay.read(place).detach() for place in operation.places]
    return [tensor for tensor in tensors if tensor.is_floating_point()]


def read_arguments(operation: Operation, inputs: Sequence[Tensor]) -> dict[str, Any]:
    """Return the arguments of an operation that are numbers or lists of numbers, by name; axes are
    counted from 0 along the first of its inputs.
    """
    bound = bind(operation.called, operation.args, operation.kwargs)
    numbers = {name: value for name, value in bound.items() if is_plain(value)}
    for name in AXES:
        if name in numbers and inputs and inputs[0].ndim:
            numbers[name] = count_axes(numbers[name], inputs[0].ndim)
    return numbers


def count_axes(axes: Any, ndim: int) -> Any:
    """Return an axis, or several, as numbers from 0."""
    return axes % ndim if isinstance(axes, int) else [axis % ndim for axis in axes]


def is_plain(value: Any) -> bool:
    """Is an argument a number, or several?"""
    if isinstance(value, list | tuple) and not isinstance(value, Place):
        return all(isinstance(each, int | float) for each in value)
    return isinstance(value, int | float)


def are_equal(one: Tensor, other: Tensor) -> bool:
    """Are two arrays equal, within rounding?"""
    if one.shape != other.shape or not one.numel():
        return False
    return bool((abs(one - other) <= NEAR * abs(other).max()).all())


def hold_equal(one: Tensor, other: Tensor) -> bool:
    """Are the numbers of two arrays equal in their order, though the shapes may differ?"""
    return are_equal(one.flatten(), other.flatten())


def find_factor(mine: Tensor, theirs: Tensor) -> float | None:
    """Return c if the numbers of `mine` are c times those of `theirs`, in any order, and c is not
    1; else None.

    An array of equal numbers has no factor: it is a multiple of every other such array.
    """
    if mine.numel() != theirs.numel() or not bool(theirs.any()):
        return None
    one, other = mine.flatten().sort().values, theirs.flatten().sort().values
    if one[0] == one[-1]:
        return None
    size = float(torch.linalg.vector_norm(one) / torch.linalg.vector_norm(other))
    if not size or are_equal(one, other):
        return None
    if are_equal(one, size * other):
        return size
    return -size if are_equal(one, -size * other.flip(0)) else None
