"""Files of R and of raw data that would take much time or memory are refused before."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from reference.fitted import stored
from reference.fitted.written import read_predictions
from reference.r.nnet_reference import LIVE
from reference.rds.reading import read_fit
from reference.rds.rows import Rows
from reference.rds.stream import read_stream
from tests.conftest import Approved
from tests.rds.test_reading import in_a_fit, sequence, symbol, xdr

OLDER = Path(__file__).parents[1] / "fitted/older_answers.json"


def nested(times: int) -> bytes:
    """A call f(f(f(...)))."""
    call = (struct.pack(">i", 6) + symbol(b"f") + struct.pack(">i", 2)) * times
    return call + struct.pack(">i", 254) * (times + 1)


HOSTILE = {
    "many texts": xdr(16, 400_000, (struct.pack(">2i", 0x40009, 1) + b"a") * 400_000),
    "many sequences": xdr(19, 10, *[sequence(100_000.0)] * 10),
    "many lines": b"A\n2\n262146\n131840\n14\n1300000\n" + b"1\n" * 1_300_000,
    "a deep call": in_a_fit(nested(3_000)),
    "a deep list": in_a_fit(struct.pack(">2i", 19, 1) * 3_000 + struct.pack(">i", 254)),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_fit_that_would_take_long_is_refused(
    name: str, tmp_path: Path, approved: Approved
) -> None:
    """Without R, in a sentence."""
    (tmp_path / "fit.rds").write_bytes(HOSTILE[name])
    with approved.raises(ValueError):
        read_fit(tmp_path / "fit.rds", LIVE, "rdata")


PACKED = {
    "a large second part": gzip.compress(xdr(14, 5_000_000, b""))
    + gzip.compress(bytes(40_000_000)),
    "many parts": gzip.compress(b"X\n") + gzip.compress(b"") * 1000,
    "more after its end": gzip.compress(b"X\n") + b"more",
    "more after zeros": lzma.compress(b"X\n") + bytes(4) + lzma.compress(b"more"),
}


@pytest.mark.parametrize("name", PACKED)
def test_what_follows_the_first_compressed_part_is_limited_too(
    name: str, tmp_path: Path, approved: Approved
) -> None:
    """R reads all parts, and was given 1.6 GB of them by a file of 1.5 MB."""
    (tmp_path / "fit.rds").write_bytes(PACKED[name])
    with approved.raises(ValueError):
        read_fit(tmp_path / "fit.rds", LIVE)


@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_parts_are_read_as_one(
    compress: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    """As parallel programs write them; xz may add zeros."""
    path = tmp_path / "fit.rds"
    path.write_bytes(compress(b"X\n123") + compress(b"") + compress(b"456") + bytes(4))
    assert read_stream(path)[0] == b"X\n123456"


def test_the_strongest_compression_of_xz_is_read(tmp_path: Path) -> None:
    """It takes 64 MiB to be decompressed, if the content has as many."""
    (tmp_path / "fit.rds").write_bytes(lzma.compress(b"X\n123", preset=9 | lzma.PRESET_EXTREME))
    assert read_stream(tmp_path / "fit.rds")[0] == b"X\n123"


def test_texts_and_missing_texts_are_read_as_rdata_reads_them(tmp_path: Path) -> None:
    """Those are read by us: of bytes, of Latin-1, and NA."""
    texts = struct.pack(">2i", 0x40009, 2) + b"ab" + struct.pack(">2i", 0x4009, 1) + b"\xe4"
    (tmp_path / "fit.rds").write_bytes(
        in_a_fit(struct.pack(">2i", 16, 3) + texts + struct.pack(">2i", 9, -1))
    )
    with pytest.raises(ValueError, match="its n is character of length 3"):
        read_fit(tmp_path / "fit.rds", LIVE, "rdata")


TABLES = {
    "many values": b"a,b\n" + b"1,2\n" * 400_000,
    "large": bytes(1 << 26),
    "many names": b",".join(b"name %d" % number for number in range(1000)) + b"\n1\n",
    "a long text": b"a\n" + b"x" * 200_000 + b"\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_would_take_long_is_refused(
    name: str, tmp_path: Path, approved: Approved
) -> None:
    """As rows, and as predictions."""
    path = tmp_path / "rows.csv"
    path.write_bytes(TABLES[name])
    with approved.raises(ValueError) as error:
        Rows.of(path)
    assert len(str(error.value)) < 1000


def test_predictions_of_other_rows_are_not_computed(tmp_path: Path, approved: Approved) -> None:
    """Their number is looked at first; a NaN that signals is no number."""
    path = tmp_path / "predictions.csv"
    path.write_text("y\n" + "sNaN\n" * 3)
    for rows in (2, 3):
        with approved.raises(ValueError):
            read_predictions(path, rows, 1)


def test_answers_that_are_too_large_are_neither_written_nor_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """The sentence says what to do."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "answers.json"
    answers = stored.read(OLDER)
    path.write_bytes(b"[" * 2_000_000)
    for most in (stored.MOST_BYTES, 100):
        monkeypatch.setattr(stored, "MOST_BYTES", most)
        with approved.raises(ValueError):
            stored.read(path)
    with (tmp_path / "fit.rds").open("wb") as file:
        file.truncate(1 << 40)
    with approved.raises(ValueError):
        stored.digest_of(tmp_path / "fit.rds")
    with approved.raises(ValueError):
        stored.dump(answers)
