"""Describes where an operation ran, for findings."""

from __future__ import annotations

import linecache
import os

from harness.core.finding import Located
from harness.shadow.recording import Operation

CAST = "aten::_to_copy"


def locate(operation: Operation) -> Located:
    """Return an operation with its layer and line."""
    line, source = read_line(operation.line)
    return Located(_name(operation), operation.layer, line, source, operation.backward)


def _name(operation: Operation) -> str:
    """Return the name of an operation; of a cast, with the dtype."""
    if operation.functional != CAST:
        return operation.functional.removeprefix("aten::")
    dtype = operation.kwargs.get("dtype")
    return "copy" if dtype is None else f"cast to {str(dtype).removeprefix('torch.')}"


def read_line(line: str) -> tuple[str, str]:
    """Return a line of a file, as "/folder/net.py:12", with a shorter path, and its text; both are
    "" if the line is.
    """
    file, _, number = line.rpartition(":")
    if not file:
        return "", ""
    return f"{shorten_path(file)}:{number}", linecache.getline(file, int(number)).strip()


def shorten_path(file: str) -> str:
    """Return a path relative to the working folder if the file is in it, else the name of the
    file.
    """
    here = os.getcwd() + os.sep
    return file.removeprefix(here) if file.startswith(here) else os.path.basename(file)
