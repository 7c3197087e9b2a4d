"""How plausible a map of parameters is: by names, by kinds of tensors, and by the order in which
they are declared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from harness.evaluating.state import Tensors
from harness.layouts.parts import Named, Part, Parts, replaced, whole
from harness.layouts.roles import list_groups, list_role_clashes, order_by_roles
from harness.plausible.clashes import (
    list_kind_clashes,
    list_number_clashes,
    list_turn_clashes,
    name_kind,
)
from harness.plausible.owners import name_layers

PARTNERS = (  # how weights are called, and the word for the bias in its place
    (re.compile("weight|kernel"), "bias"),
    (re.compile("gamma"), "beta"),
    (re.compile(r"^[Ww](?=\d*$)"), "b"),
)
FIRST_ROWS = re.compile(r"\[(\d+):(\d+)\]$")  # of an expression that takes some rows of a tensor


def list_contradictions(parts: Mapping[str, Part], named: Parts, theirs: Tensors) -> list[str]:
    """Return in words which expressions contradict the names of tensors.

    A tensor must come from the tensor of its name and shape, if there is one. A bias must come from
    the bias beside the source of its weight, and a gate of an LSTM from the gate of its name. All
    matrices of one kind are transposed, or none.
    `named` has the expressions by name, `theirs` are the reference's tensors.
    """
    clashes = [
        f"{name} = {part.text}"
        for name, part in parts.items()
        if name in named and part.text != named[name].text and not part.adds
    ]
    clashes += [
        *_list_parted(parts, theirs),
        *list_kind_clashes(parts),
        *list_turn_clashes(parts, theirs.all),
        *list_number_clashes(parts, theirs.all),
        *list_role_clashes(parts, theirs.all),
    ]
    return list(dict.fromkeys(clashes))


def _list_parted(parts: Mapping[str, Part], theirs: Tensors) -> Iterator[str]:
    """Yield biases that do not come from the partners of their weights' sources."""
    for name, weight in parts.items():
        bias = parts.get(_find_partner(name))
        if bias is None or bias.adds or len(weight.sources) != len(bias.sources):
            continue
        partners = tuple(map(_find_partner, weight.sources))
        rows, own_rows = FIRST_ROWS.search(weight.text), FIRST_ROWS.search(bias.text)
        apart = rows and own_rows and rows.groups() != own_rows.groups()
        if all(each in theirs.all for each in partners) and (apart or partners != bias.sources):
            yield f"{_find_partner(name)} = {bias.text} beside {name} = {weight.text}"


def _find_partner(name: str) -> str:
    """Return the name of the bias that belongs to a weight: "rnn.bias_ih" for "rnn.weight_ih", "b1"
    for "W1"; "" if the name is no weight's.
    """
    owner, dot, leaf = name.rpartition(".")
    for weight, bias in PARTNERS:
        if weight.search(leaf):
            return f"{owner}{dot}{weight.sub(bias, leaf)}"
    return ""


def count_mixed(parts: Mapping[str, Part]) -> int:
    """Return the number of the subject's parameters that a map makes from the wrong kind: a weight
    from a bias, or a bias from a weight.
    """
    return sum(
        any(_is_bias(source) is not _is_bias(name) for source in part.sources)
        for name, part in parts.items()
    )


def _is_bias(name: str) -> bool:
    """Is a tensor called a bias or shift, as "beta"?"""
    return name_kind(name) == "bias"


def count_exchanged(parts: Mapping[str, Part], ours: Sequence[Named], theirs: Sequence[str]) -> int:
    """Return how many pairs of tensors a map takes against the order in which both models declare
    them.

    A pair counts if it may be exchanged: two of the subject's tensors (`ours`) of one kind in
    layers of the same shapes, or two tensors that are joined; those of different roles are joined
    in the order of roles.
    """
    places = {name: number for number, name in enumerate(theirs)}
    layers = name_layers(ours)
    kinds: dict[Any, list[tuple[int, int]]] = {}
    joined = 0
    for name, _ in ours:
        if name in parts and parts[name].sources:
            rows = FIRST_ROWS.search(parts[name].text)
            start = int(rows.group(1)) if rows else 0
            kinds.setdefault(layers[name], []).append(
                (places.get(parts[name].sources[0], 0), start)
            )
            joined += _count_turned(_list_places(parts[name], places))
    return joined + sum(_count_turned(each) for each in kinds.values())


def put_in_order(part: Part, theirs: Sequence[str]) -> Part:
    """Return an expression that joins tensors, with these in the order in which the reference
    declares them, or in the order of roles.
    """
    places = _list_places(part, {name: number for number, name in enumerate(theirs)})
    ordered = [part.sources[places.index(place)] for place in sorted(places)]
    return replaced(
        part, {name: whole(one) for name, one in zip(part.sources, ordered, strict=True)}
    )


def _list_places(part: Part, places: Mapping[str, int]) -> list[int]:
    """Return where the tensors that an expression joins are declared; if they have all roles of a
    layer, the places of these.
    """
    kinds = set(map(name_kind, part.sources))
    if part.adds or len(part.sources) < 2 or len(kinds) > 1:
        return list(range(len(part.sources)))
    by_place = sorted(part.sources, key=lambda name: places.get(name, 0))
    if list_groups(list(part.sources)):
        first = [name for name, _ in order_by_roles([(name, ()) for name in by_place])]
        return [first.index(name) for name in part.sources]
    return [by_place.index(name) for name in part.sources]


def _count_turned(places: Sequence[Any]) -> int:
    return sum(one > other for one, other in combinations(places, 2))
