"""Write files whole or not at all, even if the writer is stopped."""

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from glob import escape
from pathlib import Path


def replace_whole(contents: Mapping[Path, str | bytes]) -> None:
    """Write files so that nobody ever sees half of one; if one cannot be written (OSError), none
    is.

    Temporary files that a killed writer left beside them are removed.
    """
    halves: dict[Path, Path] = {}
    try:
        for path, content in contents.items():
            if path.exists() and not path.is_file():  # a device would be replaced by a file
                raise FileExistsError(errno.EEXIST, "Expected a file or nothing there", str(path))
            for left in path.parent.glob(f".{escape(path.name)}.*.half"):
                if not _runs(left.name.split(".")[-2]):
                    left.unlink(missing_ok=True)
            halves[path] = path.with_name(f".{path.name}.{os.getpid()}.half")
            with halves[path].open("wb") as file:
                file.write(
                    content
                    if isinstance(content, bytes)
                    else content.encode(errors="backslashreplace")
                )
                file.flush()
                os.fsync(file.fileno())
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


def append_whole(path: Path, text: str) -> None:
    """Append a text to a file to which others append as well.

    Either all of the text is appended or, if that fails (OSError), nothing.
    """
    with path.open("ab", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        rest = memoryview(text.encode(errors="backslashreplace"))
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            with suppress(OSError):  # a device has no size
                file.truncate(size)
            raise


def _runs(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:  # it is somebody else's
        pass
    return True
