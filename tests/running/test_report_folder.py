"""One report in one folder: of one run, with its scripts, and never in the place of somebody else's
file.
"""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from harness.core.report import MARK, Report
from harness.core.verdict import Status, Verdict
from harness.publishing import writing
from harness.text.files import temporary_folder
from nnet_parity import report_folder
from nnet_parity.report_folder import (
    DAY,
    MOST_SCRIPTS,
    OLDER,
    OlderReport,
    exchange,
    find_baseline,
)
from tests.conftest import Approved, Mine

ROOT = Path(__file__).parents[2]
FORWARD = {"dtypes": '["float64"]', "checks": '["forward"]'}
TWICE = "return 2 * self.output(torch.sigmoid(self.hidden(x)))"
FILES = ["index.html", "report.md", "results.json"]


def write(folder: Path, name: str, script: str = "") -> None:
    """A report with one verdict, of the run `name`."""
    what = (name, name, "N", "numpy_net", "computed", "loss", "cpu", "float64")
    verdict = Verdict(*what, Status.PASS, budget_used=0.5, alone=script)
    writing.write(Report({}, [verdict]), folder, exchange)


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_the_names_of_the_files_are_those_that_are_written() -> None:
    """Those that make room are those that are written, each recognised by its head."""
    written = (writing.RESULTS, writing.MARKDOWN, writing.PAGE, writing.SPEED)
    assert written == report_folder.NAMES == tuple(report_folder.HEADS)


@pytest.mark.parametrize("name", [*FILES, "speed.json", OLDER, f"{OLDER}/index.html"])
def test_no_foreign_file_is_replaced(mine: Mine, name: str, approved: Approved) -> None:
    """A sentence before the first test, and the file is as it was."""
    foreign = mine.pytester.path / "taken" / name
    foreign.parent.mkdir(parents=True)
    foreign.write_text("<html>mine</html>")
    mine.write_sine(before="print('judged')", **FORWARD)
    result = mine.pytest("--parity-report-dir=taken")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.assert_outcomes()
    approved([line for line in result.errlines if "report" in line])
    assert foreign.read_text() == "<html>mine</html>"
    assert [path for path in foreign.parent.iterdir() if path.is_file()] == [foreign]


def test_no_foreign_file_is_replaced_that_came_meanwhile(
    tmp_path: Path, approved: Approved
) -> None:
    """Nor is any other file of the report written."""
    (tmp_path / "report.md").write_text("# Mine")
    with approved.raises(FileExistsError):
        write(tmp_path, "00000001")
    assert names(tmp_path) == ["report.md"]


def test_a_folder_with_other_files_takes_the_report(mine: Mine) -> None:
    """They stay, and so does what is called like a link that leads nowhere."""
    mine.write_sine(**FORWARD)
    assert mine.pytest("--parity-report-dir=.").ret == 0
    assert mine.pytest("--parity-report-dir=.").ret == 0
    assert {*FILES, "test_mine.py"} <= set(names(mine.pytester.path))
    (mine.pytester.path / "index.html").unlink()
    (mine.pytester.path / "index.html").symlink_to("nowhere")
    assert mine.pytest("--parity-report-dir=.").ret == pytest.ExitCode.USAGE_ERROR


def test_a_run_without_a_case_puts_the_older_report_back(mine: Mine) -> None:
    """Also by what ends it before its first test."""
    place = mine.pytester.path / "build/report"
    write(place, "00000001")
    mine.pytester.makepyfile(test_first="def test_first():\n    pass\n")
    for option in ("-q", "--nonsense", "--help", "--parity-r=nonsense"):
        mine.pytest(option)
        assert names(place) == FILES, option


def test_a_run_without_a_case_puts_nothing_back_beside_one_with_a_case(tmp_path: Path) -> None:
    """However late it ends: the older report would pass for that of the other one, if it is killed.
    Each run that ends as it should leaves no mark.
    """
    write(tmp_path, "00000001")
    without, killed = OlderReport(tmp_path), OlderReport(tmp_path)
    without.set_aside()
    killed.set_aside()
    killed.keep()
    without.end()
    assert names(tmp_path) == [OLDER]
    first, second = OlderReport(tmp_path), OlderReport(tmp_path)
    write(tmp_path, "00000002")
    assert names(tmp_path) == FILES
    first.set_aside()
    second.keep()
    second.end()
    first.end()
    assert names(tmp_path) == FILES


@pytest.mark.parametrize("name", [*FILES, "speed.json"])
def test_a_single_file_of_a_report_is_no_less_safe(mine: Mine, name: str) -> None:
    """As a cache of a CI keeps it, say: it is put back too, and is found as a baseline."""
    place = mine.pytester.path / "build/report"
    write(place, "00000001")
    (place / "speed.json").write_text('{"races": []}')
    for other in names(place):
        if other != name:
            (place / other).unlink()
    mine.pytester.makepyfile(test_first="def test_first():\n    pass\n")
    mine.pytest()
    assert names(place) == [name]
    OlderReport(place).set_aside()  # and is killed
    assert find_baseline(str(place / name)) == str(place / OLDER / name)


@pytest.mark.parametrize("where", ["conftest", "test_first"])
def test_an_early_ctrl_c_leaves_no_older_report_in_place(
    mine: Mine, where: str, approved: Approved
) -> None:
    """While pytest reads its files, ours or not; nothing is lost."""
    place = mine.pytester.path / "build/report"
    write(place, "00000001")
    mine.pytester.makepyfile(**{where: "raise KeyboardInterrupt\n"})
    if where == "conftest":
        with pytest.raises(KeyboardInterrupt):
            mine.pytest(no_reraise_ctrlc=True)
    else:
        result = mine.pytest(no_reraise_ctrlc=True)
        approved([line for line in result.outlines if "moved" in line])
    assert names(place) == [OLDER]
    assert names(place / OLDER) == FILES


def test_a_baseline_is_found_where_a_run_has_moved_it(mine: Mine) -> None:
    """After a run that was killed, and in the run that has moved it."""
    mine.write_sine(**FORWARD)
    mine.pytest()
    place = mine.pytester.path / "build/report"
    baseline = "build/report/results.json"
    assert mine.pytest(f"--parity-baseline={baseline}").ret == 0
    OlderReport(place).set_aside()  # and is killed
    assert find_baseline(baseline) == f"build/report/{OLDER}/results.json"
    assert mine.pytest(f"--parity-baseline={baseline}").ret == 0
    assert names(place) == FILES


def test_scripts_stay_until_they_are_old_or_many(mine: Mine) -> None:
    """Those of the last day stay in any number, others apart from them and in a limited one, and no
    folder of an older version is left.
    """
    mine.write_sine(TWICE, **FORWARD)
    place = mine.pytester.path / "build/report"
    now = time.time()
    paths = {}
    for name, days in (("new", 0.5), ("older", 2), ("old", 15), ("0123abcd/theirs", 15)):
        paths[name] = place / f"reproducers/{name}.py"
        paths[name].parent.mkdir(parents=True, exist_ok=True)
        paths[name].write_text(f"# {MARK}\n")
        os.utime(paths[name], (now - days * DAY, now - days * DAY))
    mine.pytest()
    assert names(place / "reproducers") == ["new.py", "older", "sine-1-4-1-forward.py"]
    assert names(place / "reproducers/older") == ["older.py"]
    for number in range(MOST_SCRIPTS):
        (place / f"reproducers/{number}.py").write_text(f"# {MARK}\n")
    mine.pytest()
    left = names(place / "reproducers")
    assert len(left) == MOST_SCRIPTS + 2
    assert "older" not in left


def test_a_report_that_was_cut_by_a_kill_is_never_mixed(tmp_path: Path) -> None:
    """Stopped between any two files of its exchange: what lies in a folder is of one run, and the
    next run leaves a whole report.
    """
    for stop in range(12):
        folder = tmp_path / str(stop)
        write(folder, "00000001")
        child = os.fork()
        if not child:
            die_after(stop)
            OlderReport(folder).set_aside()
            write(folder, "00000002")
            os._exit(0)
        os.waitpid(child, 0)
        places = [read_runs(folder), read_runs(folder / OLDER)]
        assert all(len(set(runs.values())) <= 1 for runs in places), stop
        together = list(places[0].items()) + list(places[1].items())
        assert len({name for name, _ in together}) == 3, stop
        for half in folder.glob(".*"):  # an hour later
            os.utime(half, (0, 0))
        write(folder, "00000003")
        assert read_runs(folder) == dict.fromkeys(FILES, "00000003")
        assert names(folder) == FILES


def die_after(moves: int) -> None:
    """End this process before the next move of a file."""
    left, rename = iter(range(moves)), Path.replace

    def replace(path: Path, to: Path) -> Path:
        if next(left, None) is None:
            os._exit(9)
        return rename(path, to)

    Path.replace = replace  # type: ignore[method-assign, assignment]


def read_runs(folder: Path) -> dict[str, str]:
    """The run of each file of a report."""
    runs = {}
    for name in FILES:
        if (folder / name).exists():
            (runs[name],) = set(re.findall(r"0000000\d", (folder / name).read_text()))
    return runs


def test_a_temporary_folder_of_a_killed_process_is_removed_a_day_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the next process that makes one; a younger one, and what is called otherwise, stays."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in (old := "nnet-parity-tmp-old", "nnet-parity-tmp-young", "other"):
        (tmp_path / name / "inner").mkdir(parents=True)
    for name in (old, "other"):
        os.utime(tmp_path / name, (0, 0))
    with temporary_folder() as folder:
        assert names(tmp_path) == sorted([folder.name, "nnet-parity-tmp-young", "other"])
    assert names(tmp_path) == ["nnet-parity-tmp-young", "other"]


HOLDS = """
import fcntl, os, sys, time
number = os.open(sys.argv[1], os.O_RDONLY)
fcntl.flock(number, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(600)
"""


def test_a_run_does_not_wait_for_ever_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """Where a run that exchanges its report is stopped, the next one says so."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    monkeypatch.setattr(report_folder, "LOCK_PATIENCE", 0.1)
    with holder, approved.raises(TimeoutError):
        try:
            write(tmp_path, "00000001")
        finally:
            holder.send_signal(signal.SIGKILL)
    assert names(tmp_path) == []


def test_a_process_of_xdist_leaves_nothing_behind(
    mine: Mine, warm_python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No folder in the temporary one, whether a subject ends its process or not."""
    pytest.importorskip("xdist")
    temporary = mine.pytester.mkdir("tmp")
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    mine.write_sine("import os; os._exit(3)", **FORWARD)
    result = mine.pytest_apart(warm_python, "-p", "nnet_parity.plugin", processes=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert names(temporary) == []
    report = json.loads((mine.pytester.path / "build/report/results.json").read_text())
    assert [verdict["status"] for verdict in report["verdicts"]] == ["BROKEN"]
