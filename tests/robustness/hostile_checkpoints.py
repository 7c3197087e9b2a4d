"""Checkpoints: valid ones of every dtype and layout, and attacks by them."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import nn

from harness import Subject
from harness.pytorch.checkpoint import weights
from reference import Network
from tests.robustness.kind import Kind, Make

NETWORK = Network(2, 3, 1, "logistic")
SHAPES = {"0.weight": (3, 2), "0.bias": (3,), "2.weight": (1, 3), "2.bias": (1,)}
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
SMALL = [torch.float8_e4m3fn, torch.float8_e5m2]
PREFIXES = ("", "module.", "model._orig_mod.")


def build() -> nn.Module:
    """The model whose checkpoints they are."""
    return nn.Sequential(nn.Linear(2, 3), nn.Sigmoid(), nn.Linear(3, 1))


FORMULATION = Subject(build).formulation(NETWORK)


def read(path: Path) -> Any:
    """Read a checkpoint of the model."""
    return weights(path, FORMULATION)


def describe(found: Any) -> bytes:
    """The bytes of the weights."""
    content: bytes = found.tobytes()
    return content


def draw(chance: Random, dtypes: list[torch.dtype]) -> tuple[dict[str, torch.Tensor], bytes]:
    """A state_dict of a dtype, and its numbers as bytes of float64."""
    dtype, prefix = chance.choice(dtypes), chance.choice(PREFIXES)
    state, expected = {}, []
    for name, shape in SHAPES.items():
        tensor = torch.tensor([chance.gauss(0, 1) for _ in range(int(np.prod(shape)))])
        state[prefix + name] = tensor.to(dtype).reshape(shape)
        expected.append(state[prefix + name].double().ravel())
    return state, torch.cat(expected).numpy().tobytes()


def make_safetensors(chance: Random) -> tuple[bytes, object]:
    """A file of safetensors."""
    state, expected = draw(chance, DTYPES + SMALL)
    return safetensors.torch.save(state), expected


def make_torch(chance: Random) -> tuple[bytes, object]:
    """A file of torch.save(), of today or older, of a model or a whole training run."""
    is_old = chance.random() < 0.3
    state, expected = draw(chance, DTYPES if is_old else DTYPES + SMALL)
    saved: Any = state
    if chance.random() < 0.4:
        averages = {name: torch.zeros(100, 100) for name in "ab"}
        saved = {"state_dict": state, "epoch": 3, "optimizer": {"state": averages, "rates": [0.1]}}
    file = io.BytesIO()
    torch.save(saved, file, _use_new_zipfile_serialization=not is_old)
    return file.getvalue(), expected


# safetensors


def headed(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    """A file of safetensors of this header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def many_names(valid: bytes, chance: Random) -> bytes:
    one = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    return headed({f"name {number}": one for number in range(chance.randint(5_000, 200_000))})


def claimed(dtype: str, shape: list[int], end: int) -> Make:
    """A tensor that claims a shape and an end of its data."""
    tensor = {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}
    return lambda valid, chance: headed({"0.weight": tensor}, bytes(24))


HEADERS: dict[str, Make] = {
    "a header of an exabyte": lambda valid, chance: headed({}, length=chance.getrandbits(63)),
    "a header longer than the file": lambda valid, chance: headed({}, length=100_000),
    "a large header": lambda valid, chance: headed(b" " * chance.randint(1 << 19, 1 << 26)),
    "many names": many_names,
    "a long name": lambda valid, chance: headed(
        {"n" * 200_000: {"dtype": "F32", "shape": [6], "data_offsets": [0, 24]}}, bytes(24)
    ),
    "a name of control letters": lambda valid, chance: headed(
        {"\x1b[31m\n\u202e": {"dtype": "F32", "shape": [6], "data_offsets": [0, 24]}}, bytes(24)
    ),
    "a huge shape": claimed("F32", [1 << 40, 1 << 20], 24),
    "an overflowing shape": claimed("F32", [1 << 33, 1 << 33], 24),
    "no numbers, huge": claimed("F32", [0, 1 << 60], 0),
    "a negative shape": claimed("F32", [-3, -2], 24),
    "an end beyond the file": claimed("F32", [3, 2], 1 << 50),
    "an unknown dtype": claimed("F7", [3, 2], 24),
    "complex numbers": claimed("C64", [3, 1], 24),
    "numbers of four bits": claimed("F4", [3, 2], 3),
    "a deep header": lambda valid, chance: headed(b"[" * 200_000),
    "no object": lambda valid, chance: headed([1, 2]),
    "a pickle": lambda valid, chance: headed(b"\x80\x02]."),
}


# torch

OLD = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # the first pickle of an older file


def zipped(records: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression, compresslevel=1) as archive:
        for name, data in records.items():
            archive.writestr(f"archive/{name}", data)
    return file.getvalue()


def pickled(content: bytes, **records: bytes) -> bytes:
    return zipped({"data.pkl": b"\x80\x02" + content, "version": b"3\n", **records})


def records_of(valid: bytes, chance: Random) -> dict[str, bytes]:
    """The records of a valid file of today's torch; for an older file, those of another."""
    while not valid.startswith(b"PK"):
        valid, _ = make_torch(chance)
    with zipfile.ZipFile(io.BytesIO(valid)) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def replaced(old: bytes, new: bytes) -> Make:
    """The valid file with something in its pickle replaced."""

    def make(valid: bytes, chance: Random) -> bytes:
        records = records_of(valid, chance)
        records["data.pkl"] = records["data.pkl"].replace(old, new)
        return zipped(records)

    return make


def compressed(valid: bytes, chance: Random) -> bytes:
    records = records_of(valid, chance)
    records["data/0"] = bytes(chance.randint(1 << 20, 1 << 26))
    return zipped(records, chance.choice([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]))


def saved(make: Callable[[torch.Tensor], object]) -> Make:
    """A file of torch.save() in which one tensor is made into something else."""

    def save(valid: bytes, chance: Random) -> bytes:
        state, _ = draw(chance, [torch.float32])
        name = next(iter(state))
        file = io.BytesIO()
        torch.save({**state, name: make(state[name])}, file)
        return file.getvalue()

    return save


def overlapping(valid: bytes, chance: Random) -> bytes:
    """A zip file whose entries all name the same data."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        archive.writestr("archive/data/0", bytes(1 << 20))
        first = archive.infolist()[1]
        for number in range(1, chance.randint(20, 2000)):
            entry = zipfile.ZipInfo(f"archive/data/{number}")
            entry.file_size = entry.compress_size = 1 << 20
            entry.CRC, entry.header_offset = first.CRC, first.header_offset
            archive.filelist.append(entry)
    return file.getvalue()


def doubled_tuples(valid: bytes, chance: Random) -> bytes:
    """A name that is a tuple of a tuple twice, that one of a tuple twice, and so on."""
    return pickled(b"})\x86q\x00" + b"h\x00h\x00\x86q\x00" * chance.randint(20, 200) + b"K\x01s.")


def doubled_lists(valid: bytes, chance: Random) -> bytes:
    """The same of lists, as a tensor, and as what is called."""
    lists = b"]q\x00" + b"](h\x00h\x00eq\x00" * chance.randint(20, 200)
    if chance.random() < 0.5:
        return pickled(lists + b")R.")
    return pickled(b"}X\x08\x00\x00\x000.weight" + lists + b"s.")


def in_two_folders(valid: bytes, chance: Random) -> bytes:
    """A zip file that has each record twice, in two folders."""
    records = records_of(valid, chance)
    file = io.BytesIO(zipped(records))
    with zipfile.ZipFile(file, "a") as archive:
        for name, content in records.items():
            archive.writestr(f"other/{name}", content)
    return file.getvalue()


PICKLES: dict[str, Make] = {
    "each record twice": in_two_folders,
    "compressed": compressed,
    "overlapping entries": overlapping,
    "many entries": lambda valid, chance: zipped(
        {f"data/{number}": b"" for number in range(chance.randint(11_000, 40_000))}
    ),
    "no pickle": lambda valid, chance: zipped({"version": b"3\n"}),
    "a long pickle": lambda valid, chance: pickled(b"N" * chance.randint(300_000, 15 << 20) + b"."),
    "a long text": lambda valid, chance: pickled(
        b"}X" + struct.pack("<I", 15 << 20) + b"n" * (15 << 20) + b"K\x01s."
    ),
    "a call of the system": lambda valid, chance: pickled(b"cos\nsystem\nX\x04\0\0\0true\x85R."),
    "a gigabyte by a call": lambda valid, chance: pickled(
        b"c" + chance.choice([b"builtins\nbytearray", b"torch\nFloatTensor"])
        + b"\nJ\x00\x00\x00\x40\x85R."
    ),
    "doubled tuples": doubled_tuples,
    "doubled lists": doubled_lists,
    "a far memo": lambda valid, chance: pickled(b"}r\xff\xff\xff\x0f."),
    "another protocol": lambda valid, chance: pickled(b"\x80\x04\x95" + b"\xff" * 8),
    "more numbers than stored": lambda valid, chance: replaced(b"K\x06tq", b"J\xff\xff\xff\x3ftq")(
        valid, chance
    ),
    "a huge tensor of stride 0": saved(lambda tensor: tensor.ravel()[0].expand(1 << 30)),
    "sparse": saved(lambda tensor: tensor.to_sparse()),
    "meta": saved(lambda tensor: tensor.to("meta")),
    "complex": saved(lambda tensor: tensor * 1j),
    "a whole module": saved(lambda tensor: nn.Linear(2, 3)),
    "a list": saved(lambda tensor: tensor.tolist()),
    "not finite": saved(lambda tensor: tensor * torch.inf),
    "a storage": saved(lambda tensor: tensor.untyped_storage()),
    "an old file's noise": lambda valid, chance: (
        OLD + chance.randbytes(1000)
    ),
    "an old file's pickles": lambda valid, chance: (
        OLD + b"\x80\x02M\xe9\x03.\x80\x02(" + b"N" * (10 << 20)
    ),
    "a tar file": lambda valid, chance: (
        b"sys_info".ljust(257, b"\0") + b"ustar\x0000" + bytes(1 << 20)
    ),
}  # fmt: skip

CHANGED = frozenset({"bits changed", "noise in its middle"})
SAFETENSORS = Kind(
    "safetensors",
    "net.safetensors",
    read,
    describe,
    make_safetensors,
    HEADERS,
    frozenset({"bits changed"}),
)
TORCH = Kind(
    "torch", "net.pt", read, describe, make_torch, PICKLES, CHANGED | {"more numbers than stored"}
)
