"""Maps by names and shapes."""

from __future__ import annotations

from harness.evaluating.state import Tensors
from harness.mapping.parts import Parts, list_sources, whole


def find_by_name(ours: Tensors, theirs: Tensors, words: Parts) -> Parts:
    """Return the reference's tensor of the same name and shape for each of the subject's.

    Tensors of the subject that words mention are left out.
    """
    found: Parts = {}
    for name, shape in ours.all.items():
        for called in _list_names(name, ours):
            source = theirs.other_names.get(called, called)
            if name not in words and theirs.all.get(source) == shape:
                found.setdefault(name, whole(source))
    return found


def _list_names(name: str, tensors: Tensors) -> list[str]:
    """Return all names of a tensor, the first one first."""
    return [name, *(other for other, first in tensors.other_names.items() if first == name)]


def find_buffers(ours: Tensors, theirs: Tensors, parts: Parts) -> Parts:
    """Return the reference's buffer for each of the subject's that has no expression yet: those
    that are called the same in their modules, and have the same shapes, in order.
    """
    used = list_sources(list(parts.values()))
    found: Parts = {}
    kinds = {name.rpartition(".")[2] for name in ours.buffers}
    for kind in sorted(kinds):
        mine = [name for name in _list_kind(ours, kind) if name not in parts]
        other = [name for name in _list_kind(theirs, kind) if name not in used]
        shapes = [ours.buffers[name] for name in mine]
        if shapes == [theirs.buffers[name] for name in other]:
            found |= {name: whole(source) for name, source in zip(mine, other, strict=True)}
    return found


def _list_kind(tensors: Tensors, kind: str) -> list[str]:
    """Return the names of buffers that are called `kind` in their modules."""
    return [name for name in tensors.buffers if name.rpartition(".")[2] == kind]
