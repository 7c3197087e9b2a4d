"""NumPy's settings for floating-point errors and printing, while the harness computes and while the
user's code runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ContextDecorator
from contextvars import ContextVar
from typing import Literal, NamedTuple, cast

import numpy as np

Handling = Literal["ignore", "warn", "raise", "call", "print", "log"]


PRINTING: Mapping[str, object] = {  # NumPy's defaults
    "edgeitems": 3,
    "floatmode": "maxprec",
    "formatter": None,
    "infstr": "inf",
    "legacy": False,
    "linewidth": 75,
    "nanstr": "nan",
    "precision": 8,
    "sign": "-",
    "suppress": False,
    "threshold": 1000,
}


class _Errors(NamedTuple):
    """NumPy's settings for floating-point errors.

    `how` gives NumPy's handling of each kind of error, as in np.errstate. `call` is called
    by NumPy for an error.
    """

    how: dict[str, Handling]
    call: Callable[[str, int], object]  # or None, or a file

    @classmethod
    def now(cls) -> _Errors:
        how = cast("dict[str, Handling]", np.geterr())
        return cls(how, cast("Callable[[str, int], object]", np.geterrcall()))

    def set(self) -> None:
        np.seterr(**self.how)
        np.seterrcall(self.call)


_users: ContextVar[_Errors | None] = ContextVar("users", default=None)


class ours(ContextDecorator):
    """A context for the harness, in which NumPy ignores floating-point errors and prints by its
    defaults.

    Afterwards the user's settings are back, with the changes that the user's code has made
    meanwhile.

    A context manager made from a generator function would change the tracebacks of exceptions.
    """

    def _recreate_cm(self) -> ours:  # each call of a decorated function enters anew
        return ours()

    def __enter__(self) -> None:
        self._is_outermost = _users.get() is None
        if self._is_outermost:
            self._found = _Errors.now()
            _users.set(self._found)
            self._printing = np.get_printoptions()
            _print_as({**self._printing, **PRINTING})
        self._ignoring = np.errstate(all="ignore")
        self._ignoring.__enter__()

    def __exit__(self, *_: object) -> None:
        self._ignoring.__exit__(None, None, None)
        if not self._is_outermost:
            return
        _print_as(self._printing)
        errors = _users.get()
        _users.set(None)
        if errors is not None and errors is not self._found:  # the user's code changed them
            errors.set()


def _print_as(options: Mapping[str, object]) -> None:
    """Let NumPy print by these options. They are set only if they differ: it takes long."""
    if np.get_printoptions() != options:
        cast(Callable[..., None], np.set_printoptions)(**options)


class users(ContextDecorator):
    """A context for the user's code, inside `ours`, with the user's settings for floating-point
    errors.

    Changes that the user's code makes are kept. With `quiet`, errors that would only warn are
    ignored.

    A context manager made from a generator function would change the tracebacks of exceptions.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet

    def _recreate_cm(self) -> users:  # each call of a decorated function enters anew
        return users(self.quiet)

    def __enter__(self) -> None:
        self._errors = _users.get()
        if self._errors is None:
            return
        how = dict(self._errors.how)
        for kind, handling in self._errors.how.items():
            if self.quiet and handling == "warn":
                how[kind] = "ignore"
        self._begun = _Errors(how, self._errors.call)
        self._holding = np.errstate(call=self._errors.call, **how)
        self._holding.__enter__()

    def __exit__(self, *_: object) -> None:
        if self._errors is None:
            return
        left = _Errors.now()
        if left.how != self._begun.how or left.call is not self._begun.call:
            _keep(self._errors, self._begun, left)
        self._holding.__exit__(None, None, None)


def _keep(errors: _Errors, begun: _Errors, left: _Errors) -> None:
    """Add the settings that the user's code has changed to `errors`; they were `begun` before it
    ran, and are `left` after it.
    """
    how = dict(errors.how)
    for kind, handling in left.how.items():
        if handling != begun.how[kind]:
            how[kind] = handling
    _users.set(_Errors(how, left.call))
