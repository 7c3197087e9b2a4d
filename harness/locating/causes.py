"""Finds likely causes of a difference: relations of the first operation that differs to an
operation of the reference. Each must explain the whole difference.

They show usual mistakes. Examples are a missing scale, a residual that is not added, a transposed
matrix, a softmax along another axis, and exchanged weights of a gate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from harness.core.finding import HintKind
from harness.locating.alike import (
    FEWEST,
    are_equal,
    find_factor,
    hold_equal,
    list_results,
    name_kind,
    read_inputs,
    read_results,
)
from harness.locating.located import locate
from harness.locating.mending import Mended, is_explained, repeat_with
from harness.locating.mixing import EXCHANGED, find_mixtures, follow
from harness.locating.norms import list_norm_steps, read_variance, repeat_with_eps
from harness.locating.skipping import find_skip
from harness.rules.registry import bind
from harness.shadow.places import Place
from harness.shadow.recording import Operation
from harness.shadow.replay import Replay, Results
from harness.shadow.shadow import Shadow
from harness.words.wording import describe_operation

# operations that read an array beside the one that transforms it
BESIDE = ("aten::add", "aten::clone", "aten::copy", "aten::sub")
AXES = ("dim", "axis")
Cause = tuple[HintKind, str]


class Causes:
    """Compares the first operation that differs with the operations of the reference.

    `name` is the reference's name.
    """

    def __init__(self, subject: Shadow, reference: Shadow, first: Operation, name: str) -> None:
        self.shadows = subject, reference
        self.subject, self.reference, self.name = subject.replay, reference.replay, name
        self.first, self.said = first, describe_shortly(first)
        self.inputs = read_inputs(self.subject, first)

    def find(self) -> list[Cause]:
        """Return the first mistake that explains the whole difference, as a list of one; empty if
        none does.
        """
        mixtures = [] if self.first.backward else follow(self.subject, self.first)
        tried = [(find_mixtures(self.reference), each) for each in mixtures]
        searches = (
            self._find_eps,
            self._find_factor,
            self._find_arguments,
            self._find_factor_of_input,
            self._find_transposed,
        )
        for search, operation in [*tried, *((each, self.first) for each in searches)]:
            for said in dict.fromkeys(each.said for each in search(self.subject, operation)):
                if is_explained(*self.shadows, operation, said, search):
                    ends = f"; in {self.name} they are exchanged" if said == EXCHANGED else ""
                    return [(HintKind.LIKELY, said.format(self.said) + ends)]
        return [(HintKind.NOTE, sentence) for sentence in [*self._find_order()][:1]]

    def _list_alike(self) -> Iterator[tuple[Operation, list[Tensor]]]:
        """Yield the reference's operations of the same kind and pass, with their inputs."""
        for operation in self.reference.run.operations:
            alike = name_kind(operation) == name_kind(self.first)
            if alike and operation.backward == self.first.backward:
                yield operation, read_inputs(self.reference, operation)

    def _find_eps(self, side: Replay, operation: Operation) -> Iterator[Mended]:
        """Yield which eps the reference adds to the same variance, by a norm or by a sum."""
        mine = read_variance(side, operation)
        if mine is None:
            return
        for other in self.reference.run.operations:
            if name_kind(operation) == name_kind(other) == "add":
                continue  # any constant, not eps
            theirs = read_variance(self.reference, other)
            if theirs and theirs[1] != mine[1] and hold_equal(mine[0], theirs[0]):
                said = f"eps is {mine[1]:g} in {{}}, in {self.name} it is {theirs[1]:g}"
                results = repeat_with_eps(side, operation, theirs[1])
                yield Mended(f"{said} ({name_kind(other)})", results)

    def _find_factor(self, side: Replay, operation: Operation) -> Iterator[Mended]:
        """Yield by which factors the result is a multiple of results of the reference."""
        results = read_results(side, operation)
        if not results or results[0].numel() < FEWEST:
            return
        operations = self.reference.run.operations
        computed = list_results(self.reference, operations, operation.backward)
        inside = [] if operation.backward else list_norm_steps(self.reference)
        for theirs in (*(each for _, each in computed), *inside):
            factor = find_factor(results[0], theirs)
            if factor is not None:
                said = f"the result of {{}} is {_format(factor)} times that of {self.name}"
                yield Mended(said, (results[0] / factor,))

    def _find_factor_of_input(self, side: Replay, operation: Operation) -> Iterator[Mended]:
        """Yield whether one input is a multiple of that of an operation of the same kind, and the
        others are equal.
        """
        for number, mine, theirs in self._list_apart(side, operation):
            factor = find_factor(mine, theirs)
            if factor is not None and mine.numel() >= FEWEST:
                said = f"an input of {{}} is {_format(factor)} times that in {self.name}"
                yield Mended(said, _replace(side, operation, number, mine / factor))

    def _find_transposed(self, side: Replay, operation: Operation) -> Iterator[Mended]:
        """Yield whether an input is the transpose of that of an operation of the same kind."""
        for number, mine, theirs in self._list_apart(side, operation):
            if mine.ndim > 1 and are_equal(mine.mT, theirs):
                said = f"an input of {{}} is the transpose of that in {self.name}"
                yield Mended(said, _replace(side, operation, number, mine.mT))

    def _list_apart(
        self, side: Replay, operation: Operation
    ) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Yield the only input that differs from that of an operation of the same kind, its number
        among the floating-point inputs, and the other.
        """
        inputs = read_inputs(side, operation)
        for _, others in self._list_alike():
            if len(inputs) == len(others):
                pairs = list(enumerate(zip(inputs, others, strict=True)))
                apart = [(number, *pair) for number, pair in pairs if not are_equal(*pair)]
                if len(apart) == 1:
                    yield apart[0]

    def _find_arguments(self, side: Replay, operation: Operation) -> Iterator[Mended]:
        """Yield sentences on arguments that differ from those of an operation of the same kind
        with the same inputs.
        """
        inputs = read_inputs(side, operation)
        own = read_arguments(operation, inputs)
        for theirs, others in self._list_alike():
            if len(others) == len(inputs) and all(map(are_equal, inputs, others)):
                given = read_arguments(theirs, others)
                for argument in own:
                    if argument in given and own[argument] != given[argument]:
                        said = f"{argument} of {{}} is {own[argument]}, in {self.name}"
                        results = repeat_with(theirs, [*map(side.read, operation.places)])
                        yield Mended(f"{said} {given[argument]}", results)

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
            for operation in self.reference.run.operations
            if operation.backward == self.first.backward
            and operation.functional not in BESIDE
            and any(hold_equal(numbers, each) for each in read_inputs(self.reference, operation))
        ]


def list_causes(
    subject: Shadow, reference: Shadow, first: Sequence[Operation], name: str
) -> list[Cause]:
    """Return likely causes for a difference that begins at the operations `first`.

    If they are the reference's, that is an operation that the subject skips, or none.
    """
    if not first:
        return []
    if first[0] in subject.watched.run.operations:
        return Causes(subject, reference, first[0], name).find()
    skip = find_skip(subject, reference, first, {})
    if skip is None:
        return []
    skipped = describe_shortly(skip.skipped)
    reader = describe_shortly(skip.name_reader(subject.replay))
    return [(HintKind.LIKELY, f"{name} computes {skipped} before {reader}, the model does not")]


def _format(factor: float) -> str:
    return f"{factor:.{7 if abs(factor - 1) > 1e-6 else 13}g}"


def _replace(side: Replay, operation: Operation, number: int, array: Tensor) -> Results:
    """Return the results of an operation with an array for one of its floating-point inputs."""
    arrays = [side.read(place) for place in operation.places]
    real = [each for each, one in enumerate(arrays) if one.is_floating_point()]
    arrays[real[number]] = array
    return repeat_with(operation, arrays)


def describe_shortly(operation: Operation) -> str:
    """Return an operation in words, without its line of source: "tanh in hidden"."""
    return describe_operation(replace(locate(operation), source=""))


def read_arguments(operation: Operation, inputs: Sequence[Tensor]) -> dict[str, Any]:
    """Return the arguments of an operation that are numbers, words or lists of numbers, by name.
    Axes are counted from 0 along the first of its inputs.
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
    """Is an argument a number, a word as "tanh", or several numbers?"""
    if isinstance(value, list | tuple) and not isinstance(value, Place):
        return all(isinstance(each, int | float) for each in value)
    return isinstance(value, int | float | str)
