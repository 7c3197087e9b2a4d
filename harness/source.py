"""A model's own source: the statements of its author's files that it needs, so that it runs without them."""

from __future__ import annotations

import ast
import dis
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import cache, partial
from importlib.util import resolve_name
from pathlib import Path
from textwrap import dedent
from types import CodeType, FunctionType, ModuleType
from typing import Any

import numpy as np

OURS = ("harness", "reference", "nnet_parity", "pytest", "_pytest")
STANDARD = {name: f"import {name}" for name in ("sys", "torch")} | {"np": "import numpy as np"}  # of every script
TAKEN = ("OWN", "INPUTS", "TARGETS", "R", "model_says", "expected")  # by the script itself
MOST_NUMBERS = 1_000  # of an array that is written out
Statement = ast.stmt | ast.expr


class Unwritten(Exception):
    """What cannot be written down without the files that it is from, and why."""


class Source:
    """Statements by the name that each gives, in an order in which they run."""

    def __init__(self) -> None:
        self.statements: dict[str, str] = dict.fromkeys(TAKEN, "") | STANDARD
        self.values: dict[str, Any] = {}
        self.files: dict[str, None] = {}

    def text(self) -> str:
        """All of it."""
        texts = [text for text in dict.fromkeys(self.statements.values()) if text not in ("", *STANDARD.values())]
        texts = sorted(texts, key=lambda text: not text.startswith(("import ", "from ")))
        spaced = [f"\n\n{text}\n\n" if re.match("(class|def|@)", text) else text for text in texts]
        return re.sub("\n{4,}", "\n\n\n", "\n".join(spaced)).strip()

    def expression(self, thing: Any) -> str:
        """What gives this object again, once the statements have run. Raises Unwritten where nothing can."""
        if isinstance(thing, partial):
            self._add("partial", "from functools import partial")
            given = [self.expression(each) for each in thing.args]
            given += [f"{name}={self.expression(each)}" for name, each in thing.keywords.items()]
            return f"partial({', '.join([self.expression(thing.func), *given])})"
        name, module = getattr(thing, "__name__", ""), sys.modules.get(getattr(thing, "__module__", None) or "torch")
        if module is not None and not _is_own(module) and getattr(module, name, None) is thing:
            return f"{self._imported(module)}.{name}"
        if not isinstance(thing, type | FunctionType):
            return self._literal(thing)
        if module is None or not _is_own(module):
            raise Unwritten(f"{name} is from {thing.__module__}")
        if vars(module).get(name) is thing:
            self._take(name, module)
            return name
        node, text = _written(thing, module)
        self._need(text, module, _enclosed(thing))
        if not isinstance(node, ast.Lambda):
            self._add(name, text)
        return text if isinstance(node, ast.Lambda) else name

    def _imported(self, module: ModuleType) -> str:
        """A module of an installed package, by its whole name."""
        if module.__name__.partition(".")[0] in OURS:
            raise Unwritten(f"it needs {module.__name__}")
        self._add(module.__name__, f"import {module.__name__}")
        return module.__name__

    def _add(self, name: str, text: str) -> None:
        if self.statements.setdefault(name, text) != text:
            raise Unwritten(f"it needs two things that are called {name}")

    def _take(self, name: str, module: ModuleType) -> None:
        """What a module calls so: by the statements that give it, else by its value."""
        called, home = _home(name, module)
        value = vars(module)[name]
        if self.values.setdefault(called, value) is not value:
            raise Unwritten(f"it needs two things that are called {called}")
        if called in TAKEN:
            raise Unwritten(f"{called} is what the script calls something else")
        if called not in self.statements:
            before = dict(self.statements)
            try:
                self._copy(called, home)
            except Unwritten:
                self.statements = before
                if getattr(value, "__module__", None) == home.__name__ and isinstance(value, type | FunctionType):
                    raise
                self._bind(called, value)
        if called != name:
            self._add(name, f"{name} = {called}")

    def _copy(self, name: str, module: ModuleType) -> None:
        if not (found := list(_binding(name, module))):
            raise Unwritten(f"{name} is given by no statement of {module.__name__}")
        self.files[str(module.__file__)] = None
        self.statements[name] = ""  # what it is itself needed for does not ask for it again
        texts = [self._statement(each, name, module) for each in found]
        del self.statements[name]
        self._add(name, "\n".join(texts))

    def _bind(self, name: str, value: Any) -> None:
        if (written := self.expression(value)) != name:
            self._add(name, f"{name} = {written}")

    def _need(self, text: str, module: ModuleType, inner: Mapping[str, Any]) -> None:
        """All that a text reads and does not give itself."""
        for name in _read(text):
            if name in inner:
                self._bind(name, inner[name])
            elif name in vars(module) and not name.startswith("__"):
                found = vars(module)[name]
                if isinstance(found, ModuleType) and _is_own(found):
                    self._namespace(name, found, text)
                else:
                    self._take(name, module)

    def _namespace(self, name: str, module: ModuleType, text: str) -> None:
        """A module of its author's, as the names of it that are read."""
        self._add("SimpleNamespace", "from types import SimpleNamespace")
        used = sorted(set(re.findall(rf"\b{name}\.(\w+)", text)))
        for each in used:
            self._take(each, module)
        self._add(name, f"{name} = SimpleNamespace({', '.join(f'{each}={each}' for each in used)})")

    def _statement(self, node: ast.stmt, name: str, module: ModuleType) -> str:
        """A statement as it is written; of an import what gives the name."""
        if isinstance(node, ast.Import | ast.ImportFrom):
            alias, where = _imports(node, name, module)
            if where.partition(".")[0] in OURS:
                raise Unwritten(f"{name} is from {where}")
            return ast.unparse(
                ast.Import([alias]) if isinstance(node, ast.Import) else ast.ImportFrom(where, [alias], 0)
            )
        text = _segment(node, module)
        self._need(text, module, {})
        return text

    def _literal(self, value: Any) -> str:
        """A value that can be written down."""
        if value is None or isinstance(value, bool | int | str | bytes):
            return repr(value)
        if isinstance(value, float):
            return repr(value) if np.isfinite(value) else f"float({str(value)!r})"
        if type(value) in (list, tuple, set):
            inside = f"[{', '.join(map(self.expression, value))}]"
            return inside if isinstance(value, list) else f"{type(value).__name__}({inside})"
        if type(value) is dict:
            return "{" + ", ".join(f"{self.expression(k)}: {self.expression(v)}" for k, v in value.items()) + "}"
        if isinstance(value, np.ndarray) and value.size <= MOST_NUMBERS and value.dtype.kind in "bif":
            self._add("np", "import numpy as np")
            return f"np.array({value.tolist()!r}, dtype=np.{value.dtype})"
        if is_dataclass(value) and type(value).__module__.partition(".")[0] in OURS:
            self._add("SimpleNamespace", "from types import SimpleNamespace")
            shown = [field.name for field in fields(value) if field.repr]
            return f"SimpleNamespace({', '.join(f'{name}={self.expression(getattr(value, name))}' for name in shown)})"
        if repr(value).startswith("torch.") and type(value).__name__ == "dtype":
            self._add("torch", "import torch")
            return repr(value)
        raise Unwritten(f"a {type(value).__name__} is not written down in a few words")


def _is_own(module: ModuleType) -> bool:
    """Is it its author's file, none of a package that is installed?"""
    root, file = module.__name__.partition(".")[0], getattr(module, "__file__", None)
    installed = {"site-packages", "dist-packages"} & set(Path(file or "").parts)
    return bool(file) and root not in OURS and root not in sys.stdlib_module_names and not installed


@cache
def _parsed(file: str) -> tuple[str, ast.Module]:
    text = Path(file).read_text(encoding="utf-8")
    return text, ast.parse(text)


def _segment(node: Statement, module: ModuleType) -> str:
    """A node as it is written, from its first decorator on."""
    text = _parsed(str(module.__file__))[0]
    if isinstance(node, ast.expr):
        return f"({ast.get_source_segment(text, node)})"
    above = "".join(f"@{ast.unparse(each)}\n" for each in getattr(node, "decorator_list", ()))
    return above + dedent(ast.get_source_segment(text, node, padded=True) or "")


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _imports(node: ast.Import | ast.ImportFrom, name: str, module: ModuleType) -> tuple[ast.alias, str]:
    """What an import gives a name to, and the module that it is from."""
    alias = next(each for each in node.names if _bound(each) == name)
    if isinstance(node, ast.Import):
        return alias, alias.name
    return alias, resolve_name("." * node.level + (node.module or ""), module.__package__)


def _home(name: str, module: ModuleType) -> tuple[str, ModuleType]:
    """What it is called in that file of its author's in which it is written."""
    while _is_own(module) and isinstance(node := next(_binding(name, module), None), ast.ImportFrom):
        alias, where = _imports(node, name, module)
        if not _is_own(sys.modules[where]):
            break
        name, module = alias.name, sys.modules[where]
    return name, module


def _binding(name: str, module: ModuleType) -> Iterator[ast.stmt]:
    """The statements of a module that give a name its value."""
    for statement in _parsed(str(module.__file__))[1].body:
        for node in [statement] if isinstance(statement, ast.ClassDef | ast.FunctionDef) else ast.walk(statement):
            gives = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == name
            gives |= isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name
            gives |= isinstance(node, ast.alias) and _bound(node) == name
            if gives:
                yield statement
                break


def _written(thing: Any, module: ModuleType) -> tuple[Statement, str]:
    """Where a lambda, or what was made inside a function, is written."""
    if not _is_own(module):
        raise Unwritten(f"{thing.__name__} is from {module.__name__}")
    for node in ast.walk(_parsed(str(module.__file__))[1]):
        if isinstance(node, ast.Lambda) and isinstance(thing, FunctionType) and thing.__name__ == "<lambda>":
            body = node.body
            span = body.lineno, body.end_lineno, body.col_offset, body.end_col_offset
            if span in thing.__code__.co_positions():
                return node, _segment(node, module)
        elif isinstance(node, ast.FunctionDef) and isinstance(thing, FunctionType) and node.name == thing.__name__:
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            if first == thing.__code__.co_firstlineno:
                return node, _segment(node, module)
        elif isinstance(node, ast.ClassDef) and isinstance(thing, type) and node.name == thing.__name__:
            methods = [each for each in vars(thing).values() if isinstance(each, FunctionType)]
            if any(node.lineno <= each.__code__.co_firstlineno <= (node.end_lineno or 0) for each in methods):
                return node, _segment(node, module)
    raise Unwritten(f"{thing.__name__} is not found in {module.__name__}")


def _enclosed(thing: Any) -> dict[str, Any]:
    """What a function, or the methods of a class, keep of the function in which they were made."""
    functions = [thing] if isinstance(thing, FunctionType) else [f for f in vars(thing).values() if callable(f)]
    found: dict[str, Any] = {}
    for function in functions:
        cells = getattr(function, "__closure__", None) or ()
        for name, cell in zip(getattr(function, "__code__", thing).co_freevars if cells else (), cells, strict=True):
            if name != "__class__" and cell.cell_contents is not thing:
                found[name] = cell.cell_contents
    return found


def _read(text: str) -> list[str]:
    """The names that a text reads from around it, in order; annotations are not read."""
    codes: list[CodeType] = [compile(text, "", "exec", flags=annotations.compiler_flag, dont_inherit=True)]
    found: dict[str, None] = {}
    for code in codes:
        codes += [each for each in code.co_consts if isinstance(each, CodeType)]
        for step in dis.get_instructions(code):
            if step.opname.startswith("LOAD_") and step.opname.endswith(("GLOBAL", "GLOBALS", "NAME")):
                found[str(step.argval)] = None
    return list(found)
