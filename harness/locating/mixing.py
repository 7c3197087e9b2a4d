"""Finds two arrays that are mixed with exchanged weights: z and 1 - z, as in the gate of a GRU.

The sum of z p + (1 - z) q and (1 - z) p + z q is p + q, in all forms of both.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.locating.alike import are_equal, list_readers, list_results, read_inputs, read_results
from harness.shadow.recording import Operation
from harness.shadow.replay import Replay

STARTS = 16  # numbers of an array that are compared first
NEAR_START = 1e-6  # of the largest of them
STEPS = 3  # operations from the first that differs to the mixture, and back to what is mixed


def is_mixed_otherwise(subject: Replay, reference: Replay, first: Operation) -> bool:
    """Does the subject mix two arrays near its operation `first`, and the reference the same two
    with their weights exchanged?
    """
    known = [each for _, each in list_results(reference, reference.run.operations, False)]
    for operation in _follow(subject, first):
        for mixture in read_results(subject, operation):
            alike = [each for each in known if each.shape == mixture.shape]
            if mixture.numel() < 2 or not alike or _is_in(mixture, alike):
                continue
            if _has_partner(mixture, _list_parts(subject, operation, mixture), alike):
                return True
    return False


def _follow(side: Replay, first: Operation) -> list[Operation]:
    """Return an operation and the readers of its result, within STEPS."""
    found = {first: None}
    last = [first]
    for _ in range(STEPS):
        last = list(dict.fromkeys(each for one in last for each in list_readers(side, one)))
        found |= dict.fromkeys(last)
    return list(found)


def _list_parts(side: Replay, operation: Operation, mixture: Tensor) -> list[Tensor]:
    """Return the different arrays with the shape of a mixture that it was computed from, within
    STEPS.
    """
    writers = {
        place.version: each for each in side.run.operations for place in filter(None, each.results)
    }
    parts: list[Tensor] = []
    last = [operation]
    for _ in range(STEPS):
        for array in (array for each in last for array in read_inputs(side, each)):
            if array.shape == mixture.shape and not _is_in(array, parts):
                parts.append(array)
        before = [writers.get(place.version) for each in last for place in each.places]
        last = [each for each in dict.fromkeys(before) if each is not None]
    return parts


def _has_partner(mixture: Tensor, parts: Sequence[Tensor], known: Sequence[Tensor]) -> bool:
    """Is p + q - mixture one of the arrays `known`, for two parts that differ from the mixture?

    Their first numbers are compared before all.
    """
    others = [part for part in parts if not are_equal(part, mixture)]
    starts = torch.stack([_begin(each) for each in known])
    for number, one in enumerate(others):
        for other in others[:number]:
            start = _begin(one) + _begin(other) - _begin(mixture)
            near = (abs(starts - start) <= NEAR_START * abs(start).max()).all(1)
            likely = [each for each, is_near in zip(known, near.tolist(), strict=True) if is_near]
            if likely and _is_in(one + other - mixture, likely):
                return True
    return False


def _begin(array: Tensor) -> Tensor:
    """Return the first numbers of an array, at most STARTS."""
    return array.reshape(-1)[:STARTS]


def _is_in(array: Tensor, others: Sequence[Tensor]) -> bool:
    """Is an array equal to one of several of its shape?"""
    return any(are_equal(array, other) for other in others)
