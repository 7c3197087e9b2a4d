"""How plausible a map of parameters is: by names, by kinds of tensors, and by the order in which
they are declared.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from harness.evaluating.state import Tensors
from harness.layouts.parts import Part, Parts
from harness.layouts.roles import list_role_clashes
from harness.mapping.clashes import list_kind_clashes, list_number_clashes, list_turn_clashes

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
    return "bias" in name.rpartition(".")[2]


def count_exchanged(parts: Mapping[str, Part], ours: Sequence[str], theirs: Sequence[str]) -> int:
    """Return how many pairs of parameters of one kind a map takes against the order in which both
    models declare them.
    """
    places = {name: number for number, name in enumerate(theirs)}
    kinds: dict[bool, list[tuple[int, int]]] = {True: [], False: []}
    for name in ours:
        if name in parts and parts[name].sources:
            rows = FIRST_ROWS.search(parts[name].text)
            start = int(rows.group(1)) if rows else 0
            kinds[_is_bias(name)].append((places.get(parts[name].sources[0], 0), start))
    return sum(one > other for each in kinds.values() for one, other in combinations(each, 2))
