"""Two models whose parameters are to be mapped, and maps that consist of expressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.evaluating.state import Tensors
from harness.layouts.parts import Named, Parts, list_sources
from harness.mapping.mapping import (
    ParameterMap,
    describe_parts,
    make_of_parts,
    shorten_parts,
    write_parts,
)
from harness.mapping.named import find_buffers
from harness.mapping.trying import Trier

BY_NAME = "by name and shape"


@dataclass(frozen=True, eq=False)
class Pair:
    """Two models whose parameters are to be mapped. Fields ending in `theirs` are the reference's,
    the others the subject's.

    `acting` and `acting_theirs` name the parameters that influence some output. `used` and
    `used_theirs` name parameters in the order of their first use. `moved` and `moved_theirs` name
    tensors that a call changes. `trier` measures how well a map makes the outputs of both models
    agree. `name` and `name_theirs` are the names of the models.
    """

    ours: Tensors
    theirs: Tensors
    trier: Trier
    acting: Sequence[str]
    acting_theirs: Sequence[str]
    used: Sequence[str]
    used_theirs: Sequence[str]
    moved: Sequence[str]
    moved_theirs: Sequence[str]
    name: str
    name_theirs: str


def list_all_left(pair: Pair, parts: Parts) -> tuple[list[Named], list[Named]]:
    """Return the subject's parameters that `parts` does not compute, and the reference's parameters
    that `parts` does not use.
    """
    used = list_sources(list(parts.values()))
    rest = [one for one in pair.ours.parameters.items() if one[0] not in parts]
    return rest, [one for one in pair.theirs.parameters.items() if one[0] not in used]


def list_left(pair: Pair, parts: Parts) -> tuple[list[Named], list[Named]]:
    """Return the same two lists as `list_all_left`, but only the parameters that influence an
    output.
    """
    rest, rest_theirs = list_all_left(pair, parts)
    return (
        [one for one in rest if one[0] in pair.acting],
        [one for one in rest_theirs if one[0] in pair.acting_theirs],
    )


def make_map(
    pair: Pair, words: Parts, parts: Parts, text: str, assumed: bool = False
) -> ParameterMap:
    """Return the map that consists of the expressions `parts`. Buffers without an expression are
    found by their names.

    `words` are the expressions that the user gave. `text` describes the map in a sentence.
    `assumed` says that it was found by trying.
    """
    parts = {**parts, **find_buffers(pair.ours, pair.theirs, parts, pair.moved, pair.moved_theirs)}
    used = list_sources(list(parts.values()))
    constants = [name for name, part in words.items() if not part.sources]
    return ParameterMap(
        make_of_parts(parts),
        text,
        write_parts(parts),
        assumed,
        parts,
        as_built=tuple(
            name
            for name in pair.ours.all
            if name not in parts or (not parts[name].sources and name not in words)
        ),
        constants=tuple(constants),
        unused=tuple(name for name in pair.theirs.all if name not in used),
    )


def make_assumed(pair: Pair, words: Parts, keep: Parts, parts: Parts) -> ParameterMap:
    """Return the map that consists of kept expressions (`keep`) and assumed ones (`parts`)."""
    both = {**keep, **parts}
    names = {name: both[name] for name in pair.ours.all if name in both}
    own = {name: each for name, each in names.items() if name not in words}
    text, short = BY_NAME, BY_NAME
    if text_of_parts := describe_parts(own):
        text, short = f"assumed: {text_of_parts}", f"assumed: {shorten_parts(own)}"
    if words:
        text, short = f"as you say; {text}", f"as you say; {short}"
    return replace(make_map(pair, words, names, text, assumed=bool(parts)), short=short)
