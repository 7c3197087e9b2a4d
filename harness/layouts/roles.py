"""Reads a tensor's role in its layer from its name: a gate of an LSTM or GRU, or queries, keys or
values of attention.

Names of tutorials and books are known: W_f, U_f, W_xf, Wf, forget_gate, W_hf, q_proj, key. A tensor
with PyTorch's name for all roles together has them in PyTorch's order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations

from harness.evaluating.state import Shape
from harness.layouts.gates import USUAL
from harness.layouts.parts import Named, Part

HEADED = "qkv"  # beside which attention has an output, as "o_proj"
LAYERS = (*USUAL.values(), HEADED)  # all roles in a layer, in PyTorch's order
LETTER = re.compile(r"[wubv]?[xhi]?([ifgcorzunqkv])")
WORDS = {
    "input": "i",
    "forget": "f",
    "cell": "g",
    "candidate": "g",
    "output": "o",
    "reset": "r",
    "update": "z",
    "new": "n",
    "query": "q",
    "queries": "q",
    "key": "k",
    "keys": "k",
    "value": "v",
    "values": "v",
}
CALLED = {"c": "g", "u": "z"}  # other letters for a gate
ROWS = re.compile(r"\[(\d+):(\d+)\]")
GATES = re.compile(r"(weight|bias)_[ih]h(_l\d+)?(_reverse)?$")
HEADS = re.compile(r"in_proj|qkv|query_key_value|c_attn")


def order_by_roles(names: Sequence[Named]) -> list[Named]:
    """Return tensors with those of different roles in PyTorch's order: the input weights of all
    gates, the recurrent weights of all, and so on. Other tensors keep their places.
    """
    groups = list_groups([name for name, _ in names])
    shapes = dict(names)
    ordered: dict[str, None] = {}
    for name, _ in names:
        group = next((each for each in groups if name in each), [name])
        ordered |= dict.fromkeys(group)
    return [(name, shapes[name]) for name in ordered]


def exchange_roles(names: Sequence[str]) -> Iterator[dict[str, str]]:
    """Yield dicts from names to names in which all tensors of a role take the places of another's,
    as ports do that read a gate for another.
    """
    groups = list_groups(names)
    for layer in LAYERS:
        found = [group for group in groups if _name_layer(group) == layer]
        orders = permutations(range(len(layer))) if found else iter(())
        for order in orders:
            if list(order) != sorted(order):
                yield {group[n]: group[order[n]] for group in found for n in range(len(layer))}


def list_groups(names: Sequence[str]) -> list[list[str]]:
    """Return groups of names that differ in their role only, each with all roles of a layer, in
    PyTorch's order.
    """
    kinds: dict[str, dict[str, str]] = {}
    for name in names:
        for pattern, role in _read_roles(name):
            kinds.setdefault(pattern, {})[role] = name
    return [
        [found[role] for role in layer]
        for found in kinds.values()
        for layer in LAYERS
        if set(found) == set(layer) or (layer == HEADED and set(found) > set(layer))
    ]


def _read_roles(name: str) -> Iterator[tuple[str, str]]:
    """Yield a name with "#" in place of a word or letter that may mean a role, and the role."""
    for match in re.finditer(r"[A-Za-z]+", name):
        word = match[0].lower()
        letter = LETTER.fullmatch(word)
        role = WORDS.get(word) or (letter and CALLED.get(letter[1], letter[1]))
        if role:
            before = match[0][:-1] if letter else ""
            yield f"{name[: match.start()]}{before}#{name[match.end() :]}", role


def _name_layer(group: Sequence[str]) -> str:
    """Return the roles in a group of names, in order."""
    found = {"".join(each) for each in _list_readings(group)}
    return next(layer for layer in LAYERS if layer in found)


def _list_readings(group: Sequence[str]) -> Iterator[list[str]]:
    patterns = [dict(_read_roles(name)) for name in group]
    for pattern in patterns[0]:
        if all(pattern in each for each in patterns):
            yield [each[pattern] for each in patterns]


def list_role_clashes(parts: Mapping[str, Part], theirs: Mapping[str, Shape]) -> Iterator[str]:
    """Yield expressions that take a tensor of one role from another role, by the names of both
    models' tensors; `theirs` has the shapes of the reference's.
    """
    mine, others = _name_roles(list(parts)), _name_roles(list(theirs))
    for name, part in parts.items():
        taken = [others[source] for source in part.sources if source in others]
        if name in mine:
            taken = taken or list(_read_rows(part, theirs))
            wrong = any(role != mine[name] for role in taken)
        else:
            wrong = _is_fused(name) and "".join(sorted(taken)) in map(_sort, LAYERS)
            wrong = wrong and "".join(taken) not in LAYERS
        if wrong:
            yield f"{name} = {part.text}"


def _sort(layer: str) -> str:
    return "".join(sorted(layer))


def _is_fused(name: str) -> bool:
    """Is this the usual name of a tensor with all roles together?"""
    return bool(GATES.search(name) or HEADS.search(name))


def _name_roles(names: Sequence[str]) -> dict[str, str]:
    """Return the role of each name that means one."""
    roles: dict[str, str] = {}
    for group in list_groups(names):
        roles |= dict(zip(group, _name_layer(group), strict=True))
    return roles


def _read_rows(part: Part, theirs: Mapping[str, Shape]) -> Iterator[str]:
    """Yield the roles whose rows an expression takes from tensors that hold all of them."""
    if not part.sources or not all(map(_is_fused, part.sources)):
        return
    for first, last in ROWS.findall(part.text):
        size = int(last) - int(first)
        count = max(theirs[part.sources[0]]) // size
        layer = "qkv" if HEADS.search(part.sources[0]) else USUAL.get(count, "")
        yield layer[int(first) // size] if len(layer) == count else "?"
