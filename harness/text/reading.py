"""Reads files that somebody else may have made: regular files only, and no more than a size."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import BinaryIO

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
WITHOUT_WAITING = getattr(os, "O_NONBLOCK", 0)  # a pipe that nobody writes to would be waited for


def read_regular(path: str | PathLike[str], most: int) -> bytes:
    """Return the bytes of a regular file that has at most `most` of them.

    Raises ValueError for any other file. The message is the end of a sentence that begins with the
    file's name, as "is a pipe, expected a file". Raises OSError if the file cannot be read.
    """
    with open_regular(path, most) as file:
        content = file.read(most + 1)
    # a file of /proc has no size, and any file may grow
    if len(content) > most:
        raise ValueError(f"has more than {most:,} bytes, expected at most so many")
    return content


@contextmanager
def open_regular(path: str | PathLike[str], most: int) -> Iterator[BinaryIO]:
    """Open a regular file of at most `most` bytes to read it, and close it in the end.

    Raises the same errors as `read_regular`.
    """
    _check_kind(_find_status(path))
    flags = os.O_RDONLY | WITHOUT_WAITING | getattr(os, "O_BINARY", 0)
    number = os.open(path, flags)
    with os.fdopen(number, "rb") as file:
        status = os.fstat(number)
        # another file may stand there since
        _check_kind(status)
        if status.st_size > most:
            raise ValueError(f"has {status.st_size:,} bytes, expected at most {most:,}")
        yield file


def _find_status(path: str | PathLike[str]) -> os.stat_result:
    try:
        return os.stat(path)
    except FileNotFoundError:
        if os.path.islink(path):
            raise ValueError("is a link to no file, expected a file") from None
        raise ValueError("is not there, expected a file") from None


def _check_kind(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "no file")
        raise ValueError(f"is {kind}, expected a file")
