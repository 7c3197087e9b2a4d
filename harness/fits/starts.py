"""The starts of trainers: whether two trainers share them, and which are repeated."""

from typing import NamedTuple

import numpy as np

from harness.core.contract import Indices
from harness.core.formulation import Family
from harness.core.problem import Problem
from harness.training.trainer import Ended


class Begun(NamedTuple):
    """The distinct starts by which two trainers are compared.

    `mine` and `theirs` are the numbers of the first and the second trainer's starts. If `shared`,
    both are the same numbers, and the trainers began at the same parameters with the same data.
    """

    shared: bool
    mine: Indices
    theirs: Indices


def compare_starts(mine: Ended, theirs: Ended) -> Begun:
    """Return the distinct starts of two trainers, and whether they are shared."""
    n = min(mine.start.draws, theirs.start.draws)
    here, there = mine.start.part(slice(n)), theirs.start.part(slice(n))
    one = theirs.trainer.as_trained(here)
    other = mine.trainer.as_trained(there)
    if _is_same(one.formulation.network, other.formulation.network) and np.array_equal(
        one.theta, other.theta
    ):
        numbers = _list_distinct(here)
        return Begun(True, numbers, numbers)
    return Begun(False, _list_distinct(mine.start), _list_distinct(theirs.start))


def group_by_data(start: Problem, chosen: Indices) -> list[Indices]:
    """Return, for each set of data, the positions in `chosen` of the starts on it.

    `chosen` has numbers of starts.
    """
    groups: dict[bytes, list[int]] = {}
    for place, draw in enumerate(chosen):
        data = start.inputs[draw].tobytes() + start.targets[draw].tobytes()
        groups.setdefault(data, []).append(place)
    return [np.array(places, np.intp) for places in groups.values()]


def has_one_data_set(start: Problem) -> bool:
    """Do all starts have the same data?"""
    same_inputs = (start.inputs == start.inputs[:1]).all()
    return bool(same_inputs and (start.targets == start.targets[:1]).all())


def has_same_data(mine: Problem, theirs: Problem) -> bool:
    """Do two trainers have the same data, for as many starts as both have?"""
    n = min(mine.draws, theirs.draws)
    same_inputs = np.array_equal(mine.inputs[:n], theirs.inputs[:n])
    return same_inputs and np.array_equal(mine.targets[:n], theirs.targets[:n])


def _is_same(one: Family, other: Family) -> bool:
    """Are two networks one object, or equal in their units, connections and activations?"""
    if one is other:
        return True
    if type(one) is not type(other) or one.activations != other.activations:
        return False
    mine, theirs = one.layout.blocks, other.layout.blocks
    if [block.name for block in mine] != [block.name for block in theirs]:
        return False
    return all(np.array_equal(a.places, b.places) for a, b in zip(mine, theirs, strict=True))


def _list_distinct(start: Problem) -> Indices:
    """Return the numbers of the starts that differ from all earlier starts, in parameters
    or data.
    """
    seen: set[bytes] = set()
    numbers = []
    for draw in range(start.draws):
        parts = (start.own[draw], start.inputs[draw], start.targets[draw])
        whole = b"".join(part.tobytes() for part in parts)
        if whole not in seen:
            seen.add(whole)
            numbers.append(draw)
    return np.array(numbers, np.intp)
