"""Reads the weights of a module that `nnet-parity port` wrote, in nnet's order.

In shapes, T counts weights.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.core.contract import Array
from harness.text.harmless import one_line
from harness.text.reading import read_regular
from reference.porting.port import layers
from reference.rds.fit import FittedNet

MOST_BYTES, MOST_HEADER = 1 << 25, 1 << 20
KINDS = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}
MOST_NAMED = 5  # tensors in a sentence
SAVE = 'write it with safetensors.torch.save_file(model.state_dict(), "model.safetensors")'


@dataclass(frozen=True, eq=False)
class Tensors:
    """The tensors of a file by name, and the SHA-256 of the fit that they were ported from, "" if
    the file does not have it.
    """

    named: Mapping[str, Array]
    fit: str


def read_tensors(path: Path) -> Tensors:
    """Return the tensors of a safetensors file in float64.

    Raises ValueError, with a sentence and the file's name, for anything else.
    """
    name = one_line(path.name)
    try:
        content = read_regular(path, MOST_BYTES)
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{name} {error}: {SAVE}") from None
    try:
        return _parse(content)
    except (ValueError, KeyError, TypeError, AttributeError, struct.error, RecursionError):
        raise ValueError(
            f"{name} holds no tensors of float64, float32 or float16 in the format safetensors:"
            f" {SAVE}"
        ) from None


def _parse(content: bytes) -> Tensors:
    (length,) = struct.unpack_from("<Q", content)
    if length > MOST_HEADER:
        raise ValueError  # its header is too long
    start = 8 + length
    header = json.loads(content[8:start])
    about = header.pop("__metadata__", {})
    named = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        shape = [int(count) for count in entry["shape"]]
        numbers = np.frombuffer(content[start + first : start + last], KINDS[entry["dtype"]])
        if min(first, last - first) < 0 or len(numbers) != math.prod(shape):
            raise ValueError  # a tensor has another length than its shape
        named[str(name)] = numbers.reshape(shape).astype(np.float64)
    return Tensors(named, str(about.get("fit", "")))


def to_theta(net: FittedNet, tensors: Mapping[str, Array], file: str) -> Array:
    """Return the weights (T,) in nnet's order from the tensors of a port of this fit.

    Raises ValueError, with a sentence, for other names or shapes, and for a weight that is not
    finite.
    """
    numbered = replace(net, wts=np.arange(net.topology.n_weights, dtype=np.float64))
    places = layers(numbered)
    expected = {name: array.shape for name, array in places.items()}
    shapes = {name: array.shape for name, array in tensors.items()}
    if shapes != expected:
        raise ValueError(
            f"{file} holds {_list(shapes, expected)}, expected {_list(expected, shapes)}, as the"
            " module has that nnet-parity port writes of this fit: give the weights of that module"
        )
    theta = np.empty(net.topology.n_weights)
    for name, array in tensors.items():
        if not np.isfinite(array).all():
            wrong = array[~np.isfinite(array)][0]
            raise ValueError(
                f"{file}: {name} holds {wrong}, expected finite weights: R would predict NaN"
            )
        theta[places[name].astype(np.intp)] = array
    return theta


def _list(shapes: Mapping[str, tuple[int, ...]], others: Mapping[str, Any]) -> str:
    """Return the tensors in `shapes` that have another shape in `others`, or are missing there,
    each with its shape.
    """
    differing = []
    for name, shape in shapes.items():
        if others.get(name) != shape:
            differing.append(f"{one_line(name)[:60]} {shape}")
    more = [f"{len(differing) - MOST_NAMED} more"] if len(differing) > MOST_NAMED else []
    return ", ".join([*differing[:MOST_NAMED], *more]) or "no other tensor"
