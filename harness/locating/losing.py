"""Finds the operations of a model that lose its precision."""

from __future__ import annotations

import torch

from harness.core.finding import Located
from harness.locating.located import locate
from harness.shadow.adjoint import Sum
from harness.shadow.recording import Operation
from harness.shadow.shadow import Shadow


def find_costliest(shadow: Shadow, number: Sum) -> Operation | None:
    """Return the operation whose rounding, in float64, moves a weighted sum most; None if none
    does.
    """
    nodes = shadow.nodes
    _, parts = nodes.reach([number], range(len(nodes.results)))
    sizes = parts[0, :, 0].nan_to_num(0.0, 0.0, 0.0)
    found: Operation | None = None
    largest = 0.0
    for size, place in zip(sizes.tolist(), nodes.operations, strict=True):
        if place is not None and size > largest:  # None is a number that was held rounded
            found, largest = shadow.checked[place].operation, size
    return found


def find_endless(shadow: Shadow) -> Located | None:
    """Return the first operation that gave a number that is not finite, of finite numbers, where
    its float64 repetition from the start on is finite; None if there is none.
    """
    run = shadow.watched.run
    for operation, results in zip(run.operations, shadow.replay.results, strict=True):
        for place, repeated in zip(operation.results, results, strict=False):
            if place is None or repeated is None or not repeated.is_floating_point():
                continue
            is_lost = ~torch.isfinite(run.read(place)) & torch.isfinite(repeated.detach())
            given = [run.read(each) for each in operation.places]
            if bool(is_lost.any()) and all(bool(torch.isfinite(each).all()) for each in given):
                return locate(operation)
    return None
