"""Finds two arrays that are mixed with exchanged weights: z and 1 - z, as in the gate of a GRU.

Of z p + (1 - z) q and (1 - z) p + z q the sum is p + q, in whatever form both are computed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.locating.alike import are_equal, list_readers, list_results, read_inputs, read_results
from harness.shadow.recording import Operation
from harness.shadow.replay import Replay

STEPS = 3  # operations from the first that differs to the mixture, and back to what is mixed


def is_mixed_otherwise(subject: Replay, reference: Replay, first: Operation) -> bool:
    """Does the subject mix two arrays near its operation `first`, and the reference the same two
    with their weights exchanged?
    """
    known = [each for _, each in list_results(reference, reference.run.operations, False)]
    after = _follow(subject, first)
    for operation in after:
        for mixture in read_results(subject, operation):
            alike = [each for each in known if each.shape == mixture.shape]
            if mixture.numel() > 1 and alike and not _is_in(mixture, torch.stack(alike)):
                parts = _list_parts(subject, operation, mixture)
                if _has_partner(mixture, parts, torch.stack(alike)):
                    return True
    return False


def _follow(side: Replay, first: Operation) -> list[Operation]:
    """Return an operation and those that read its result, within STEPS."""
    found = {first: None}
    last = [first]
    for _ in range(STEPS):
        last = [each for one in last for each in list_readers(side, one)]
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


def _has_partner(mixture: Tensor, parts: Sequence[Tensor], known: Tensor) -> bool:
    """Is p + q - mixture one of the arrays `known`, for two of the parts of which it is neither?"""
    others = [part for part in parts if not are_equal(part, mixture)]
    return any(
        _is_in(one + other - mixture, known)
        for number, one in enumerate(others)
        for other in others[:number]
    )


def _is_in(array: Tensor, others: Tensor | Sequence[Tensor]) -> bool:
    """Is an array equal to one of several of its shape?"""
    return any(are_equal(array, other) for other in others)
