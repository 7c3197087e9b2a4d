"""Maps tensors by names and shapes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from harness.evaluating.state import Tensors
from harness.layouts.parts import Parts, list_sources, whole
from harness.layouts.statistics import name_statistic


def find_by_name(ours: Tensors, theirs: Tensors, words: Parts) -> Parts:
    """Return, by the names of the subject's tensors (`ours`), the reference's tensor of the same
    name and shape.

    Tensors that have an expression in `words` are left out.
    """
    named: Parts = {}
    for name, shape in ours.all.items():
        for called in _list_names(name, ours):
            source = theirs.other_names.get(called, called)
            if name not in words and theirs.all.get(source) == shape:
                named.setdefault(name, whole(source))
    return named


def _list_names(name: str, tensors: Tensors) -> list[str]:
    """Return all names of a tensor, the first one first."""
    return [name, *(other for other, first in tensors.other_names.items() if first == name)]


def find_buffers(
    ours: Tensors,
    theirs: Tensors,
    parts: Parts,
    moved: Collection[str],
    moved_theirs: Collection[str],
) -> Parts:
    """Return a buffer of the reference for each buffer of the subject that has no expression in
    `parts`, by the subject's name.

    Buffers are paired in order if they are of one kind, and have the same shapes. Their kinds are
    first the names in their modules (as "running_mean"), then the numbers that they start with. The
    others are paired by their shapes if calls change them, as `moved` and `moved_theirs` say:
    constants of one shape may have other numbers in each model.
    """
    found = dict(parts)
    for list_kinds in (_list_names_of_kinds, _list_starts, _list_shapes):
        used = list_sources(list(found.values()))
        own = [name for name in ours.buffers if name not in found]
        other = [name for name in theirs.buffers if name not in used]
        if list_kinds is _list_shapes:
            own = [name for name in own if name in moved]
            other = [name for name in other if name in moved_theirs]
        others = list_kinds(theirs, other)
        for kind, names in list_kinds(ours, own).items():
            sources = others.get(kind, [])
            if [ours.all[name] for name in names] == [theirs.all[name] for name in sources]:
                found |= {name: whole(source) for name, source in zip(names, sources, strict=True)}
    return {name: part for name, part in found.items() if name not in parts}


def _list_names_of_kinds(tensors: Tensors, names: Sequence[str]) -> dict[Any, list[str]]:
    """Return the names of buffers, by their names in their modules, as PyTorch calls them."""
    kinds: dict[Any, list[str]] = {}
    for name in names:
        own = name.rpartition(".")[2].lstrip("_")
        kinds.setdefault(name_statistic(own), []).append(name)
    return kinds


def _list_starts(tensors: Tensors, names: Sequence[str]) -> dict[Any, list[str]]:
    """Return the names of buffers, by the number with which all elements start, and the shape."""
    kinds: dict[Any, list[str]] = {}
    for name in names:
        if name in tensors.starts:
            kinds.setdefault((tensors.starts[name], tensors.all[name]), []).append(name)
    return kinds


def _list_shapes(tensors: Tensors, names: Sequence[str]) -> dict[Any, list[str]]:
    """Return the names of buffers by their shape."""
    kinds: dict[Any, list[str]] = {}
    for name in names:
        kinds.setdefault(tensors.all[name], []).append(name)
    return kinds
