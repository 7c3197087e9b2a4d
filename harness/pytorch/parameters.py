"""Which own parameter is which block of a network: as its user says, else by names and shapes, else
by trying.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.core.contract import Array, Contract
from harness.core.formulation import Family, Formulation, Meaning
from harness.core.implementation import Missing
from harness.core.judge import budget
from harness.core.layout import Layout
from harness.core.problem import Problem
from harness.core.python_text import literal, quoted
from harness.core.text import exact
from harness.pytorch.module import Model

Tensors = dict[str, Array]
Part = str | Sequence[str] | float | ArrayLike | Callable[[Tensors], ArrayLike]
Words = Mapping[str, Part]
Shapes = Mapping[str, tuple[int, ...]]

SPELLED = re.compile(r"(?P<name>.+?)(?:\[(?P<index>[-\d:, ]+)\])?(?P<T>\.T)?")
HOW = (
    '"weight", "weight.T", "weight[:, 1:]", ["one", "after another"], a constant, or a function of'
    " all by name"
)
TRIED = 200  # ways at most
STEPS = 20_000  # of the search for ways, at most


class Unclear(ValueError):
    """Names and shapes do not tell which parameter is which block."""


def left_out_as(bias: str) -> str:
    """What the parameter is called that stands for a bias that a model has left out."""
    return f"{bias} (left out)"


def meaning(words: Words, network: Family) -> Meaning:
    """The map of own tensors, by name, to the network's blocks.

    A block is a parameter by its name, or a part of it ("weight.T", "weight[:, 1:]"), several
    joined along the axis that gives its shape, a constant, or a function of all own tensors. Raises
    ValueError for a name that is not there, and where several do not join.
    """
    shapes = {block.name: block.places.shape for block in network.layout.blocks}
    return lambda p: {block: _part(part, p, shapes.get(block, ())) for block, part in words.items()}


def _part(part: Part, p: Tensors, shape: tuple[int, ...]) -> ArrayLike:
    if callable(part):
        return part(p)
    if isinstance(part, str):
        return _spelled(part, p)
    if isinstance(part, Sequence) and part and all(isinstance(name, str) for name in part):
        return _joined([_spelled(str(name), p) for name in part], shape)
    return part


def _spelled(text: str, p: Tensors) -> Array:
    if text in p:
        return p[text]
    found = SPELLED.fullmatch(text)
    if not found or found["name"] not in p:
        raise ValueError(f"no parameter is called {text!r}, expected {HOW}")
    tensor = p[found["name"]]
    if found["index"]:
        axes = [
            [int(n) if n.strip() else None for n in axis.split(":")]
            for axis in found["index"].split(",")
        ]
        tensor = tensor[tuple(axis[0] if len(axis) == 1 else slice(*axis) for axis in axes)]
    return tensor.T if found["T"] else tensor


def _joined(parts: Sequence[Array], shape: tuple[int, ...]) -> Array:
    for axis in range(len(shape)):
        try:
            whole = np.concatenate(parts, axis)
        except ValueError:
            continue
        if whole.shape == shape:
            return whole
    raise ValueError(f"{' and '.join(str(part.shape) for part in parts)} do not join to {shape}")


def mapped(own: Layout, network: Family, said: Words) -> tuple[Words, tuple[str, ...]]:
    """What is said, for the other blocks own parameters by name, or by shape where it is unique,
    and biases left out.

    Raises Unclear.
    """
    # what is said, and is wrong, is told first
    meaning(said, network)(own.split(np.zeros(own.size)))
    free, blocks = _left(own, network, said)
    if any(callable(part) for part in said.values()) or set(said) - {
        block.name for block in network.layout.blocks
    }:
        return said, ()
    may_be = {block: _candidates(block, blocks, free) for block in blocks}
    none = [block for block, found in may_be.items() if not found]
    taken = [text for found in may_be.values() for text in found]
    idle = sorted(set(free) - {name for text in taken for name in _names(text, free)})
    unique = all(len(found) <= 1 for found in may_be.values()) and len(set(taken)) == len(taken)
    if unique and not idle and all(len(blocks[block]) == 1 for block in none):
        words = {block: found[0] for block, found in may_be.items() if found}
        return {**words, **said}, tuple(none)
    doubts = [f"no parameter has the shape of {block} {blocks[block]}" for block in none]
    doubts += [
        f"{b} {blocks[b]} may be {' or '.join(found)}"
        for b, found in may_be.items()
        if len(found) > 1
    ]
    doubts += [
        f"{text} alone may be several"
        for text in sorted(set(taken))
        if unique and taken.count(text) > 1
    ]
    doubts += [f"no block is left that {name} {free[name]} could be" for name in idle]
    wanted = ", ".join(f"{block.name} {block.places.shape}" for block in network.layout.blocks)
    raise Unclear(
        f"which parameter is which block is not clear from names and shapes ({'; '.join(doubts)}); "
        f"the network's blocks are {wanted}"
    )


def _left(own: Layout, network: Family, said: Words) -> tuple[Shapes, Shapes]:
    """The parameters and the blocks, with their shapes, of which nothing is said."""
    shapes = {block.name: block.places.shape for block in own.blocks}
    used = {name for part in said.values() for name in _names(part, shapes)}
    free = {name: shape for name, shape in shapes.items() if name not in used}
    return free, {
        block.name: block.places.shape for block in network.layout.blocks if block.name not in said
    }


def _names(part: Part, shapes: Shapes) -> list[str]:
    """The parameters that a part is made of."""
    parts = [part] if isinstance(part, str) else part if isinstance(part, Sequence) else []
    named = [
        found for text in parts if isinstance(text, str) and (found := SPELLED.fullmatch(text))
    ]
    return [found.string if found.string in shapes else found["name"] for found in named]


def _candidates(block: str, blocks: Shapes, free: Shapes) -> list[str]:
    """Parameters that can be a block: those of its name, else of its shape, else of its shape when
    they are turned.
    """
    called = [name for name in free if name.lower() in _names_of(block)]
    others = [
        name for name in free if not any(name.lower() in _names_of(other) for other in blocks)
    ]
    # the only column of a matrix is no bias where it is the weights of another block
    if len(blocks[block]) == 1:
        others = [
            name
            for name in others
            if free[name] == blocks[block] or free[name] not in blocks.values()
        ]
    fitted = [(name, _fitted(name, free[name], blocks[block])) for name in called or others]
    return [text for name, text in fitted if text == name] or [text for _, text in fitted if text]


def _names_of(block: str) -> tuple[str, ...]:
    """What says that a parameter is this block: its name, or that of a layer."""
    layer = f"{block[2:]}2.bias" if block.startswith("b_") else f"{block}.weight"
    return block.lower(), layer.lower()


def _fitted(name: str, found: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """A parameter as it is, turned, or as its only row or column, where that has the shape; else
    "".
    """
    if found == shape:
        return name
    if len(shape) == 1:
        return (
            f"{name}[0]"
            if found == (1, *shape)
            else f"{name}[:, 0]"
            if found == (*shape, 1)
            else ""
        )
    return f"{name}.T" if found == shape[::-1] else ""


# Trying.


def candidate_mappings(own: Layout, network: Family, said: Words) -> list[Words]:
    """Ways, TRIED at most, to make the blocks of which nothing is said of whole parameters and of
    parts of them.

    Each number is used once. Where there is no such way: with biases that are 0, and then with
    numbers used more than once (tied weights).
    """
    free, blocks = _left(own, network, said)
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


def spelled(words: Words) -> str:
    """As its user writes it."""
    return f"{{{', '.join(f'{quoted(block)}: {_written(part)}' for block, part in words.items())}}}"


def _written(part: Part) -> str:
    if isinstance(part, str):
        return quoted(exact(part))
    return literal(list(map(exact, part)) if isinstance(part, list) else np.asarray(part).tolist())
