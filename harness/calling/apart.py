"""Copies a module with all that its hooks and functions hold, so that the copy uses nothing of the
original.

`copy.deepcopy` copies no function: a hook or lambda that is a closure over its module would go on
using the original. It also refuses tensors that are results of operations.
"""

from __future__ import annotations

import copy
from types import CellType, FunctionType
from typing import Any

from harness.calling.held import (
    TooMuch,
    list_contents,
    list_functions,
    list_globals,
    list_hooks,
    reaches,
    walk,
)

Memo = dict[int, Any]  # of deepcopy: copies by the identity of the original


class NotApart(Exception):
    """Raised with the name and line of a function that would use the original in a copy."""


def copy_apart(module: Any) -> Any:
    """Return a deep copy of a module, with copies of the functions that hold parts of it.

    Tensors that are results of operations become plain numbers. Raises NotApart if the copy would
    use the original, and any error of `copy.deepcopy`.
    """
    try:
        functions = list_functions(module)
        memo = _detach_results(module)
        plain = copy.deepcopy(module, memo)
        shared = _list_shared(memo)
        tied = [each for each in functions if reaches(each, shared)]
        if not tied:
            _copy_hooks(module, plain, shared, memo)
            return plain
        copied = _copy_tied(module, tied, shared)
        left = [each for each in list_functions(copied) if reaches(each, shared)]
    except TooMuch:
        raise NotApart("a function that holds too many objects to be followed") from None
    if left:
        raise NotApart(_name(left[0]))
    return copied


def _detach_results(module: Any) -> Memo:
    """Return copies of those tensors of a module that are results of operations."""
    import torch

    tensors = [each for each in walk(module) if isinstance(each, torch.Tensor)]
    return {id(each): each.detach().clone() for each in tensors if not each.is_leaf}


def _list_shared(memo: Memo) -> set[int]:
    """Return the identities of the objects that deepcopy has copied."""
    return {place for place in memo if place != id(memo)}


def _copy_tied(module: Any, tied: list[FunctionType], shared: set[int]) -> Any:
    """Return a deep copy of a module, in which the functions `tied` are copied too.

    `shared` are the identities of all objects that a deep copy copies.
    """
    memo = _detach_results(module)
    renewer = _Renewer(shared, memo)
    for function in tied:
        memo[id(function)] = renewer.renew(function)
    copied = copy.deepcopy(module, memo)
    _copy_hooks(module, copied, shared, memo)
    renewer.fill_reached(copied)
    return copied


def _copy_hooks(module: Any, copied: Any, shared: set[int], memo: Memo) -> None:
    """Copy the gradient hooks of a module's parameters, which deepcopy leaves out."""
    for mine, other in zip(module.parameters(), copied.parameters(), strict=True):
        known = list_hooks(other)
        for hook in list_hooks(mine):
            moved = copy.deepcopy(hook, memo) if reaches(hook, shared) else hook
            if hook not in known and moved not in known:
                other.register_hook(moved)


class _Renewer:
    """Makes copies of functions, with cells and globals of their own, and fills them.

    `shared` are the identities of the objects that are copied, and `memo` has the copies.
    """

    def __init__(self, shared: set[int], memo: Memo) -> None:
        self.shared, self.memo = shared, memo
        self.cells: dict[int, tuple[CellType, CellType]] = {}  # by the old one's identity
        self.spaces: dict[int, dict[str, Any]] = {}  # new globals
        self.waiting: dict[int, tuple[FunctionType, FunctionType]] = {}

    def renew(self, function: FunctionType) -> FunctionType:
        """Return a copy of a function whose closure is empty as yet."""
        cells = function.__closure__
        for cell in cells or ():
            self.cells.setdefault(id(cell), (cell, CellType()))
        closure = None if cells is None else tuple(self.cells[id(cell)][1] for cell in cells)
        new = FunctionType(
            function.__code__, self._get_space(function), function.__name__, None, closure
        )
        new.__qualname__, new.__module__ = function.__qualname__, function.__module__
        self.waiting[id(new)] = function, new
        return new

    def _get_space(self, function: FunctionType) -> dict[str, Any]:
        """Return the globals of a function's copy: its own, or copies of them if they hold a part
        of the module.
        """
        space = function.__globals__
        if not any(id(each) in self.shared for each in list_globals(function).values()):
            return space
        return self.spaces.setdefault(id(space), dict(space))

    def fill_reached(self, copied: Any) -> None:
        """Fill those copies of functions that a copied module holds."""
        while reached := self._list_reached(copied):
            for new in reached:
                self._fill(*self.waiting.pop(id(new)))

    def _list_reached(self, copied: Any) -> list[FunctionType]:
        """Return those copies of functions that a copied module holds, and that are not filled."""
        new = {id(made) for _, made in self.waiting.values()}
        return [each for each in list_functions(copied) if id(each) in new]

    def _fill(self, function: FunctionType, new: FunctionType) -> None:
        for cell in function.__closure__ or ():
            made = self.cells[id(cell)][1]
            for content in list_contents(cell):
                made.cell_contents = self._move(content)
        new.__defaults__ = self._move(function.__defaults__)
        new.__kwdefaults__ = self._move(function.__kwdefaults__)
        new.__dict__.update(self._move(vars(function)))
        if new.__globals__ is not function.__globals__:
            moved = list_globals(function).items()
            new.__globals__.update(
                {name: self._move(each) for name, each in moved if id(each) in self.shared}
            )

    def _move(self, value: Any) -> Any:
        """Return the copy of a value that holds a part of the module; any other as it is."""
        return copy.deepcopy(value, self.memo) if reaches(value, self.shared) else value


def _name(function: FunctionType) -> str:
    """Return the name of a function with its line, as "hook (net.py:12)"."""
    from harness.locating.located import shorten_path

    code = function.__code__
    name = function.__qualname__.rpartition(".")[2]
    return f"{name} ({shorten_path(code.co_filename)}:{code.co_firstlineno})"
