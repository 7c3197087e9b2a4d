"""Which own parameter is which block of a network, found by trying."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from harness.core.contract import Array, Contract
from harness.core.formulation import Family, Formulation
from harness.core.implementation import Missing
from harness.core.judge import budget
from harness.core.layout import Layout
from harness.core.problem import Problem
from harness.pytorch.module import Model
from harness.pytorch.parameters import Part, Words, left_open, meaning

TRIED = 200  # ways at most
STEPS = 20_000  # of the search for ways, at most


def candidate_mappings(own: Layout, network: Family, said: Words) -> list[Words]:
    """Ways, TRIED at most, to make the blocks of which nothing is said of whole parameters and of
    parts of them.

    Each number is used once. Where there is no such way: with biases that are 0, and then with
    numbers used more than once (tied weights).
    """
    free, blocks = left_open(own, network, said)
    left_over = Layout.of_shapes(free)
    cuts = [cut for block in left_over.blocks for cut in _cuts(block.name, block.places, network)]
    parts = {
        block: [(text, p.ravel()) for text, p in cuts if p.shape == shape]
        for block, shape in blocks.items()
    }
    order = sorted(parts, key=lambda block: len(parts[block]))
    zeros = {block for block, shape in blocks.items() if len(shape) == 1}
    search = _Search(parts, zeros)
    for tied, idle in ((False, False), (False, True), (True, False)):
        unused = np.zeros(left_over.size, dtype=np.intp)
        if found := list(islice(search.find(order, unused, tied, idle), TRIED)):
            return [{**{block: way[block] for block in blocks}, **said} for way in found]
    return []


class _Search:
    """Tries the parts that fit each block, depth first, STEPS at most in all.

    `parts` are the texts and places that fit each block, `zeros` the blocks that may be 0.
    """

    def __init__(
        self, parts: Mapping[str, Sequence[tuple[str, NDArray[np.intp]]]], zeros: set[str]
    ) -> None:
        self.parts, self.zeros = parts, zeros
        self.steps = 0

    def find(
        self, blocks: Sequence[str], used: NDArray[np.intp], tied: bool, idle: bool
    ) -> Iterator[dict[str, Part]]:
        """Yield a part for each of the blocks, such that every number is used.

        `used` counts how often each number is used already; a number is used once unless `tied`,
        and with `idle` a bias may be 0.
        """
        if not blocks:
            if (used > 0).all():
                yield {}
            return
        block, *rest = blocks
        for text, places in self.parts[block]:
            self.steps += 1
            if self.steps > STEPS:
                return
            if tied or not used[places].any():
                now = used.copy()
                now[places] += 1
                for way in self.find(rest, now, tied, idle):
                    yield {block: text, **way}
        if idle and block in self.zeros:
            for way in self.find(rest, used, tied, idle):
                yield {block: 0, **way}


def _cuts(
    name: str, places: NDArray[np.intp], network: Family
) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """A parameter as it is, turned, and cut where a bias or a group of inputs or outputs may
    begin.
    """
    yield name, places
    if places.ndim == 2:
        yield f"{name}.T", places.T
    borders = {
        0,
        1,
        *np.cumsum(network.inputs),
        *(1 + np.cumsum(network.inputs)),
        *np.cumsum(network.outputs),
    }
    for axis, length in enumerate(places.shape):
        index = ":, " * axis
        ends = sorted({int(b) for b in (*borders, length - 1, length) if 0 <= b <= length})
        if places.ndim == 2:
            for at, spelled in ((0, "0"), (length - 1, "-1")):
                yield f"{name}[{index}{spelled}]", places.take([at], axis).ravel()
        for start in ends:
            for end in (end for end in ends if end > start and (start, end) != (0, length)):
                cut = places.take(range(start, end), axis)
                spelled = f"{name}[{index}{start or ''}:{end if end < length else ''}]"
                yield spelled, cut
                if cut.ndim == 2:
                    yield f"{spelled}.T", cut.T


def matching(
    model: Model, own: Layout, network: Family, ways: Sequence[Words], contract: Contract
) -> list[Words] | None:
    """Those of the ways by which the network computes what the model, built in float64, does on a
    few numbers.

    `contract` is the model's, in float64.

    None where the model does not compute anything, of which it is told when it is judged.
    """
    draw = np.random.default_rng(0)
    shapes = (8, own.size), (8, 5, sum(network.inputs)), (8, 5, sum(network.outputs))
    vector, inputs, targets = (draw.uniform(-1, 1, shape) for shape in shapes)
    observed: Array | Missing | None = None
    found = []
    for way in ways:
        formulation = Formulation.from_meaning(own, network, meaning(way, network), idle=True)
        asked = Problem("tried", formulation, vector, inputs, targets)
        observed = model.observe(asked).answer("forward") if observed is None else observed
        if isinstance(observed, Missing):
            return None
        bound = network.oracle(asked, contract)["forward"]
        if budget(observed - bound.value, bound.error).max() <= 1:
            found.append(way)
    return found
