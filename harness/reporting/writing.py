"""Writes the files of a report whole, or removes them."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.core.report import MARK, REPRODUCERS, Report
from harness.reporting.markdown import markdown
from harness.reporting.page import page
from harness.reporting.results import parse
from harness.reporting.selfcheck_result import read_beside
from harness.text.files import append_whole, replace_whole

# the files of a report, in its folder
RESULTS, MARKDOWN, PAGE = "results.json", "report.md", "index.html"
SPEED = "speed.json"  # beside that folder


def write(report: Report, folder: Path) -> None:
    """Write `results.json`, `report.md` and `index.html` into the folder, and `speed.json` beside
    it if there were races.

    Each file is written whole; scripts of earlier runs are removed. Raises OSError or, if the
    report cannot be read back, ValueError; then either nothing has changed, or `discard` removes
    the changed files.
    """
    results, trust = _json(report.record()), read_beside(folder, report.commit)
    texts = {
        folder / RESULTS: results,
        folder / MARKDOWN: markdown(report, trust),
        folder / PAGE: page(parse(results.encode()), trust),
    }
    if report.races:
        texts[folder.parent / SPEED] = _json({"races": [asdict(race) for race in report.races]})
    folder.mkdir(parents=True, exist_ok=True)
    replace_whole(texts)
    known = {Path(verdict.alone).name for verdict in report.verdicts}
    for script in (folder / REPRODUCERS).glob("*.py"):
        if script.name not in known and MARK in script.read_text(
            encoding="utf-8", errors="replace"
        ):
            script.unlink()


def discard(folder: Path, races: bool = False) -> list[str]:
    """Remove the files of a report; return the names of files that could not be removed.

    With `races` the file of its races is removed too. Anything else in the place of a file, such as
    a folder, was not written by a run and stays.
    """
    left = []
    for path in (
        folder / RESULTS,
        folder / MARKDOWN,
        folder / PAGE,
        *([folder.parent / SPEED] if races else []),
    ):
        try:
            if path.is_file():
                path.unlink()
        except OSError:
            left.append(path.name)
    return left


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, allow_nan=False) + "\n"


def summarise(report: Report) -> None:
    """Append the report as Markdown to the file that $GITHUB_STEP_SUMMARY names, if it is set."""
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        append_whole(Path(summary), markdown(report))
