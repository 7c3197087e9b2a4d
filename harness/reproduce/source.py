"""A model's own source: what it needs of its author's files, so that it runs without them."""

from __future__ import annotations

import ast
import dis
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache, partial
from inspect import getclosurevars, getsource, signature
from keyword import iskeyword
from pathlib import Path
from textwrap import dedent
from types import CodeType, FunctionType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from harness.core.text import shown

OURS = ("harness", "reference", "nnet_parity", "pytest", "_pytest")
STANDARD = {"sys": "sys", "np": "numpy", "torch": "torch"}  # what every script imports
TAKEN = (
    "PLACE",
    "OWN",
    "INPUTS",
    "TARGETS",
    "BUILD",
    "LOSS",
    "R",
    "model_says",
    "expected",
)  # what is something else there
MOST_NUMBERS = 1_000  # of an array that is written out
_parsed = lru_cache(maxsize=8)(ast.parse)  # of a file there are many names


class Unwritten(Exception):
    """What cannot be written down without the file that it is from, and why."""


class Source:
    """Statements by the name that each gives, in an order in which they run; `files` are those that
    they are from.
    """

    def __init__(self) -> None:
        self.statements = dict.fromkeys(TAKEN, "") | dict.fromkeys(STANDARD, "")
        self.values: dict[str, Any] = {
            name: sys.modules.get(module, self) for name, module in STANDARD.items()
        }
        self.values |= dict.fromkeys(TAKEN, self)
        self.files: dict[str, None] = {}

    def text(self) -> str:
        """All of it, as people lay it out."""
        texts = sorted(
            dict.fromkeys(self.statements.values()), key=lambda text: not text.startswith("import ")
        )
        spaced = [f"\n\n{text}\n\n" if re.match("(class|def|@)", text) else text for text in texts]
        return re.sub("\n{4,}", "\n\n\n", "\n".join(spaced)).strip()

    def expression(self, thing: Any) -> str:
        """What gives this object again, once the statements have run. Raises Unwritten where
        nothing can.
        """
        name: str = getattr(thing, "__name__", "")
        module: Any = sys.modules.get(getattr(thing, "__module__", None) or "torch")
        if isinstance(thing, partial):
            return self._call(partial, thing.func, *thing.args, **thing.keywords)
        if name and not _is_own(module) and getattr(module, name, None) is thing:
            return f"{self._imported(module.__name__, module)}.{name}"
        if not isinstance(thing, type | FunctionType):
            return self._literal(thing)
        if not _is_own(module):
            raise Unwritten(f"{name} is of {thing.__module__}")
        if name == "<lambda>":
            return self._copied(_lambda(thing, module), module, _enclosed(thing))
        return self._give(
            name, thing, lambda: self._copied(dedent(getsource(thing)), module, _enclosed(thing))
        )

    def _call(self, called: Any, *given: Any, **named: Any) -> str:
        _expect_names(*named)
        words = [f"{word}={self.expression(value)}" for word, value in named.items()]
        return f"{self.expression(called)}({', '.join([*map(self.expression, given), *words])})"

    def _give(self, name: str, value: Any, text: Callable[[], str]) -> str:
        """A statement that gives this value this name, unless there is one, or it is being made."""
        _expect_names(*(name.split(".") if isinstance(value, ModuleType) else [name]))
        if self.values.setdefault(name, value) is not value:
            raise Unwritten(f"it needs two things that are called {name}")
        if name not in self.statements:
            self.statements[name] = ""
            made = text()
            del self.statements[name]  # after all that it needs
            self.statements[name] = made
        return name

    def _imported(self, name: str, module: ModuleType) -> str:
        if module.__name__.partition(".")[0] in OURS:
            raise Unwritten(f"it needs {module.__name__}")
        _expect_names(*module.__name__.split("."))
        called = "" if name == module.__name__ else f" as {name}"
        return self._give(name, module, lambda: f"import {module.__name__}{called}")

    def _copied(self, text: str, module: ModuleType, enclosed: Mapping[str, Any]) -> str:
        """A part of a file as it is written, when all that it reads from around it is there too."""
        self.files[str(module.__file__)] = None
        for name in _read(text):
            if name in enclosed:
                self._bind(name, enclosed[name])
            elif name in vars(module) and not name.startswith("__"):
                self._take(name, module, text)
        return text

    def _take(self, name: str, module: ModuleType, text: str) -> None:
        """What a file calls so, and a text of it reads."""
        value = vars(module)[name]
        if isinstance(value, ModuleType) and not _is_own(value):
            self._imported(name, value)
        elif isinstance(value, ModuleType):
            self._give(name, value, lambda: self._namespace(name, value, text))
        elif isinstance(value, type | FunctionType):
            self._bind(name, value)
        else:
            before = dict(self.statements), dict(self.values)
            try:
                self._give(name, value, lambda: self._statements(name, module))
            except Unwritten:
                self.statements, self.values = before
                self._bind(name, value)

    def _bind(self, name: str, value: Any) -> None:
        # else it has given its own name
        if getattr(value, "__name__", "") != name or self.expression(value) != name:
            self._give(name, value, lambda: f"{name} = {self.expression(value)}")

    def _namespace(self, name: str, module: ModuleType, text: str) -> str:
        """A file of the author's as the names of it that a text reads."""
        used = sorted(set(re.findall(rf"\b{name}\.(\w+)", text)))
        for each in used:
            self._take(each, module, "")
        return (
            f"{name} ="
            f" {self.expression(SimpleNamespace)}({', '.join(f'{each}={each}' for each in used)})"
        )

    def _statements(self, name: str, module: ModuleType) -> str:
        """Those of a file that give a name its value."""
        text = getsource(module)
        found = [node for node in _parsed(text).body if name in _given(node)]
        if not found:
            raise Unwritten(f"{name} is given by no statement of {module.__name__}")
        return "\n".join(self._copied(_segment(text, node), module, {}) for node in found)

    def _literal(self, value: Any) -> str:
        """A value that a few words give."""
        if isinstance(value, float) and not np.isfinite(value):
            return f"float({str(value)!r})"
        if value is None or type(value) in (bool, int, float, str):
            return ascii(value)
        if isinstance(value, np.float64) or type(value) is type(sys.modules["torch"].float64):
            return repr(value)
        if type(value) in (list, tuple, set):
            # models: they are built anew
            kept = [each for each in value if not hasattr(each, "named_parameters")]
            inside = f"[{', '.join(map(self.expression, kept))}]"
            return inside if isinstance(value, list) else f"{type(value).__name__}({inside})"
        if type(value) is dict:
            return (
                "{"
                + ", ".join(f"{self.expression(k)}: {self.expression(v)}" for k, v in value.items())
                + "}"
            )
        if type(value) is np.ndarray and value.size <= MOST_NUMBERS and value.dtype.kind in "bif":
            return f"np.array({value.tolist()!a}, dtype=np.{value.dtype})"
        if is_dataclass(value):
            ours = type(value).__module__.partition(".")[0] in OURS
            shown = [field.name for field in fields(value) if (field.repr if ours else field.init)]
            return self._call(
                SimpleNamespace if ours else type(value), **{n: getattr(value, n) for n in shown}
            )
        raise Unwritten(f"a {type(value).__name__} is not written down in a few words")


def _expect_names(*names: str) -> None:
    """Raise Unwritten for what is no variable's name: `__name__` and keywords may be any text."""
    if wrong := [
        name
        for name in names
        if type(name) is not str or not name.isidentifier() or iskeyword(name)
    ]:
        raise Unwritten(f"{shown(wrong[0])} is no name of a variable")


def _is_own(module: ModuleType | None) -> bool:
    """Is it its author's file, none of a package that is installed?"""
    root, file = (
        getattr(module, "__name__", "").partition(".")[0],
        getattr(module, "__file__", None),
    )
    installed = {"site-packages", "dist-packages"} & set(Path(file or "").parts)
    return bool(file) and root not in OURS and root not in sys.stdlib_module_names and not installed


def _segment(text: str, node: ast.stmt) -> str:
    """The lines of a statement, from its first decorator on."""
    first = min(each.lineno for each in (node, *getattr(node, "decorator_list", ())))
    return "\n".join(text.splitlines()[first - 1 : node.end_lineno])


def _given(node: ast.stmt) -> set[str]:
    """The names to which a statement gives values, but for imports."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return {node.name}
    return {
        each.id
        for each in ast.walk(node)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }


def _lambda(thing: Any, module: ModuleType) -> str:
    """A lambda as it is written, of all that stand on its line."""
    text = getsource(module)
    for node in ast.walk(_parsed(text)):
        if isinstance(node, ast.Lambda):
            body = node.body
            span = body.lineno, body.end_lineno, body.col_offset, body.end_col_offset
            if span in thing.__code__.co_positions():
                return f"({ast.get_source_segment(text, node)})"
    raise Unwritten(f"a lambda is not found in {module.__name__}")


def _enclosed(thing: Any) -> dict[str, Any]:
    """What a function, or the methods of a class, keep of the function in which they were made;
    `x=x` does too.
    """
    functions = [f for f in (thing, *vars(thing).values()) if isinstance(f, FunctionType)]
    given = [
        each
        for f in functions
        for each in signature(f).parameters.values()
        if each.default is not each.empty
    ]
    kept = [getclosurevars(f).nonlocals for f in functions]
    return {each.name: each.default for each in given} | {
        name: value for some in kept for name, value in some.items()
    }


def _read(text: str) -> list[str]:
    """The names that a text reads from around it, in order; annotations are not read."""
    codes: list[CodeType] = [
        compile(text, "", "exec", flags=annotations.compiler_flag, dont_inherit=True)
    ]
    found: dict[str, None] = {}
    for code in codes:
        codes += [each for each in code.co_consts if isinstance(each, CodeType)]
        steps = [step for step in dis.get_instructions(code) if step.opname.startswith("LOAD_")]
        found |= {
            str(step.argval): None
            for step in steps
            if step.opname.endswith(("GLOBAL", "GLOBALS", "NAME"))
        }
    return list(found)
