"""Expressions that make a map inconsistent: a scale from a bias, or one matrix of several that is
not transposed as the others are.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from harness.evaluating.state import Shape
from harness.layouts.parts import Part, transposed, whole

NUMBERS = re.compile(r"\d+")
BIAS = re.compile(r"bias|beta|shift|^[bB]\d*$|_b\d*$")
WEIGHT = re.compile(r"weight|gamma|kernel|scale|^[wW]\d*$|_[wW]\d*$")


def list_kind_clashes(parts: Mapping[str, Part]) -> Iterator[str]:
    """Yield tensors that are called a weight or scale and come unchanged from a bias or shift, or
    the other way round.
    """
    for name, part in parts.items():
        if len(part.sources) == 1 and part.text == part.sources[0]:
            kinds = {name_kind(name), name_kind(part.text)}
            if kinds == {"bias", "weight"}:
                yield f"{name} = {part.text}"


def name_kind(name: str) -> str:
    """Return "bias", "weight", or "" for a name that says neither."""
    leaf = name.rpartition(".")[2]
    if BIAS.search(leaf):
        return "bias"
    return "weight" if WEIGHT.search(leaf) else ""


def list_turn_clashes(parts: Mapping[str, Part], theirs: Mapping[str, Shape]) -> Iterator[str]:
    """Yield square matrices that are transposed although the oblong ones are not, or the other way
    round.

    Matrices are compared if their names differ in numbers only. `theirs` has the shapes of the
    reference's tensors.
    """
    groups: dict[tuple[str, str], list[tuple[str, bool]]] = {}
    for name, part in parts.items():
        if len(part.sources) == 1 and len(theirs.get(part.sources[0], ())) == 2:
            source = part.sources[0]
            turned = part.text == transposed(whole(source)).text
            if turned or part.text == source:
                kinds = _name_without_numbers(name), _name_without_numbers(source)
                groups.setdefault(kinds, []).append((name, turned))
    for group in groups.values():
        oblong = {turned for name, turned in group if not _is_square(parts[name], theirs)}
        for name, turned in group:
            if len(oblong) == 1 and turned not in oblong:
                yield f"{name} = {parts[name].text}"


def list_number_clashes(parts: Mapping[str, Part], theirs: Collection[str]) -> Iterator[str]:
    """Yield expressions that take the tensors of one layer from layers of different numbers, as
    "fc1.weight = d1" and "fc1.bias = b2"; `theirs` are the names of the reference's tensors.

    Only numbers are compared that the reference counts alike: d1, d2 and b1, b2.
    """
    counted: dict[str, set[str]] = {}
    for name in theirs:
        counted.setdefault(NUMBERS.sub("#", name), set()).add(read_numbers(name))
    layers: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
    for name, part in parts.items():
        if len(part.sources) != 1 or part.adds:
            continue
        source = part.sources[0]
        owner, _, leaf = name.rpartition(".")
        layer = owner, read_numbers(leaf)
        if any(layer) and read_numbers(source):
            others = layers.setdefault(layer, {})
            kind = NUMBERS.sub("#", source)
            for other, (numbers, first) in others.items():
                alike = other != kind and counted[other] == counted[kind]
                if alike and numbers != read_numbers(source):
                    yield f"{name} = {part.text} beside {first}"
            others.setdefault(kind, (read_numbers(source), f"{name} = {part.text}"))


def read_numbers(name: str) -> str:
    """Return the numbers in a name, as "0.2"."""
    return ".".join(NUMBERS.findall(name))


def _is_square(part: Part, theirs: Mapping[str, Shape]) -> bool:
    rows, columns = theirs[part.sources[0]]
    return rows == columns


def _name_without_numbers(name: str) -> str:
    return NUMBERS.sub("#", name.rpartition(".")[2])
