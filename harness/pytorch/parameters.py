"""Which own parameter is which block of a network: as its user says, else by names and shapes."""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from harness.core.contract import Array
from harness.core.formulation import Family, Meaning
from harness.core.layout import Block, Layout
from harness.core.python_text import literal, quoted
from harness.core.text import exact

Tensors = dict[str, Array]
Part = str | Sequence[str] | float | ArrayLike | Callable[[Tensors], ArrayLike]
Words = Mapping[str, Part]
Shapes = Mapping[str, tuple[int, ...]]

SPELLED = re.compile(r"(?P<name>.+?)(?:\[(?P<index>[-\d:, ]+)\])?(?P<T>\.T)?")
HOW = (
    '"weight", "weight.T", "weight[:, 1:]", ["one", "after another"], a constant, or a function of'
    " all by name"
)


class Unclear(ValueError):
    """Names and shapes do not tell which parameter is which block."""


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
    free, blocks = left_open(own, network, said)
    if any(callable(part) for part in said.values()) or set(said) - {
        block.name for block in network.layout.blocks
    }:
        return said, ()
    may_be = {block: _candidates(block, blocks, free, network) for block in blocks}
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


def left_open(own: Layout, network: Family, said: Words) -> tuple[Shapes, Shapes]:
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


def _candidates(block: str, blocks: Shapes, free: Shapes, network: Family) -> list[str]:
    """Parameters that can be a block: those of its name, else of its shape, else of its shape when
    they are turned.
    """
    telling = {
        each.name: _names_of(each, network) for each in network.layout.blocks if each.name in blocks
    }
    called = [name for name in free if name.lower() in telling[block]]
    others = [name for name in free if not any(name.lower() in names for names in telling.values())]
    # the only column of a matrix is no bias where it is the weights of another block
    if len(blocks[block]) == 1:
        others = [
            name
            for name in others
            if free[name] == blocks[block] or free[name] not in blocks.values()
        ]
    fitted = [(name, _fitted(name, free[name], blocks[block])) for name in called or others]
    return [text for name, text in fitted if text == name] or [text for _, text in fitted if text]


def _names_of(block: Block, network: Family) -> tuple[str, ...]:
    """Return names, in lower case, that a parameter which is this block may have: that of the
    block, and one for a layer called as the block or, for a head's bias, as the head's weights.
    """
    layer = f"{block.name}.weight"
    for each in network.layout.blocks:
        if block.role == "bias" and each.role == "weight" and each.head == block.head is not None:
            layer = f"{each.name}.bias"
    return block.name.lower(), layer.lower()


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


def spelled(words: Words) -> str:
    """As its user writes it."""
    return f"{{{', '.join(f'{quoted(block)}: {_written(part)}' for block, part in words.items())}}}"


def _written(part: Part) -> str:
    if isinstance(part, str):
        return quoted(exact(part))
    return literal(list(map(exact, part)) if isinstance(part, list) else np.asarray(part).tolist())
