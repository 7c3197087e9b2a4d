"""The tree of rooms as ARCHITECTURE.md draws it, from the sentence that each package opens with.

usage: python -m tests.project.tree [--write]      prints it; or renews the document
"""

import ast
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "ARCHITECTURE.md"
BEGIN, END = "<!-- tree -->", "<!-- end of tree -->"
ROOMS = {  # of each package, from the top down: a room imports those below it
    "harness": (
        "cli",
        "plugin",
        "racing",
        "running",
        "screen",
        "publishing",
        "keeping",
        "reporting",
        "drawing",
        "reproduce",
        "fits",
        "shipped",
        "claims",
        "diagnosis",
        "same",
        "matching",
        "looking",
        "mapping",
        "plausible",
        "layouts",
        "evaluating",
        "judging",
        "training",
        "foreign",
        "pytorch",
        "calling",
        "locating",
        "shadow",
        "kernels",
        "composites",
        "rules",
        "model",
        "arithmetic",
        "words",
        "comparing",
        "core",
        "waiting",
        "text",
    ),
    "reference": (
        "commands",
        "proposing",
        "returning",
        "porting",
        "fitted",
        "misread",
        "explaining",
        "mistakes",
        "faults",
        "training",
        "implementations",
        "rds",
        "r",
        "nnet",
        "probes",
        "mathematics",
        "notation",
    ),
}
WIDTH, INDENT = 100, 22


def read_sentence(path: Path) -> str:
    """Return the first paragraph of a module's docstring, on one line."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.partition("\n\n")[0].split())


def draw_room(folder: Path) -> list[str]:
    """Return the lines of a room: its sentence, and its modules by name."""
    if folder.with_suffix(".py").is_file():
        return _hang(f"  {folder.name}.py", read_sentence(folder.with_suffix(".py")))
    modules = sorted(path.stem for path in folder.glob("*.py") if path.stem != "__init__")
    return [
        *_hang(f"  {folder.name}/", read_sentence(folder / "__init__.py")),
        *_hang("", ", ".join(modules)),
    ]


def _hang(label: str, text: str) -> list[str]:
    first = f"{label:<{INDENT}}"
    return textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * INDENT)


def draw_tree(root: Path = ROOT) -> str:
    """Return both packages, room by room from the top down, as a block of Markdown."""
    lines = ["```text"]
    for package, rooms in ROOMS.items():
        lines += _hang(f"{package}/", read_sentence(root / package / "__init__.py"))
        for room in rooms:
            lines += draw_room(root / package / room)
    return "\n".join([*lines, "```"])


def replace_tree(text: str, tree: str) -> str:
    """Return the document with this tree between its marks. Raises ValueError without marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the document has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{tree}\n{END}{after}"


def main(arguments: list[str]) -> None:
    """See above."""
    tree = draw_tree()
    if arguments == ["--write"]:
        text = DOCUMENT.read_text(encoding="utf-8")
        DOCUMENT.write_text(replace_tree(text, tree), encoding="utf-8")
    else:
        print(tree)


if __name__ == "__main__":
    main(sys.argv[1:])
