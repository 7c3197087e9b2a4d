"""Describes where an operation ran, for findings."""

from __future__ import annotations

import linecache
import os

from harness.core.finding import Located
from harness.shadow.recording import Operation


def locate(operation: Operation) -> Located:
    """Return an operation with its layer and line."""
    line, source = read_line(operation.line)
    name = operation.functional.removeprefix("aten::")
    return Located(name, operation.layer, line, source, operation.backward)


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
