"""What a page of a real run links to is there: rows, scripts and source lines; and the banner."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import pytest

from harness.core.report import Report
from harness.core.verdict import Status
from harness.publishing.beside import Beside
from harness.publishing.page import page
from harness.reporting.regressions import Comparison
from tests.conftest import Approved, Mine
from tests.reporting.test_page import Elements, verdict

WRONG = "return 2 * self.output(torch.sigmoid(self.hidden(x)))"
SMALL = {"dtypes": '["float64"]', "checks": '["forward", "loss"]'}


def read_page(mine: Mine, folder: str = "build/report") -> str:
    """The page that pytest has written."""
    return (mine.pytester.path / folder / "index.html").read_text(encoding="utf-8")


def list_links(text: str) -> list[str]:
    """What the page links to beside itself."""
    links = [unescape(each["href"]) for each in Elements(text).all("a")]
    return [link for link in links if not link.startswith("#")]


def test_a_failure_links_to_its_script_and_its_case(mine: Mine) -> None:
    """Relative to the page, in any folder: files that are there, and the line of the case."""
    mine.write_sine(WRONG, **SMALL)
    for folder in ("build/report", "here", "a b/ü #%"):
        mine.pytest(f"--parity-report-dir={folder}")
        text, at = read_page(mine, folder), mine.pytester.path / folder
        links = list_links(text)
        assert links
        for link in links:
            path, _, line = link.partition("#")
            assert (at / unquote(path)).is_file(), link
            if line:
                lines = (at / unquote(path)).read_text().split("\n")
                assert "verify(" in lines[int(line.removeprefix("L")) - 1]
        assert any("reproducers/" in link for link in links)
        assert any("test_mine.py#L" in link for link in links)


def test_what_is_not_there_is_not_linked(mine: Mine) -> None:
    """A script that was removed, and a file of another machine: their names stay."""
    mine.write_sine(WRONG, **SMALL)
    mine.pytest()
    results = mine.pytester.path / "build/report/results.json"
    for script in (mine.pytester.path / "build/report").rglob("*.py"):
        script.unlink()
    results.write_text(results.read_text().replace("test_mine.py:", "/nowhere/test_mine.py:"))
    from harness.publishing.page import main

    out = mine.pytester.path / "out.html"
    assert main([str(results), str(out)]) == 0
    assert list_links(out.read_text()) == []
    assert "/nowhere/test_mine.py:" in out.read_text()


def test_the_banner_tells_what_was_run(mine: Mine, approved: Approved) -> None:
    """The verdict in words, the number of checks, duration, time and command."""
    mine.write_sine(**SMALL)
    mine.pytest("-k", "sine and not other")
    header = re.findall(r"(?s)<header.*?</header>", read_page(mine))[0]
    mine.write_sine(WRONG, **SMALL)
    mine.pytest()
    failed = re.findall(r"(?s)<header.*?</header>", read_page(mine))[0]
    lines = [*Elements(header).lines, *Elements(failed).lines]
    approved(
        (
            re.sub(r"--?[-\w]*basetemp=\S+|\S*no:cacheprovider\S*|-p \S+", "", line)
            for line in lines
        ),
        mask_figures=True,
    )
    assert ('class="good"' in header, 'class="bad"' in failed) == (True, True)


def test_a_run_that_fails_without_a_failure_is_not_green(approved: Approved) -> None:
    """A complaint, a question of which nothing was checked, a baseline that is of no use, an
    interruption, and nothing at all.
    """
    good = Report({}, [verdict("Net")])
    absent = verdict("Net", status=Status.ABSENT, why="R is not here", question="Other?")
    useless = Beside(comparison=Comparison(error="no.json is not there"))
    shown = {
        "good": page(good),
        "complaint": page(Report({}, [verdict("Net")], complaints=("Net was not collected",))),
        "unanswered": page(Report({}, [verdict("Net"), absent])),
        "baseline": page(good, useless),
        "interrupted": page(Report({}, [verdict("Net")], complete=False)),
        "nothing": page(Report({}, [])),
    }
    lines = []
    for name, text in shown.items():
        [(mark, header)] = re.findall(r'(?s)<header class="(\w+)">(.*?)</header>', text)
        lines.append(f"{name}: {mark}: {' | '.join(Elements(header).lines)}")
    approved(lines)
    assert [line.split(": ")[1] for line in lines] == ["good", "bad", "open", "bad", "bad", "open"]


def test_a_baseline_is_compared_on_the_page_and_in_the_summary(
    mine: Mine, approved: Approved, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failures of one cause are one row, which leads to the check."""
    mine.write_sine(**SMALL)
    mine.pytest()
    (mine.pytester.path / "build/report/results.json").rename(mine.pytester.path / "old.json")
    mine.write_sine(WRONG, **SMALL)
    summary = mine.pytester.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    mine.pytest("--parity-baseline", "old.json")
    found = Elements(read_page(mine))
    approved(found.part("comparison"), mask_figures=True)
    told = summary.read_text().split("## Since the baseline")[1].split("\n## ")[0]
    approved(told.strip(), mask_figures=True)
    assert Path(mine.pytester.path / "build/report/report.md").read_text() == summary.read_text()
