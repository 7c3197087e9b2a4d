"""Results of runs are kept in a folder that stays small, and their trend is shown."""

from __future__ import annotations

import json
import os
import re
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.core.report import Race, Report
from harness.core.verdict import Status, Verdict
from harness.keeping import folder as kept_folder
from harness.keeping.folder import keep_run, keep_speed, read_kept
from harness.keeping.kept_run import KeptRun, summarise_run
from harness.keeping.trend import make_trend
from harness.publishing.beside import Beside
from harness.publishing.markdown import markdown
from harness.publishing.page import page
from tests.conftest import Approved, Mine
from tests.reporting.test_hostile import expect_harmless_markdown, expect_harmless_page
from tests.reporting.test_page import HOSTILE, Elements, browsed, verdict


def report(day: int, verdicts: list[Verdict], **given: Any) -> Report:
    """A run of a day, with these verdicts."""
    facts = {"date": f"2026-11-{day:02d}T12:00:00+00:00", "commit": f"c{day}", "torch": "2.13.0"}
    return Report(
        environment=facts | given.pop("facts", {}),
        verdicts=verdicts,
        seconds=float(day),
        **given,
    )


def run(day: int, *questions: str, used: float = 0.3, **given: object) -> KeptRun:
    """The results of a run on questions, as they are kept."""
    verdicts = [verdict("Net", question=question, budget_used=used) for question in questions]
    return summarise_run(report(day, verdicts, **given))


def test_a_run_is_read_as_it_was_kept(tmp_path: Path) -> None:
    """In the order of dates, whatever the order in which they were written."""
    runs = [run(day, "one", "two") for day in (3, 1, 2)]
    for each in runs:
        keep_run(tmp_path / "kept", each)
    assert read_kept(tmp_path / "kept") == (sorted(runs, key=lambda each: each.date), [])
    assert max(path.stat().st_size for path in (tmp_path / "kept").iterdir()) < 1_000
    assert read_kept(tmp_path / "nowhere") == ([], [])


def test_the_oldest_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no file that is not ours."""
    monkeypatch.setattr(kept_folder, "MOST_RUNS", 3)
    (tmp_path / "notes.json").write_text("mine")
    for day in range(1, 7):
        keep_run(tmp_path, run(day, "one"))
    assert [each.commit for each in read_kept(tmp_path).runs] == ["c4", "c5", "c6"]
    assert (tmp_path / "notes.json").read_text() == "mine"


def test_speeds_are_kept_beside_the_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest, each in a file of its own, which is no run; the runs are not pushed out."""
    monkeypatch.setattr(kept_folder, "MOST_RUNS", 3)
    keep_run(tmp_path, run(1, "one"))
    for day in range(1, 7):
        keep_speed(tmp_path, f"2026-11-{day:02d}T12:00:00+00:00", f'{{"races": [{day}]}}')
    speeds = sorted(path for path in tmp_path.iterdir() if path.name.startswith("speed-2026"))
    assert [json.loads(path.read_text())["races"] for path in speeds] == [[4], [5], [6]]
    assert [each.commit for each in read_kept(tmp_path).runs] == ["c1"]


def test_two_runs_may_end_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a file of its own, also in the same second, and none is lost or half."""
    monkeypatch.setattr(kept_folder, "MOST_RUNS", 10)
    writers = [
        threading.Thread(target=lambda: [keep_run(tmp_path, run(1, "one")) for _ in range(8)])
        for _ in range(4)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    kept = read_kept(tmp_path)
    assert (len(kept.runs), kept.unreadable) == (10, [])
    assert len(os.listdir(tmp_path)) == 10


def test_what_cannot_be_read_is_said(tmp_path: Path, approved: Approved) -> None:
    """A file that is cut, of another kind, or a pipe does not end a run."""
    keep_run(tmp_path, run(1, "one"))
    [good] = tmp_path.iterdir()
    for number, text in enumerate(("{", '{"schema": "other"}', good.read_text()[:-30])):
        (tmp_path / f"run-20261101T00000{number}-00000000.json").write_text(text)
    os.mkfifo(tmp_path / "run-20261101T000009-00000000.json")
    trend = make_trend(read_kept(tmp_path), run(2, "one"))
    assert len(trend.points) == 2
    approved(trend.notes)


def test_a_trend_is_of_the_questions_of_this_run(approved: Approved) -> None:
    """A run of some of them is shown as such, one of others is left out; a duration is compared
    with that of the same questions alone, and a question that is gone is named.
    """
    runs = [run(1, "one", "two"), run(2, "one"), run(3, "other"), run(4, "one", "two", "three")]
    trend = make_trend(kept_folder.Kept(runs, []), run(5, "one", "two"))
    assert [point.questions for point in trend.points] == [2, 1, 2, 2]
    assert [point.checks for point in trend.points] == [2, 1, 2, 2]
    assert [point.seconds for point in trend.points] == [1.0, None, None, 5.0]
    approved(trend.notes)


def test_a_mismatch_does_not_improve_the_worst_share(tmp_path: Path) -> None:
    """What fails has no share of a bound: the trend shows none, rather than that of the rest."""
    passes = verdict("Net", question="one", budget_used=0.3)
    fails = verdict("Net", "gradient", Status.FAIL, question="one", why="Net\nis outside")
    now = summarise_run(report(2, [replace(passes, budget_used=0.1), fails]))
    trend = make_trend(kept_folder.Kept([run(1, "one")], []), now)
    assert [(point.mismatches, point.worst) for point in trend.points] == [(0, 0.3), (1, None)]


def test_failures_of_one_cause_are_one_mismatch() -> None:
    """As on the screen."""
    first = verdict("Net", status=Status.FAIL, question="one", why="Net\nis outside")
    second = verdict("Net", "loss", Status.FAIL, question="one", why="so", follows=first.id)
    kept = summarise_run(report(1, [first, second])).questions["one"]
    assert (kept.checks, kept.mismatches) == (2, 1)


def trend_of_four() -> tuple[Report, Beside]:
    """A report, and the trend in which it is the last of four runs; torch is newer in the third."""
    now = report(4, [verdict("Net", question="one"), verdict("Net", question="two")])
    newer = {"facts": {"torch": "2.14.0"}}
    runs = [run(1, "one"), run(2, "one", "two", complete=False), run(3, "one", **newer)]
    return now, Beside(trend=make_trend(kept_folder.Kept(runs, []), summarise_run(now)))


def test_a_page_shows_the_trend(approved: Approved, tmp_path: Path) -> None:
    """A sparkline for each measure, described for those who listen, and a row for each run; whole
    on a phone.
    """
    shown = page(*trend_of_four())
    found = Elements(shown)
    approved([*found.labels, *found.part("trend")])
    assert not re.search(r'l"|M"|nan', "".join(re.findall(r' d="[^"]*"', shown)))
    (phone, screen), console = browsed(shown, tmp_path)
    assert (phone[2], screen[2], console) == ([], [], [])


def test_a_page_shows_races_over_the_runs(approved: Approved) -> None:
    """Those of the newest run, over all that had them; a time that is not finite is not kept."""
    racing = [Race("sine", "Net", "cpu", dtype, 0.5, 30) for dtype in ("float64", "float32")]
    slower = [replace(race, ratio=2 * race.ratio) for race in racing]
    asked = [verdict("Net", question="one")]
    kept = [summarise_run(report(day, asked, races=racing)) for day in (1, 2)]
    endless = [replace(racing[1], ratio=float("inf"))]
    now = report(4, asked, races=[slower[0], *endless])
    trend = make_trend(kept_folder.Kept([*kept, run(3, "one")], []), summarise_run(now))
    assert [list(point.races.values()) for point in trend.points] == [[0.5, 0.5]] * 2 + [[], [1.0]]
    approved(
        [label for label in Elements(page(now, Beside(trend=trend))).labels if "Race" in label]
    )


def test_the_summary_of_a_job_shows_the_trend(approved: Approved) -> None:
    """As a table of its newest runs."""
    text = markdown(*trend_of_four())
    expect_harmless_markdown(text)
    approved(text.split("## Trend over kept runs")[1].split("\n## ")[0].strip())


def test_kept_texts_are_only_texts() -> None:
    """A file that somebody else has put there drives nothing."""
    now = report(2, [verdict("Net", question="one")])
    hostile = HOSTILE[:300]
    old = KeptRun(hostile[:40], hostile, run(1, "one").questions, versions={hostile: hostile})
    gone = replace(old, questions={**old.questions, hostile: old.questions["one"]})
    beside = Beside(trend=make_trend(kept_folder.Kept([old, gone], [hostile]), summarise_run(now)))
    expect_harmless_page(page(now, beside))
    expect_harmless_markdown(markdown(now, beside))


def test_pytest_keeps_its_results(mine: Mine, approved: Approved) -> None:
    """--parity-keep: of every run that judged something, and the page shows the trend; without the
    option nothing is kept.
    """
    mine.write_sine(dtypes='["float64"]', checks='["forward"]')
    shown = mine.pytester.path / "build/report/index.html"
    mine.pytest()
    assert not list(mine.pytester.path.glob("*kept*"))
    assert "Trend over kept runs" not in shown.read_text()
    for _ in range(2):
        mine.pytest("--parity-keep", "kept")
    mine.pytest("--parity-keep", "kept", "--collect-only")
    files = sorted((mine.pytester.path / "kept").iterdir())
    assert len(files) == 2
    question = json.loads(files[0].read_text())["questions"]
    assert [each["checks"] for each in question.values()] == [1]
    assert "Trend over kept runs" in shown.read_text()
    (mine.pytester.path / "file").write_text("no folder")
    result = mine.pytest("--parity-keep", "file")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    approved([line for line in result.outlines if "not kept" in line])


def test_an_interrupted_run_is_kept_as_such(mine: Mine) -> None:
    """Whole, with the checks that were judged."""
    stop = "def test_stop():\n    raise KeyboardInterrupt\n"
    mine.write_sine(dtypes='["float64"]', checks='["forward"]')
    (mine.pytester.path / "test_zz.py").write_text(stop)
    mine.pytest("--parity-keep", "kept", "test_mine.py", "test_zz.py", no_reraise_ctrlc=True)
    [kept] = read_kept(mine.pytester.path / "kept").runs
    assert not kept.complete
    assert [each.checks for each in kept.questions.values()] == [1]
