"""Names the layer (module) that runs, and the user's line of source that called the operation."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Any, Literal, NamedTuple

import torch

from harness.model import dropout, late

TORCH = os.path.dirname(torch.__file__) + os.sep
PYTHON = sysconfig.get_path("stdlib") + os.sep
WATCHING = os.path.dirname(__file__) + os.sep
OURS = os.path.dirname(os.path.dirname(__file__)) + os.sep
# they call the engine of autograd, which calls hooks
BACKWARD = tuple(f"{TORCH}autograd{os.sep}{file}.py" for file in ("graph", "__init__"))
MODES = str(late.__file__), str(dropout.__file__)  # their functions call operations


class Source(NamedTuple):
    """The place where an operation runs: the innermost module and the user's line, as "net.py:12".

    `caller` is the line that called the function of that line, if it is the user's too.
    """

    layer: str = ""
    line: str = ""
    caller: str = ""


class Layers:
    """Follows which module of a model runs.

    The name of a module that is called again ends with the number of the call: "cell (call 2)".
    """

    def __init__(self) -> None:
        self._open: list[str] = []
        self._calls: dict[str, int] = {}

    def find(self) -> Source:
        """Return the layer and the user's lines of the operation that is being called."""
        frame = _find_frame(sys._getframe(1))
        layer = self._open[-1] if self._open else ""
        return Source(layer, _name_line(frame), _find_caller(frame))

    @contextmanager
    def follow(self, module: Any) -> Iterator[None]:
        """Follow the calls of a module's submodules while the `with` block runs; None has none."""
        hooks = []
        for name, part in () if module is None else module.named_modules(remove_duplicate=True):
            if isinstance(part, torch.jit.ScriptModule):
                continue  # its operations are seen, but no hook can say that it runs
            hooks.append(part.register_forward_pre_hook(self._make_opener(name)))
            hooks.append(part.register_forward_hook(self._close, always_call=True))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def _make_opener(self, name: str) -> Any:
        def open_layer(module: Any, args: Any) -> None:
            self._calls[name] = self._calls.get(name, 0) + 1
            calls = self._calls[name]
            self._open.append(name if calls == 1 else f"{name} (call {calls})")

        return open_layer

    def _close(self, module: Any, args: Any, output: Any) -> None:
        self._open.pop()


def find_line(frame: FrameType | None) -> str:
    """Return the user's innermost line in the call stack, as "net.py:12"; "" if the harness itself
    called the operation.
    """
    return _name_line(_find_frame(frame))


def find_hook() -> tuple[str, str] | None:
    """Return the user's line inside a hook that runs on the way back, and the line that called its
    function, as "net.py:12"; None if autograd itself runs there.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not frame.f_code.co_filename.startswith(BACKWARD):
        if find_owner(frame.f_code.co_filename) == "user":
            return _name_line(frame), _find_caller(frame)
        frame = frame.f_back
    return None


def _find_frame(frame: FrameType | None) -> FrameType | None:
    """Return the user's innermost frame; None if there is none, or the harness comes first."""
    while frame is not None:
        owner = find_owner(frame.f_code.co_filename)
        if owner != "library":
            return frame if owner == "user" else None
        frame = frame.f_back
    return None


def _find_caller(frame: FrameType | None) -> str:
    """Return the user's line that called the function of a frame; "" if it is not the user's. The
    body of a comprehension or lambda belongs to the line in which it stands.
    """
    if frame is None:
        return ""
    file, line = frame.f_code.co_filename, frame.f_lineno
    caller: FrameType | None = frame.f_back
    while caller is not None and (caller.f_lineno, caller.f_code.co_filename) == (line, file):
        caller = caller.f_back
    if caller is None or find_owner(caller.f_code.co_filename) != "user":
        return ""
    return _name_line(caller)


def _name_line(frame: FrameType | None) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""


@cache
def find_owner(file: str) -> Literal["user", "harness", "library"]:
    """Return whose code a file holds: the user's, this project's or a library's. The files of this
    room, of `late` and `dropout`, torch and Python itself count as libraries.
    """
    if file.startswith((TORCH, WATCHING, *MODES, "<frozen", "<string")):
        return "library"
    if file.startswith(OURS):
        return "harness"
    return "library" if file.startswith(PYTHON) and "-packages" not in file else "user"
