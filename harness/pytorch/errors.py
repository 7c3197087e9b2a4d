"""What an error says, and where in a user's own file it was raised."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from traceback import walk_tb
from typing import Any

from harness.core.text import class_name, shown
from harness.pytorch.compiled import limit_reached

MOST_SAID = 2_000  # characters of what an exception says
STANDARD = sysconfig.get_path("stdlib")


class WrongAnswer(Exception):
    """Outputs or a loss of another shape than the network's (nothing is broadcast), or a model that
    is no function.
    """


def raised(error: BaseException) -> str:
    """What was raised, in its first line, at most 200 characters, and where in a user's own file.

    Whatever the exception says of itself, of its class and of its traceback: nothing that it does
    is raised.
    """
    text = next(iter(shown(error, MOST_SAID, str).splitlines()), "")
    text = "" if text == f"<{class_name(error)}>" else text
    if type(error) is WrongAnswer:
        return text
    if reached := limit_reached(error):
        return reached
    said = f"raised {class_name(error)}{': ' if text else ''}{text}"[:200]
    users = [(file, line) for file, line in _frames(error) if _is_users(file)]
    return f"{said} (at {users[-1][0].name}:{users[-1][1]})" if users else said


def words_of(error: BaseException) -> str:
    """What an error says, at most MOST_SAID characters; what it is where it cannot say anything."""
    text = shown(error, MOST_SAID, str)
    return raised(error) if text == f"<{class_name(error)}>" else text


def at(error: BaseException) -> str:
    """Where an exception was raised in which no file of a user's takes part, as text to add to
    `raised`; else "".
    """
    frames = _frames(error)
    if not frames or any(_is_users(file) for file, _ in frames):
        return ""
    file, line = frames[-1]
    return f" (at {file.parent.name}/{file.name}:{line})"


def as_cause(error: BaseException) -> BaseException | None:
    """The error as the cause of another, which pytest shows too; None where it says other than
    Python keeps of it.
    """
    try:
        honest = error.__class__ is type(error) and error.__traceback__ is _traceback(error)
    except Exception:
        return None
    return error if honest else None


def _traceback(error: BaseException) -> Any:
    """What Python itself keeps."""
    return vars(BaseException)["__traceback__"].__get__(error)


def _frames(error: BaseException) -> list[tuple[Path, int | None]]:
    """File and line of each frame of the traceback that Python itself keeps, the innermost last."""
    return [(Path(frame.f_code.co_filename), line) for frame, line in walk_tb(_traceback(error))]


def _is_users(file: Path) -> bool:
    """Is it a file of a user's: no code of this project, of Python, or of a package that is
    installed?
    """
    ours = Path(__file__).parents[1]
    others = {ours, ours.with_name("reference"), Path(STANDARD)} & set(file.parents)
    return not others and "site-packages" not in file.parts and os.path.isfile(file)
