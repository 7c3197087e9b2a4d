"""Draws docstrings for a reader, and counts odd constructions in them.

`python -m tests.project.docstrings --seed 1` prints 30 docstrings, drawn by a seed, each with its
place and signature: a sample for a reader who did not write them. `--counts` prints how often each
construction of ODD is used, room by room; `--list ROOM` prints the docstrings of a room (a path
such as harness/core) that use one.
"""

import argparse
import ast
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("harness", "reference", "nnet_parity")
MOST_WORDS = 30  # of a sentence
SENTENCE_END = re.compile(r"(?<=[.?!])\s+(?=[A-Z`\"])|\n\n|:\n")

# a construction that a reader reads twice, and how it is found in one sentence
ODD = {
    "what": r"(?i)\bwhat\b",
    "who, whose: a clause as subject": r"(?i)^(who|whoever|whose|whichever|where|which)\b.*[^?]$",
    "whatever": r"(?i)\b(whatever|whoever|wherever|however)\b",
    "where that is none": r"(?i)\b(none|nothing|nobody|never) where\b|where (that|it) is none\b",
    "came to": r"(?i)\b(came|come|comes) to\b",
    "of which": r"(?i)\b(of|beside|against|than|without) (which|whom)\b",
    "is told": r"(?i)\b(is|are|be|was|were|been|being) (told|said|asked)\b",
    "the one that": r"(?i)\b(the ones?|that one|one) (that|which|whose|who)\b",
    "those that": r"(?i)\b(those|that|these) (that|which|who|whose)\b",
    "one's own": r"(?i)\bone's own\b",
    "as said": r"(?i)\bas (it is |they are )?(said|told|asked|found|given|stated|seen)\b",
    "inverted order": r"(?i)^(so|nor|neither|only|here|then|there|thus|else)\b"
    r" (is|are|was|were|does|do|has|have|stands?|comes?|goes)\b(?! (a|an|no|more|two)\b)",
    "stands for nothing": r"(?i)\b(stands?|stood|goes on|speaks?|spoke) "
    r"(in|there|against|beside|at|by|where)\b",
    "a participle as a noun": r"(?i)\bthe (said|told|asked|found|given|seen|kept|held|made)\b,",
    "lest, thereof": r"(?i)\b(lest|thereof|therein|whereby|wherein|hence)\b",
}
PATTERNS = {name: re.compile(pattern) for name, pattern in ODD.items()}


@dataclass(frozen=True)
class Docstring:
    """The docstring of a module, class or function; `place` is its file and line."""

    place: str
    signature: str
    text: str

    @property
    def room(self) -> str:
        """The folder of the file, as "harness/core"."""
        return self.place.rpartition("/")[0]

    def find_odd(self) -> list[str]:
        """Return the names of the odd constructions, one for each sentence that uses one."""
        names = []
        for sentence in split_sentences(self.text):
            names += [name for name, pattern in PATTERNS.items() if pattern.search(sentence)]
            if len(sentence.split()) > MOST_WORDS:
                names.append("long sentence")
        return names


def split_sentences(text: str) -> list[str]:
    """Split a docstring at the ends of its sentences, and at empty lines and colons of lists."""
    return [" ".join(part.split()) for part in SENTENCE_END.split(text) if part.strip()]


def find_docstrings(root: Path = ROOT) -> Iterator[Docstring]:
    """Yield every docstring of harness, reference and nnet_parity, in order of files and lines."""
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            name = path.relative_to(root).as_posix()
            yield from read_docstrings(name, path.read_text(encoding="utf-8"))


def read_docstrings(name: str, source: str) -> Iterator[Docstring]:
    """Yield the docstrings of one file of this name, in order of lines."""
    module = ast.parse(source)
    if text := ast.get_docstring(module):
        yield Docstring(f"{name}:1", f"module {name}", text)
    found = [node for node in ast.walk(module) if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    for node in sorted(found, key=lambda node: node.lineno):
        if text := ast.get_docstring(node):
            yield Docstring(f"{name}:{node.lineno}", write_signature(node), text)


def write_signature(node: ast.ClassDef | ast.FunctionDef) -> str:
    """Return the first line of a class or function; a class with its annotated fields."""
    if isinstance(node, ast.FunctionDef):
        returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        return f"def {node.name}({ast.unparse(node.args)}){returned}"
    bases = ", ".join(map(ast.unparse, node.bases))
    fields = [ast.unparse(line) for line in node.body if isinstance(line, ast.AnnAssign)]
    return "\n    ".join([f"class {node.name}({bases})", *fields])


def draw_docstrings(docstrings: list[Docstring], seed: int, number: int) -> list[Docstring]:
    """Draw docstrings without replacement by a seed."""
    return random.Random(seed).sample(docstrings, number)


def count_odd(docstrings: list[Docstring]) -> dict[str, Counter[str]]:
    """Count the odd constructions of each room."""
    counts: dict[str, Counter[str]] = {}
    for docstring in docstrings:
        counts.setdefault(docstring.room, Counter()).update(docstring.find_odd())
    return counts


def print_counts(docstrings: list[Docstring]) -> None:
    """Print the number of odd constructions by room, and their sum by construction."""
    total: Counter[str] = Counter()
    for room, counts in count_odd(docstrings).items():
        print(f"{counts.total():5}  {room}")
        total += counts
    print(f"{total.total():5}  all, in {len(docstrings):,} docstrings")
    for name, count in total.most_common():
        print(f"{count:5}  {name}")


def print_docstring(docstring: Docstring, note: str = "") -> None:
    """Print the place, signature and text of a docstring."""
    print(f"--- {docstring.place} {note}\n{docstring.signature}\n\n{docstring.text}\n")


def main() -> None:
    """Print a sample, the counts, or the odd docstrings of a room."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--number", type=int, default=30, help="docstrings of the sample")
    parser.add_argument("--counts", action="store_true", help="count odd constructions by room")
    parser.add_argument("--list", metavar="ROOM", help="print the odd docstrings of a room")
    arguments = parser.parse_args()
    docstrings = list(find_docstrings())
    if arguments.counts:
        print_counts(docstrings)
    elif arguments.list:
        for docstring in docstrings:
            odd = docstring.find_odd()
            if odd and docstring.place.startswith(arguments.list):
                print_docstring(docstring, f"[{', '.join(odd)}]")
    else:
        for docstring in draw_docstrings(docstrings, arguments.seed, arguments.number):
            print_docstring(docstring)


if __name__ == "__main__":
    main()
