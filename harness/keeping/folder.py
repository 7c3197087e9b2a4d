"""The folder of kept runs: one file for each run, and one for the races of a run; beyond MOST_RUNS
the oldest are removed.

Several runs may use one folder at the same time: file names are unique, and a file only appears
when it is complete.
"""

import json
import os
import re
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from harness.keeping.kept_run import SCHEMA, KeptRun
from harness.reporting.results import parse_strictly
from harness.text.files import replace_whole
from harness.text.reading import read_regular

MOST_RUNS = 100  # that are kept
MOST_BYTES = 1 << 20  # of a file; a run of 50 questions takes 6,000
MOST_FILES = 1_000  # of the folder that are read
NAME = re.compile(r"(?:run|speed)-\d{8}T\d{6}-[0-9a-f]{8}\.json")


class Kept(NamedTuple):
    """The kept runs, the oldest first, and the names of the files that could not be read."""

    runs: list[KeptRun]
    unreadable: list[str]


def read_kept(folder: Path) -> Kept:
    """Return the kept runs of a folder; none if the folder does not exist.

    Raises OSError if the folder cannot be read.
    """
    runs, unreadable = [], []
    for path in _list_files(folder)[-MOST_FILES:]:
        try:
            runs.append(_read_run(path))
        except FileNotFoundError:  # another run has removed it
            continue
        except (OSError, ValueError):
            unreadable.append(path.name)
    return Kept(sorted(runs, key=lambda run: run.date), unreadable)


def keep_run(folder: Path, run: KeptRun) -> None:
    """Write a run into a folder, and remove the oldest runs beyond MOST_RUNS.

    Raises OSError if it cannot be written; then nothing has changed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"schema": SCHEMA, **asdict(run)}, indent=1, allow_nan=False)
    _keep_file(folder, "run", run.date, text + "\n")


def keep_speed(folder: Path, date: str, text: str) -> None:
    """Write the text of a run's speed.json into a folder, and remove the oldest beyond MOST_RUNS.

    Raises OSError if it cannot be written; then nothing has changed.
    """
    _keep_file(folder, "speed", date, text)


def _keep_file(folder: Path, kind: str, date: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    stamp = re.sub(r"\D", "", date[:19]).ljust(14, "0")[:14]
    name = f"{kind}-{stamp[:8]}T{stamp[8:]}-{os.urandom(4).hex()}.json"
    replace_whole({folder / name: text})
    for old in _list_files(folder, kind)[:-MOST_RUNS]:
        with suppress(OSError):
            old.unlink()


def _list_files(folder: Path, kind: str = "run") -> list[Path]:
    """Return the kept files of a kind ("run" or "speed") in a folder, the oldest first; files of
    other names are ignored.
    """
    try:
        return sorted(
            path
            for path in folder.iterdir()
            if NAME.fullmatch(path.name) and path.name.startswith(f"{kind}-")
        )
    except FileNotFoundError:
        return []


def _read_run(path: Path) -> KeptRun:
    return parse_strictly(read_regular(path, MOST_BYTES), "kept run", _convert)


def _convert(found: Any) -> KeptRun:
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise msgspec.ValidationError(f"expected the schema {SCHEMA!r}")
    return msgspec.convert(found, KeptRun)
