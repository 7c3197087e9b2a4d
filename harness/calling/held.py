"""Lists the objects that a model holds: in attributes, containers, hooks and closures."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterator
from functools import partial
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

ATOMS = (type(None), bool, int, float, complex, str, bytes, type, ModuleType, BuiltinFunctionType)
HOLDERS = (list, tuple, set, frozenset, deque)
MOST = 200_000  # objects that are followed


class TooMuch(Exception):
    """Raised if an object holds more objects than are followed."""


def walk(root: Any) -> Iterator[Any]:
    """Yield an object, and all that it holds, each once. Raises TooMuch."""
    known: dict[int, Any] = {}  # keeps objects alive, so that no identity is used twice
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, ATOMS) or id(value) in known:
            continue
        known[id(value)] = value
        if len(known) > MOST:
            raise TooMuch
        yield value
        waiting += _list_held(value)


def reaches(value: Any, objects: Container[int]) -> bool:
    """Does a value hold one of some objects, which are given by their identities?

    A function also holds the objects that it uses by a global name. Raises TooMuch.
    """
    for each in walk(value):
        named = list_globals(each).values() if isinstance(each, FunctionType) else ()
        if any(id(one) in objects for one in (each, *named)):
            return True
    return False


def list_functions(root: Any) -> list[FunctionType]:
    """Return the functions that an object holds. Raises TooMuch."""
    return [each for each in walk(root) if isinstance(each, FunctionType)]


def list_globals(function: FunctionType) -> dict[str, Any]:
    """Return the global names that a function's code mentions, with their values."""
    names: set[str] = set()
    waiting = [function.__code__]
    while waiting:
        code = waiting.pop()
        names.update(code.co_names)
        waiting += [each for each in code.co_consts if isinstance(each, CodeType)]
    found = function.__globals__
    return {name: found[name] for name in names if name in found}


def _list_held(value: Any) -> list[Any]:
    """Return the objects that an object holds itself."""
    if isinstance(value, HOLDERS):
        return list(value)
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, FunctionType):
        return _list_of_function(value)
    if isinstance(value, MethodType):
        return [value.__self__, value.__func__]
    if isinstance(value, partial):
        return [value.func, *value.args, *value.keywords.values()]
    return [*_read_state(value), *list_hooks(value)]


def list_hooks(value: Any) -> list[Any]:
    """Return the gradient hooks of a tensor; none for any other object."""
    import torch

    return list((value._backward_hooks or {}).values()) if isinstance(value, torch.Tensor) else []


def _list_of_function(function: FunctionType) -> list[Any]:
    """Return the objects in the defaults, the closure and the attributes of a function."""
    held = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    for cell in function.__closure__ or ():
        held += list_contents(cell)
    return [*held, *vars(function).values()]


def list_contents(cell: CellType) -> list[Any]:
    """Return the content of a cell of a closure, as a list of one; none if it is empty."""
    try:
        return [cell.cell_contents]
    except ValueError:
        return []


def _read_state(value: Any) -> list[Any]:
    """Return the attributes of an object that its copy takes."""
    own = getattr(type(value), "__getstate__", None)
    if own is not getattr(object, "__getstate__", None):
        try:
            return [value.__getstate__()]
        except Exception:  # a user's class may raise anything
            return []
    return list(getattr(value, "__dict__", {}).values())
