"""Finds where the subject cuts off a gradient that the reference carries on: at a detach(), or
under no_grad().
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.locating.alike import read_inputs
from harness.locating.arrivals import is_one_of
from harness.shadow.recording import Operation
from harness.shadow.shadow import Shadow


def list_stops(
    subject: Shadow, reference: Shadow, lacking: Sequence[Operation], answer: str
) -> list[Operation]:
    """Return the operations at which the subject cuts off a gradient, and the reference does not;
    one of each line.

    `lacking` are the reference's operations whose numbers the subject does not compute. Cuts of as
    many numbers as one of them gives come before others, which count only if the subject lacks the
    gradient `answer` itself.
    """
    shared = [
        each for stop in reference.watched.run.stops for each in read_inputs(reference.replay, stop)
    ]
    sizes = {
        reference.replay.read(place).numel()
        for operation in lacking
        if operation.backward
        for place in filter(None, operation.results)
    }
    fitting: dict[tuple[str, str], Operation] = {}
    others: dict[tuple[str, str], Operation] = {}
    for stop in subject.watched.run.stops:
        arrays = read_inputs(subject.replay, stop)
        if not any(is_one_of(each, shared) for each in arrays):
            fits = any(each.numel() in sizes for each in arrays)
            (fitting if fits else others).setdefault((stop.layer, stop.line), stop)
    if fitting or answer in subject.watched.answers:
        return list(fitting.values())
    return list(others.values())
