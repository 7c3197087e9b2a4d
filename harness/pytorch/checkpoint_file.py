"""Reads the file of a checkpoint, after checking its size and kind."""

import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.core.formulation import Formulation
from harness.pytorch.pickled import NoStateDict
from harness.pytorch.torch_file import load
from harness.text.harmless import class_name, one_line
from harness.text.reading import read_regular

KINDS = {".safetensors": "safetensors", ".pt": "torch", ".pth": "torch", ".bin": "torch"}
# A checkpoint has at most 8 bytes for a number, in the model and in the averages of its optimiser;
# the rest is for what else a training run saves.
BYTES_A_NUMBER, MORE_BYTES = 64, 1 << 24
# A tensor takes some 100 bytes of names, shapes and places, in several averages.
BYTES_A_TENSOR, MORE_TEXT = 2_000, 1 << 18


def read(path: Path, where: str, formulation: Formulation) -> Mapping[Any, Any]:
    """Return the tensors of a file by name; `where` is the file's name in errors.

    Raises ValueError if it is not a readable checkpoint, or larger than one of the model.
    """
    kind = KINDS.get(path.suffix)
    if kind is None:
        raise ValueError(
            f"{where} is no checkpoint that can be read, expected a file called {', '.join(KINDS)}"
        )
    shapes = [block.places.shape for block in formulation.own.blocks]
    shapes += [buffer.shape for buffer in formulation.buffers.values()]
    numbers = sum(math.prod(shape) for shape in shapes)
    text = MORE_TEXT + BYTES_A_TENSOR * len(shapes)
    try:
        content = read_regular(path, MORE_BYTES + BYTES_A_NUMBER * numbers + text)
    except OSError as error:
        raise ValueError(f"{where} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(
            f"{where} {error}: give a checkpoint of the model, which has {numbers} numbers"
        ) from None
    named = _parse(content, kind, text, where)
    if not isinstance(named, Mapping):
        raise ValueError(
            f"{where} holds {class_name(named)}, expected a state_dict:"
            " torch.save(model.state_dict(), ...)"
        )
    return named


def _parse(content: bytes, kind: str, text: int, where: str) -> Any:
    """Return the contents of a file of this kind ("torch" or "safetensors").

    `text` is the largest number of bytes that everything but the tensors' numbers may take. `where`
    names the file in errors.
    """
    try:
        if kind == "torch":
            return load(content, text)
        return _load_safetensors(content, text)
    except ImportError:
        raise ValueError(
            f"{where} takes the package safetensors to be read: pip install safetensors"
        ) from None
    except NoStateDict as error:
        raise ValueError(f"{where} {error}") from None
    except Exception as error:  # whatever a damaged file makes a reader raise
        why = one_line(next(iter(str(error)[:300].splitlines()), ""))
        raise ValueError(
            f"{where} cannot be read as a checkpoint: {type(error).__name__}: {why}"[:300]
        ) from error


def _load_safetensors(content: bytes, text: int) -> Any:
    """Return the tensors of a safetensors file by name.

    `text` is the largest number of bytes that its header may take.
    """
    from safetensors.torch import load as load_safetensors

    (length,) = struct.unpack_from("<Q", content)
    if length > text:
        raise NoStateDict(f"has a header of {length:,} bytes, expected at most {text:,}")
    return load_safetensors(content)
