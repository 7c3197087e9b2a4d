"""Binds a case to the line where its user wrote it, and expands it into trials for pytest."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from inspect import CO_OPTIMIZED
from types import FrameType
from typing import Any, NamedTuple

from harness.core.numpy_errors import ours
from harness.judging.case import Case, Trial
from harness.judging.impossible import mark_impossible
from harness.model.errors import raised, words_of
from harness.text.harmless import shown

# the plugin that pytest loads; a user's run of pytest may have left it out
PLUGIN = "nnet_parity.plugin"
_reading: ContextVar[bool] = ContextVar("reading", default=False)
# in the environment while pytest runs a test, and of all that a test starts
RUNNING = "PYTEST_CURRENT_TEST"


class Place(NamedTuple):
    """A line of a module."""

    module: str
    file: str
    line: int


@dataclass(frozen=True, eq=False)
class Verification:
    """A case, the file and line where `verify` was called, and the import that led there.

    `imported` is the line of the module whose import led to the call; None if a test or the main
    program did.
    """

    case: Case
    file: str
    line: int = field(default=0)
    imported: Place | None = None


def verify(case: Case) -> Verification:
    """Bind a case to this line, so that pytest runs its trials.

    At import, as in `test_sine = verify(Case(...))`, pytest collects the case by the name of the
    variable; the run fails if there is none. In a function that a test calls, the case is judged at
    once.

    Raises VerdictFailed, an AssertionError, inside a test if a trial fails or nothing could be
    judged, and RuntimeError if pytest runs a test without the plugin.
    """
    __tracebackhide__ = True
    frame = sys._getframe(1)
    verification = Verification(case, frame.f_code.co_filename, frame.f_lineno, _find_import(frame))
    plugin: Any = sys.modules.get(PLUGIN)
    if _reading.get():
        return verification
    if plugin is not None and plugin.GUESTS:
        plugin.GUESTS[-1].note(verification)
    elif RUNNING in os.environ and "_pytest" in sys.modules and verification.imported is None:
        raise RuntimeError(
            "verify() judges nothing in this run: pytest was started without the plugin nnet_parity"
        )
    return verification


def _find_import(frame: FrameType | None) -> Place | None:
    """Return the line of the module whose import leads to a frame; None if a test or the main
    program does.
    """
    while frame is not None:
        name = str(frame.f_globals.get("__name__"))
        if name == "__main__" or name.startswith("_pytest."):
            return None
        # the body of a module or class, not of a function
        if not frame.f_code.co_flags & CO_OPTIMIZED:
            return Place(name, frame.f_code.co_filename, frame.f_lineno)
        frame = frame.f_back
    return None


class Reached(BaseException):
    """Raised to stop reading a file for its cases, when its code begins to use the result of a
    judgement.
    """


def is_reading() -> bool:
    """Is a file being read only for its cases, without judging them?"""
    return _reading.get()


@contextmanager
def reading() -> Iterator[None]:
    """Return a context in which `verify` binds cases without judging them.

    A file can then be read for its cases, even while a test runs.
    """
    before = _reading.set(True)
    try:
        yield
    finally:
        _reading.reset(before)


def expand(
    name: str, found: object, devices: Sequence[str] = ("cpu",), mode: str = "auto"
) -> list[Trial]:
    """Return the trials of the object `found` that a test file calls `name`.

    `mode` is how R answers: "auto", "live" or "recorded". Raises ValueError or TypeError if the
    object is not a valid case, with the line of its `verify`; LookupError if R must be live and is
    not installed.
    """
    if isinstance(found, Case):
        raise TypeError(f"{name} is a Case, expected it verified: {name} = verify(Case(...))")
    assert isinstance(found, Verification)
    where = f"{found.file}:{found.line}"
    if not issubclass(type(found.case), Case):
        raise TypeError(
            f"{where}: verify() was given {shown(found.case)}, expected a Case: verify(Case(...))"
        )
    try:
        return expand_case(found.case, found.file, devices, mode)
    except (ValueError, TypeError) as error:
        raise type(error)(f"{where}: {error}") from None


def expand_case(
    case: Case, file: str, devices: Sequence[str] = ("cpu",), mode: str = "auto"
) -> list[Trial]:
    """Return the trials of a case that is written in `file`.

    `mode` is how R answers: "auto", "live" or "recorded". Raises ValueError or TypeError, in a
    sentence, if the case is not valid; LookupError if R must be live and is not installed.
    """
    try:
        with ours():
            return mark_impossible(case.answering(file, mode).trials(devices))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a user's objects may raise anything when they are looked at
        kind = type(error)
        if kind is LookupError:  # R must be live and is not here
            raise
        said = words_of(error) if issubclass(kind, ValueError | TypeError) else raised(error)
        raise (TypeError if issubclass(kind, TypeError) else ValueError)(said) from None
