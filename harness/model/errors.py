"""Describes an error that a user's code raised: its first line, and the line of the user's file."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path
from traceback import walk_tb
from typing import Any, NamedTuple

from harness.core.verdict import Status
from harness.model.compiled import limit_reached
from harness.text.harmless import class_name, shown

MOST_SAID = 2_000  # characters of what an exception says
CELL, REPL = "cell", ("<stdin>", "<string>", "<python-input")
STANDARD = sysconfig.get_path("stdlib")


class Place(NamedTuple):
    """A line in an error's traceback.

    `name` is the name of its file, or of the notebook cell or REPL input. `is_users` says that it
    is the user's code.
    """

    file: Path
    name: str
    line: int | None
    is_users: bool


class WrongAnswer(Exception):
    """Raised if a model answered, but its answer breaks a rule.

    Its outputs or loss have a wrong shape (nothing is broadcast) or dtype, it changed its inputs,
    or it gave no gradient.
    """


def status_of(error: Exception) -> Status:
    """Return the status of an answer that is missing for an error of the model: FAIL for a wrong
    answer, BROKEN for any other.
    """
    return Status.FAIL if type(error) is WrongAnswer else Status.BROKEN


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
    users = [place for place in _list_places(error) if place.is_users]
    return f"{sentence} (at {users[-1].name}:{users[-1].line})" if users else sentence


def words_of(error: BaseException) -> str:
    """Return the text of an error, at most MOST_SAID characters; if it cannot give one, return
    `raised`.
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

    It is appended to the text of `raised`. Return "" if a line of the user's code is in the
    traceback, since `raised` then names it.
    """
    places = _list_places(error)
    if not places or any(place.is_users for place in places):
        return ""
    file, line = places[-1].file, places[-1].line
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


def _list_places(error: BaseException) -> list[Place]:
    """Return the place of each frame of an error's traceback, the innermost last."""
    places = []
    for frame, line in walk_tb(_traceback(error)):
        file, names = Path(frame.f_code.co_filename), frame.f_globals
        is_typed = names.get("__name__") == "__main__" and "__file__" not in names
        name = CELL if is_typed and not file.name.startswith(REPL) else file.name
        places.append(Place(file, name, line, is_typed or _is_users(file)))
    return places


def _is_users(file: Path) -> bool:
    """Is this an existing file outside this project, Python's library and the installed
    packages?
    """
    ours = Path(__file__).parents[1]
    others = {ours, ours.with_name("reference"), Path(STANDARD)} & set(file.parents)
    return not others and "site-packages" not in file.parts and os.path.isfile(file)
