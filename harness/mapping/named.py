"""Maps tensors by names and shapes."""

from __future__ import annotations

from harness.evaluating.state import Tensors
from harness.layouts.parts import Parts, list_sources, whole


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


def find_buffers(ours: Tensors, theirs: Tensors, parts: Parts) -> Parts:
    """Return a buffer of the reference for each buffer of the subject that has no expression in
    `parts`, by the subject's name.

    Buffers are paired in order if they have the same name in their modules (as "running_mean"), and
    the same shapes.
    """
    used = list_sources(list(parts.values()))
    buffers: Parts = {}
    kinds = {name.rpartition(".")[2] for name in ours.buffers}
    for kind in sorted(kinds):
        mine = [name for name in _list_kind(ours, kind) if name not in parts]
        other = [name for name in _list_kind(theirs, kind) if name not in used]
        shapes = [ours.buffers[name] for name in mine]
        if shapes == [theirs.buffers[name] for name in other]:
            buffers |= {name: whole(source) for name, source in zip(mine, other, strict=True)}
    return buffers


def _list_kind(tensors: Tensors, kind: str) -> list[str]:
    """Return the names of the buffers whose name in their module is `kind`."""
    return [name for name in tensors.buffers if name.rpartition(".")[2] == kind]
