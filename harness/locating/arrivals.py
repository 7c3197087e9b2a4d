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

from harness.locating.alike import is_near
from harness.shadow.places import Place, list_places
from harness.shadow.recording import Operation
from harness.shadow.replay import Replay

Layer = tuple[str, bool]  # its name, and whether it runs backwards
Time = tuple[int, int]  # the numbers of operations and of views before it
NEAR = 1e-9  # of the largest number of an array: arrays that are nearer are equal


class Arrivals:
    """The arrays that each layer of a run reads from other layers, and who made each of them: an
    operation or a view.
    """

    def __init__(self, replay: Replay) -> None:
        run = replay.run
        self.replay = replay
        self.times: dict[Operation, Time] = {
            operation: (number, len(run.views)) for number, operation in enumerate(run.operations)
        }
        self.writers: dict[int, Operation] = {}
        self.views: dict[Place, list[Operation]] = defaultdict(list)
        self.passed_on: dict[Layer, list[Tensor]] = defaultdict(list)
        for number, (before, view) in enumerate(run.views):
            self.times[view] = before, number
            for place in filter(None, view.results):
                if place != view.args[0]:  # else nothing is seen otherwise, as by detach()
                    self.views[place].append(view)
        for operation in run.operations:
            for place in filter(None, operation.results):
                self.writers[place.version] = operation
        for operation in run.operations:
            for maker, tensor in self.list_given(operation).items():
                if maker.layer != operation.layer:
                    self.passed_on[maker.layer, operation.backward].append(tensor)

    def list_given(self, operation: Operation) -> dict[Operation, Tensor]:
        """Return the floating-point arrays that an operation reads, by the operation that computed
        each; of views, the view in the nearest other layer.
        """
        given = {}
        for place in list_places((operation.args, operation.kwargs)):
            maker = self._find_maker(place, operation)
            while maker is not None and maker.signature.view and maker.layer == operation.layer:
                place = maker.args[0]
                maker = self._find_maker(place, maker)
            tensor = self.replay.read(place).detach()
            if maker is not None and tensor.is_floating_point():
                given[maker] = tensor
        return given

    def _find_maker(self, place: Place, reader: Operation) -> Operation | None:
        """Return the view or operation that made the array at a place, for an operation that reads
        it; None if the array was there before the run.
        """
        views = [
            view for view in self.views.get(place, ()) if self.times[view] < self.times[reader]
        ]
        return views[-1] if views else self.writers.get(place.version)

    def list_entering(self, operation: Operation) -> dict[Operation, Tensor]:
        """Return the floating-point arrays of other layers on which an operation depends by the
        operations of its own layer, by the operation or view that made each.
        """
        entering: dict[Operation, Tensor] = {}
        waiting, seen = [operation], {operation}
        while waiting:
            for maker, tensor in self.list_given(waiting.pop()).items():
                if (maker.layer, maker.backward) != (operation.layer, operation.backward):
                    entering[maker] = tensor
                elif maker not in seen:
                    seen.add(maker)
                    waiting.append(maker)
        return entering


def trace_arrivals(
    subject: Replay, reference: Replay, operations: Sequence[Operation]
) -> list[Operation]:
    """Return the operations to blame: for each of the given operations itself, or the operations
    that computed the inputs of its layer.

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
            for maker, tensor in mine.list_entering(operation).items()
            if maker.layer != operation.layer
            and maker.backward == operation.backward  # another formula may save other numbers
            and is_another(tensor, theirs.passed_on[maker.layer, operation.backward])
        ]
        if wrong:
            waiting += wrong
        else:
            found[operation] = None
    return sorted(found, key=mine.times.__getitem__)


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
    return is_near(one, other, NEAR)


def is_one_of(array: Tensor, others: Sequence[Tensor]) -> bool:
    """Does one of several arrays have the same numbers, in any order?"""
    ordered = array.flatten().sort().values
    alike = [other for other in others if other.numel() == array.numel()]
    return any(is_equal(ordered, other.flatten().sort().values) for other in alike)
