"""Finds where the subject cuts off a gradient that the reference carries on: at a detach(), or
under no_grad().
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from harness.locating.alike import read_inputs
from harness.locating.arrivals import is_one_of
from harness.locating.frontier import Pool
from harness.shadow.recording import Operation
from harness.shadow.shadow import Shadow


def list_stops(
    subject: Shadow, reference: Shadow, lacking: Sequence[Operation], known: Pool, answer: str
) -> list[Operation]:
    """Return the operations at which the subject cuts off a gradient, and the reference does not;
    one of each line.

    `lacking` are the reference's first operations whose numbers the subject does not compute, and
    `known` has all numbers of the subject. Cuts of as many numbers as one of these operations gives
    come first. Cuts of as many as a later one gives come next, since a head of keys may serve
    several of queries. Others count only if the subject lacks the gradient `answer` itself.
    """
    shared = [
        each for stop in reference.watched.run.stops for each in read_inputs(reference.replay, stop)
    ]
    cuts: dict[tuple[str, str], tuple[Operation, list[int]]] = {}
    for stop in subject.watched.run.stops:
        arrays = read_inputs(subject.replay, stop)
        if not any(is_one_of(each, shared) for each in arrays):
            cuts.setdefault((stop.layer, stop.line), (stop, [each.numel() for each in arrays]))
    if not cuts:
        return []
    unknown = [
        tensor
        for tensor in _list_gradients(reference, reference.watched.run.operations)
        if tensor.is_floating_point() and not known.has(tensor)
    ]
    for gradients in (_list_gradients(reference, lacking), unknown):
        sizes = {each.numel() for each in gradients}
        fitting = [stop for stop, counts in cuts.values() if sizes.intersection(counts)]
        if fitting:
            return fitting
    return [] if answer in subject.watched.answers else [stop for stop, _ in cuts.values()]


def _list_gradients(side: Shadow, operations: Sequence[Operation]) -> list[Tensor]:
    """Return the arrays that operations compute on the way back."""
    return [
        side.replay.read(place)
        for operation in operations
        if operation.backward
        for place in filter(None, operation.results)
    ]
