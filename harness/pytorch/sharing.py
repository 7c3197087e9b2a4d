"""Finds parameters of a model that several blocks of the network share (tied weights), and proposes
a value for the user's argument `parameters`.
"""

from collections.abc import Mapping

import numpy as np

from harness.core.formulation import Family, Formulation
from harness.core.layout import Layout
from harness.pytorch.parameters import Words, meaning, spell


def find_shared(formulation: Formulation) -> Mapping[str, tuple[str, ...]]:
    """Return the names of the network's blocks that share numbers of one of the model's parameters,
    by the parameter's name.

    A parameter is listed if one of its numbers is used more than once. If only one block is given
    for it, that block uses a number several times.
    """
    back = formulation.matrix.transpose
    layout = formulation.network.layout
    shared = {}
    for block in formulation.own.blocks:
        places = block.places.ravel()
        several = places[back.entries[places] > 1]
        if several.size:
            rows = back.matrix[several].indices
            owners = np.unique(layout.owners[rows]).tolist()
            shared[block.name] = tuple(layout.blocks[owner].name for owner in owners)
    return shared


def propose(own: Layout, network: Family, count: int, ways: list[Words]) -> str:
    """Return a sentence that proposes the first of `ways`, the assignments of parameters to blocks
    that match the model's outputs; `count` were tried.

    A way that uses a parameter twice, or sets a bias to 0, is called a likely mistake.
    """
    way = ways[0]
    which = "the only way that fits" if count == 1 else f"of {count} ways that fit this one"
    others = f", as {len(ways) - 1} more do" if len(ways) > 1 else ""
    claim = f"{which} makes the network compute what the model does{others}"
    written = f"write parameters={spell(way)}"
    shared = find_shared(Formulation.from_meaning(own, network, meaning(way, network), idle=True))
    if shared:
        both = ", ".join(
            f"{name} is both {' and '.join(blocks)}" for name, blocks in shared.items()
        )
        doubt = "likely a layer is missing, or is called twice by mistake"
        return f"{claim}: {both}; {doubt}; if it is meant, {written}"
    zero = [block for block, part in way.items() if isinstance(part, int)]
    if zero:
        doubt = f"it has no parameter for {' and '.join(zero)}, likely by mistake"
        return f"{claim}: {doubt}; if 0 is meant, {written}"
    return f"{claim}: unless that is the mistake, {written}"
