"""Lines that a person pastes into a shell."""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from harness.text.harmless import DRIVING

DRIVEN = rf"{DRIVING}|[\t\n]|##(?=[:\[])"  # what a screen leaves out, or breaks a line at


def shell_line(*words: str) -> str:
    """Join words into one line for a POSIX shell; a word with control characters needs bash or
    zsh.
    """
    return " ".join(map(_quote, words))


def path_word(path: str | Path) -> str:
    """Return a path with "./" in front if a program would read it as an option, or pytest as a file
    of arguments (@).
    """
    return f"./{path}" if str(path).startswith(("-", "@")) else str(path)


def find_python(start: Path) -> str:
    """Return the command that runs this Python from the folder `start`: a relative path if it is in
    this folder, "python" if a shell finds it, or else the whole path.
    """
    executable = sys.executable
    if not executable:
        return "python"
    if Path(executable).is_relative_to(start):
        return os.path.relpath(executable, start)
    found = shutil.which("python")
    return "python" if found and os.path.abspath(found) == executable else executable


def rerun_line(path: Path, start: Path, test: str) -> str:
    """Return the line that runs one test of a file again, from the folder `start`.

    pytest does not accept "[" or "::" in the path before a test's name. If the folder's path has
    them, the line changes to this folder first; if the file's name has them, the line runs the
    whole folder.
    """
    relative = Path(os.path.relpath(path, start))
    if not _splits(str(relative)):
        return shell_line("pytest", path_word(f"{relative}::{test}"))
    folder = shell_line("cd", path_word(relative.parent))
    words = [] if _splits(path.name) else [path_word(f"{path.name}::{test}")]
    return f"{folder} && {shell_line('pytest', *words)}"


def _splits(path: str) -> bool:
    return "[" in path or "::" in path


def _quote(word: str) -> str:
    if not re.search(DRIVEN, word):
        return shlex.quote(word)
    return "$'" + re.sub(rf"{DRIVEN}|[\\']", lambda found: _in_bytes(found[0]), word) + "'"


def _in_bytes(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode(errors="surrogateescape"))
