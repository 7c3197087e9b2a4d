"""Failures as GitHub shows them: beside the line of the case."""

import os
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path

from harness.core.report import grouped
from harness.core.verdict import Verdict
from harness.text.harmless import printable


def errors(failed: Sequence[tuple[str, int, Verdict]]) -> list[str]:
    """Return commands that make GitHub show failures; none if GitHub does not run this.

    There is one command for each line of a file: it has the line's first failure, and the number of
    others. All trials of a case are at the same line, and GitHub shows only ten commands of a step.
    """
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return []
    root = Path(os.environ.get("GITHUB_WORKSPACE", ".")).resolve()
    commands = []
    for (file, line), [(*_, first), *others] in grouped(failed, itemgetter(0, 1)).items():
        path = Path(file).resolve()
        more = f"\nand {len(others)} more here" if others else ""
        title = f"{first.case}: {first.id}"
        where = {
            "file": path.relative_to(root) if path.is_relative_to(root) else path,
            "line": line,
            "title": title,
        }
        properties = ",".join(
            f"{name}={_escape(str(value), ':,')}" for name, value in where.items()
        )
        commands.append(f"::error {properties}::{_escape(first.why + more)}")
    return commands


def _escape(text: str, also: str = "") -> str:
    for character in "%\r\n" + also:  # the sign of an escape first
        text = text.replace(character, f"%{ord(character):02X}")
    return printable(text)
