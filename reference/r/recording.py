"""A recording of R, in memory and as a file: each ask with all its arguments, and R's answer.

An ask is one call of a method of an RSession. The first line of the file holds a digest of the
rest. The rest is MessagePack, compressed by xz: it holds numbers and names, but no code. Anything
unexpected in the file is an error.
"""

import lzma
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from harness.text.files import replace_whole
from harness.text.reading import read_regular
from reference.r.topology import Array, Topology

# R's code
CODE = sha256(Path(__file__).with_name("nnet.R").read_bytes().replace(b"\r\n", b"\n")).hexdigest()
MAGIC = b"nnet-parity recording 1 "
# The largest recording of our own cases has 2 MB, 3 MB unpacked, 414 arrays, 118 asks and half a
# million numbers in its asks: seven times as much is read, and takes less than 256 MB of memory.
MOST_BYTES, MOST_UNPACKED, MOST_MEMORY = 16 << 20, 24 << 20, 1 << 26
MOST_ARRAYS, MOST_ASKS, MOST_NUMBERS, MOST_CONNECTIONS = 20_000, 5_000, 4_000_000, 1 << 20
# The axes of every array, a letter a length: draws, rows, inputs, outputs, weights. An argument
# that is not named here is one number.
AXES = {"theta": "DT", "inputs": "DRI", "targets": "DRO", "row_weights": "DR", "mask": "DT"}
ANSWERS = {
    "evaluate": {"value": "D", "outputs": "DRO", "gradient": "DT"},
    "fit": {"weights": "T", "value": "", "outputs": "RO", "convergence": ""},
}
ANSWERS["optim"] = ANSWERS["fit"]


What = Literal["evaluate", "fit", "optim"]  # the methods of RSession that are recorded


@dataclass(frozen=True, eq=False)
class Ask:
    """One call of a method of an RSession with all its arguments, and the answer.

    The arrays of both have the names that RSession gives them.
    """

    what: What
    topology: Topology
    arguments: Mapping[str, Array]
    answer: Mapping[str, Array]

    @cached_property
    def key(self) -> str:
        """A digest of the call without its answer: equal keys mean equal calls, bit for bit."""
        digest = sha256(repr((self.what, self.topology)).encode())
        for name, array in sorted(self.arguments.items()):
            digest.update(repr((name, array.shape)).encode())
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


class Facts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Facts about a recording.

    They are its case, the intent and the reason to make it, its date, the versions of the software,
    the digest of our R code, and the number of starts on which the case's trainers were recorded.
    """

    case: str
    intent: Literal["create", "fix", "trim"]
    reason: str
    date: str
    harness: str
    starts: int
    code: str
    versions: Annotated[dict[str, str], msgspec.Meta(max_length=50)]


@dataclass(frozen=True, eq=False)
class Recording:
    """R's answers to all asks of a case, and facts about the recording."""

    facts: Facts
    asks: Sequence[Ask]

    @cached_property
    def answers(self) -> dict[str, Ask]:
        """All asks (calls of an RSession with their answers), by the digest of the call."""
        return {ask.key: ask for ask in self.asks}


class _Stored(msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True):
    """An array as it is stored in the file.

    `size` is 4 (float32, if that loses nothing) or 8 bytes for each number. `data` holds the first
    bytes of all numbers, then all second bytes, and so on: this order compresses well.
    """

    shape: Annotated[tuple[Annotated[int, msgspec.Meta(ge=1)], ...], msgspec.Meta(max_length=3)]
    size: Literal[4, 8]
    data: bytes


_Places = Annotated[dict[str, int], msgspec.Meta(max_length=10)]


class _Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    what: What
    topology: msgspec.Raw
    arguments: _Places
    answer: _Places


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    facts: Facts
    arrays: Annotated[list[_Stored], msgspec.Meta(max_length=MOST_ARRAYS)]
    asks: Annotated[list[_Asked], msgspec.Meta(max_length=MOST_ASKS)]


def write(path: Path, recording: Recording) -> None:
    """Write a recording to a file, completely or not at all. Equal arrays are stored once.

    Raises ValueError for a recording that is too large to be read.
    """
    places: dict[Any, int] = {}

    def store(arrays: Mapping[str, Array]) -> dict[str, int]:
        stored = {}
        for name, array in sorted(arrays.items()):
            stored[name] = places.setdefault((array.shape, array.tobytes()), len(places))
        return stored

    asks = []
    for ask in recording.asks:
        topology = msgspec.Raw(msgspec.msgpack.encode(ask.topology))
        asks.append(_Asked(ask.what, topology, store(ask.arguments), store(ask.answer)))
    arrays = [_pack(shape, np.frombuffer(data)) for shape, data in places]
    data = msgspec.msgpack.encode(_File(recording.facts, arrays, asks))
    try:
        if len(data) > MOST_UNPACKED:
            raise ValueError(f"it takes {len(data):,} bytes, expected at most {MOST_UNPACKED:,}")
        _decode(data)
    except ValueError as error:
        raise ValueError(f"{error}: ask fewer draws or rows, or split the case") from None
    packed = lzma.compress(data, preset=6)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_whole({path: MAGIC + sha256(packed).hexdigest().encode() + b"\n" + packed})


def _pack(shape: tuple[int, ...], numbers: Array) -> _Stored:
    with np.errstate(over="ignore"):
        single = numbers.astype("<f4")
    if single.astype("<f8").tobytes() == numbers.tobytes():
        return _Stored(shape, 4, _order_bytes(single))
    return _Stored(shape, 8, _order_bytes(numbers.astype("<f8")))


def _order_bytes(numbers: NDArray[Any]) -> bytes:
    """Return the first bytes of all numbers, then all second bytes, and so on."""
    return numbers.view(np.uint8).reshape(-1, numbers.itemsize).T.tobytes()


def read(path: Path, case: str) -> Recording:
    """Read the recording of a case.

    Raises ValueError, which names the file, if the file is damaged or belongs to another case.
    """
    name = os.path.relpath(path)
    try:
        recording = _parse(path)
        facts = recording.facts
        if lacking := sorted({"R", "nnet"} - set(facts.versions)):
            raise ValueError(f"it does not say the version of {' and '.join(lacking)}, expected it")
        if facts.case != case:
            raise ValueError(f"it is of the case {facts.case[:80]!r:.80}, expected {case!r:.80}")
        return recording
    except (ValueError, OSError, lzma.LZMAError, EOFError, MemoryError) as error:
        why = str(error) or type(error).__name__
        raise ValueError(
            f"{name} is no recording that can be trusted ({why}): take it from version control"
        ) from None


def _parse(path: Path) -> Recording:
    try:
        content = read_regular(path, MOST_BYTES)
    except ValueError as error:
        raise ValueError(f"it {error}") from None
    first, _, packed = content.partition(b"\n")
    del content
    if not first.startswith(MAGIC):
        raise ValueError(f"it does not begin with {MAGIC.decode().strip()!r}")
    if first != MAGIC + sha256(packed).hexdigest().encode():
        raise ValueError("its content is not what its digest says: it was cut or changed")
    unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_MEMORY)
    data = unpacker.decompress(packed, MOST_UNPACKED)
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError(f"it does not end where it should, within {MOST_UNPACKED} bytes")
    del packed
    file = _decode(data)
    topologies = _read_topologies(file)
    arrays = [_unpack(stored) for stored in file.arrays]
    asks = []
    for asked in file.asks:
        asks.append(_make_ask(asked, topologies[bytes(asked.topology)], arrays))
    return Recording(file.facts, asks)


def _decode(data: bytes) -> _File:
    """Decode the content of a file.

    Raises ValueError if an array does not have as many numbers as its shape requires, or if the
    asks hold too many numbers (an array may belong to several asks).
    """
    file = msgspec.msgpack.decode(data, type=_File)
    sizes = [prod(stored.shape) for stored in file.arrays]
    for stored, size in zip(file.arrays, sizes, strict=True):
        if len(stored.data) != size * stored.size:
            raise ValueError(f"an array of shape {stored.shape} has {len(stored.data)} bytes")
    numbers = 0
    for asked in file.asks:
        places = [*asked.arguments.values(), *asked.answer.values()]
        if not all(0 <= place < len(sizes) for place in places):
            raise ValueError("an ask names an array that is not there")
        numbers += sum(sizes[place] for place in places)
    if numbers > MOST_NUMBERS:
        raise ValueError(f"it holds {numbers:,} numbers, expected at most {MOST_NUMBERS:,}")
    return file


def _read_topologies(file: _File) -> dict[bytes, Topology]:
    """Return the topologies of all asks, by their bytes; most asks of a case have the same."""
    distinct = {bytes(stored.topology) for stored in file.asks}
    if sum(map(len, distinct)) > MOST_CONNECTIONS:
        raise ValueError(f"it holds networks of more than {MOST_CONNECTIONS:,} connections")
    return {packed: msgspec.msgpack.decode(packed, type=Topology) for packed in distinct}


def _unpack(stored: _Stored) -> Array:
    table = np.frombuffer(stored.data, np.uint8).reshape(stored.size, -1)
    numbers = table.T.copy().view(f"<f{stored.size}")
    array = numbers.astype(np.float64).reshape(stored.shape)
    array.flags.writeable = False
    return array


def _make_ask(asked: _Asked, topology: Topology, arrays: Sequence[Array]) -> Ask:
    """Make an Ask from its stored form, in which arguments and answers are positions in the list
    `arrays`.

    Raises ValueError for arrays whose shapes do not fit the ask's topology, and for arguments that
    are not finite. An answer may be NaN: nnet's censored loss has no slope if all probabilities are
    0.
    """
    arguments = {name: arrays[place] for name, place in asked.arguments.items()}
    answer = {name: arrays[place] for name, place in asked.answer.items()}
    expected = ANSWERS[asked.what]
    if answer.keys() != expected.keys() or not {"theta", "inputs", "targets"} <= arguments.keys():
        raise ValueError(f"{asked.what} has the arrays {sorted(arguments)} and {sorted(answer)}")
    if not all(np.isfinite(array).all() for array in arguments.values()):
        raise ValueError("it holds a question with a number that is not finite")
    draws = "" if asked.what != "evaluate" else "D"
    lengths = dict(zip(f"{draws}R", arguments["inputs"].shape, strict=False))
    lengths |= {"I": topology.inputs, "O": topology.outputs, "T": topology.n_weights}
    for name, array in (*arguments.items(), *answer.items()):
        axes = expected[name] if name in answer else AXES.get(name, "")
        if name == "decay" and array.ndim:  # of each weight
            axes = "T"
        shape = tuple(lengths.get(axis, 0) for axis in axes if axis != "D" or draws)
        if array.shape != shape:
            raise ValueError(f"{name} of {asked.what} has shape {array.shape}, expected {shape}")
    return Ask(asked.what, topology, arguments, answer)
