"""Finds the line of a wrong factor: of several in a row, the last one could have set it right."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.locating.alike import FEWEST, NEAR, find_factor, list_readers, read_results
from harness.locating.arrivals import is_one_of
from harness.shadow.recording import Operation
from harness.shadow.replay import Replay

SCALES = ("aten::mul", "aten::div")


def follow_scales(
    subject: Replay, reference: Replay, operations: Sequence[Operation]
) -> list[Operation]:
    """Return operations, each replaced by the last of the constant factors that follow it.

    In `(q @ k.mT) / sqrt(12)` the factor is the difference, and the product is none, if both are
    multiples of a result of the reference. Its formula may scale before the product. A factor that
    the reference has too is no difference.
    """
    return list(dict.fromkeys(_follow(subject, reference, each) for each in operations))


def _follow(subject: Replay, reference: Replay, operation: Operation) -> Operation:
    last, scale = operation, _find_scale(subject, operation)
    if _is_scale(subject, operation) or not _is_multiple(subject, reference, operation):
        return operation
    while scale is not None and not _has_scale(subject, reference, scale):
        last, scale = scale, _find_scale(subject, scale)
    return last if last is operation or _is_multiple(subject, reference, last) else operation


def _find_scale(side: Replay, operation: Operation) -> Operation | None:
    """Return the factor that alone reads a result, if there is one."""
    readers = list_readers(side, operation)
    return readers[0] if len(readers) == 1 and _is_scale(side, readers[0]) else None


def _has_scale(subject: Replay, reference: Replay, scale: Operation) -> bool:
    """Does the reference have the same factor, for a multiple of the same numbers?"""
    given, ratio = _measure(subject, scale)
    for operation in reference.run.operations:
        if _is_scale(reference, operation):
            other, size = _measure(reference, operation)
            if abs(size - ratio) <= NEAR * ratio and find_factor(given, other) is not None:
                return True
    return False


def _measure(side: Replay, scale: Operation) -> tuple[Tensor, float]:
    """Return the array that a factor reads, and the size of the factor."""
    (given,) = [each for each in map(side.read, scale.places) if each.numel() > 1]
    result = read_results(side, scale)[0]
    norm = torch.linalg.vector_norm
    return given.detach(), float(norm(result) / norm(given.detach()))


def _is_scale(side: Replay, operation: Operation) -> bool:
    """Does an operation multiply an array by a number?"""
    arrays = [place for place in operation.places if side.read(place).numel() > 1]
    return operation.functional in SCALES and len(arrays) == 1


def _is_multiple(subject: Replay, reference: Replay, operation: Operation) -> bool:
    """Is a result of the subject a multiple of a result of the reference, and equal to none?"""
    theirs = reference.run.operations
    others = [each for one in theirs for each in read_results(reference, one)]
    return any(
        mine.numel() >= FEWEST
        and not is_one_of(mine, others)
        and any(find_factor(mine, each) is not None for each in others)
        for mine in read_results(subject, operation)
    )
