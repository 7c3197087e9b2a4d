"""Finds the operation that gives the first infinity or NaN of a run."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.shadow.recording import Operation
from harness.shadow.shadow import Shadow


def find_first_infinite(shadow: Shadow, other: Shadow) -> list[Operation]:
    """Return the first operation that gives infinities of finite numbers, or NaN of numbers, as a
    list of one; empty if there is none. Infinities, or NaN, that the other model has too are not
    looked for: masks may be -inf.
    """
    run, versions = shadow.watched.run, other.watched.run.versions
    sought = [
        is_right
        for is_right in (_is_finite, _has_no_nan)
        if all(is_right(each.numbers) for each in versions)
    ]
    for operation in run.operations:
        results = [run.read(place) for place in filter(None, operation.results)]
        given = [run.read(place) for place in operation.places]
        for is_right in sought:
            if not all(map(is_right, results)) and all(map(is_right, given)):
                return [operation]
    return []


def _has_no_nan(tensor: Tensor) -> bool:
    return not bool(torch.isnan(tensor).any())


def _is_finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())
