"""Finds classes and functions of a case that its user has changed since the case was made.

In a notebook a class may be redefined while an older case still holds the older class.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from harness.judging.case import Case


def find_redefined(case: Case) -> str:
    """Return a sentence on a class or function of a case that has changed since the case was made;
    "" if there is none.
    """
    for thing in _list_written(case):
        module = sys.modules.get(thing.__module__)
        if module is None or "<locals>" in thing.__qualname__:
            continue
        codes = list(_list_codes(thing))
        if _is_defined_anew(thing, codes, module):
            return (
                f"{thing.__name__} has been defined anew since the case {case.name!r} was made,"
                " which holds the older one: make the case again"
            )
        if _is_edited(codes, module):
            return (
                f"{Path(str(module.__file__)).name} has changed since {thing.__name__} was"
                " imported from it: import it again (importlib.reload), and make the case again"
            )
    return ""


def _list_written(case: Case) -> Iterator[type | FunctionType]:
    """Yield the classes and functions in a case or in its parts."""
    parts = [case.network, case.problems, case.answer, *case.subjects, *case.references]
    for part in parts:
        for thing in (part, *getattr(part, "__dict__", {}).values()):
            while isinstance(thing, partial):
                thing = thing.func
            if isinstance(thing, type | FunctionType):
                yield thing


def _list_codes(thing: type | FunctionType) -> Iterator[CodeType]:
    """Yield the compiled code of a function, or of the methods of a class."""
    if isinstance(thing, FunctionType):
        yield thing.__code__
        return
    for value in vars(thing).values():
        function = getattr(value, "fget", getattr(value, "__func__", value))
        if isinstance(function, FunctionType):
            yield function.__code__


def _is_defined_anew(thing: Any, codes: list[CodeType], module: ModuleType) -> bool:
    """Does the name of a class or function now refer to another object, whose code differs from
    `codes`?

    A statement that runs twice, as in a loop or a notebook's cell, gives the same code both times.
    """
    now: Any = vars(module).get(thing.__name__)
    if now is thing or not isinstance(now, type | FunctionType):
        return False
    if (now.__module__, now.__qualname__) != (thing.__module__, thing.__qualname__):
        return False
    if getattr(now, "__wrapped__", None) is thing:
        return False
    return list(_list_codes(now)) != codes


def _is_edited(codes: list[CodeType], module: ModuleType) -> bool:
    """Has the file of a module changed since `codes` were imported from it?

    Code that does not come from a plain file, such as that of pytest's test files, is not compared.
    """
    if type(getattr(module, "__loader__", None)) is not SourceFileLoader:
        return False
    file = str(module.__file__)
    written = [code for code in codes if code.co_filename == file]
    if not written:
        return False
    try:
        whole = compile(Path(file).read_bytes(), file, "exec", dont_inherit=True)
    except (OSError, SyntaxError, ValueError):
        return False
    now = set(_list_inner(whole))
    return any(code not in now for code in written)


def _list_inner(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object and all code objects inside it."""
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield each
            yield from _list_inner(each)
