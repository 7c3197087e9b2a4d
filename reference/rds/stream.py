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

# Of a file and of what it decompresses to, 32 MiB: the fitted values, residuals and row names of
# 700,000 rows. It is read within two seconds, and takes five times the memory.
MOST_BYTES = 1 << 25
FORMATS = (b"X\n", b"A\n", b"B\n", b"A\r\n")  # of saveRDS(): binary, ascii, native
SAVED = (b"RDX", b"RDA", b"RDB")  # save()
PART = 1 << 20


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, most: int, /) -> bytes: ...


def read_stream(path: str | PathLike[str]) -> tuple[bytes, str]:
    """Return the decompressed content of an .rds file, and the SHA-256 of the file.

    Raises ValueError, in a sentence that names the file, for anything but a file of saveRDS(), and
    for one that is larger than MOST_BYTES.
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
    """Decompress by gzip, bzip2 or xz, or not at all. Raises ValueError for another content."""
    content = packed
    if decompressor := _choose(packed):
        try:
            content = _decompress(decompressor, packed)
        except OSError as error:  # bz2's, which names no file
            raise ValueError(str(error)) from None
    if content.startswith(SAVED):
        raise ValueError("it was written by save(), expected saveRDS(fit, file)")
    if not content.startswith(FORMATS):
        raise ValueError("it is not a file that saveRDS(fit, file) writes")
    return content


def _choose(packed: bytes) -> _Decompressor | None:
    if packed.startswith(b"\x1f\x8b"):
        return _Gzip()
    if packed.startswith(b"BZh"):
        return bz2.BZ2Decompressor()
    if packed.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MOST_BYTES)
    return None


class _Gzip:
    """zlib's decompressor, with the interface of those of bz2 and lzma."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    def decompress(self, data: bytes, most: int, /) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, most)


def _decompress(decompressor: _Decompressor, packed: bytes) -> bytes:
    """Decompress a part at a time, so that a small file cannot take all memory."""
    content = bytearray()
    place = 0
    while not decompressor.eof:
        given = packed[place : place + PART]
        place += len(given)
        part = decompressor.decompress(given, PART)
        if not part and not given and not decompressor.eof:
            raise ValueError("it ends too early: it was cut")
        content += part
        if len(content) > MOST_BYTES:
            raise ValueError(
                f"it decompresses to more than {MOST_BYTES:,} bytes; a fit that was made in a"
                " function holds all its variables: environment(fit$terms) <- globalenv() leaves"
                " them out"
            )
    return bytes(content)
