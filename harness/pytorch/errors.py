"""Describes an error that a user's code raised: its first line, and its place in a user's file."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from traceback import walk_tb
from typing import Any

from harness.pytorch.compiled import limit_reached
from harness.text.harmless import class_name, shown

MOST_SAID = 2_000  # characters of what an exception says
STANDARD = sysconfig.get_path("stdlib")


class WrongAnswer(Exception):
    """A model answered, but not as it must: outputs or a loss of a wrong shape (nothing is
    broadcast) or dtype, changed inputs, no gradient.
    """


def raised(error: BaseException) -> str:
    """Describe an error: its class and first line, at most 200 characters, and the place in a
    user's own file where it was raised. A WrongAnswer is only its text.

    Safe for any exception: nothing that its methods raise gets out.
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
    """The text of an error, at most MOST_SAID characters; that of `raised` if it cannot
    give it.
    """
    text = _text_of(error)
    return raised(error) if text is None else text


def _text_of(error: BaseException) -> str | None:
    """The text of an error; None if it cannot give it."""
    text = shown(error, MOST_SAID, str)
    return None if text == f"<{class_name(error)}>" else text


def at(error: BaseException) -> str:
    """The place where an error was raised, if no file of a user's took part; else "".

    This is text to add to that of `raised`, which names the places in a user's files.
    """
    frames = _frames(error)
    if not frames or any(_is_users(file) for file, _ in frames):
        return ""
    file, line = frames[-1]
    return f" (at {file.parent.name}/{file.name}:{line})"


def as_cause(error: BaseException) -> BaseException | None:
    """Return an error as the cause of another, for pytest to show; None if its class or its
    traceback are overridden.
    """
    try:
        honest = error.__class__ is type(error) and error.__traceback__ is _traceback(error)
    except Exception:
        return None
    return error if honest else None


def _traceback(error: BaseException) -> Any:
    """The traceback that Python itself holds, whatever the error's class says."""
    return vars(BaseException)["__traceback__"].__get__(error)


def _frames(error: BaseException) -> list[tuple[Path, int | None]]:
    """File and line of each frame of an error's traceback, the innermost last."""
    return [(Path(frame.f_code.co_filename), line) for frame, line in walk_tb(_traceback(error))]


def _is_users(file: Path) -> bool:
    """Is it a user's file, and none of this project, of Python, or of an installed package?"""
    ours = Path(__file__).parents[1]
    others = {ours, ours.with_name("reference"), Path(STANDARD)} & set(file.parents)
    return not others and "site-packages" not in file.parts and os.path.isfile(file)
