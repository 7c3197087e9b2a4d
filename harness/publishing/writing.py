"""Writes the files of a report, all of them or none."""

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.core.report import SCHEMA, Report
from harness.publishing.beside import NOTHING, Beside
from harness.publishing.markdown import markdown
from harness.publishing.page import page
from harness.reporting.results import parse
from harness.reporting.selfcheck_result import read_beside
from harness.text.files import append_whole, replace_whole

# the files of a report, in its folder
RESULTS, MARKDOWN, PAGE, SPEED = "results.json", "report.md", "index.html", "speed.json"
# makes the context, for a folder, in which new files take the places of an older report's
Exchange = Callable[[Path], AbstractContextManager[None]]


def write(report: Report, folder: Path, exchange: Exchange, beside: Beside = NOTHING) -> None:
    """Write `results.json`, `report.md` and `index.html` into the folder, and `speed.json` if there
    were races.

    `beside` has the additions to the report on the page and in the Markdown, without the selfcheck.
    `exchange` is a context in which the files replace those of an older report. Raises OSError or,
    if the report cannot be read back, ValueError; then none of the files has been written.
    """
    results = _json(report.record())
    beside = beside._replace(trust=read_beside(folder, report.commit), folder=folder)
    texts = {
        folder / RESULTS: results,
        folder / MARKDOWN: markdown(report, beside),
        folder / PAGE: page(parse(results.encode()), beside),
    }
    if report.races:
        texts[folder / SPEED] = speed_text(report)
    folder.mkdir(parents=True, exist_ok=True)
    replace_whole(texts, exchange(folder))


def replace_report(report: Report, folder: Path) -> None:
    """Write the files of a report into a folder, replacing those of an older one.

    Raises FileExistsError, with a sentence, if there are files of these names that are no report's.
    """
    left = list_left(folder)
    schema = f'"schema": "{SCHEMA}"'
    if left and (RESULTS not in left or schema not in (folder / RESULTS).read_text()[:200]):
        raise FileExistsError(
            f"{folder} holds {', '.join(left)}, which no run has written: choose another folder"
        )
    write(report, folder, lambda _: nullcontext())


def list_left(folder: Path) -> list[str]:
    """Return the names of a report's files that exist in the folder."""
    return [name for name in (RESULTS, MARKDOWN, PAGE, SPEED) if os.path.isfile(folder / name)]


def speed_text(report: Report) -> str:
    """Return the races of a report as JSON, with the machine, versions, commit and date, so that
    the races of many runs can be told apart.
    """
    races = [asdict(race) for race in report.races]
    return _json({"races": races, "environment": report.environment})


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, allow_nan=False) + "\n"


def summarise(report: Report, beside: Beside) -> None:
    """Append the report as Markdown to the file in $GITHUB_STEP_SUMMARY, if it is set."""
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        append_whole(Path(summary), markdown(report, beside))
