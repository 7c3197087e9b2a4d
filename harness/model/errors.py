"""Describes an error that a user's code raised: its first line, and the line of the user's file."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from traceback import walk_tb
from typing import Any

from harness.model.compiled import limit_reached
from harness.text.harmless import class_name, shown

MOST_SAID = 2_000  # characters of what an exception says
STANDARD = sysconfig.get_path("stdlib")


class WrongAnswer(Exception):
    """A model answered, but its answer breaks a rule.

    Its outputs or loss have a wrong shape (nothing is broadcast) or dtype, it changed its inputs,
    or it gave no gradient.
    """


def raised(error: BaseException) -> str:
    """Describe an error: its class, its first line, and the line of the user's file that raised it.

    Class and first line together take at most 200 characters. A WrongAnswer is described by its
    text alone. This is safe for any exception: errors that its own methods raise are caught.
    """
    lines = (_text_of(error) or "").splitlines()
    text = lines[0] if lines else ""
    if type(error) is WrongAnswer:
        return text
    if reached := limit_reached(error):
        return reached
    colon = ": " if text else ""
    sentence = f"raised {class_name(error)}{colon}{text}"[:200]
    users = [(file, line) for file, line in _frames(error) if _is_users(file)]
    if not users:
        return sentence
    file, line = users[-1]
    return f"{sentence} (at {file.name}:{line})"


def words_of(error: BaseException) -> str:
    """Return the text of an error, at most MOST_SAID characters.

    If the error cannot give its text, return the description by `raised`.
    """
    text = _text_of(error)
    return raised(error) if text is None else text


def _text_of(error: BaseException) -> str | None:
    """Return the text of an error, at most MOST_SAID characters; None if the error
    cannot give it.
    """
    text = shown(error, MOST_SAID, str)
    return None if text == f"<{class_name(error)}>" else text


def at(error: BaseException) -> str:
    """Return the place where an error was raised, as " (at folder/file.py:12)".

    It is appended to the text of `raised`. Return "" if one of the user's files took part, since
    `raised` then names the place in that file.
    """
    frames = _frames(error)
    if not frames or any(_is_users(file) for file, _ in frames):
        return ""
    file, line = frames[-1]
    return f" (at {file.parent.name}/{file.name}:{line})"


def as_cause(error: BaseException) -> BaseException | None:
    """Return the error if pytest can show it as the cause of another error.

    Return None if the error's class overrides `__class__` or `__traceback__`.
    """
    try:
        honest = error.__class__ is type(error) and error.__traceback__ is _traceback(error)
    except Exception:
        return None
    return error if honest else None


def _traceback(error: BaseException) -> Any:
    """Return the traceback that Python stored, even if the error's class overrides
    `__traceback__`.
    """
    return vars(BaseException)["__traceback__"].__get__(error)


def _frames(error: BaseException) -> list[tuple[Path, int | None]]:
    """Return the file and line of each frame of an error's traceback, the innermost last."""
    return [(Path(frame.f_code.co_filename), line) for frame, line in walk_tb(_traceback(error))]


def _is_users(file: Path) -> bool:
    """Is this an existing file outside this project, Python's library and the installed
    packages?
    """
    ours = Path(__file__).parents[1]
    others = {ours, ours.with_name("reference"), Path(STANDARD)} & set(file.parents)
    return not others and "site-packages" not in file.parts and os.path.isfile(file)
