"""Finds likely causes of a difference: relations of the first operation that differs to an
operation of the reference.

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
    list_readers,
    list_results,
    name_kind,
    read_inputs,
    read_results,
)
from harness.locating.located import locate
from harness.locating.mixing import is_mixed_otherwise
from harness.locating.skipping import find_skip
from harness.rules.registry import bind
from harness.shadow.places import Place
from harness.shadow.recording import Operation
from harness.shadow.replay import Replay
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

    def __init__(self, subject: Replay, reference: Replay, first: Operation, name: str) -> None:
        self.subject, self.reference, self.name = subject, reference, name
        self.first, self.said = first, describe_shortly(first)
        self.inputs = read_inputs(subject, first)

    def find(self) -> list[Cause]:
        """Return the first kind of cause that fits, as a list of one; empty if none does."""
        for search in (
            self._find_mixture,
            self._find_factor,
            self._find_arguments,
            self._find_factor_of_input,
            self._find_transposed,
        ):
            for sentence in search():
                return [(HintKind.LIKELY, sentence)]
        return [(HintKind.NOTE, sentence) for sentence in [*self._find_order()][:1]]

    def _list_alike(self) -> Iterator[tuple[Operation, list[Tensor]]]:
        """Yield the reference's operations of the same kind and pass, with their inputs."""
        for operation in self.reference.run.operations:
            alike = name_kind(operation) == name_kind(self.first)
            if alike and operation.backward == self.first.backward:
                yield operation, read_inputs(self.reference, operation)

    def _find_factor(self) -> Iterator[str]:
        """Yield whether the result is a multiple of a result of the reference, and is used as that
        one is.
        """
        mine = next(iter(read_results(self.subject, self.first)), None)
        if mine is None or mine.numel() < FEWEST:
            return
        operations = self.reference.run.operations
        for theirs, result in list_results(self.reference, operations, self.first.backward):
            factor = find_factor(mine, result)
            if factor is not None and not self._is_used_otherwise(theirs):
                yield f"the result of {self.said} is {_format(factor)} times that of {self.name}"
                return

    def _is_used_otherwise(self, theirs: Operation) -> bool:
        """Is the result of an operation of the reference read beside other numbers than the result
        of the subject's, by an operation of the same kind?
        """
        pairs = [
            (
                _read_beside(self.subject, reader, self.first),
                _read_beside(self.reference, other, theirs),
            )
            for reader in list_readers(self.subject, self.first)
            for other in list_readers(self.reference, theirs)
            if name_kind(reader) == name_kind(other)
        ]
        return bool(pairs) and not any(_fit(*pair) for pair in pairs)

    def _find_factor_of_input(self) -> Iterator[str]:
        """Yield whether one input is a multiple of that of an operation of the same kind, and the
        others are equal.
        """
        for _, inputs in self._list_alike():
            if len(inputs) != len(self.inputs):
                continue
            pairs = zip(self.inputs, inputs, strict=True)
            apart = [pair for pair in pairs if not are_equal(*pair)]
            factor = find_factor(*apart[0]) if len(apart) == 1 else None
            if factor is not None and apart[0][0].numel() >= FEWEST:
                yield f"an input of {self.said} is {_format(factor)} times that in {self.name}"

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

    def _find_mixture(self) -> Iterator[str]:
        """Yield whether two arrays are mixed with exchanged weights."""
        forward = not self.first.backward
        if forward and is_mixed_otherwise(self.subject, self.reference, self.first):
            yield (
                f"{self.said} belongs to a mixture of two arrays, by z and 1 - z; in {self.name}"
                " they are exchanged"
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
        return Causes(subject.replay, reference.replay, first[0], name).find()
    skip = find_skip(subject.replay, reference.replay, first)
    if skip is None:
        return []
    skipped, reader = describe_shortly(skip.skipped), describe_shortly(skip.reader)
    return [(HintKind.LIKELY, f"{name} computes {skipped} before {reader}, the model does not")]


def _format(factor: float) -> str:
    return f"{factor:.{7 if abs(factor - 1) > 1e-6 else 13}g}"


def _read_beside(side: Replay, reader: Operation, operation: Operation) -> list[Tensor]:
    """Return the floating-point arrays that a reader of an operation's result reads besides."""
    versions = {place.version for place in filter(None, operation.results)}
    arrays = [side.read(place).detach() for place in reader.places if place.version not in versions]
    return [array for array in arrays if array.is_floating_point()]


def _fit(mine: Sequence[Tensor], theirs: Sequence[Tensor]) -> bool:
    """Are the arrays of two sides equal, or multiples of each other?"""
    return len(mine) == len(theirs) and all(
        are_equal(one, other) or find_factor(one, other) is not None
        for one, other in zip(mine, theirs, strict=True)
    )


def describe_shortly(operation: Operation) -> str:
    """Return an operation in words, without its line of source: "tanh in hidden"."""
    return describe_operation(replace(locate(operation), source=""))


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
