"""Reads the trained weights of a checkpoint: a state_dict, or a file that holds one."""

import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.contract import Array
from harness.core.formulation import Formulation
from harness.pytorch.checkpoint_file import read
from harness.pytorch.real_numbers import to_array
from harness.text.harmless import class_name, one_line, shown

Checkpoint = str | PathLike[str] | Mapping[str, Any]
PREFIXES = re.compile(r"^((_orig_mod|module|model)\.)+")
MOST_NAMED = 10  # of a checkpoint's names, in a sentence


def weights(given: Checkpoint, formulation: Formulation) -> Array:
    """Return the weights of a checkpoint as one vector (P,), in the order of the model's own
    parameters.

    The checkpoint is a state_dict, or a file that holds one: .safetensors, or .pt, .pth or .bin as
    torch.save writes them. Reading runs no code from the file. Prefixes that torch.compile,
    DataParallel and Lightning add to names are ignored.

    Raises ValueError if the file cannot be read or is larger than a checkpoint of the model, if a
    parameter is missing, has another shape or holds numbers that are not finite, or if any other
    tensor is not a buffer with the values that the module is built with.
    """
    if isinstance(given, Mapping):
        where, named = "the state_dict", dict(given)
    elif not isinstance(given, (str, PathLike)):
        raise ValueError(
            f"weights is a {class_name(given)}, expected a state_dict, as model.state_dict() gives"
            " it, or the path of a file of one"
        )
    else:
        where = one_line(str(given))
        named = dict(read(Path(given), where, formulation))
    if isinstance(named.get("state_dict"), Mapping):
        named = dict(named["state_dict"])
    by_name = _strip_prefixes(where, named, formulation)
    tensors: dict[str, Any] = {}
    for block in formulation.own.blocks:
        if block.left_out:
            # any number will do: it has no effect on the model
            tensors[block.name] = 1.0
            continue
        if block.name not in by_name:
            raise ValueError(f"{where} has no {block.name}, expected it; it has {_list(named)}")
        tensor = by_name.pop(block.name)
        array = to_array(where, block.name, tensor, block.places.shape)
        if not np.isfinite(array).all():
            raise ValueError(f"{where}: {block.name} holds what is not finite, expected numbers")
        tensors[block.name] = array
    _expect_buffers(where, by_name, formulation)
    return formulation.own.join(tensors)


def _list(named: Mapping[Any, Any]) -> str:
    """Return the first names in a checkpoint as a text, each cut to a readable length."""
    names = [_show(name) for name in list(named)[:MOST_NAMED]]
    if len(named) > MOST_NAMED:
        names.append(f"{len(named) - MOST_NAMED} more")
    return ", ".join(names) or "nothing"


def _show(name: object) -> str:
    """Return a name as it is, or quoted and cut if it is long or has unprintable characters."""
    if isinstance(name, str) and name.isprintable() and len(name) <= 80:
        return name
    return shown(name)


def _strip_prefixes(
    where: str, named: Mapping[Any, Any], formulation: Formulation
) -> dict[str, Any]:
    """Return the tensors of a checkpoint by the model's names for them, without prefixes that
    wrappers such as DataParallel add.

    `where` names the checkpoint in errors.

    Raises ValueError if two tensors get the same name, or for a name that is no text.
    """
    known = set(formulation.buffers)
    known.update(block.name for block in formulation.own.blocks)
    stripped: dict[str, Any] = {}
    for name, tensor in named.items():
        if not isinstance(name, str):
            raise ValueError(f"{where} has {_show(name)}, expected names of parameters")
        bare = name
        if name not in known:
            bare = PREFIXES.sub("", bare)
        if bare in stripped:
            raise ValueError(
                f"{where} has several {_show(bare)}, {_show(name)} and others: give those of one"
                " model"
            )
        stripped[bare] = tensor
    return stripped


def _expect_buffers(where: str, tensors: Mapping[str, Any], formulation: Formulation) -> None:
    """Raise ValueError for a tensor that is no buffer of the model, or differs from the model's
    buffer of that name.

    `where` names the checkpoint in errors.
    """
    for name, tensor in tensors.items():
        if name not in formulation.buffers:
            raise ValueError(
                f"{where} has {_show(name)}, which is no parameter of the model and no buffer: give"
                " what is"
            )
        buffer = formulation.buffers[name]
        array = to_array(where, name, tensor, buffer.shape)
        if not np.array_equal(array, buffer):
            raise ValueError(
                f"{where}: the buffer {name} is not what the module is built with: let its factory"
                " load the checkpoint"
            )
