"""Finds two arrays that are mixed with exchanged weights: z and 1 - z, as in the gate of a GRU.

The sum of z p + (1 - z) q and (1 - z) p + z q is p + q, in all forms of both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from harness.locating.alike import are_equal, list_readers, list_results, read_inputs, read_results
from harness.locating.mending import Mended, Search
from harness.shadow.recording import Operation
from harness.shadow.replay import Replay

EXCHANGED = "{} belongs to a mixture of two arrays, by z and 1 - z"
STARTS = 16  # numbers of an array that are compared first
NEAR_START = 1e-6  # of the largest of them
# A mixture is looked for up to so many operations after the first one that differs, and its two
# arrays up to so many operations before it.
STEPS = 3


def find_mixtures(reference: Replay) -> Search:
    """Return a search for results that are a mixture of two arrays, whose weights the reference
    exchanges.
    """
    known = [each for _, each in list_results(reference, reference.run.operations, False)]

    def search(side: Replay, operation: Operation) -> Iterator[Mended]:
        for mixture in read_results(side, operation):
            alike = [each for each in known if each.shape == mixture.shape]
            if mixture.numel() > 1 and alike and not _is_in(mixture, alike):
                for partner in _list_partners(
                    mixture, _list_parts(side, operation, mixture), alike
                ):
                    yield Mended(EXCHANGED, (partner,))

    return search


def follow(side: Replay, first: Operation) -> list[Operation]:
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


def _list_partners(
    mixture: Tensor, parts: Sequence[Tensor], known: Sequence[Tensor]
) -> Iterator[Tensor]:
    """Yield p + q - mixture for two parts that differ from the mixture, if it is one of the arrays
    `known`.

    Their first numbers are compared before all.
    """
    others = [part for part in parts if not are_equal(part, mixture)]
    starts = torch.stack([_begin(each) for each in known])
    for number, one in enumerate(others):
        for other in others[:number]:
            start = _begin(one) + _begin(other) - _begin(mixture)
            near = (abs(starts - start) <= NEAR_START * abs(start).max()).all(1)
            likely = [each for each, is_near in zip(known, near.tolist(), strict=True) if is_near]
            partner = one + other - mixture
            if likely and _is_in(partner, likely) and _is_mixed(mixture, one, other, parts):
                yield partner


def _is_mixed(mixture: Tensor, one: Tensor, other: Tensor, parts: Sequence[Tensor]) -> bool:
    """Is one of the parts the weight z of a mixture of two of them: z p + (1 - z) q or the
    reverse?
    """
    return any(
        are_equal(torch.lerp(*ends, weight), mixture)
        for ends in ((one, other), (other, one))
        for weight in parts
    )


def _begin(array: Tensor) -> Tensor:
    """Return the first numbers of an array, at most STARTS."""
    return array.reshape(-1)[:STARTS]


def _is_in(array: Tensor, others: Sequence[Tensor]) -> bool:
    """Is an array equal to one of several of its shape?"""
    return any(are_equal(array, other) for other in others)
