"""The folder of the report: an older report is moved aside for this run's report.

Several runs, in other containers too, may use one folder. At its start a run moves an existing
report into a folder of its own, so that it is not mistaken for this run's. At its end the run puts
its report into place as a whole, while it holds a lock on the folder: the last one to end wins. At
any moment all files in place belong to one run.
"""

from __future__ import annotations

import errno
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # a system without such locks
    fcntl = None  # type: ignore[assignment]

# results.json is the first file that a run writes, and the first that it moves away. So an
# incomplete report was left by a run that was killed: if it has results.json, while it wrote the
# report, and if not, while it moved the report away.
RESULTS = "results.json"
WHOLE = (RESULTS, "report.md", "index.html")
NAMES = (*WHOLE, "speed.json")
OLDER = "older-report"  # the folder, in that of the report, of the report of the run before
KEPT = ".kept-"  # there, the beginning of the name of a run's mark: nobody may put the report back
HEADS = {  # how the files of a report begin
    RESULTS: rb'\s*\{\s*"schema"\s*:\s*"nnet-parity/',
    "report.md": rb"# nnet-parity\s",
    "index.html": rb"(?s)\s*<!DOCTYPE html>.{0,2000}<title>nnet-parity: ",
    "speed.json": rb'\s*\{\s*"races"\s*:',
}
HEAD_BYTES = 4_096
SCRIPTS = "reproducers"
OLDER_SCRIPTS = "older"  # there, the folder of those that no run of the last day has written
SCRIPT_MARK = b"Written by nnet-parity, which removes it"  # in the first lines of each script
LOCK_PATIENCE = 30.0  # seconds that a run waits for another that exchanges its report
DAY = 86_400.0  # seconds
OLD_SCRIPT = 14 * DAY  # a script that was not written anew is kept for so long
MOST_SCRIPTS = 200  # that are kept, beside those of the last day


class OlderReport:
    """The report in the folder when a run starts.

    `end` puts it back if `may_return` is true, as after a complete run without a case.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.place = folder, folder / OLDER
        self.is_aside = False
        self.may_return = True
        self._mark = self.place / f"{KEPT}{os.urandom(4).hex()}"

    def is_there(self) -> bool:
        """Has a report been moved aside, and is it still there?"""
        return self.is_aside and bool(_list_names(self.place))

    def set_aside(self) -> None:
        """Move the report into the folder OLDER. A report that cannot be moved stays."""
        if self.is_aside or not _list_names(self.folder):
            return
        with suppress(OSError), _locked(self.folder):
            if not find_foreign(self.folder):
                _set_aside(self.folder)
                self.is_aside = True

    def keep(self) -> None:
        """Leave the report aside from now on, because this run has a case.

        Another run without a case, which has moved the report and ends meanwhile, does not put it
        back either.
        """
        self.set_aside()  # it may have done so already
        with suppress(OSError), _locked(self.folder):
            if _list_names(self.place) and not find_foreign(self.folder):
                self._mark.touch()

    def end(self) -> None:
        """Put the report back, unless another one has taken its place, or another run leaves it
        aside.
        """
        if self.may_return:
            with suppress(OSError):
                self._mark.unlink()
        interrupted = isinstance(sys.exception(), KeyboardInterrupt)
        if not self.is_aside or not self.may_return or interrupted:
            return
        with suppress(OSError), _locked(self.folder):
            if not _list_names(self.folder) and not _list_marks(self.place):
                for name in reversed(_list_names(self.place)):
                    (self.place / name).replace(self.folder / name)
                self.place.rmdir()


def find_foreign(folder: Path) -> str:
    """Return the path of a file in the place of a report's file that no run has written; "" if
    there is none.
    """
    older = folder / OLDER
    if os.path.lexists(older) and not older.is_dir():
        return str(older)
    for place in (folder, older):
        for name in _list_names(place):
            if not _is_ours(place / name):
                return str(place / name)
    return ""


def find_baseline(path: str) -> str:
    """Return the path of an older report to compare with (the baseline), or the path to which a run
    has moved it.
    """
    moved = Path(path).parent / OLDER / Path(path).name
    if path and not os.path.lexists(path) and moved.is_file():
        return str(moved)
    return path


@contextmanager
def exchange(folder: Path) -> Iterator[None]:
    """Put the files of a new report into place while the `with` block runs.

    The report before it is removed afterwards, and so are old scripts. If the block raises, no file
    of a report is left in place. Raises FileExistsError for a file that no run has written, and
    TimeoutError if another run holds the folder.
    """
    with _locked(folder):
        if foreign := find_foreign(folder):
            raise FileExistsError(errno.EEXIST, "It is no file of a report", foreign)
        _set_aside(folder)
        try:
            yield
        except BaseException:
            _remove(folder)
            raise
        with suppress(OSError):
            _remove_older(folder)


def _list_names(folder: Path) -> list[str]:
    return [name for name in NAMES if os.path.lexists(folder / name)]


def _list_marks(older: Path) -> list[Path]:
    return list(older.glob(f"{KEPT}*"))


def _is_whole(names: list[str]) -> bool:
    return set(WHOLE) <= set(names)


def _is_ours(path: Path) -> bool:
    """Has a run written this file? An empty file also counts: nothing is lost with it."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError:
        return False
    return not head or bool(re.match(HEADS[path.name], head))


def _set_aside(folder: Path) -> None:
    """Move the files of a report into the folder OLDER, all or none."""
    names, older = _list_names(folder), folder / OLDER
    if not names:
        return
    moved = _list_names(older)
    was_moving = RESULTS not in names and RESULTS in moved and not set(moved) & set(names)
    if not was_moving:
        # beside a whole report, an incomplete one is removed; alone, it is kept
        if not _is_whole(names) and _is_whole(moved):
            _remove(folder)
            return
        older.mkdir(exist_ok=True)
        _remove(older)
    for name in names:
        (folder / name).replace(older / name)


def _remove(folder: Path) -> None:
    """Remove the files of a report."""
    for name in NAMES:
        with suppress(OSError):
            (folder / name).unlink()


def _remove_older(folder: Path) -> None:
    """Remove the older report, and scripts of failures that are out of date."""
    older = folder / OLDER
    _remove(older)
    with suppress(OSError):
        for mark in _list_marks(older):
            mark.unlink()
        older.rmdir()
    now = folder.stat().st_mtime  # by the clock of the file system
    _remove_scripts(folder / SCRIPTS, now)


def _remove_scripts(folder: Path, now: float) -> None:
    """Move scripts of failures that are older than a day into a folder of their own, and remove
    scripts that are very old or too many.

    Texts on a terminal of the last day may still name the others. Folders with other names are from
    an older version, which had one for each run.
    """
    for half in folder.glob("**/.nnet-parity-*.half"):  # of a writer that was killed
        if now - half.stat().st_mtime > DAY:
            half.unlink()
    scripts = [script for script in folder.glob("**/*.py") if _is_script(script)]
    ages = {script: now - script.stat().st_mtime for script in scripts}
    for number, script in enumerate(sorted(scripts, key=ages.__getitem__)):
        if ages[script] > OLD_SCRIPT or (number >= MOST_SCRIPTS and ages[script] > DAY):
            script.unlink()
        elif ages[script] > DAY and script.parent == folder:
            (folder / OLDER_SCRIPTS).mkdir(exist_ok=True)
            script.replace(folder / OLDER_SCRIPTS / script.name)
    for place in [*folder.glob("[0-9a-f]" * 8), folder / OLDER_SCRIPTS, folder]:
        with suppress(OSError):
            place.rmdir()


def _is_script(path: Path) -> bool:
    """Has a run written this file or folder as a script of a failure?"""
    with path.open("rb") as file:
        return SCRIPT_MARK in file.read(HEAD_BYTES)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder, so that no other run moves the files of its report.

    On a file system without locks, nothing is locked. Raises TimeoutError.
    """
    number = os.open(folder, os.O_RDONLY)
    try:
        _wait_for_lock(number, folder)
        yield
    finally:
        os.close(number)


def _wait_for_lock(number: int, folder: Path) -> None:
    late = time.monotonic() + LOCK_PATIENCE
    while fcntl is not None:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > late:
                said = f"Another run has held it for {LOCK_PATIENCE:g} seconds"
                raise TimeoutError(errno.ETIMEDOUT, said, str(folder)) from None
            time.sleep(0.02)
        except OSError:
            return
        else:
            return
