"""NumPy's settings for floating-point errors and printing, while the harness computes and while the
user's code runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ContextDecorator, ExitStack
from contextvars import ContextVar
from functools import partial
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

    `how` gives NumPy's handling of each kind of error, as in np.errstate. `restore_call` sets the
    function that NumPy calls for an error.
    """

    how: dict[str, Handling]
    restore_call: Callable[[], object]

    @classmethod
    def now(cls) -> _Errors:
        how = cast("dict[str, Handling]", dict(np.geterr()))
        return cls(how, partial(np.seterrcall, np.geterrcall()))

    def set(self) -> None:
        np.seterr(**self.how)
        self.restore_call()


_users: ContextVar[_Errors | None] = ContextVar("users", default=None)


class _State(ContextDecorator):
    """A context manager that leaves exceptions as they are.

    A context manager made from a generator function changes their tracebacks.
    """

    def __init__(self) -> None:
        self._left = ExitStack()

    def __exit__(self, *_: object) -> None:
        self._left.close()

    # of ContextDecorator: each call of a decorated function enters anew
    def _recreate_cm(self) -> _State:
        return type(self)()


class ours(_State):
    """A context for the harness, in which NumPy ignores floating-point errors and prints by its
    defaults.

    Afterwards the user's settings are back, with the changes that the user's code has made
    meanwhile.
    """

    def __enter__(self) -> None:
        if _users.get() is None:  # the outermost one
            _users.set(_Errors.now())
            self._left.callback(_give_back)
            _print_by_defaults(self._left)
        self._left.enter_context(np.errstate(all="ignore"))


def _print_by_defaults(left: ExitStack) -> None:
    """Let NumPy print by its defaults until `left` is closed.

    Setting its options takes long, so they are set only where they differ.
    """
    before = dict(np.get_printoptions())
    left.callback(_print_as, before)
    _print_as({**before, **PRINTING})


def _print_as(options: Mapping[str, object]) -> None:
    if np.get_printoptions() != options:
        cast(Callable[..., None], np.set_printoptions)(**options)


def _give_back() -> None:
    errors = _users.get()
    _users.set(None)
    if errors is not None:
        errors.set()


class users(_State):
    """A context for the user's code, inside `ours`, with the user's settings for floating-point
    errors.

    Changes that the user's code makes are kept. With `quiet`, errors that would only warn are
    ignored.
    """

    def __init__(self, quiet: bool = False) -> None:
        super().__init__()
        self.quiet = quiet

    def _recreate_cm(self) -> users:
        return type(self)(self.quiet)

    def __enter__(self) -> None:
        if (errors := _users.get()) is None:
            return
        self._left.enter_context(np.errstate())
        how = dict(errors.how)
        for kind, handling in errors.how.items():
            if self.quiet and handling == "warn":
                how[kind] = "ignore"
        _Errors(how, errors.restore_call).set()
        self._left.callback(_keep, errors, _Errors.now())


def _keep(errors: _Errors, begun: _Errors) -> None:
    """Add the settings that the user's code has changed to `errors`; `begun` are the settings
    before it ran.
    """
    left = _Errors.now()
    how = dict(errors.how)
    for kind, handling in left.how.items():
        if handling != begun.how[kind]:
            how[kind] = handling
    _users.set(_Errors(how, left.restore_call))
