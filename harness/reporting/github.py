"""Annotations for GitHub: failures shown at the line of the case."""

import os
from collections.abc import Sequence
from pathlib import Path

from harness.core.verdict import Verdict
from harness.reporting.causes import list_causes
from harness.text.harmless import printable
from harness.words.wording import describe_reason


def errors(failed: Sequence[tuple[str, int, Verdict]]) -> list[str]:
    """Return commands that make GitHub show failures; none if this does not run on GitHub.

    There is one command for each cause, at the line of its case, since GitHub shows only ten
    commands of a step.
    """
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return []
    root = Path(os.environ.get("GITHUB_WORKSPACE", ".")).resolve()
    places = {(verdict.case, verdict.id): (file, line) for file, line, verdict in failed}
    commands = []
    for first, followers in list_causes(verdict for *_, verdict in failed):
        file, line = places[first.case, first.id]
        path = Path(file).resolve()
        plural = "" if len(followers) == 1 else "s"
        more = f"\nand {len(followers)} more trial{plural}" if followers else ""
        where = {
            "file": path.relative_to(root) if path.is_relative_to(root) else path,
            "line": line,
            "title": f"{first.case}: {describe_reason(first)}",
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
