"""Reads the trained weights of a checkpoint: a state_dict, or a file that holds one."""

import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.contract import Array
from harness.core.formulation import Formulation

Checkpoint = str | PathLike[str] | Mapping[str, Any]
PREFIXES = re.compile(r"^((_orig_mod|module|model)\.)+")
KINDS = {".safetensors": "safetensors", ".pt": "torch", ".pth": "torch", ".bin": "torch"}


def weights(given: Checkpoint, formulation: Formulation) -> Array:
    """Return the weights of a checkpoint as one vector (P,), in the order of the model's own
    parameters.

    The checkpoint is a state_dict, or a file that holds one: .safetensors, or .pt, .pth or .bin as
    torch.save writes them. Reading runs no code from the file. Prefixes that torch.compile,
    DataParallel and Lightning add to names are ignored.

    Raises ValueError if the file cannot be read, if a parameter is missing, has another shape or
    holds numbers that are not finite, or if any other tensor is not a buffer with the values that
    the module is built with.
    """
    if isinstance(given, Mapping):
        where, named = "the state_dict", dict(given)
    else:
        where, named = str(given), dict(_read(Path(given)))
    if isinstance(named.get("state_dict"), Mapping):
        named = dict(named["state_dict"])
    found = _strip_prefixes(where, named, formulation)
    tensors: dict[str, Any] = {}
    for block in formulation.own.blocks:
        if block.left_out:
            # any number will do: it has no effect on the model
            tensors[block.name] = 1.0
            continue
        if block.name not in found:
            has = ", ".join(map(str, named)) or "nothing"
            raise ValueError(f"{where} has no {block.name}, expected it; it has {has}")
        array = found.pop(block.name)
        if array.shape != block.places.shape:
            raise ValueError(
                f"{where}: {block.name} has shape {array.shape}, expected {block.places.shape}"
            )
        if not np.isfinite(array).all():
            raise ValueError(f"{where}: {block.name} holds what is not finite, expected numbers")
        tensors[block.name] = array
    _expect_buffers(where, found, formulation)
    return formulation.own.join(tensors)


def _strip_prefixes(
    where: str, named: Mapping[str, Any], formulation: Formulation
) -> dict[str, Array]:
    """Return the tensors by the model's names for them, without the prefixes that wrappers add.

    Raises ValueError if two tensors get the same name.
    """
    known = set(formulation.buffers)
    known.update(block.name for block in formulation.own.blocks)
    found: dict[str, Array] = {}
    for name, tensor in named.items():
        bare = str(name)
        if name not in known:
            bare = PREFIXES.sub("", bare)
        if bare in found:
            raise ValueError(
                f"{where} has several {bare}, {name} and others: give those of one model"
            )
        found[bare] = _to_array(where, bare, tensor)
    return found


def _expect_buffers(where: str, found: Mapping[str, Array], formulation: Formulation) -> None:
    """Raise ValueError for a tensor that is no buffer of the model, or differs from the buffer."""
    for name, array in found.items():
        if name not in formulation.buffers:
            raise ValueError(
                f"{where} has {name}, which is no parameter of the model and no buffer: give"
                " what is"
            )
        if not np.array_equal(array, formulation.buffers[name]):
            raise ValueError(
                f"{where}: the buffer {name} is not what the module is built with: let its factory"
                " load the checkpoint"
            )


def _to_array(where: str, name: str, tensor: Any) -> Array:
    """Convert a tensor to float64. Raises ValueError unless it holds real numbers."""
    if "bfloat16" in str(getattr(tensor, "dtype", "")):  # NumPy has no such dtype
        tensor = tensor.detach().cpu().float()
    array = np.asarray(tensor)
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{where}: {name} is of {array.dtype}, expected real numbers")
    return array.astype(np.float64)


def _read(path: Path) -> Mapping[str, Any]:
    """Read the tensors of a file, by name. Raises ValueError if it is not a readable checkpoint."""
    kind = KINDS.get(path.suffix)
    if kind is None:
        raise ValueError(
            f"{path} is no checkpoint that can be read, expected a file called {', '.join(KINDS)}"
        )
    try:
        if kind == "safetensors":
            from safetensors.numpy import load_file

            named: Any = load_file(path)
        else:
            import torch

            named = torch.load(path, map_location="cpu", weights_only=True)
    except ImportError:
        raise ValueError(
            f"{path} takes the package safetensors to be read: pip install safetensors"
        ) from None
    except Exception as error:  # whatever a damaged file makes a reader raise
        why = next(iter(str(error).splitlines()), "")
        raise ValueError(
            f"{path} cannot be read as a checkpoint: {type(error).__name__}: {why}"[:300]
        ) from error
    if not isinstance(named, Mapping):
        raise ValueError(
            f"{path} holds {type(named).__name__}, expected a state_dict:"
            " torch.save(model.state_dict(), ...)"
        )
    return named
