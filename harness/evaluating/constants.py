"""Buffers that are constants of a model: the model creates them itself, and no call changes
them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch

from harness.evaluating.built import Builder
from harness.evaluating.state import State, plain_name, read_state


def list_own_constants(
    constants: Collection[str], follow: State, built: State, builder: Builder
) -> list[str]:
    """Return the constants (buffers that no call changes) that a model sets to other numbers than
    wanted.

    `constants` are their names. `follow` has the wanted numbers, by name, and `built` the numbers
    in a newly built model. A buffer that differs under another seed is random, and no constant.
    """
    differing = [
        name for name in constants if name in follow and not torch.equal(built[name], follow[name])
    ]
    if not differing:
        return []
    other = read_state(builder.make("float64", seed=1))
    return [name for name in differing if torch.equal(built[name], other[name])]


def describe_constants(names: Collection[str], source: str) -> str:
    """Return a note for the reader that the constants `names` are not taken from the reference.

    `source` is the reference's tensor that may be loaded for the first of them.
    """
    return (
        f"built as other numbers, and not taken from the reference: {', '.join(names)}; if it is"
        f' loaded, write parameters={{"{next(iter(names))}": "{source}"}}'
    )


def list_stored(module: Any) -> set[str]:
    """Return the names of the tensors that are in a module's state_dict."""
    return {plain_name(name) for name in module.state_dict()}
