"""Describes where an operation ran, for findings."""

from __future__ import annotations

import linecache
import os

from harness.core.finding import Located
from harness.shadow.recording import Operation


def locate(operation: Operation) -> Located:
    """Return an operation with its layer and line."""
    file, _, number = operation.line.rpartition(":")
    source = linecache.getline(file, int(number)).strip() if file else ""
    line = f"{shorten_path(file)}:{number}" if file else ""
    name = operation.functional.removeprefix("aten::")
    return Located(name, operation.layer, line, source, operation.backward)


def shorten_path(file: str) -> str:
    """Return a path relative to the working folder if the file is in it, else the name of the
    file.
    """
    here = os.getcwd() + os.sep
    return file.removeprefix(here) if file.startswith(here) else os.path.basename(file)
