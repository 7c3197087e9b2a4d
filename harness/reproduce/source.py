"""Copies the statements that a model needs from its author's files, or from the cells of a
notebook, so that it runs without them.
"""

from __future__ import annotations

import ast
import dis
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from inspect import getclosurevars, signature
from keyword import iskeyword
from pathlib import Path
from textwrap import dedent
from types import CodeType, FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from harness.reproduce.typed import (
    Unwritten,
    find_source,
    find_whole,
    is_typed,
    list_statements,
    name_origin,
    parse,
    segment,
)
from harness.text.harmless import shown

OURS = ("harness", "reference", "nnet_parity", "pytest", "_pytest")
STANDARD = {"sys": "sys", "np": "numpy", "torch": "torch"}  # every script imports them
# names that every script uses itself
TAKEN = (
    *("PLACE", "OWN", "INPUTS", "TARGETS", "BUILD", "LOSS", "ANSWER", "SLOPES", "R"),
    *("model_says", "expected"),
)
# instructions that read a global name, in the versions of Python that we support
LOADS = ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")
MOST_NUMBERS = 1_000  # of an array that is written out


class Source:
    """The copied statements, by the name that each defines, in an order in which they run.

    `values` has the object of each name; `origins` names the files of the statements.
    """

    def __init__(self) -> None:
        self.statements: dict[str, str] = {}
        self.values: dict[str, Any] = {}
        for name, module in STANDARD.items():
            self.statements[name] = ""
            self.values[name] = sys.modules.get(module, self)
        for name in TAKEN:
            self.statements[name] = ""
            self.values[name] = self
        self.origins: dict[str, None] = {}

    def text(self) -> str:
        """Return the text of all statements, imports first, with blank lines around definitions."""
        texts = dict.fromkeys(self.statements.values())  # one may define several names
        spaced = []
        for text in sorted(texts, key=lambda text: not text.startswith("import ")):
            if re.match("(class|def|@)", text):
                spaced.append(f"\n\n{text}\n\n")
            else:
                spaced.append(text)
        return re.sub("\n{4,}", "\n\n\n", "\n".join(spaced)).strip()

    def expression(self, thing: Any) -> str:
        """Return an expression that evaluates to the object `thing`, once the statements have run.

        Statements that it needs are added. Raises Unwritten if there is no such expression.
        """
        name: str = getattr(thing, "__name__", "")
        module: Any = sys.modules.get(getattr(thing, "__module__", None) or "torch")
        if isinstance(thing, partial):
            return self._call(partial, thing.func, *thing.args, **thing.keywords)
        if name and not _is_own(module) and getattr(module, name, None) is thing:
            return f"{self._import(module.__name__, module)}.{name}"
        if not isinstance(thing, type | FunctionType):
            return self._variable(thing, module) or self._literal(thing)
        if not _is_own(module):
            raise Unwritten(f"{name} is of {thing.__module__}")
        if name == "<lambda>":
            return self._copy(_lambda(thing, module), module, _enclosed(thing))

        def copy() -> str:
            return self._copy(dedent(find_source(thing)), module, _enclosed(thing))

        return self._define(name, thing, copy)

    def _variable(self, thing: Any, module: Any) -> str:
        """Add the statement that assigns a user's callable to a name, as `@jax.jit` does; return
        the name, or "" if it has none.
        """
        if not callable(thing) or not _is_own(module):
            return ""
        names = [name for name, value in vars(module).items() if value is thing]
        if not names:
            return ""
        return self._define(names[0], thing, lambda: self._statements(names[0], module))

    def _call(self, called: Any, *given: Any, **named: Any) -> str:
        """Return an expression that calls the object `called` with these arguments."""
        _expect_names(*named)
        words = [f"{word}={self.expression(value)}" for word, value in named.items()]
        arguments = [self.expression(value) for value in given] + words
        return f"{self.expression(called)}({', '.join(arguments)})"

    def _define(self, name: str, value: Any, text: Callable[[], str]) -> str:
        """Add the statement `text()`, which assigns a value to the name `name`; return the name.

        Nothing is added if the name is defined already, or is being defined: a statement may read
        its own name. Raises Unwritten if another value has this name.
        """
        _expect_names(*(name.split(".") if isinstance(value, ModuleType) else [name]))
        if self.values.setdefault(name, value) is not value:
            raise Unwritten(f"it needs two things that are called {name}")
        if name not in self.statements:
            self.statements[name] = ""
            statement = text()
            del self.statements[name]  # it stands after the statements that it needs
            self.statements[name] = statement
        return name

    def _import(self, name: str, module: ModuleType) -> str:
        if module.__name__.partition(".")[0] in OURS:
            raise Unwritten(f"it needs {module.__name__}")
        _expect_names(*module.__name__.split("."))
        called = "" if name == module.__name__ else f" as {name}"
        return self._define(name, module, lambda: f"import {module.__name__}{called}")

    def _copy(self, text: str, module: ModuleType, enclosed: Mapping[str, Any]) -> str:
        """Add the statements that a piece of a file's source needs; return the piece unchanged.

        `enclosed` has the values that the piece reads from an enclosing function, by name.
        """
        self.origins[name_origin(module)] = None
        for name in _find_names_read(text):
            if name in enclosed:
                self._bind(name, enclosed[name])
            elif name in vars(module) and not name.startswith("__"):
                self._take(name, module, text)
        return text

    def _take(self, name: str, module: ModuleType, text: str) -> None:
        """Add the statement that defines the name `name` of a file (`module`); `text` is the piece
        of source that reads the name.
        """
        value = vars(module)[name]
        if isinstance(value, ModuleType) and not _is_own(value):
            self._import(name, value)
        elif isinstance(value, ModuleType):
            self._define(name, value, lambda: self._namespace(name, value, text))
        elif isinstance(value, type | FunctionType):
            self._bind(name, value)
        else:
            self._value(name, value, module)

    def _value(self, name: str, value: Any, module: ModuleType) -> None:
        """Add the statements of a file (`module`) that define the name `name` or, if there are
        none, the statement `name = expression`.

        For code typed into a notebook, the expression is tried first, since cells may have been run
        in any order.
        """
        before = dict(self.statements), dict(self.values)

        def copy() -> None:
            self._define(name, value, lambda: self._statements(name, module))

        def write() -> None:
            self._bind(name, value)

        first, second = (write, copy) if is_typed(module) else (copy, write)
        try:
            first()
        except Unwritten:
            self.statements, self.values = before
            second()

    def _bind(self, name: str, value: Any) -> None:
        """Add the statement `name = expression`, unless the value's definition already gives it
        this name.
        """
        if getattr(value, "__name__", "") != name or self.expression(value) != name:
            self._define(name, value, lambda: f"{name} = {self.expression(value)}")

    def _namespace(self, name: str, module: ModuleType, text: str) -> str:
        """Return a statement that replaces a user's module by a namespace.

        The namespace has the names of the module that the source `text` reads.
        """
        used = sorted(set(re.findall(rf"\b{name}\.(\w+)", text)))
        for each in used:
            self._take(each, module, "")
        words = ", ".join(f"{each}={each}" for each in used)
        return f"{name} = {self.expression(SimpleNamespace)}({words})"

    def _statements(self, name: str, module: ModuleType) -> str:
        """Return the statements of a file that assign a value to a name."""
        copies = []
        for text, node in list_statements(module):
            if name in _find_names_given(node):
                copies.append(self._copy(segment(text, node), module, {}))
        if not copies:
            raise Unwritten(f"{name} is given by no statement of {module.__name__}")
        return "\n".join(copies)

    def _literal(self, value: Any) -> str:
        """Return an expression for a value with a short one, such as a number, a text or a list.

        Raises Unwritten for any other value.
        """
        if isinstance(value, float) and not np.isfinite(value):
            return f"float({str(value)!r})"
        if value is None or type(value) in (bool, int, float, str):
            return ascii(value)
        of_torch = getattr(sys.modules.get("torch"), "dtype", np.float64)
        if isinstance(value, np.float64 | of_torch):
            return repr(value)
        if type(value) in (list, tuple, set):
            # models in a list of a file are left out: a script builds its own
            parts = [each for each in value if not hasattr(each, "named_parameters")]
            inside = f"[{', '.join(self.expression(part) for part in parts)}]"
            return inside if isinstance(value, list) else f"{type(value).__name__}({inside})"
        if type(value) is dict:
            items = [f"{self.expression(k)}: {self.expression(v)}" for k, v in value.items()]
            return f"{{{', '.join(items)}}}"
        if type(value) is np.ndarray and value.size <= MOST_NUMBERS and value.dtype.kind in "bif":
            return f"np.array({value.tolist()!a}, dtype=np.{value.dtype})"
        if is_dataclass(value):
            return self._dataclass(value)
        raise Unwritten(f"a {type(value).__name__} is not written down in a few words")

    def _dataclass(self, value: Any) -> str:
        """Return an expression that builds a dataclass.

        A dataclass of this project becomes a namespace of the fields in its repr.
        """
        if type(value).__module__.partition(".")[0] in OURS:
            shown = {each.name: getattr(value, each.name) for each in fields(value) if each.repr}
            return self._call(SimpleNamespace, **shown)
        given = {each.name: getattr(value, each.name) for each in fields(value) if each.init}
        return self._call(type(value), **given)


def _expect_names(*names: str) -> None:
    """Raise Unwritten for a text that cannot be the name of a variable (a `__name__` may be any
    text).
    """
    for name in names:
        if type(name) is not str or not name.isidentifier() or iskeyword(name):
            raise Unwritten(f"{shown(name)} is no name of a variable")


def _is_own(module: ModuleType | None) -> bool:
    """Is a module the user's code: typed into a notebook or REPL, or a file outside installed
    packages?
    """
    if is_typed(module):
        return True
    root = getattr(module, "__name__", "").partition(".")[0]
    file = getattr(module, "__file__", None)
    installed = {"site-packages", "dist-packages"} & set(Path(file or "").parts)
    return bool(file) and root not in OURS and root not in sys.stdlib_module_names and not installed


def _find_names_given(node: ast.stmt) -> set[str]:
    """Return the names that a statement assigns, without those of imports."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return {node.name}
    names = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
            names.add(each.id)
    return names


def _lambda(thing: Any, module: ModuleType) -> str:
    """Return the source of a lambda.

    Several lambdas may be on its line, so it is found by the columns of its body.
    """
    text = find_whole(thing)
    for node in ast.walk(parse(text)):
        if isinstance(node, ast.Lambda):
            body = node.body
            span = body.lineno, body.end_lineno, body.col_offset, body.end_col_offset
            if span in thing.__code__.co_positions():
                return f"({ast.get_source_segment(text, node)})"
    raise Unwritten(f"a lambda is not found in {module.__name__}")


def _enclosed(thing: Any) -> dict[str, Any]:
    """Return, by name, the values that a function, or the methods of a class, read from enclosing
    functions.

    The values of default arguments (`x=x`) are among them.
    """
    things = [thing, *vars(thing).values()]
    functions = [each for each in things if isinstance(each, FunctionType)]
    values: dict[str, Any] = {}
    for function in functions:
        for parameter in signature(function).parameters.values():
            if parameter.default is not parameter.empty:
                values[parameter.name] = parameter.default
    for function in functions:
        values |= getclosurevars(function).nonlocals
    return values


def _find_names_read(text: str) -> list[str]:
    """Return the global names that a piece of source reads, in order; annotations are left out."""
    codes: list[CodeType] = [
        compile(text, "", "exec", flags=annotations.compiler_flag, dont_inherit=True)
    ]
    names: dict[str, None] = {}
    for code in codes:
        # the code of inner functions, which is looked at after this
        codes += [each for each in code.co_consts if isinstance(each, CodeType)]
        for step in dis.get_instructions(code):
            if step.opname in LOADS:
                names[str(step.argval)] = None
    return list(names)
