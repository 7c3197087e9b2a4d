"""Finds the source of code that was typed into a notebook or a REPL."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from inspect import findsource, getsource
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

MAIN = "__main__"
parse = lru_cache(maxsize=8)(ast.parse)  # a text is parsed for each of many names


class Unwritten(Exception):
    """Raised with the reason why an object cannot be written as code that runs without the object's
    file.
    """


def is_typed(module: Any) -> bool:
    """Is a module a notebook, a REPL, or the code of `python -c`?"""
    name = getattr(module, "__name__", "")
    return name == MAIN and not getattr(module, "__file__", None)


def name_origin(module: ModuleType) -> str:
    """Return the place from which a module's statements come, for a script's comment: the file's
    name, or "a notebook or REPL".
    """
    if is_typed(module):
        return "a notebook or REPL"
    return ascii(Path(str(module.__file__)).name)


def find_source(thing: type | FunctionType) -> str:
    """Return the source of a class or function. Raises Unwritten if it is not available.

    Python looks for a class only in its module's file, so a class that was typed is found by its
    methods.
    """
    try:
        return getsource(thing)
    except (TypeError, OSError):
        for function in _list_methods(thing):
            if text := _find_class(thing.__name__, function):
                return text
    raise _say_unkept(thing)


def find_whole(function: FunctionType) -> str:
    """Return the whole text of the file, cell or input that defines a function. Raises Unwritten if
    it is not available.
    """
    try:
        return "".join(findsource(function)[0])
    except OSError:
        raise _say_unkept(function) from None


def _say_unkept(thing: type | FunctionType) -> Unwritten:
    return Unwritten(
        f"Python has not kept the source of {thing.__name__}: write it in a file, in a notebook,"
        " or in the REPL of Python 3.13 or newer"
    )


def segment(text: str, node: ast.stmt) -> str:
    """Return the lines of a statement, with its decorators."""
    first = min(each.lineno for each in (node, *getattr(node, "decorator_list", ())))
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])


def list_statements(module: ModuleType) -> Iterator[tuple[str, ast.stmt]]:
    """Yield the statements of a module, each as (the text that contains it, the statement).

    The statements of a notebook come from its cells, in the order in which they were run.
    """
    texts = vars(module).get("In", ()) if is_typed(module) else [getsource(module)]
    for text in texts:
        try:
            nodes = parse(text).body
        except SyntaxError:  # a cell that did not run
            continue
        for node in nodes:
            yield text, node


def _list_methods(thing: object) -> Iterator[FunctionType]:
    """Yield the functions that the body of a class defines; nothing for any other object."""
    if not isinstance(thing, type):
        return
    for value in vars(thing).values():
        function = getattr(value, "fget", getattr(value, "__func__", value))
        if isinstance(function, FunctionType):
            yield function


def _find_class(name: str, method: FunctionType) -> str:
    """Return the source of the class with this name around a method; "" if it is not available."""
    try:
        text = find_whole(method)
    except Unwritten:
        return ""
    line, found = method.__code__.co_firstlineno, ""
    classes = [node for node in ast.walk(parse(text)) if isinstance(node, ast.ClassDef)]
    for node in classes:
        if node.name == name and node.lineno <= line <= (node.end_lineno or 0):
            found = segment(text, node)
    return found
