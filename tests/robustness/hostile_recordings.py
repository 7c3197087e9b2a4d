"""Recordings of R: valid ones, and attacks by them behind a right digest."""

from __future__ import annotations

import lzma
import pickle
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from reference.r.recording import MAGIC, MOST_UNPACKED, Recording, read, write
from tests.r.test_recording import recording
from tests.robustness.kind import Kind, Make

Content = dict[str, Any]


def facts_of(found: Recording) -> list[Any]:
    """What is compared of a recording: every number of every ask."""
    facts = []
    for ask in found.asks:
        arrays = sorted([*ask.arguments.items(), *ask.answer.items()])
        numbers = [(name, array.shape, array.tobytes()) for name, array in arrays]
        facts.append((ask.what, repr(ask.topology), numbers))
    return facts


def read_sine(path: Path) -> Recording:
    """Read the recording of a case, and find its answers by their keys."""
    found = read(path, "sine")
    assert len(found.answers) <= len(found.asks)
    return found


def make_valid(chance: Random) -> tuple[bytes, object]:
    """A recording of other numbers."""
    made = recording(chance.getrandbits(30))
    with TemporaryDirectory() as folder:
        write(path := Path(folder, "sine.recording"), made)
        return path.read_bytes(), facts_of(made)


def sealed(packed: bytes) -> bytes:
    """A file whose digest is right, whatever it holds."""
    return MAGIC + sha256(packed).hexdigest().encode() + b"\n" + packed


def raw(make: Callable[[Random], bytes]) -> Make:
    """A file with these bytes, compressed."""
    return lambda valid, chance: sealed(lzma.compress(make(chance), preset=1))


def changed(change: Callable[[Content, Random], object]) -> Make:
    """The valid file with something in it changed."""

    def make(valid: bytes, chance: Random) -> bytes:
        content = msgspec.msgpack.decode(lzma.decompress(valid.partition(b"\n")[2]))
        change(content, chance)
        return sealed(lzma.compress(msgspec.msgpack.encode(content), preset=1))

    return make


def share(content: Content, chance: Random) -> None:
    """Let a large array be an argument of many asks."""
    numbers = chance.randint(10_000, 2_000_000)
    content["arrays"].append([[numbers], 4, bytes(4 * numbers)])
    asked = content["asks"][0]
    asked["arguments"]["decay"] = len(content["arrays"]) - 1
    content["asks"] += [asked] * chance.randint(500, 4_900)


def connect(content: Content, chance: Random) -> None:
    """Let a network have many connections."""
    number = chance.randint(100_000, 10_000_000)
    topology = content["asks"][0]["topology"]
    topology["connections"] = [[0] * number] if chance.random() < 0.5 else [[]] * number
    topology["hidden"] = chance.choice([2, number - 1])


def claim(content: Content, chance: Random) -> None:
    """Let an array claim another shape."""
    shape = chance.choice([[1 << 40, 1 << 20], [1 << 62] * 3, [1] * 100_000, [0], [-1], [7, 7]])
    content["arrays"][chance.randrange(len(content["arrays"]))][0] = shape


def enlarge(content: Content, chance: Random) -> None:
    """Add a large array that nobody asks for, and let an ask have one that does not fit."""
    numbers = chance.randint(1_000_000, 5_500_000)
    content["arrays"].append([[numbers], 4, bytes(4 * numbers)])
    content["asks"][0]["arguments"]["theta"] = len(content["arrays"]) - 1


def name_much(content: Content, chance: Random) -> None:
    """Let a fact be a long or wide text, or have many parts."""
    text = chance.choice(["", "\U0001f600", "\n", "\x1b"]) + chance.choice("a\n") * (20 << 20)
    name = chance.choice(["case", "reason", "versions", "harness"])
    value: Any = text
    if name == "versions":
        value = {f"{number:x}": "" for number in range(1_000_000)}
    content["facts"] |= {"case": "other", name: value}


HOSTILE: dict[str, Make] = {
    "a bomb": raw(lambda chance: bytes(MOST_UNPACKED * chance.randint(1, 8))),
    "slow to unpack": raw(lambda chance: bytes(map(int, chance.choices(range(64), k=1 << 22)))),
    "deep": raw(lambda chance: b"\x91" * chance.randint(1_000, MOST_UNPACKED)),
    "deep objects": raw(lambda chance: b"\x81\xa5facts" * chance.randint(1_000, 3_000_000)),
    "a claim of a list": raw(lambda chance: b"\xdd" + chance.randbytes(4) + bytes(1000)),
    "a claim of a map": raw(lambda chance: b"\xdf" + chance.randbytes(4) + bytes(1000)),
    "a claim of bytes": raw(
        lambda chance: b"\x81\xa6arrays\x91\x93\x91\x01\x04\xc6" + b"\xff" * 4
    ),
    "an extension": raw(lambda chance: b"\xc9" + chance.randbytes(4) + b"\x01" + bytes(1000)),
    "a pickle": raw(lambda chance: pickle.dumps({"facts": Path("x")})),
    "no xz": lambda valid, chance: sealed(chance.randbytes(1000)),
    "two members": lambda valid, chance: sealed(lzma.compress(b"x") * 2),
    "a large dictionary": lambda valid, chance: sealed(
        lzma.compress(b"x", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}])
    ),
    "another digest": lambda valid, chance: valid.replace(b" 1 ", b" 1 0", 1),
    "many arrays": changed(
        lambda content, chance: content["arrays"].extend(
            [[[1], 4, b"1234"]] * chance.randint(20_000, 2_000_000)
        )
    ),
    "many asks": changed(
        lambda content, chance: content["asks"].extend(
            content["asks"][:1] * chance.randint(5_000, 100_000)
        )
    ),
    "one array in many asks": changed(share),
    "many connections": changed(connect),
    "another shape": changed(claim),
    "a large array": changed(enlarge),
    "much in a fact": changed(name_much),
    "not finite": changed(
        lambda content, chance: content["arrays"].__setitem__(
            0, [content["arrays"][0][0], 4, b"\xff" * len(content["arrays"][0][2])]
        )
    ),
    "no such array": changed(
        lambda content, chance: content["asks"][0]["answer"].update(value=chance.choice([-1, 99]))
    ),
    "an unknown field": changed(lambda content, chance: content.update(more=[[]] * 5_000_000)),
}  # fmt: skip
KIND = Kind("recording", "sine.recording", read_sine, facts_of, make_valid, HOSTILE)
