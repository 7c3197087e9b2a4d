"""A kind of file: how it is read, valid ones, and attacks by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

Make = Callable[[bytes, Random], bytes]  # from a valid file's bytes


class Kind(NamedTuple):
    """A kind of file.

    `read` reads one as a user's call does; `describe` returns what can be compared of what was
    read. `make_valid` returns a valid file and what is described of it. `hostile` makes attacks by
    their names. `harmless` names the attacks and damages after which a file may be read, since
    nothing in it shows them.
    """

    name: str
    file: str
    read: Callable[[Path], Any]
    describe: Callable[[Any], object]
    make_valid: Callable[[Random], tuple[bytes, object]]
    hostile: Mapping[str, Make]
    harmless: frozenset[str] = frozenset()
