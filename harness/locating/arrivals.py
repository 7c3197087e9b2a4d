"""Traces a wrong input of a layer back to the layer that passed it on, in another order or too
early.

A part that is left out, or that permutes numbers, computes no new number. So the search by numbers
stops at the next layer, whose results differ. The inputs of that layer show the cause: one of them
is an array that its producer's layer never passes on in the reference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from torch import Tensor

from harness.shadow.places import list_places
from harness.shadow.recording import Operation
from harness.shadow.replay import Replay

Layer = tuple[str, bool]  # its name, and whether it runs backwards
NEAR = 1e-9  # of the largest number of an array: arrays that are nearer are equal


class Arrivals:
    """The arrays that each layer of a run reads, and the operation that computed each of them."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self.makers: dict[int, Operation] = {}
        self.read: dict[Layer, list[Tensor]] = defaultdict(list)
        for operation in replay.run.operations:
            self.read[operation.layer, operation.backward] += self.list_given(operation).values()
            for place in operation.results:
                if place is not None:
                    self.makers[place.version] = operation

    def list_passed_on(self, layer: str, backward: bool) -> list[Tensor]:
        """Return the arrays of a layer that other layers read; all arrays if `layer` is "", the
        whole model.

        `backward` chooses the arrays of the backward pass.
        """
        return [
            array
            for (reader, back), arrays in self.read.items()
            for array in arrays
            if back == backward and (reader != layer or not layer)
        ]

    def list_given(self, operation: Operation) -> dict[Operation, Tensor]:
        """Return the floating-point arrays that an operation reads, by the operation that computed
        each.
        """
        tensors = {}
        for place in list_places((operation.args, operation.kwargs)):
            maker = self.makers.get(place.version)
            tensor = self.replay.read(place).detach()
            if maker is not None and tensor.is_floating_point():
                tensors[maker] = tensor
        return tensors


def trace_arrivals(
    subject: Replay, reference: Replay, operations: Sequence[Operation]
) -> list[Operation]:
    """Return the operations to blame: for each of the given operations itself, or the operations
    that computed its inputs.

    The latter are blamed if these inputs occur nowhere among the numbers that the reference's
    layers of the same name pass on.
    """
    if not operations:
        return []
    mine, theirs = Arrivals(subject), Arrivals(reference)
    found: dict[Operation, None] = {}
    waiting, seen = list(reversed(operations)), set()
    while waiting:
        operation = waiting.pop()
        if operation in seen:
            continue
        seen.add(operation)
        wrong = [
            maker
            for maker, tensor in mine.list_given(operation).items()
            if maker.layer != operation.layer
            and is_another(tensor, theirs.list_passed_on(maker.layer, operation.backward))
        ]
        if wrong:
            waiting += wrong
        else:
            found[operation] = None
    order = {operation: number for number, operation in enumerate(subject.run.operations)}
    return sorted(found, key=lambda one: order[one])


def is_another(tensor: Tensor, known: Sequence[Tensor]) -> bool:
    """Does a tensor differ from all of the `known` arrays with its shape, or with the shape of its
    transpose?

    Return False if there are no such arrays, or if an array of another shape has the same numbers:
    it may be the tensor itself.
    """
    forms = [tensor, tensor.mT] if tensor.ndim > 1 else [tensor]
    alike = [(form, each) for form in forms for each in known if each.shape == form.shape]
    if not alike or any(is_equal(one, other) for one, other in alike):
        return False
    shapes = [form.shape for form in forms]
    others = [each for each in known if each.numel() == tensor.numel() and each.shape not in shapes]
    ordered = tensor.flatten().sort().values
    return not any(is_equal(ordered, each.flatten().sort().values) for each in others)


def is_equal(one: Tensor, other: Tensor) -> bool:
    """Are two arrays of one shape equal, within rounding?"""
    if not one.numel():
        return True
    difference = abs(one - other).nan_to_num(0.0, posinf=0.0, neginf=0.0)
    size = abs(other).nan_to_num(0.0, posinf=0.0, neginf=0.0)
    return bool(difference.max() <= NEAR * size.max())
