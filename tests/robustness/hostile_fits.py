"""Fits of R's nnet in .rds files: valid ones, written here without R, and attacks by them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from pathlib import Path
from random import Random
from typing import Any

from reference.r.nnet_reference import LIVE
from reference.rds.fit import FittedNet
from reference.rds.reading import read_fit
from reference.rds.stream import MOST_BYTES
from tests.rds.test_reading import in_a_fit, sequence, symbol, xdr
from tests.robustness.kind import Kind, Make

NULL = struct.pack(">i", 254)
PACK = (bytes, gzip.compress, bz2.compress, lzma.compress)


def text(value: str) -> bytes:
    return struct.pack(">2i", 0x40009, len(value)) + value.encode()


def texts(*values: str) -> bytes:
    return struct.pack(">2i", 16, len(values)) + b"".join(map(text, values))


def doubles(*values: float, flags: int = 0) -> bytes:
    return struct.pack(f">2i{len(values)}d", 14 | flags, len(values), *values)


def whole(*values: int) -> bytes:
    return struct.pack(f">2i{len(values)}i", 13, len(values), *values)


def column(*values: float) -> bytes:
    """A matrix of one column."""
    attributes = struct.pack(">i", 2 | 0x400) + symbol(b"dim") + whole(len(values), 1) + NULL
    return doubles(*values, flags=0x200) + attributes


def write_fit(weights: list[float], fitted: list[float], more: dict[str, bytes]) -> bytes:
    """A net of one input, a hidden unit and an output, as saveRDS() writes it."""
    fields = {
        "n": doubles(1, 1, 1),
        "nunits": whole(4),
        "nconn": doubles(0, 0, 0, 2, 4),
        "conn": doubles(0, 1, 0, 2),
        "nsunits": doubles(3),
        "decay": doubles(0),
        "value": doubles(0.5),
        "wts": doubles(*weights),
        "fitted.values": column(*fitted),
        "residuals": column(*fitted),
        **more,
    }
    names = struct.pack(">i", 2 | 0x400) + symbol(b"names") + texts(*fields)
    kind = struct.pack(">i", 2 | 0x400) + symbol(b"class") + texts("nnet")
    return xdr(19 | 0x300, len(fields), *fields.values(), names, kind, 254)


def read(path: Path) -> FittedNet:
    """Read a fit without R."""
    return read_fit(path, LIVE, "rdata")


def numbers_of(fit: FittedNet) -> list[Any]:
    """What is compared of a fit."""
    return [fit.wts.tolist(), fit.fitted.ravel().tolist(), fit.value]


def make_valid(chance: Random) -> tuple[bytes, object]:
    """A fit of up to 100,000 rows, with other things beside it, compressed or not."""
    weights = [chance.gauss(0, 1) for _ in range(4)]
    fitted = [chance.random() for _ in range(chance.choice([3, 30, 1000, 100_000]))]
    more = {"other": doubles(*fitted), "names": texts(*map(str, range(min(len(fitted), 20_000))))}
    content = chance.choice(PACK)(write_fit(weights, fitted, more))
    return content, [weights, fitted, 0.5]


def packed(content: bytes, chance: Random) -> bytes:
    return chance.choice(PACK)(content)


def bomb(valid: bytes, chance: Random) -> bytes:
    """A small file that decompresses to much."""
    return packed(xdr(14, chance.randint(4 << 20, 30 << 20), bytes(MOST_BYTES * 2)), chance)


def slow(valid: bytes, chance: Random) -> bytes:
    """A file whose content is as hard to decompress as can be."""
    noise = bytes(byte & 0x7F for byte in chance.randbytes(1 << 20)) * 24
    return packed(xdr(14, len(noise) // 8, noise), chance)


def filled(code: bytes, kind: int, least: int, most: int) -> Make:
    """A vector of many equal things."""

    def make(valid: bytes, chance: Random) -> bytes:
        count = chance.randint(least, most)
        return packed(xdr(kind, count, code * count), chance)

    return make


def call(times: int) -> bytes:
    """A call f(f(f(...)))."""
    head = struct.pack(">i", 6) + symbol(b"f") + struct.pack(">i", 2)
    return head * times + NULL * (times + 1)


def claimed(kind: int) -> Make:
    """A vector that claims to be long."""
    return lambda valid, chance: xdr(kind, chance.choice([2**31 - 1, 10**9, -1, -5]), bytes(100))


def lacking(name: str, value: bytes) -> Make:
    """A fit in which a field is something else."""
    return lambda valid, chance: write_fit([0.0] * 4, [0.5] * 3, {name: value})


HUGE = doubles(1.0, flags=0x200) + struct.pack(">i", 2 | 0x400) + symbol(b"dim")
HUGE += whole(2**31 - 1, 2**31 - 1) + NULL
HOSTILE: dict[str, Make] = {
    "a bomb": bomb,
    "slow to decompress": slow,
    "a bomb in a second part": lambda valid, chance: packed(b"X\n", chance) + bomb(valid, chance),
    "many compressed parts": lambda valid, chance: (
        gzip.compress(b"X\n") + gzip.compress(b"") * chance.randint(1_000, 1_000_000)
    ),
    "compressed twice": lambda valid, chance: gzip.compress(gzip.compress(bytes(1 << 24))),
    "many texts": filled(text("ab"), 16, 250_000, 3_000_000),
    "many NULLs": filled(NULL, 19, 250_000, 8_000_000),
    "many vectors": filled(doubles(), 19, 120_000, 4_000_000),
    "many numbers": filled(struct.pack(">d", 0.5), 14, 3_000_000, 4_100_000),
    "many whole numbers": filled(struct.pack(">i", 5), 13, 6_000_000, 8_300_000),
    "many sequences": lambda valid, chance: in_a_fit(
        struct.pack(">2i", 19, 200) + sequence(chance.randint(10_000, 300_000)) * 200
    ),
    "a long sequence": lambda valid, chance: in_a_fit(sequence(chance.choice([1e9, 1e300, -1.0]))),
    "deep lists": lambda valid, chance: in_a_fit(
        struct.pack(">2i", 19, 1) * chance.randint(1_000, 300_000) + NULL
    ),
    "a deep call": lambda valid, chance: in_a_fit(call(chance.randint(1_000, 100_000))),
    "a deep call in its place": lambda valid, chance: write_fit(
        [0.0] * 4, [0.5], {"call": call(chance.randint(1_000, 9_000))}
    ),
    "a long pairlist": lambda valid, chance: xdr(
        (struct.pack(">i", 2) + NULL) * chance.randint(5_000, 300_000) + NULL
    ),
    "a claim of texts": claimed(16),
    "a claim of a list": claimed(19),
    "a claim of numbers": claimed(14),
    "a claim of raw bytes": claimed(24),
    "a claim of byte code": lambda valid, chance: xdr(21, 2**31 - 1, 13, 0),
    "many lines": lambda valid, chance: (
        b"A\n2\n262146\n131840\n14\n3000000\n" + b"1.5\n" * chance.randint(1_000_000, 5_000_000)
    ),
    "a long line": lambda valid, chance: b"A\n2\n262146\n131840\n14\n1\n" + b"1" * (30 << 20),
    "other lines": lambda valid, chance: (
        b"A\n2\n262146\n131840\n13\n3000000\n" + b"1\r" * chance.randint(1_300_000, 9_000_000)
    ),
    "save()": lambda valid, chance: packed(b"RDX3\nX\n", chance),
    "an unknown code": lambda valid, chance: xdr(chance.randint(30, 200), 1, bytes(100)),
    "weights that are texts": lacking("wts", texts("1")),
    "weights that are too few": lacking("wts", doubles(1.0)),
    "weights that are not finite": lacking("wts", doubles(1.0, 2.0, float("nan"), 0.0)),
    "a huge net": lacking("n", doubles(2.0**30, 2.0**30, 1.0)),
    "connections from nowhere": lacking("conn", doubles(0, 1, 0, 9)),
    "a dimension too large": lacking("residuals", HUGE),
}  # fmt: skip
KIND = Kind(
    "rds",
    "fit.rds",
    read,
    numbers_of,
    make_valid,
    HOSTILE,
    frozenset({"bits changed", "noise in its middle"}),
)
