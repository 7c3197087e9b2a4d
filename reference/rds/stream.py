"""The content of an .rds file, decompressed within limits and not decoded."""

from __future__ import annotations

import bz2
import lzma
import zlib
from hashlib import sha256
from os import PathLike, fspath
from pathlib import Path
from typing import Protocol

from harness.text.harmless import one_line
from harness.text.reading import read_regular

# The limit of a file, packed and unpacked, is 32 MiB: the fitted values, residuals and row names of
# 700,000 rows. Such a file is read within two seconds, and takes five times the memory.
MOST_BYTES = 1 << 25
MOST_MEMORY = 1 << 27  # of xz -9, which uses no more of it than it has decompressed
MOST_PARTS = 600  # compressed parts of a file: programs that compress in parallel write several
SMALLER = (
    "a fit that was made in a function holds all its variables: environment(fit$terms) <-"
    " globalenv() leaves them out"
)
FORMATS = (b"X\n", b"A\n", b"B\n", b"A\r\n")  # of saveRDS(): binary, ascii, native
SAVED = (b"RDX", b"RDA", b"RDB")  # save()
AT_ONCE = 1 << 20
MAGIC = 6  # bytes that tell the format


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, most: int, /) -> bytes: ...


def read_stream(path: str | PathLike[str]) -> tuple[bytes, str]:
    """Return the decompressed content of an .rds file, and the SHA-256 of the file.

    Raises ValueError, with a sentence that names the file, for anything but a file of saveRDS(),
    and for a file larger than MOST_BYTES.
    """
    name = one_line(fspath(path))
    try:
        packed = _read(Path(fspath(path)))
        return _unpack(packed), sha256(packed).hexdigest()
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror}") from None
    except (ValueError, EOFError, lzma.LZMAError, zlib.error, MemoryError) as error:
        why = str(error) or type(error).__name__
        raise ValueError(f"{name} holds no fit that can be read: {why}") from None


def _read(path: Path) -> bytes:
    try:
        return read_regular(path, MOST_BYTES)
    except ValueError as error:
        raise ValueError(f"it {error}") from None


def _unpack(packed: bytes) -> bytes:
    """Decompress by gzip, bzip2 or xz, or not at all. Raises ValueError for any other format."""
    content = packed
    if _choose(packed):
        try:
            content = _decompress(packed)
        except OSError as error:  # bz2's, which names no file
            raise ValueError(str(error)) from None
    if content.startswith(SAVED):
        raise ValueError("it was written by save(): load() it in R, then saveRDS(fit, file)")
    if not content.startswith(FORMATS):
        raise ValueError("it is not a file that saveRDS(fit, file) writes")
    return content


def _choose(packed: bytes) -> _Decompressor | None:
    """Return a decompressor for the format of the first bytes; None for an unknown format."""
    if packed.startswith(b"\x1f\x8b"):
        return _Gzip()
    if packed.startswith(b"BZh"):
        return bz2.BZ2Decompressor()
    if packed.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_MEMORY)
    return None


class _Gzip:
    """zlib's decompressor, with the interface of those of bz2 and lzma."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, most: int, /) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, most)


def _decompress(packed: bytes) -> bytes:
    """Decompress all parts of a file, which R reads as one.

    Raises ValueError if they hold more than MOST_BYTES, or are truncated.
    """
    content = bytearray()
    place = 0
    for _ in range(MOST_PARTS):
        place = _add_part(content, packed, place)
        if packed[place : place + 1] in (b"", b"\0"):
            break
    else:
        raise ValueError(f"it has more than {MOST_PARTS} compressed parts")
    if packed[place:].strip(b"\0"):  # xz may end with zeros
        raise ValueError("it goes on after its end")
    return bytes(content)


def _add_part(content: bytearray, packed: bytes, place: int) -> int:
    """Decompress the part that begins at the position `place` of `packed`, append it to `content`,
    and return the position after the part.

    It is decompressed AT_ONCE bytes at a time, so that a small file cannot take all memory.
    """
    decompressor = _choose(packed[place : place + MAGIC])
    if decompressor is None:
        raise ValueError("it goes on after its end")
    while not decompressor.eof:
        piece = packed[place : place + AT_ONCE]
        place += len(piece)
        decompressed = decompressor.decompress(piece, AT_ONCE)
        if not decompressed and not piece and not decompressor.eof:
            raise ValueError("it ends too early: it was cut")
        content += decompressed
        if len(content) > MOST_BYTES:
            raise ValueError(f"it decompresses to more than {MOST_BYTES:,} bytes; {SMALLER}")
    return place - len(decompressor.unused_data)
