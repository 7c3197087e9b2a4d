"""Finds the first operations that differ between two models, by the numbers that they compute.

A result is *found* if all its numbers occur on the other side: whole, transposed, joined or split.
From an answer that differs, the search goes back through results that are not found. It stops at
operations whose inputs are all found: there the two models part. A layer may use another formula,
whose steps are not found; it is passed over if all its outputs are found.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from math import prod

import torch
from torch import Tensor

from harness.locating.alike import find_scales
from harness.locating.norms import list_norm_steps
from harness.shadow.places import Place, list_places
from harness.shadow.recording import Operation
from harness.shadow.replay import Replay

NEAR = 1e-9  # of the largest number of a result, at most: beyond, numbers meet by chance
NOISE = 3e-14  # of the same, at least: shadows of one function differ by about as much

Written = tuple[int, int]  # the number of an operation, and that of a version that it wrote


class Pool:
    """All numbers that one model has computed, sorted.

    A number is looked up with a tolerance: `near` times the scale of its tensor's numbers.
    """

    def __init__(self, tensors: Iterable[Tensor], near: float) -> None:
        self.near = min(max(near, NOISE), NEAR)
        parts = [tensor.detach().reshape(-1) for tensor in tensors if tensor.is_floating_point()]
        joined = torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)
        self.numbers = joined[torch.isfinite(joined)].sort().values
        self.infinite = bool(torch.isinf(joined).any())

    def within(self, near: float) -> Pool:
        """Return a pool of the same numbers with another tolerance."""
        pool = copy.copy(self)
        pool.near = min(max(near, NOISE), NEAR)
        return pool

    def has(self, tensor: Tensor) -> bool:
        """Do all numbers of a tensor occur among these numbers, within the tolerance?"""
        numbers = tensor.detach().reshape(-1).contiguous()
        if bool(torch.isnan(numbers).any()) or (bool(torch.isinf(numbers).any()) > self.infinite):
            return False
        numbers = numbers[torch.isfinite(numbers)]
        if not numbers.numel() or not self.numbers.numel():
            return not numbers.numel()
        after = torch.searchsorted(self.numbers, numbers)
        last = len(self.numbers) - 1
        above = self.numbers[after.clamp(max=last)]
        below = self.numbers[(after - 1).clamp(min=0)]
        distance = torch.minimum(abs(above - numbers), abs(below - numbers))
        scales = find_scales(numbers)
        allowed = torch.maximum(self.near * scales, NOISE * scales.max())
        return bool((distance <= allowed).all())


def list_numbers(replay: Replay) -> list[Tensor]:
    """Return all tensors that a repeated run has read or computed, also inside its norms."""
    return [*replay.numbers.values(), *list_norm_steps(replay)]


def find_frontier(replay: Replay, answer: Place, pool: Pool) -> list[Operation]:
    """Return the operations, in their order, at which the computation of an answer first yields
    numbers that are not in a pool.

    `answer` is the answer's place in memory, and the pool has the numbers of the other model. The
    list is empty if the numbers of the answer itself are in the pool.
    """
    operations = replay.run.operations
    makers = _find_makers(operations)
    found: dict[Written, bool] = {}
    first: list[int] = []
    seen: set[int] = set()
    writers = _trace(replay, answer.version, makers)
    waiting = [one for one, version in writers if not _is_found(replay, one, version, pool, found)]
    handing = {_layer_of(operations[one]) for one in waiting}  # numbers that are not found
    while waiting:
        number = waiting.pop()
        if number in seen:
            continue
        seen.add(number)
        before = {
            maker
            for place in list_places((operations[number].args, operations[number].kwargs))
            for maker in _trace(replay, place.version, makers)
        }
        unknown = [
            one for one, version in before if not _is_found(replay, one, version, pool, found)
        ]
        if not unknown:
            first.append(number)
        for one in unknown:
            if operations[one].layer != operations[number].layer:
                handing.add(_layer_of(operations[one]))
        waiting += unknown
    passed_on = [number for number in first if _layer_of(operations[number]) in handing]
    return [operations[number] for number in sorted(passed_on or first)]


def _layer_of(operation: Operation) -> tuple[str, bool]:
    return operation.layer, operation.backward


def _find_makers(operations: Sequence[Operation]) -> dict[int, int]:
    """Return, by the number of each version (the contents of an array between two writes), the
    number of the operation that wrote it.
    """
    makers = {}
    for number, operation in enumerate(operations):
        for place in operation.results:
            if place is not None:
                makers[place.version] = number
    return makers


def _trace(replay: Replay, version: int, makers: dict[int, int]) -> list[Written]:
    """Return the numbers of the operations that wrote a version, or those parts of earlier versions
    of the same memory that were left; each with the version that it wrote.

    A version is the contents of an array between two writes. `makers` has the operation's number by
    version.
    """
    writers = []
    current: int | None = version
    while current is not None:
        if current in makers:
            writers.append((makers[current], current))
            if _writes_all(replay, makers[current], current):
                break
        current = replay.run.versions[current].before
    return writers


def _writes_all(replay: Replay, number: int, version: int) -> bool:
    """Has an operation written all numbers of a version?"""
    whole = replay.run.versions[version].numbers.numel()
    results = replay.run.operations[number].results
    return any(each and each.version == version and prod(each.size) == whole for each in results)


def _is_found(
    replay: Replay, number: int, version: int, pool: Pool, found: dict[Written, bool]
) -> bool:
    """Are the numbers that an operation wrote to a version in the pool? Its other results, such as
    the mean of a norm, need not be.
    """
    if (number, version) not in found:
        places = replay.run.operations[number].results
        results = [
            result
            for place, result in zip(places, replay.results[number], strict=False)
            if place is not None and place.version == version and result is not None
        ]
        floats = [each for each in results if each.is_floating_point()]
        found[number, version] = all(map(pool.has, floats))
    return found[number, version]
