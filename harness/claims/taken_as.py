"""Describes the network as which a subject was judged, and the restrictions of its parameters."""

from collections.abc import Iterator

import numpy as np

from harness.core.formulation import Family, Formulation
from harness.pytorch.sharing import find_shared


def describe_taken(formulation: Formulation, network: Family) -> str:
    """Return in words the network as which a subject was judged; "" if it is the case's `network`
    without restrictions.

    The words name a network of the subject's own, own parameters that several blocks share,
    constant blocks, parameters that are held at 0, and biases that the subject does not have.
    """
    parts = list(_list_restrictions(formulation))
    restrictions = f"with {', '.join(parts)}" if parts else ""
    own = _describe_network(formulation.network, network)
    return ", ".join(filter(None, (own, restrictions)))


def _describe_network(own: Family, network: Family) -> str:
    """Return the subject's own network in words; "" if it is the case's network."""
    if own is network:
        return ""
    sentence = own.sentence()
    short = sentence.partition(",")[0]
    if short == network.sentence().partition(",")[0]:
        return f"as a network of its own, {sentence}"
    return f"as a network {short} of its own"


def _list_restrictions(formulation: Formulation) -> Iterator[str]:
    """Yield each restriction of the network's parameters, in words."""
    ties = dict.fromkeys(find_shared(formulation).values())
    for blocks in ties:
        yield f"{' and '.join(blocks)} tied" if len(blocks) > 1 else f"entries of {blocks[0]} tied"
    free = formulation.matrix.entries > 0
    for block in formulation.network.layout.blocks:
        used = free[block.places[block.places >= 0]]
        if not used.any():
            yield f"{block.name} constant"
        elif not used.all():
            yield f"{block.name} constant in part"
    for block in formulation.own.blocks:
        at_zero = formulation.held[block.places]
        if np.any(at_zero):
            yield (
                f"{block.name} held at 0" if np.all(at_zero) else f"{block.name} held at 0 in part"
            )
        if block.left_out:
            yield f"no {block.left_out}"
