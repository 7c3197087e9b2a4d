"""Write files whole or not at all, even if the writer is stopped."""

import errno
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

HALF = re.compile(r"\.nnet-parity-[0-9a-f]{16}\.half")  # a temporary file of any writer
OLD = 3_600.0  # seconds after which a temporary file is nobody's: its writer was killed
FOLDER = "nnet-parity-tmp-"  # how the name of a temporary folder begins
OLD_FOLDER = 86_400.0  # seconds after which it is nobody's


def replace_whole(
    contents: Mapping[Path, str | bytes], exchange: AbstractContextManager[None] | None = None
) -> None:
    """Write all files, each as a whole, or none. Raises OSError if one cannot be written.

    All contents are first written to temporary files beside the files, which then take their places
    in order, inside `with exchange`. Temporary files that a killed writer left are removed.
    """
    halves: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            # a device would be replaced by a file, and so would a link that leads nowhere
            if os.path.lexists(path) and not path.is_file():
                raise FileExistsError(errno.EEXIST, "Expected a file or nothing there", str(path))
            halves[path] = path.with_name(f".nnet-parity-{os.urandom(8).hex()}.half")
            _write_half(halves[path], content)
        with exchange or nullcontext():
            for path, half in halves.items():
                half.replace(path)
        # else a crash of the machine may bring the older files back
        for folder in {path.parent for path in contents}:
            number = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(number)
            finally:
                os.close(number)
    finally:
        for half in halves.values():
            half.unlink(missing_ok=True)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Make a temporary folder, and remove it after the `with` block.

    Folders that a killed process left a day ago are removed too.
    """
    with TemporaryDirectory(prefix=FOLDER) as name:
        folder = Path(name)
        now = folder.stat().st_mtime
        for left in folder.parent.glob(f"{FOLDER}*"):
            with suppress(OSError):  # another process removes it too
                if now - left.lstat().st_mtime > OLD_FOLDER:
                    rmtree(left)
        yield folder


def append_whole(path: Path, text: str) -> None:
    """Append a text to a file to which others append as well.

    Either all of the text is appended or, if that fails (OSError), nothing. If the file is a pipe
    whose reader is missing or slow, this does not wait.
    """
    with open(path, "ab", buffering=0, opener=_open_without_waiting) as file:
        size = os.fstat(file.fileno()).st_size
        rest = memoryview(text.encode(errors="backslashreplace"))
        try:
            while rest:
                written = file.write(rest)
                if written is None:
                    raise BlockingIOError(errno.EAGAIN, "Nobody reads it", str(path))
                rest = rest[written:]
        except OSError:
            with suppress(OSError):  # a device has no size
                file.truncate(size)
            raise


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _write_half(half: Path, content: str | bytes) -> None:
    """Write a temporary file that does not exist yet, and remove old ones beside it."""
    with half.open("xb") as file:
        file.write(
            content if isinstance(content, bytes) else content.encode(errors="backslashreplace")
        )
        file.flush()
        os.fsync(file.fileno())
        now = os.fstat(file.fileno()).st_mtime
    _remove_old(half.parent, now)


def _remove_old(folder: Path, now: float) -> None:
    """Remove the temporary files that are older than OLD.

    `now` is the time by the clock of the folder's file system, which may differ from this
    machine's. A process id would not tell whether a writer lives: it may run in another container.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if HALF.fullmatch(entry.name):
                with suppress(OSError):  # another writer removes it too
                    if now - entry.stat(follow_symlinks=False).st_mtime > OLD:
                        os.unlink(entry.path)
