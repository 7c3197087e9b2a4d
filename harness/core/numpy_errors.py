"""NumPy's state of errors and of printing: the harness's while it computes, a user's while the
user's code runs.
"""

from __future__ import annotations

from contextlib import ContextDecorator, ExitStack
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

PRINTED: dict[str, Any] = {  # NumPy's own defaults
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
    """What `np.seterr` and `np.seterrcall` were told."""

    how: dict[str, Any]
    call: Any

    @classmethod
    def now(cls) -> _Errors:
        return cls(dict(np.geterr()), np.geterrcall())

    def set(self) -> None:
        np.seterr(**self.how)
        np.seterrcall(self.call)


_users: ContextVar[_Errors | None] = ContextVar("users", default=None)


class _State(ContextDecorator):
    """A context that does not touch an exception on its way, as one made of a generator would."""

    def __init__(self) -> None:
        self._left = ExitStack()

    def __exit__(self, *_: object) -> None:
        self._left.close()

    # of ContextDecorator: each call of what is decorated enters anew
    def _recreate_cm(self) -> _State:
        return type(self)()


class ours(_State):
    """While this lasts, NumPy ignores floating-point errors and prints by its defaults, whatever a
    user has set.

    Afterwards the user's state is back, with what the user's code has changed of it meanwhile.
    """

    def __enter__(self) -> None:
        if _users.get() is None:  # the outermost one
            _users.set(_Errors.now())
            self._left.callback(_give_back)
            self._left.enter_context(np.printoptions(**PRINTED))
        self._left.enter_context(np.errstate(all="ignore"))


def _give_back() -> None:
    errors = _users.get()
    _users.set(None)
    if errors is not None:
        errors.set()


class users(_State):
    """While this lasts, inside `ours`, NumPy's errors are as the user has set them; what the user
    changes is kept.

    With `quiet`, what would only warn is ignored.
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
        how = {
            kind: "ignore" if self.quiet and what == "warn" else what
            for kind, what in errors.how.items()
        }
        _Errors(how, errors.call).set()
        self._left.callback(_keep, errors, _Errors.now())


def _keep(errors: _Errors, begun: _Errors) -> None:
    """Note what the user's code has changed of its errors."""
    left = _Errors.now()
    how = {
        kind: what if what != begun.how[kind] else errors.how[kind]
        for kind, what in left.how.items()
    }
    _users.set(_Errors(how, left.call))
