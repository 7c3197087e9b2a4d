"""Finds the map from a model's own parameters to a network's blocks by trying all ways that fit.

A block is one named parameter tensor of the network. A way is a dict from each block to a parameter
of the model, or to a part of one: {"W1": "weight[:, 1:]", "b1": "weight[:, 0]"}.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, islice
from typing import NamedTuple

import numpy as np

from harness.comparing.judge import budget
from harness.core.contract import Array, Contract, Indices
from harness.core.formulation import Family, Formulation
from harness.core.implementation import Missing, Observation
from harness.core.layout import Layout
from harness.core.problem import Problem
from harness.pytorch.parameters import Part, Words, find_unmapped, meaning

TRIED = 200  # ways at most
STEPS = 20_000  # of the search for ways, at most


class Cut(NamedTuple):
    """A parameter of the model, or a part of one.

    `text` is its expression, as "weight[:, 1:].T". `places` has its shape and holds the positions
    of its numbers in the vector of all parameters that the user's words do not mention.
    """

    text: str
    places: Indices


def candidate_mappings(own: Layout, network: Family, said: Words) -> list[Words]:
    """List at most TRIED ways to assign the model's parameters to the blocks that the user's words
    (`said`) do not mention.

    Blocks are made from whole parameters and from parts of them, and each number is used once. If
    there is no such way, a bias may be 0. If there is still none, numbers may be used several times
    instead (tied weights).
    """
    free, blocks = find_unmapped(own, network, said)
    unused = Layout.of_shapes(free)
    cuts: list[Cut] = []
    for block in unused.blocks:
        cuts += _list_cuts(block.name, block.places, network)
    fits: dict[str, list[Cut]] = {}
    for name, shape in blocks.items():
        fits[name] = [cut for cut in cuts if cut.places.shape == shape]
    order = sorted(fits, key=lambda name: len(fits[name]))
    biases = {name for name, shape in blocks.items() if len(shape) == 1}
    search = _Search(fits, biases)
    for tied, idle in ((False, False), (False, True), (True, False)):
        counts = np.zeros(unused.size, dtype=np.intp)
        ways = list(islice(search.find(order, counts, tied, idle), TRIED))
        if ways:
            return [_order_words(way, blocks, said) for way in ways]
    return []


def _order_words(way: Words, blocks: Iterable[str], said: Words) -> Words:
    """Return a way with the blocks in the order of `blocks`, followed by the user's words
    (`said`).
    """
    ordered = {block: way[block] for block in blocks}
    return {**ordered, **said}


class _Search:
    """A depth-first search for ways, which takes at most STEPS steps in all.

    `fits` lists for each block the cuts that have its shape; `biases` names the blocks that may be
    0.
    """

    def __init__(self, fits: Mapping[str, Sequence[Cut]], biases: set[str]) -> None:
        self.fits = fits
        self.biases = biases
        self.steps = 0

    def find(
        self, blocks: Sequence[str], used: Indices, tied: bool, idle: bool
    ) -> Iterator[dict[str, Part]]:
        """Yield each choice of cuts for these blocks with which every number is used.

        `used` counts for each number how often the earlier blocks use it. With `tied` a number may
        be used more than once. With `idle` a bias may be 0.
        """
        if not blocks:
            if (used > 0).all():
                yield {}
            return
        block, *rest = blocks
        for text, places in self.fits[block]:
            self.steps += 1
            if self.steps > STEPS:
                return
            if tied or not used[places.ravel()].any():
                now = used.copy()
                now[places.ravel()] += 1
                for way in self.find(rest, now, tied, idle):
                    yield {block: text, **way}
        if idle and block in self.biases:
            for way in self.find(rest, used, tied, idle):
                yield {block: 0, **way}


def _list_cuts(name: str, places: Indices, network: Family) -> Iterator[Cut]:
    """Yield the cuts of the parameter `name`: the whole, its transpose, and its parts along each
    axis.

    `places` has its shape and holds the positions of its numbers, see `Cut`.

    Parts begin and end where a bias, or a group of inputs or outputs, may begin.
    """
    yield Cut(name, places)
    if places.ndim == 2:
        yield Cut(f"{name}.T", places.T)
    for axis, length in enumerate(places.shape):
        before = ":, " * axis
        if places.ndim == 2:
            yield Cut(f"{name}[{before}0]", places.take([0], axis).ravel())
            yield Cut(f"{name}[{before}-1]", places.take([length - 1], axis).ravel())
        for start, end in _list_ranges(length, network):
            cut = places.take(range(start, end), axis)
            text = f"{name}[{before}{start or ''}:{end if end < length else ''}]"
            yield Cut(text, cut)
            if cut.ndim == 2:
                yield Cut(f"{text}.T", cut.T)


def _list_ranges(length: int, network: Family) -> list[tuple[int, int]]:
    """Return the parts into which an axis of this length may be cut, as (start, end).

    Parts begin and end where a bias, or a group of inputs or outputs, may begin.
    """
    borders = {0, 1, length - 1, length}
    for groups in (network.inputs, network.outputs):
        borders.update(int(end) for end in np.cumsum(groups))
    borders.update(1 + int(end) for end in np.cumsum(network.inputs))
    ends = sorted(border for border in borders if 0 <= border <= length)
    return [part for part in combinations(ends, 2) if part != (0, length)]


def matching(
    ask: Callable[[Problem], Observation],
    own: Layout,
    network: Family,
    ways: Sequence[Words],
    contract: Contract,
) -> list[Words] | None:
    """Return the ways with which the network computes the model's outputs, tried on random numbers.

    `ask` returns the model's answers to a problem. `contract` has the dtype in which the model
    computes. Returns None if the model gives no outputs; its trial reports the reason.
    """
    draw = np.random.default_rng(0)
    vector = draw.uniform(-1, 1, (8, own.size))
    inputs = draw.uniform(-1, 1, (8, 5, sum(network.inputs)))
    targets = draw.uniform(-1, 1, (8, 5, sum(network.outputs)))
    outputs: Array | Missing | None = None
    matches = []
    for way in ways:
        formulation = Formulation.from_meaning(own, network, meaning(way, network), idle=True)
        problem = Problem("tried", formulation, vector, inputs, targets)
        if outputs is None:  # they are the same by all ways
            outputs = ask(problem).answer("forward")
        if isinstance(outputs, Missing):
            return None
        bound = network.oracle(problem, contract)["forward"]
        if budget(outputs - bound.value, bound.error).max() <= 1:
            matches.append(way)
    return matches
