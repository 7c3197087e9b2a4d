"""Names the tensors in a model's output: "output", "output 2", "output.logits"."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from harness.model.errors import WrongAnswer
from harness.model.tensors import to_plain
from harness.text.harmless import class_name, exact, one_line, shown

T = TypeVar("T")
DEEPEST = 8  # levels of an output


def name_outputs(output: Any, name: str = "output", depth: int = 0) -> dict[str, Tensor]:
    """Return all tensors and numbers of a model's output, by name.

    Elements of sequences are numbered from 1; elements of mappings, named tuples and dataclasses
    have the names of their keys or fields. None and texts are left out. Raises WrongAnswer for an
    output of another kind.
    """
    if depth > DEEPEST:
        raise WrongAnswer(f"gave outputs that are nested more than {DEEPEST} levels deep")
    tensor = to_plain(output)
    if tensor is not None:
        return {name: tensor}
    if output is None or isinstance(output, str):
        return {}
    if isinstance(output, bool | int | float):
        kind = torch.float64 if isinstance(output, float) else None
        return {name: torch.tensor(output, dtype=kind)}
    tensors: dict[str, Tensor] = {}
    for label, part in _list_parts(output, name):
        tensors |= name_outputs(part, label, depth + 1)
    return tensors


def pair_names(mine: Sequence[str], theirs: Sequence[str]) -> dict[str, str]:
    """Return a dict from names of one model's outputs to those of another's, for names that the
    other lacks: in their order, if there are as many on both sides.
    """
    own = [name for name in mine if name not in theirs]
    others = [name for name in theirs if name not in mine]
    return dict(zip(own, others, strict=True)) if len(own) == len(others) else {}


def order_as(outputs: Mapping[str, T], expected: Collection[str]) -> dict[str, T]:
    """Return outputs under the names of another model's, in its order if all are `expected`."""
    names = pair_names(list(outputs), list(expected))
    renamed = {names.get(name, name): each for name, each in outputs.items()}
    if renamed.keys() != set(expected):
        return renamed
    return {name: renamed[name] for name in expected}


def _list_parts(output: Any, name: str) -> list[tuple[str, Any]]:
    """Return the parts of an output with their names."""
    if isinstance(output, Mapping):
        return [(f"{name}.{_word(key)}", part) for key, part in output.items()]
    if hasattr(output, "_asdict"):
        return [(f"{name}.{key}", part) for key, part in output._asdict().items()]
    if isinstance(output, tuple | list):
        joint = " " if depth_of(name) == 0 else "."
        return [(f"{name}{joint}{place}", part) for place, part in enumerate(output, 1)]
    if is_dataclass(output) and not isinstance(output, type):
        return [(f"{name}.{each.name}", getattr(output, each.name)) for each in fields(output)]
    raise WrongAnswer(
        f"gave a {class_name(output)}, expected a tensor, or a tuple, dict or dataclass of tensors"
    )


def depth_of(name: str) -> int:
    """Return the number of levels of a name below "output"."""
    return name.count(" ") + name.count(".")


def _word(key: Any) -> str:
    return one_line(exact(key) if isinstance(key, str) else shown(key, 40))
