"""Checkpoints that are too large, of other kinds or made to harm are refused in a sentence; every
floating dtype is read exactly.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import struct
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from harness.core.contract import Array
from harness.pytorch.checkpoint import weights
from tests.conftest import Approved
from tests.pytorch.test_checkpoint import OWN, trained

STATE = trained().state_dict()
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
DTYPES += [torch.float8_e4m3fn, torch.float8_e5m2]


def expected_of(state: dict[str, torch.Tensor]) -> Array:
    """The weights of a state_dict in the order of the model's parameters."""
    order = [state[name].double().ravel() for name in ("0.weight", "0.bias", "2.weight", "2.bias")]
    return torch.cat(order).numpy()


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_floating_dtype_is_read_exactly(dtype: torch.dtype, tmp_path: Path) -> None:
    """From safetensors, torch's files of today and of before 1.6, and from memory."""
    state = {name: tensor.to(dtype) for name, tensor in STATE.items()}
    safetensors.torch.save_file(state, tmp_path / "net.safetensors")
    torch.save(state, tmp_path / "net.pt")
    if dtype.itemsize > 1:  # torch itself cannot read an older file of float8
        torch.save(state, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    for given in (state, *sorted(tmp_path.iterdir())):
        assert weights(given, OWN).tobytes() == expected_of(state).tobytes()


@pytest.mark.parametrize("dtype", DTYPES[4:])
def test_every_number_of_eight_bits_is_read_exactly(dtype: torch.dtype) -> None:
    """As IEEE 754's rule for its bits says, computed here from them."""
    from harness.pytorch.real_numbers import to_array

    exponents, bias = (4, 7) if dtype is torch.float8_e4m3fn else (5, 15)
    fractions = 7 - exponents
    bits = np.arange(256)
    exponent, fraction = bits % 128 >> fractions, bits % 2**fractions / 2**fractions
    size = np.where(exponent, (1 + fraction) * 2.0**exponent, 2 * fraction) / 2.0**bias
    found = to_array("x", "x", torch.arange(256).to(torch.uint8).view(dtype), (256,))
    finite = np.isfinite(found)
    assert finite.sum() == (254 if exponents == 4 else 248)
    assert np.array_equal(found[finite], np.where(bits < 128, size, -size)[finite])


def test_a_whole_training_run_is_read(tmp_path: Path) -> None:
    """A state_dict beside an optimiser's, random states, numbers, texts and lists."""
    net = trained()
    optimiser = torch.optim.Adam(net.parameters())
    net(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    run = {"state_dict": net.state_dict(), "epoch": 3, "optimizer_states": [optimiser.state_dict()]}
    run |= {"hyper_parameters": {"rate": 0.1, "sizes": [2, 3]}, "shape": torch.Size([2])}
    run["random"] = [random.getstate(), torch.get_rng_state()]
    torch.save(run, tmp_path / "run.pt")
    assert np.array_equal(weights(tmp_path / "run.pt", OWN), expected_of(net.state_dict()))


def test_what_is_no_file_is_not_waited_for(tmp_path: Path, approved: Approved) -> None:
    """A pipe, a folder, a device, a socket, and links to them or to nothing."""
    os.mkfifo(tmp_path / "pipe.pt")
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "zero.pt").symlink_to("/dev/zero")
    (tmp_path / "nothing.pt").symlink_to("there")
    (tmp_path / "loop.pt").symlink_to("loop.pt")
    for path in sorted(tmp_path.iterdir()):
        with approved.raises(ValueError):
            weights(path, OWN)


def test_a_file_larger_than_a_checkpoint_of_the_model_is_not_read(
    tmp_path: Path, approved: Approved
) -> None:
    """Whatever it holds."""
    with (tmp_path / "net.pt").open("wb") as file:
        file.truncate(1 << 40)
    with approved.raises(ValueError):
        weights(tmp_path / "net.pt", OWN)


UNUSUAL = {
    "sparse": lambda tensor: tensor.to_sparse(),
    "meta": lambda tensor: tensor.to("meta"),
    "quantized": lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8),
    "complex": lambda tensor: tensor * 1j,
    "many axes": lambda tensor: tensor.reshape(3, 2, *[1] * 30),
    "huge": lambda tensor: tensor.ravel()[0].expand(1 << 20, 1 << 20, 1 << 20),
    "nested": lambda tensor: torch.nested.nested_tensor([tensor, tensor], layout=torch.jagged),
    "not initialised": lambda tensor: nn.LazyLinear(3).weight,
}


@pytest.mark.filterwarnings("ignore:torch.quantize:UserWarning")
@pytest.mark.parametrize("name", UNUSUAL)
def test_a_tensor_without_plain_real_numbers_is_a_sentence(
    name: str, tmp_path: Path, approved: Approved
) -> None:
    """In memory and in a file."""
    state = {**STATE, "0.weight": UNUSUAL[name](STATE["0.weight"])}
    torch.save(state, tmp_path / "net.pt")
    for given in (state, tmp_path / "net.pt"):
        with approved.raises(ValueError) as caught:
            weights(given, OWN)
        assert "\n" not in str(caught.value)


def test_other_things_than_tensors_are_a_sentence(approved: Approved) -> None:
    """Texts, lists and objects whose arrays cannot be made; names that are none, or long."""

    class Raising:
        def __array__(self) -> Any:
            raise RuntimeError

    for thing in ("1", [1.0], None, np.array(["a"]), Raising()):
        with approved.raises(ValueError):
            weights({**STATE, "0.bias": thing}, OWN)
    for key in ("n" * 2_000_000, "a\x1b[31m\n", 7):
        with approved.raises(ValueError) as caught:
            weights({**STATE, key: torch.ones(1)}, OWN)
        assert len(str(caught.value)) < 300
    with approved.raises(ValueError):
        weights({str(number): torch.ones(1) for number in range(100_000)}, OWN)


def pickled(content: bytes, **records: bytes) -> bytes:
    """A zip file of torch's with this pickle."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in {"data.pkl": content, "version": b"3\n", **records}.items():
            archive.writestr(f"archive/{name}", data)
    return file.getvalue()


def compressed(content: bytes) -> bytes:
    """A zip file of torch's whose records are compressed."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/data/0", bytes(1 << 24))
    return file.getvalue()


def in_two_folders(content: bytes) -> bytes:
    """A zip file in which two records have the place of one of torch's."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for folder in ("archive", "other"):
            archive.writestr(f"{folder}/data.pkl", content)
    return file.getvalue()


HOSTILE = {
    "a function": pickled(pickle.dumps(Path("x").touch, 2)),
    "much memory": pickled(b"\x80\x02cbuiltins\nbytearray\nJ\x00\x00\x00\x40\x85R."),
    "tuples of tuples": pickled(b"\x80\x02})\x86q\x00" + b"h\x00h\x00\x86q\x00" * 60 + b"K\x01s."),
    "a call of a list": pickled(b"\x80\x02]q\x00" + b"](h\x00h\x00eq\x00" * 60 + b")R."),
    "another protocol": pickled(pickle.dumps({"a": [1]}, 4)),
    "many names": pickled(b"\x80\x02" + b"N" * 300_000 + b"}."),
    "many entries": pickled(b"\x80\x02}.", **{str(number): b"" for number in range(12_000)}),
    "a record twice": in_two_folders(b"\x80\x02}."),
    "compressed": compressed(b"\x80\x02}."),
    "one record as often as it likes": b"",
    "a long header": struct.pack("<Q", 1 << 40),
    "many headers": struct.pack("<Q", 3_000_000)
    + json.dumps({str(n): {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(9)})
    .encode()
    .ljust(3_000_000),
}  # fmt: skip


def overlapping() -> bytes:
    """A zip file whose entries all name the same megabyte."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        archive.writestr("archive/data/0", bytes(1 << 20))
        for number in range(1, 40):
            again = archive.infolist()[1]
            entry = zipfile.ZipInfo(f"archive/data/{number}")
            entry.file_size = entry.compress_size = 1 << 20
            entry.CRC, entry.header_offset = again.CRC, again.header_offset
            archive.filelist.append(entry)
    return file.getvalue()


HOSTILE["one record as often as it likes"] = overlapping()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused(name: str, tmp_path: Path, approved: Approved) -> None:
    """At once, before its numbers are read, in a sentence that names it."""
    path = tmp_path / ("net.safetensors" if "header" in name else "net.pt")
    path.write_bytes(HOSTILE[name])
    with approved.raises(ValueError) as caught:
        weights(path, OWN)
    assert "\n" not in str(caught.value)


def test_a_pickle_is_not_given_to_a_torch_that_may_obey_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """Before 2.10 it is refused; safetensors and state_dicts are still read."""
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    torch.save(STATE, tmp_path / "net.pt")
    safetensors.torch.save_file(STATE, tmp_path / "net.safetensors")
    with approved.raises(ValueError):
        weights(tmp_path / "net.pt", OWN)
    assert weights(tmp_path / "net.safetensors", OWN).tobytes() == expected_of(STATE).tobytes()
