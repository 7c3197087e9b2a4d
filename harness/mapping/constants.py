"""Buffers that are constants of a model: it builds them itself, and no call changes them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import torch

from harness.evaluating.state import State, plain_name
from harness.mapping.mapping import ParameterMap, make_of_parts


def keep_constants(
    mapping: ParameterMap,
    constants: Collection[str],
    built: State,
    theirs: State,
    build_again: Callable[[], State],
) -> ParameterMap:
    """Return a map that leaves out those constants which the subject builds as other numbers than
    the reference.

    `build_again` returns what the subject is built as under another seed: what is drawn at random
    is no constant.
    """
    follow = mapping.convert(theirs)
    parts = dict(mapping.parts or {})
    said = {name: part.text for name, part in parts.items()}
    apart = [
        name for name in parts if name in constants and not torch.equal(built[name], follow[name])
    ]
    again = build_again() if apart else {}
    apart = [name for name in apart if torch.equal(built[name], again[name])]
    if not apart:
        return mapping
    for name in apart:
        del parts[name]
    verb = "is built as other numbers" if len(apart) == 1 else "are built as other numbers"
    remark = (
        f"{', '.join(apart)} {verb}, and not taken from the reference; if it is loaded, write"
        f' parameters={{"{apart[0]}": "{said[apart[0]]}"}}'
    )
    return replace(
        mapping,
        make=make_of_parts(parts),
        parts=parts,
        as_built=(*mapping.as_built, *apart),
        remark="; ".join(filter(None, [remark, mapping.remark])),
    )


def list_stored(module: Any) -> set[str]:
    """Return the names of the tensors that are in a module's state_dict."""
    return {plain_name(name) for name in module.state_dict()}
