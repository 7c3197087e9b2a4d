"""Replaces the weights in the bytes of an .rds file, if R is not available."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import sys

import numpy as np

from harness.core.contract import Array
from reference.rds.fit import Unsupported
from reference.rds.stream import SMALLER

NA = np.array([0x7FF00000000007A2], dtype=np.uint64).view(np.float64)  # R's NA_real_
HESSIAN, RENAMED = b"Hessian", b"oldHess"  # as long; not found by object$Hessian
# codes of serialize.c: an element of a pairlist with a tag, a symbol, a text in UTF-8, texts, NULL
TAGGED, SYMBOL, TEXT, TEXTS, NULL = 0x402, 1, 0x40009, 16, 254
WHERE_R_IS = "run this where R is"


class Stream:
    """The decompressed bytes of an .rds file, in which parts can be replaced.

    `content` are the bytes. Raises Unsupported for a file that saveRDS(ascii = TRUE) wrote.
    """

    def __init__(self, content: bytes) -> None:
        if content.startswith(b"A"):
            raise Unsupported(
                "it was saved as text (ascii = TRUE), expected binary: save it again with"
                f" saveRDS(fit, file), or {WHERE_R_IS}"
            )
        self.content = content
        is_native = content.startswith(b"B") and sys.byteorder == "little"
        self._order = "<" if is_native else ">"

    def replace_numbers(self, what: str, old: Array, new: Array) -> None:
        """Replace the vector `old` of doubles by `new`. Raises Unsupported, which names it `what`,
        unless it occurs exactly once.
        """
        length = struct.pack(f"{self._order}i", len(old))
        before = length + old.astype(f"{self._order}f8").tobytes()
        after = length + self._pack(new)
        if before == after:
            return
        if (count := self._count(before)) != 1:
            raise Unsupported(
                f"the numbers of its {what} stand in the file {count} times, expected once, to be"
                f" replaced without R: {WHERE_R_IS}, or save the fit again ({SMALLER})"
            )
        self.content = self.content.replace(before, after)

    def rename_hessian(self) -> None:
        """Give the Hessian another name, so that R computes a new one when it needs it."""
        length = struct.pack(f"{self._order}i", len(HESSIAN))
        if self._count(length + HESSIAN) > 1:
            raise Unsupported(f"its Hessian is named more than once: {WHERE_R_IS}")
        self.content = self.content.replace(length + HESSIAN, length + RENAMED)

    def add_attribute(self, name: str, text: str) -> None:
        """Add a text as an attribute of the object.

        Raises Unsupported if the object does not end as saveRDS() ends an object with attributes.
        """
        end = self._integers(NULL)
        if not self.content.endswith(end):
            raise Unsupported(f"the object does not end with its attributes: {WHERE_R_IS}")
        added = self._integers(TAGGED, SYMBOL) + self._text(name)
        added += self._integers(TEXTS, 1) + self._text(text)
        self.content = self.content.removesuffix(end) + added + end

    def _count(self, part: bytes) -> int:
        """Count the occurrences of a part, also overlapping ones."""
        count, place = 0, self.content.find(part)
        while place >= 0:
            count += 1
            place = self.content.find(part, place + 1)
        return count

    def _pack(self, numbers: Array) -> bytes:
        """Return numbers in the stream's encoding. The bytes of an NA are kept as they are."""
        whole = np.ascontiguousarray(numbers, dtype=np.float64).view(np.uint64)
        return whole.astype(f"{self._order}u8").tobytes()

    def _integers(self, *numbers: int) -> bytes:
        return struct.pack(f"{self._order}{len(numbers)}i", *numbers)

    def _text(self, text: str) -> bytes:
        encoded = text.encode("ascii", errors="replace")
        return self._integers(TEXT, len(encoded)) + encoded


def pack_like(packed: bytes, content: bytes) -> bytes:
    """Return content compressed in the format of `packed`."""
    if packed.startswith(b"\x1f\x8b"):
        return gzip.compress(content, mtime=0)
    if packed.startswith(b"BZh"):
        return bz2.compress(content)
    if packed.startswith(b"\xfd7zXZ\x00"):
        return lzma.compress(content)
    return content
