"""Finds the sentences that a user can see, in our Python, templates and R, and what the approved
files hold.
"""

import ast
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FOLDERS = ("harness", "reference", "nnet_parity")
WORD = re.compile(r"(?<!\S)[(\"'`]?[A-Za-z][\w'-]*")
LEAST = 4  # words that make a sentence
HOLE = "\0"  # where something is filled in
PLACEHOLDER = re.compile(r"\{\w*\}|%(?:\(\w+\))?[sd]")  # of str.format, and of %
MARKUP = re.compile(r"</?[a-z][^>]*>")
JINJA = re.compile(r"\{[{%#].*?[}%#]\}", re.DOTALL)


class Sentence(NamedTuple):
    """A text that a user may see: its file, its line, and its parts between the holes."""

    file: str
    line: int
    parts: tuple[str, ...]

    @property
    def longest(self) -> str:
        """The part by which it is known."""
        return max(self.parts, key=len)


def fold(text: str) -> str:
    """Return a text on one line: screens and help are wrapped."""
    return re.sub(r"\s+", " ", text).strip()


def make_sentences(file: str, line: int, text: str) -> Iterator[Sentence]:
    """Yield the sentences of a text with holes: the texts between its tags that have words
    enough.
    """
    for said in MARKUP.split(PLACEHOLDER.sub(HOLE, text)):
        if len(WORD.findall(said.replace(HOLE, " "))) >= LEAST:
            parts = (fold(part).strip("±#-|:;, ") for part in unescape(said).split(HOLE))
            yield Sentence(
                file, line, tuple(part for part in parts if re.search("[A-Za-z]{2}", part))
            )


def find_in_python(file: str, source: str) -> Iterator[Sentence]:
    """Yield strings and f-strings; of docstrings only those that --help shows."""
    tree = ast.parse(source)
    nodes = list(ast.walk(tree))
    shows_its_own = any(isinstance(node, ast.Name) and node.id == "__doc__" for node in nodes)
    hidden = {id(string) for node in nodes for string in find_hidden(node)}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            text = "".join(
                part.value if isinstance(part, ast.Constant) else HOLE for part in node.values
            )
            yield from make_sentences(file, node.lineno, text)
        elif (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in hidden
        ):
            yield from make_sentences(file, node.lineno, node.value)
        elif is_verb(node) or (isinstance(node, ast.Module) and shows_its_own):
            for paragraph in (ast.get_docstring(node) or "").split("\n\n"):
                yield from make_sentences(file, node.body[0].lineno, paragraph)


def find_hidden(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the strings under a node that are told elsewhere or to nobody: parts of f-strings,
    docstrings, types.
    """
    if isinstance(node, ast.JoinedStr):
        yield from node.values
    elif isinstance(node, ast.Expr):
        yield node.value
    for name in ("annotation", "returns"):
        if typed := getattr(node, name, None):
            yield from ast.walk(typed)


def is_verb(node: ast.AST) -> bool:
    """Return whether a function is a verb of `nnet-parity`, whose docstring is its help."""
    if not isinstance(node, ast.FunctionDef):
        return False
    return any(
        arg.annotation and ast.unparse(arg.annotation) == "ArgumentParser" for arg in node.args.args
    )


def find_in_template(file: str, source: str) -> Iterator[Sentence]:
    """Yield what stands outside of Jinja's brackets, and the strings inside; of a Python script the
    comments.

    Jinja's own comments are seen by nobody.
    """

    def line_of(place: int) -> int:
        return source.count("\n", 0, place) + 1

    for inside in JINJA.finditer(source):
        for string in re.finditer(r'"([^"]*)"', "" if inside[0].startswith("{#") else inside[0]):
            yield from make_sentences(file, line_of(inside.start() + string.start()), string[1])
    outside = JINJA.sub(lambda found: HOLE + "\n" * found[0].count("\n"), source)
    for number, line in enumerate(outside.split("\n"), 1):
        yield from make_sentences(
            file, number, line.partition("#")[2] if file.endswith(".py.j2") else line
        )


def find_in_r(file: str, source: str) -> Iterator[Sentence]:
    """Yield the strings of R."""
    for number, line in enumerate(source.split("\n"), 1):
        for string in re.findall(r'"([^"]*)"', line.partition("#")[0]):
            yield from make_sentences(file, number, string)


def find_all(root: Path = ROOT) -> list[Sentence]:
    """Return all sentences of a checkout, by file and line."""
    kinds = {".py": find_in_python, ".j2": find_in_template, ".R": find_in_r}
    paths = [
        path
        for folder in FOLDERS
        for path in sorted((root / folder).rglob("*"))
        if path.suffix in kinds
    ]
    return [
        sentence
        for path in [*paths, root / "run.py"]
        for sentence in kinds[path.suffix](
            str(path.relative_to(root)), path.read_text(encoding="utf-8")
        )
    ]


def read_approved(folder: Path = ROOT / "tests") -> str:
    """Return everything that the approved files of a folder hold, folded."""
    texts, in_block = [], False
    for path in sorted(folder.rglob("*.ambr")):
        for line in path.read_text(encoding="utf-8").split("\n"):
            text = line.removeprefix("  ")
            if text == "'''":
                in_block = not in_block
            elif in_block or not line.startswith("  "):
                texts.append(text)
            else:
                texts.append(ast.literal_eval(text))
    return fold("\n".join(texts))
