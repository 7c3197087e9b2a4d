"""Describes how a model's sizes differ from those of the network as which it is judged."""

from __future__ import annotations

from collections import Counter

from harness.core.formulation import Family
from harness.core.layout import Block, Layout


def describe_size(own: Layout, network: Family) -> str:
    """Return a sentence if a model has the blocks of a network with one hidden layer, but with
    another number of hidden units, inputs or outputs; else "".
    """
    blocks = network.layout.blocks
    if any(block.layer not in (1, 2) for block in blocks):
        return ""
    found = Counter(block.places.shape for block in own.blocks)
    flipped = Counter(block.places.shape[::-1] for block in own.blocks)
    sizes = {size for shape in found for size in shape}
    for name, before in _list_sizes(network, blocks):
        for size in sorted(sizes - {before}):
            shapes = Counter(_change(block, name, size) for block in blocks)
            if shapes in (found, flipped):
                one = name.removesuffix("s") if size == 1 else name
                said = f"the model has {size} {one}, the network of the case has {before}"
                return f"{said}: write Network({name.split()[0]}={size}, ...), or mend the model"
    return ""


def _list_sizes(network: Family, blocks: tuple[Block, ...]) -> list[tuple[str, int]]:
    """Return the sizes of a network that a model may have wrong, as pairs (name, size): hidden
    units, inputs and outputs.
    """
    sizes = [("hidden units", len(b.places)) for b in blocks if (b.role, b.layer) == ("bias", 1)]
    if len(network.inputs) == 1:
        sizes.append(("inputs", network.inputs[0]))
    if len(network.outputs) == 1:
        sizes.append(("outputs", network.outputs[0]))
    return sizes


def _change(block: Block, name: str, size: int) -> tuple[int, ...]:
    """Return the shape that a block would have if the network's size `name`, such as "hidden
    units", were `size`.
    """
    shape = list(block.places.shape)
    if name == "hidden units":
        if block.layer == 1:
            shape[0] = size
        elif block.role == "weight" and block.group is None:
            shape[1] = size
    elif name == "inputs":
        if block.group is not None:
            shape[1] = size
    elif block.head is not None:
        shape[0] = size
    return tuple(shape)
