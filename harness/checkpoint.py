"""Trained weights, as a checkpoint has them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from harness.contract import Array
from harness.layout import Layout
from harness.mapping import left_out_as

Checkpoint = str | PathLike[str] | Mapping[str, Any]
PREFIXES = re.compile(r"^((_orig_mod|module|model)\.)+")
KINDS = {".safetensors": "safetensors", ".pt": "torch", ".pth": "torch", ".bin": "torch"}


def weights(given: Checkpoint, own: Layout) -> Array:
    """The own parameters (P,) of a state_dict, or of a file of one (.safetensors, or .pt, .pth, .bin of torch.save).

    No code of a file is run. What is no parameter (a buffer) is passed over, prefixes that torch.compile, DataParallel
    and Lightning put before every name are too. Raises ValueError where a parameter is not there, has another shape or
    holds something that is not finite, and where the file is none.
    """
    where = "the state_dict" if isinstance(given, Mapping) else str(given)
    named = dict(given if isinstance(given, Mapping) else _read(Path(given)))
    if isinstance(named.get("state_dict"), Mapping):
        named = dict(named["state_dict"])
    bare = {PREFIXES.sub("", str(name)): tensor for name, tensor in named.items()}
    found = bare | {str(name): tensor for name, tensor in named.items()}
    tensors = {}
    for block in own.blocks:
        if block.name.endswith(left_out_as("")):
            tensors[block.name] = np.zeros(block.places.shape)
            continue
        if block.name not in found:
            raise ValueError(
                f"{where} has no {block.name}, expected it; it has {', '.join(map(str, named)) or 'nothing'}"
            )
        tensor = found[block.name]
        array = np.asarray(tensor.detach().cpu().double() if hasattr(tensor, "detach") else tensor, dtype=np.float64)
        if array.shape != block.places.shape:
            raise ValueError(f"{where}: {block.name} has shape {array.shape}, expected {block.places.shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{where}: {block.name} holds what is not finite, expected numbers")
        tensors[block.name] = array
    return own.join(tensors)


def _read(path: Path) -> Mapping[str, Any]:
    """A file's tensors by name."""
    kind = KINDS.get(path.suffix)
    if kind is None:
        raise ValueError(f"{path} is no checkpoint that can be read, expected a file called {', '.join(KINDS)}")
    try:
        if kind == "safetensors":
            from safetensors.numpy import load_file

            named: Any = load_file(path)
        else:
            import torch

            named = torch.load(path, map_location="cpu", weights_only=True)
    except ImportError:
        raise ValueError(f"{path} takes the package safetensors to be read: pip install safetensors") from None
    except Exception as error:  # whatever a damaged file makes a reader raise
        why = next(iter(str(error).splitlines()), "")
        raise ValueError(f"{path} cannot be read as a checkpoint: {type(error).__name__}: {why}"[:300]) from error
    if not isinstance(named, Mapping):
        raise ValueError(
            f"{path} holds {type(named).__name__}, expected a state_dict: torch.save(model.state_dict(), ...)"
        )
    return named
