"""The wall around types: the vocabulary and the mathematics have real ones."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("harness/core", "reference/mathematics")


def find_any(source: str) -> list[int]:
    """Return the lines on which a file imports or names `typing.Any`, in quoted types too."""
    lines: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            if node.module in ("typing", "typing_extensions") and "*" in names:
                names.append("Any")
        elif isinstance(node, ast.Name):
            names = [node.id]
        elif isinstance(node, ast.Attribute):
            names = [node.attr]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names = ["Any"] if quotes_any(node.value) else []
        if "Any" in names:
            lines.add(node.lineno)
    return sorted(lines)


def quotes_any(text: str) -> bool:
    """Is a text an expression, as a quoted type is, that names `Any`?"""
    try:
        expression = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return False
    return any(
        (isinstance(node, ast.Name) and node.id == "Any")
        or (isinstance(node, ast.Attribute) and node.attr == "Any")
        for node in ast.walk(expression)
    )


@pytest.mark.parametrize(
    "source",
    [
        "from typing import Any",
        "from typing import Any as Whatever",
        "from typing import *",
        "import typing\nx: typing.Any",
        "x: list[Any]",
        "def f(a: Any) -> None: ...",
        "def f() -> 'dict[str, Any]': ...",
        "y = cast('Any', x)",
        "y = cast('typing.Any', x)",
    ],
)
def test_any_is_seen_however_it_is_written(source: str) -> None:
    """The wall can fail: each way of naming the type is found."""
    assert find_any(source) != []


def test_a_word_is_no_type() -> None:
    """Sentences with the word, and other names, are left alone."""
    source = "'''Any number.'''\nfrom typing import AnyStr\nx = any([])  # Any\ny = 'Any text'"
    assert find_any(source) == []


@pytest.mark.parametrize("room", ROOMS)
def test_the_room_names_no_any(room: str) -> None:
    """Types there are real ones, protocols or `object` with a check."""
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    found = {path.name: find_any(path.read_text(encoding="utf-8")) for path in files}
    assert {name: lines for name, lines in found.items() if lines} == {}
