"""Measures how dense the code is, room by room: `python tests/project/density.py [ROOT]`.

ROOT is a checkout (default: this one). Prints a table of `harness`, `reference` and `nnet_parity`,
and the files of more than MOST_TOKENS tokens. Needs only the standard library.
"""

import ast
import io
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

FOLDERS = ("harness", "reference", "nnet_parity")
MOST_TOKENS = 2_500  # of a file
MOST_COMPLEXITY = 10  # of a function, as ruff's C901 counts it
MOST_COLUMNS = 100  # of a line
LAYOUT = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
BRANCHES = (ast.If, ast.For, ast.While, ast.ExceptHandler, ast.FunctionDef)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
HEADINGS = (
    "room",
    "files",
    "tokens",
    "lines",
    "tokens/line",
    "compr/100",
    "ifexp/100",
    "C901 > 10",
    "% > 100 col",
)


@dataclass
class Density:
    """Counts of some source text."""

    files: int = 0
    tokens: int = 0  # without comments, line ends and indentation
    code_lines: int = 0  # without blank lines, comments and docstrings
    lines: int = 0  # all of them
    wide_lines: int = 0  # of more than MOST_COLUMNS
    comprehensions: int = 0
    conditionals: int = 0  # `x if c else y`
    complex_functions: list[str] = field(default_factory=list)

    def add(self, other: "Density") -> None:
        """Add the counts of another text."""
        self.files += other.files
        self.tokens += other.tokens
        self.code_lines += other.code_lines
        self.lines += other.lines
        self.wide_lines += other.wide_lines
        self.comprehensions += other.comprehensions
        self.conditionals += other.conditionals
        self.complex_functions += other.complex_functions

    def row(self, name: str) -> list[str]:
        """The cells of a row of the table, in the order of HEADINGS."""
        lines = max(self.code_lines, 1)
        return [
            name,
            str(self.files),
            f"{self.tokens:,}",
            f"{self.code_lines:,}",
            f"{self.tokens / lines:.1f}",
            f"{100 * self.comprehensions / lines:.1f}",
            f"{100 * self.conditionals / lines:.1f}",
            str(len(self.complex_functions)),
            f"{100 * self.wide_lines / max(self.lines, 1):.1f}",
        ]


def measure(text: str) -> Density:
    """Count the source text of one file."""
    tree = ast.parse(text)
    density = Density(files=1)
    documented = find_docstring_lines(tree)
    code_lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in LAYOUT:
            continue
        density.tokens += 1
        code_lines.update(range(token.start[0], token.end[0] + 1))
    density.code_lines = len(code_lines - documented)
    for line in text.splitlines():
        density.lines += 1
        density.wide_lines += len(line) > MOST_COLUMNS
    for node in ast.walk(tree):
        density.comprehensions += isinstance(node, COMPREHENSIONS)
        density.conditionals += isinstance(node, ast.IfExp)
        if isinstance(node, ast.FunctionDef) and find_complexity(node) > MOST_COMPLEXITY:
            density.complex_functions.append(node.name)
    return density


def find_docstring_lines(tree: ast.Module) -> set[int]:
    """The numbers of the lines that docstrings stand on."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            docstring = node.body[0]
            lines.update(range(docstring.lineno, (docstring.end_lineno or 0) + 1))
    return lines


def find_complexity(function: ast.FunctionDef) -> int:
    """McCabe's complexity as ruff's C901 counts it: 1, and 1 for each way to branch.

    Inner functions count; boolean operators and comprehensions do not.
    """
    branches = 0
    for node in ast.walk(function):
        if isinstance(node, BRANCHES):
            branches += 1
        elif isinstance(node, ast.Try):
            branches += bool(node.orelse)
        elif isinstance(node, ast.Match):
            branches += len(node.cases)
    return branches  # the function itself is one of the nodes


def find_rooms(root: Path) -> Iterator[tuple[str, list[Path]]]:
    """Each room of a checkout, as "harness/core", with its Python files."""
    for folder in FOLDERS:
        rooms: dict[str, list[Path]] = {}
        for path in sorted((root / folder).rglob("*.py")):
            # a folder of a room belongs to the room
            parts = path.relative_to(root).parent.parts[:2]
            rooms.setdefault("/".join(parts), []).append(path)
        yield from rooms.items()


def print_table(rows: Iterable[list[str]]) -> None:
    """Print rows of cells, the first column to the left and the others to the right."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        line = name.ljust(widths[0])
        for cell, width in zip(cells, widths[1:], strict=True):
            line += "  " + cell.rjust(width)
        print(line)


def main(root: Path) -> None:
    """Print the table of a checkout, and its large files and complex functions."""
    rows = [list(HEADINGS)]
    notes = []
    total = Density()
    for room, paths in find_rooms(root):
        density = Density()
        for path in paths:
            of_file = measure(path.read_text(encoding="utf-8"))
            density.add(of_file)
            name = path.relative_to(root)
            if of_file.tokens > MOST_TOKENS:
                notes.append(f"{name}: {of_file.tokens:,} tokens")
            notes += [f"{name}: {function} is complex" for function in of_file.complex_functions]
        rows.append(density.row(room))
        total.add(density)
    rows.append(total.row("all"))
    print_table(rows)
    for note in notes:
        print(note)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[2])
