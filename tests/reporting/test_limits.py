"""Reports of 27,000 trials are read; what would take much time or memory is refused before."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from harness.plugin.closing import End, close
from harness.plugin.options import Options
from harness.reporting import results
from harness.reporting.results import explain_size, read
from harness.reporting.selfcheck_result import read_beside
from harness.running.runner import Runner
from harness.waiting.deadlines import Deadlines
from tests.conftest import Approved
from tests.reporting.test_page import small

JSON = dict[str, Any]
HOSTILE: dict[str, Any] = {
    "many values": [1] * 900_000,
    "many lines": "\n" * 900_000,
    "wide letters": "\U0001f600" + "a" * (13 << 20),
    "a long text": "a" * (25 << 20),
    "long numbers": 10**200,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_fill_the_memory_is_refused(
    name: str, tmp_path: Path, approved: Approved
) -> None:
    """In any place, here among the facts of the machine."""
    path = tmp_path / "results.json"
    path.write_text(json.dumps(small(environment={"x": HOSTILE[name]})))
    with approved.raises(ValueError):
        read(path)


def test_wide_letters_are_seen_as_such_or_escaped(tmp_path: Path) -> None:
    """A report may be written in ASCII or in UTF-8: both are refused, and none that is short."""
    path = tmp_path / "results.json"
    letters = "\U0001f600" + "a" * (results.MOST_BYTES // 2)
    for is_ascii in (True, False):
        path.write_text(json.dumps(small(environment={"x": letters}), ensure_ascii=is_ascii))
        with pytest.raises(ValueError, match="letters that take several"):
            read(path)
        short = json.dumps(small(environment={"x": letters[:1000]}), ensure_ascii=is_ascii)
        path.write_text(short)
        assert read(path).environment["x"] == letters[:1000]


def test_twenty_seven_thousand_trials_are_read(tmp_path: Path) -> None:
    """Each as long as a trial of our own cases, which say 700 bytes and 29 values."""
    report: JSON = small()
    verdict = dict(report["verdicts"][0])
    verdict["question"] = "q" * (700 - len(json.dumps(verdict, indent=1)))
    report["verdicts"] = [verdict] * 27_000
    path = tmp_path / "results.json"
    path.write_text(json.dumps(report, indent=1))
    assert path.stat().st_size > 27_000 * 700
    assert len(read(path).verdicts) == 27_000


def test_a_report_that_is_too_large_to_be_read_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """Whole, and one sentence says that it cannot be a baseline."""
    monkeypatch.setattr(results, "MOST_VALUES", 5)
    options = Options(
        devices=(),
        required_device="",
        r_mode="auto",
        starts=20,
        baseline="",
        report_folder=tmp_path,
        exchange=lambda _: nullcontext(),
        refused="",
        is_worker=False,
        is_shared=False,
        is_busy=False,
        ahead=False,
        deadlines=Deadlines(),
        ended=(),
        keep="",
        command="pytest",
        started=0.0,
    )
    closed = close(Runner(), options, End(False, (), None))
    assert not closed.lacking
    approved(closed.note, mask_figures=True)
    monkeypatch.undo()
    assert explain_size(tmp_path / "results.json") == ""
    assert closed.report is not None
    assert read(tmp_path / "results.json").environment == closed.report.environment


def test_a_selfcheck_larger_than_any_is_not_read(tmp_path: Path, approved: Approved) -> None:
    """Beside a report that is whole."""
    (tmp_path / "selfcheck.json").write_bytes(bytes(1 << 21))
    trust = read_beside(tmp_path / "report", "unknown")
    assert trust is not None
    approved(trust.note)
