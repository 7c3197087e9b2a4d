"""Falls back on the order of parameters, or refuses, if no map makes the outputs agree."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

from harness.evaluating.state import Shape
from harness.layouts.parts import Parts
from harness.mapping.aligning import Rules, align
from harness.mapping.converter import WrongMap
from harness.mapping.mapping import ParameterMap
from harness.mapping.pair import Pair, list_all_left, make_assumed
from harness.plausible.contradictions import list_contradictions

TRIED = (
    "tensors joined, cut, stacked, added, transposed and exchanged, kernels and dense weights of"
    " TensorFlow, heads interleaved and gates in other orders"
)


def count_maps(count: int) -> str:
    """Return a number of maps in words, as "1 map" or "12 maps"."""
    return f"{count} map{'' if count == 1 else 's'}"


def describe_tried(count: int, against_names: bool = False) -> str:
    """Return a sentence on so many maps: none makes the outputs agree. `against_names` says that
    one does, but contradicts names.
    """
    none = "none that follows the names makes" if against_names else "none makes"
    if count == 1:
        none = (
            "it contradicts the names, although it makes" if against_names else "it does not make"
        )
    were = "was" if count == 1 else "were"
    return f"{count_maps(count)} {were} tried, and {none} the outputs agree"


def map_in_order(pair: Pair, words: Parts, named: Parts) -> ParameterMap | None:
    """Return the map in the order of registration, if all shapes agree and no name contradicts it;
    names that agree come first.
    """
    for keep in ({**words, **named}, words):
        rest, rest_theirs = list_all_left(pair, keep)
        if not rest or [shape for _, shape in rest] != [shape for _, shape in rest_theirs]:
            continue
        for parts in islice(align(rest_theirs, rest, Rules()), 1):
            if not list_contradictions(parts, named, pair.theirs):
                return make_assumed(pair, words, keep, parts)
    return None


def refuse(pair: Pair, count: int, against_names: str, ended: bool) -> WrongMap:
    """Return the error with a sentence on the `count` attempts, the tensors of both models, and the
    line for the user to write.
    """
    tried = describe_tried(count, bool(against_names))
    if not count:
        tried = f"their shapes fit no map of those that are known ({TRIED})"
    if ended:
        tried += f" (the search ended after {count_maps(count)}, and there are more)"
    said = f". {against_names}" if against_names else ""
    first = next(iter(pair.ours.parameters))
    source = next(iter(pair.theirs.parameters), "weight")
    return WrongMap(
        f"how the parameters of {pair.name} follow from those of {pair.name_theirs} is not"
        f" clear: {tried}{said}. {pair.name} has {list_shapes(pair.ours.all)};"
        f" {pair.name_theirs} has {list_shapes(pair.theirs.all)}. Write"
        f' parameters=lambda s: {{"{first}": s["{source}"], ...}}'
    )


def refuse_zeros(pair: Pair) -> WrongMap:
    """Return the error with a sentence on data that tell nothing of the parameters."""
    return WrongMap(
        f"how the parameters of {pair.name} follow from those of {pair.name_theirs} is not clear:"
        " all numbers of the data are 0, and tell nothing of the weights that multiply them. Give"
        " other data, or write parameters={...}"
    )


def list_shapes(shapes: Mapping[str, Shape]) -> str:
    """Return names with shapes as text."""
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "none"
