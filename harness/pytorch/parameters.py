"""Maps a model's own parameters to a network's blocks: from a user's words, or by names and shapes.

A block is one named parameter tensor of the network, as "W1". Words are a dict from each block to
the model's parameter: {"W1": "left.weight", "W2": "out.weight.T"}. A text such as "weight",
"weight.T" or "weight[:, 1:]" is called an expression here: it names a parameter, or a part of one.
"""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from harness.core.contract import Array
from harness.core.formulation import Family, Meaning
from harness.core.layout import Block, Layout
from harness.text.harmless import exact
from harness.text.python import literal, quoted

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
    """Raised if names and shapes do not determine which parameter of the model is which block of
    the network.
    """


def meaning(words: Words, network: Family) -> Meaning:
    """Return the function that makes the network's blocks from the model's own tensors, both by
    name.

    `words` has the source of each block, by the block's name: one tensor ("weight"), a part of one
    ("weight.T", "weight[:, 1:]"), a list of these, a constant, or a function of all own tensors.
    The tensors of a list are joined along the axis that gives the block's shape. The returned
    function raises ValueError for an unknown name, and for tensors that do not join.
    """
    shapes = list_shapes(network.layout)

    def evaluate(tensors: Tensors) -> dict[str, ArrayLike]:
        return {
            block: _evaluate(part, tensors, shapes.get(block, ())) for block, part in words.items()
        }

    return evaluate


def list_shapes(layout: Layout) -> Shapes:
    """Return the shape of each block of a layout, by name."""
    return {block.name: block.places.shape for block in layout.blocks}


def _evaluate(part: Part, tensors: Tensors, shape: tuple[int, ...]) -> ArrayLike:
    """Return the tensor that one value of the user's dict describes; the tensors of a list are
    joined to `shape`.

    `tensors` are the model's own tensors by name.
    """
    if callable(part):
        return part(tensors)
    if isinstance(part, str):
        return _look_up(part, tensors)
    if isinstance(part, Sequence) and part and all(isinstance(name, str) for name in part):
        return _join([_look_up(str(name), tensors) for name in part], shape)
    return part


def _look_up(text: str, tensors: Tensors) -> Array:
    """Return the tensor of an expression: "weight", "weight[:, 1:]" or "weight.T".

    Raises ValueError for an unknown name.
    """
    if text in tensors:
        return tensors[text]
    match = SPELLED.fullmatch(text)
    if not match or match["name"] not in tensors:
        raise ValueError(f"no parameter is called {text!r}, expected {HOW}")
    tensor = tensors[match["name"]]
    if match["index"]:
        axes = [parse_index(axis) for axis in match["index"].split(",")]
        tensor = tensor[tuple(axes)]
    return tensor.T if match["T"] else tensor


def parse_index(text: str) -> int | slice | None:
    """Return the index or slice that a text such as "3", "1:" or ":-1" describes."""
    numbers = [int(number) if number.strip() else None for number in text.split(":")]
    return numbers[0] if len(numbers) == 1 else slice(*numbers)


def _join(parts: Sequence[Array], shape: tuple[int, ...]) -> Array:
    """Join tensors along the axis that gives this shape. Raises ValueError if no axis does."""
    for axis in range(len(shape)):
        try:
            whole = np.concatenate(parts, axis)
        except ValueError:
            continue
        if whole.shape == shape:
            return whole
    raise ValueError(f"{' and '.join(str(part.shape) for part in parts)} do not join to {shape}")


def map_blocks(own: Layout, network: Family, said: Words) -> tuple[Words, tuple[str, ...]]:
    """Complete a user's words (`said`): find a parameter for each block that they do not mention.

    It is the parameter with the block's name or, if no name fits, the only one with its shape.
    Returns the words for all blocks, and the names of the blocks that are biases which the model
    does not have. Raises Unclear if names and shapes leave a choice.
    """
    # a mistake in the user's words is reported before all others
    meaning(said, network)(own.split(np.zeros(own.size)))
    shapes = list_shapes(network.layout)
    if any(callable(part) for part in said.values()) or not set(said) <= set(shapes):
        return said, ()
    free, blocks = find_unmapped(own, network, said)
    candidates = {block: _find_candidates(block, blocks, free, network) for block in blocks}
    missing = [block for block in blocks if not candidates[block]]
    assigned: list[str] = []
    for texts in candidates.values():
        assigned += texts
    used: set[str] = set()
    for text in assigned:
        used.update(_names(text, free))
    idle = sorted(set(free) - used)
    one_each = all(len(texts) <= 1 for texts in candidates.values())
    all_biases = all(len(blocks[block]) == 1 for block in missing)
    if one_each and len(set(assigned)) == len(assigned) and not idle and all_biases:
        words: dict[str, Part] = {}
        for block, texts in candidates.items():
            if texts:
                words[block] = texts[0]
        return {**words, **said}, tuple(missing)
    doubts = [f"no parameter has the shape of {block} {blocks[block]}" for block in missing]
    doubts += _list_doubts(candidates, blocks)
    doubts += [f"no block is left that {name} {free[name]} could be" for name in idle]
    listed = ", ".join(f"{block} {shape}" for block, shape in shapes.items())
    raise Unclear(
        f"which parameter is which block is not clear from names and shapes ({'; '.join(doubts)}); "
        f"the network's blocks are {listed}"
    )


def _list_doubts(candidates: Mapping[str, list[str]], blocks: Shapes) -> list[str]:
    """Return a sentence for each block that several parameters fit. If there is no such block,
    return one for each parameter that fits several blocks.

    `candidates` has the fitting parameters by block.
    """
    doubts = []
    expressions: list[str] = []
    for block, texts in candidates.items():
        expressions += texts
        if len(texts) > 1:
            doubts.append(f"{block} {blocks[block]} may be {' or '.join(texts)}")
    if doubts:
        return doubts
    return [
        f"{text} alone may be several"
        for text in sorted(set(expressions))
        if expressions.count(text) > 1
    ]


def find_unmapped(own: Layout, network: Family, said: Words) -> tuple[Shapes, Shapes]:
    """Return two dicts of shapes by name: the model's parameters, and the network's blocks, that a
    user's words (`said`) do not mention.
    """
    shapes = list_shapes(own)
    used: set[str] = set()
    for part in said.values():
        used.update(_names(part, shapes))
    free = {name: shape for name, shape in shapes.items() if name not in used}
    of_blocks = list_shapes(network.layout)
    return free, {name: shape for name, shape in of_blocks.items() if name not in said}


def _names(part: Part, shapes: Shapes) -> list[str]:
    """Return the names of the parameters that one value of the user's dict uses.

    `shapes` has the shape of every parameter by name.
    """
    texts: Sequence[object] = ()
    if isinstance(part, str):
        texts = [part]
    elif isinstance(part, Sequence):
        texts = part
    names = []
    for text in texts:
        match = SPELLED.fullmatch(text) if isinstance(text, str) else None
        if match and match.string in shapes:
            names.append(match.string)
        elif match:
            names.append(match["name"])
    return names


def _find_candidates(block: str, blocks: Shapes, free: Shapes, network: Family) -> list[str]:
    """List the parameters that fit a block, as expressions such as "weight" or "weight.T".

    `blocks` has the shapes of all blocks by name, `free` those of the parameters that no block uses
    yet. If any of them has the block's name and can have its shape, only these are listed.
    Parameters with the block's shape are preferred to those that must be transposed or cut.
    """
    names: list[str] = []
    named: list[str] = []
    for each in network.layout.blocks:
        if each.name not in blocks:
            continue
        called = _names_of(each, network)
        shape = blocks[each.name]
        so_named = [
            name
            for name in free
            if name.lower() in called
            and _fit(name, free[name], shape)
            and not (each.role == "bias" and _has_bias_beside(name, free))
        ]
        names += [name.lower() for name in so_named]
        if each.name == block:
            named = so_named
    fits = []
    for name in named or _find_unnamed(block, blocks, free, names):
        if text := _fit(name, free[name], blocks[block]):
            fits.append((name, text))
    whole = [text for name, text in fits if text == name]
    return whole or [text for _, text in fits]


def _has_bias_beside(name: str, free: Shapes) -> bool:
    """Is this parameter the weight of a layer that has a bias too? Then it is no bias itself,
    though its layer is called "b".
    """
    layer, dot, last = name.rpartition(".")
    return last == "weight" and f"{layer}{dot}bias" in free


def _find_unnamed(block: str, blocks: Shapes, free: Shapes, names: Sequence[str]) -> list[str]:
    """List the parameters in `free` that fit this block and do not have the name of any block.

    `names` are the names of all blocks.
    """
    unnamed = [name for name in free if name.lower() not in names]
    if len(blocks[block]) != 1:
        return unnamed
    # the only column of a matrix is no bias if the matrix has the shape of another block
    shapes = blocks.values()
    return [name for name in unnamed if free[name] == blocks[block] or free[name] not in shapes]


def _names_of(block: Block, network: Family) -> tuple[str, ...]:
    """Return the names, in lower case, that a model may give its parameter for a block.

    They are the block's own name, and the name of the same tensor in a layer: "<block>.weight", or
    for the bias of a head "<weight of this head>.bias".
    """
    layers = []
    for each in network.layout.blocks:
        if block.role == "bias" and each.role == "weight" and each.head == block.head is not None:
            layers.append(f"{each.name}.bias")
    names = [block.name, *(layers or [f"{block.name}.weight"])]
    return tuple(name.lower() for name in names)


def _fit(name: str, shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Return the expression, such as "weight.T", that gives the parameter `name` the wanted shape;
    "" if there is none.

    The parameter may be used as it is, transposed, or by its only row or column.
    """
    if shape == wanted:
        return name
    if len(wanted) == 1:
        if shape == (1, *wanted):
            return f"{name}[0]"
        return f"{name}[:, 0]" if shape == (*wanted, 1) else ""
    return f"{name}.T" if shape == wanted[::-1] else ""


def spell(words: Words) -> str:
    """Return words (a dict from blocks to expressions) as the Python code that a user would
    write.
    """
    items = [f"{quoted(block)}: {_write_part(part)}" for block, part in words.items()]
    return f"{{{', '.join(items)}}}"


def _write_part(part: Part) -> str:
    if isinstance(part, str):
        return quoted(exact(part))
    if isinstance(part, list):
        return literal([exact(name) for name in part])
    return literal(np.asarray(part).tolist())
