"""Wraps or shortens a text to a width in terminal columns."""

from textwrap import wrap

from harness.text.harmless import one_line, printable


def fold(text: str, width: int, lines: int = 3, indent: str = "    ") -> list[str]:
    """Return a text wrapped to at most `lines` lines of a width; all lines but the first are
    indented.
    """
    folded = wrap(
        printable(text), width, subsequent_indent=indent, max_lines=lines, placeholder=" …"
    )
    return [printable(line) for line in folded]  # a new line may begin as a command of GitHub's


def shorten(text: str, width: int) -> str:
    """Return a text on one line of at most `width` columns; "…" replaces the rest."""
    line = one_line(text)
    return line if len(line) <= width else f"{line[: width - 1].rstrip(' ,;:')}…"
