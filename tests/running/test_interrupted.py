"""Ctrl-C, kill and crash: what is left says so, is whole, and no R stays behind."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.core.report import Report
from harness.core.verdict import Status, Verdict
from harness.publishing.writing import write
from harness.text.files import append_whole, replace_whole
from nnet_parity.report_folder import OLDER, exchange
from tests.conftest import IMPORTS, RIGHT, SINE_NET, Approved, Mine, narrowed

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0  # seconds that a run may take to come to the moment at which it is told to stop
PYTEST = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); import pytest; "
)
PYTEST += "sys.exit(pytest.main())"  # whoever runs these tests in the background ignores SIGINT
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="looks for processes in /proc"
)


class Run:
    """A pytest of its own on test_mine.py, in a process of its own, and the R that it starts."""

    def __init__(self, folder: Path, *files: tuple[str, str], options: Sequence[str] = ()) -> None:
        self.folder = folder
        for name, text in files:
            (folder / name).write_text(text, encoding="utf-8")
        given = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("GITHUB_", "PYTEST_"))
        }
        given |= {
            "PYTHONPATH": str(ROOT),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "NNET_PARITY_DEVICES": "cpu",
        }
        command = [
            sys.executable,
            "-c",
            PYTEST,
            "-p",
            "nnet_parity.plugin",
            "-p",
            "no:cacheprovider",
            "-q",
            *options,
        ]
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.out = ""

    def until(self, there: Callable[[], Any]) -> Any:
        """What is there, as soon as it is."""
        late = time.monotonic() + PATIENCE
        while not (found := there()):
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < late, "waited in vain"
            time.sleep(0.02)
        return found

    def ended(self) -> int:
        """Its exit code, when it has ended by itself."""
        self.out, _ = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode

    def workers(self) -> list[int]:
        """The processes with R that it has started."""
        ours = {pid: words for pid, words in processes() if parent(pid, self.pid)}
        return [pid for pid, words in ours.items() if "guard.py" in " ".join(words)]

    @property
    def pid(self) -> int:
        """Of pytest."""
        return self.process.pid

    def report(self) -> dict[str, Any]:
        """results.json, and what must hold of all three files: each whole, and nothing else beside
        them.
        """
        folder = self.folder / "build/report"
        assert sorted(path.name for path in folder.iterdir()) == [
            "index.html",
            "report.md",
            "results.json",
        ]
        found: dict[str, Any] = json.loads((folder / "results.json").read_text())
        page, text = ((folder / name).read_text() for name in ("index.html", "report.md"))
        assert page.rstrip().endswith("</html>")
        said = "nterrupted, not complete"
        assert (said in page) == (said in text) == (not found["complete"])
        return found


def count_applicable(found: dict[str, Any]) -> int:
    """The trials of a report that somebody can judge."""
    return sum(verdict["applicable"] for verdict in found["verdicts"])


def ends(lines: Sequence[str]) -> list[str]:
    """The lines that say how a run ended, and where its report is."""
    words = "interrupted", "run fails", "report", "summary"
    return [line for line in narrowed(lines) if line.startswith(words)]


def processes() -> Iterator[tuple[int, list[str]]]:
    """Every process that is not a zombie, and its words."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                words = (folder / "cmdline").read_text().split("\0")[:-1]
            except (OSError, UnicodeDecodeError):
                continue
            if state != "Z" and words:
                yield int(folder.name), words


def parent(pid: int, of: int) -> bool:
    """Has a process, or one that started it, been started by this one?"""
    while pid not in (0, of):
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
    return pid == of


def gone(pids: list[int]) -> bool:
    """Do these processes end within a moment?"""
    late = time.monotonic() + 60
    while (left := {pid for pid, _ in processes()} & set(pids)) and time.monotonic() < late:
        time.sleep(0.02)
    return not left


# The moments at which a run is told to stop: each writes a file as soon as it is there, and stays.

MARK = """
import os, time
from pathlib import Path

import numpy as np

from harness import Population, Recipe, Trained
from reference import nnet_fit
from reference.r.nnet_reference import LIVE, RNnet


def stay(ask=lambda: time.sleep(60)):
    Path("here").touch()
    ask()


class HangingNet(SineNet):
    def forward(self, x):
        stay()


class CrashingNet(SineNet):
    def forward(self, x):
        Path("here").touch()
        while not Path("go").exists():
            time.sleep(0.02)
        os._exit(3)


class Endless(RNnet):
    name = "endless_r"

    def observe(self, problem, dtype, device):
        stay(lambda: LIVE.eval_text("repeat {}"))


def data(draws):
    x = np.tile(np.linspace(0, 1, 19)[:, None], (draws, 1, 1))
    return x, np.sin(x)


class LearningNet(SineNet):
    calls = 0

    def forward(self, x):
        LearningNet.calls += 1
        if LearningNet.calls == 100:
            Path("here").touch()
        return super().forward(x)


"""
FLOAT64 = {"dtypes": '["float64"]'}
BOTH = "[numpy_net, r_nnet]"
LEARNING = {
    "subjects": '[Trained(LearningNet, Recipe("adam", 10**9, {"lr": 0.01}), most=1)]',
    "references": "[nnet_fit()]",
    "problems": "Population(data, quality=0.01, grid=np.linspace(0, 1, 9)[:, None])",
}
MOMENTS = {  # where, and how many trials of the run are then judged
    "collection": ({"references": BOTH}, 0),
    "trial": ({"subjects": "[SineNet, HangingNet]", "references": BOTH}, 7),
    "training": (LEARNING, 0),
    "crash": ({"subjects": "[CrashingNet]", "references": BOTH}, 0),
    "R": ({"references": "[numpy_net, Endless()]", "checks": '["loss"]'}, 1),
}


def started(folder: Path, moment: str, *options: str) -> Run:
    """A run that has come to its moment, with an R that it has started."""
    given, *_ = MOMENTS[moment]
    text = (
        IMPORTS + SINE_NET.format(forward=RIGHT) + MARK + Mine.case("test_sine", **FLOAT64 | given)
    )
    files = [("test_mine.py", text)]
    if moment == "collection":
        files.append(("test_next.py", "import time; open('here', 'w').close(); time.sleep(60)"))
    run = Run(folder, *files, options=options)
    run.until((folder / "here").exists)
    assert run.until(run.workers)
    return run


def older(folder: Path) -> dict[str, str]:
    """The files of a report of an older run, which was whole and passed."""
    verdict = Verdict(
        "older",
        "older",
        "Net",
        "numpy_net",
        "computed",
        "loss",
        "cpu",
        "float64",
        Status.PASS,
        budget_used=0.5,
    )
    write(Report({}, [verdict]), folder / "build/report", exchange)
    return {path.name: path.read_text() for path in (folder / "build/report").iterdir()}


SIGNALS = {
    "collection": signal.SIGINT,
    "trial": signal.SIGINT,
    "training": signal.SIGINT,
    "R": signal.SIGTERM,
}


@pytest.mark.usefixtures("live_r")
@pytest.mark.parametrize(("moment", "how"), SIGNALS.items(), ids=SIGNALS)
def test_who_is_told_to_stop_says_what_was_judged(
    tmp_path: Path, moment: str, how: signal.Signals, approved: Approved
) -> None:
    """On Ctrl-C and on SIGTERM: one line, a report that takes the older one's place and says so, 2,
    and no R.
    """
    _, judged = MOMENTS[moment]
    older(tmp_path)
    run = started(tmp_path, moment)
    pids = run.workers()
    run.process.send_signal(how)
    assert run.ended() == pytest.ExitCode.INTERRUPTED
    approved(ends(run.out.split("\n")))
    assert "Traceback" not in run.out
    found = run.report()
    assert (found["complete"], count_applicable(found)) == (False, judged)
    assert {verdict["status"] for verdict in found["verdicts"]} <= {"PASS", "ABSENT"}
    assert gone(pids)


IMPATIENT = """
from xdist.workermanage import NodeManager

NodeManager.EXIT_TIMEOUT = 0.5  # in place of 10 seconds for a process that hangs
"""


@pytest.mark.usefixtures("live_r")
def test_a_shared_run_that_is_told_to_stop_says_so_too(tmp_path: Path, approved: Approved) -> None:
    """Under pytest-xdist SIGTERM ends all processes, and the one that makes the report says what
    was judged.
    """
    pytest.importorskip("xdist", reason="pytest-xdist is not installed: pip install pytest-xdist")
    (tmp_path / "conftest.py").write_text(IMPATIENT)
    run = started(tmp_path, "trial", "-p", "xdist", "-n", "1")
    pids = run.workers()
    run.process.send_signal(signal.SIGTERM)
    assert run.ended() == pytest.ExitCode.INTERRUPTED
    approved(ends(run.out.split("\n")))
    found = run.report()
    assert (found["complete"], count_applicable(found)) == (False, 7)
    assert gone(pids)


@pytest.mark.usefixtures("live_r")
@pytest.mark.parametrize("moment", ["R", "crash"])
def test_who_dies_leaves_the_older_report_aside_and_no_r(tmp_path: Path, moment: str) -> None:
    """By SIGKILL, or by a model that ends the process: no report passes for its own, nothing is
    lost, and R ends by itself.
    """
    before = older(tmp_path)
    run = started(tmp_path, moment)
    pids = run.workers()
    if moment == "R":
        run.process.kill()
    (tmp_path / "go").touch()
    assert run.ended() == (-signal.SIGKILL if moment == "R" else 3)
    assert "report: " not in run.out
    assert gone(pids)
    (aside,) = (tmp_path / "build/report").iterdir()
    assert aside.name == OLDER
    assert {path.name: path.read_text() for path in aside.glob("[!.]*")} == before


# In this process, at moments that a file of the user's chooses

FORWARD = {**FLOAT64, "checks": '["forward"]'}


@pytest.mark.parametrize(
    "how",
    ["raise KeyboardInterrupt", "__import__('signal').raise_signal(15)"],
    ids=["Ctrl-C", "SIGTERM"],
)
@pytest.mark.parametrize("where", ["forward", "loss", "constructor", "problems"])
def test_an_interruption_in_a_model_is_no_verdict(
    mine: Mine, how: str, where: str, approved: Approved
) -> None:
    """Wherever in a user's code it comes, the run ends with 2, and the trial has no verdict."""
    before = f"def interrupt(*_):\n    {how}\n\n\n"
    given = {
        "subjects": "[SineNet, Subject(SineNet, name='Second', loss=interrupt)]",
        "checks": '["loss"]',
    }
    if where == "forward":
        before += "class Second(SineNet):\n    forward = interrupt\n\n\n"
    if where == "constructor":
        before += "class Second(SineNet):\n    __init__ = interrupt\n\n\n"
    if where in ("forward", "constructor"):
        given["subjects"] = "[SineNet, Second]"
    if where == "problems":
        given = {"problems": "interrupt", "checks": '["loss"]'}
    mine.write_sine(before=before, **FLOAT64 | given)
    found = signal.getsignal(signal.SIGTERM)
    result = mine.pytest(no_reraise_ctrlc=True)
    assert signal.getsignal(signal.SIGTERM) == found
    assert result.ret == pytest.ExitCode.INTERRUPTED
    judged = 0 if where == "problems" else 1
    approved([*ends(result.outlines), mine.markdown().partition("\n## ")[0]])
    assert (mine.results()["complete"], len(mine.results()["verdicts"])) == (False, judged)


def test_an_interruption_between_two_lines_is_one_too(mine: Mine, approved: Approved) -> None:
    """Where Python knows no line of the frame that it came to: pytest cannot show such a frame."""
    before = "def interrupt(*_):\n    raise KeyboardInterrupt\n\n\n"
    before += "interrupt.__code__ = interrupt.__code__.replace(co_linetable=b'')\n\n\n"
    mine.write_sine("interrupt()", before=before, **FORWARD)
    result = mine.pytest(no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    approved(ends(result.outlines))


@pytest.mark.parametrize(
    "call",
    [
        "__import__('sys').exit(0)",
        "__import__('pytest').skip('mine')",
        "__import__('pytest').xfail('mine')",
        "__import__('pytest').exit('mine', 0)",
    ],
    ids=["sys.exit", "skip", "xfail", "exit"],
)
def test_a_model_cannot_leave_a_trial_without_a_verdict(
    mine: Mine, call: str, approved: Approved
) -> None:
    """sys.exit() and pytest's own ways out are what it raised: the trial is BROKEN, and the run
    fails.
    """
    mine.write_sine(call, **FORWARD)
    result = mine.pytest()
    result.assert_outcomes(failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    [verdict] = mine.results()["verdicts"]
    assert verdict["status"] == "BROKEN"
    approved(verdict["why"])
    assert mine.results()["complete"]


def test_a_handler_of_ones_own_is_left_alone(mine: Mine) -> None:
    """Who handles SIGTERM already goes on doing so."""
    came: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    try:
        mine.write_sine(f"__import__('signal').raise_signal(15); {RIGHT}", **FORWARD)
        assert mine.pytest().ret == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    assert set(came) == {signal.SIGTERM}


def test_a_collection_that_fails_leaves_no_older_report(mine: Mine, approved: Approved) -> None:
    """Where another case of the run is known: nothing was judged, and the report says so."""
    older(mine.pytester.path)
    mine.write_sine()
    mine.pytester.makepyfile(test_other="1 / 0")
    result = mine.pytest()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    approved(ends(result.outlines))
    assert (mine.results()["complete"], mine.results()["verdicts"]) == (False, [])
    approved(mine.markdown().partition("- Duration")[0])


def test_collecting_alone_writes_nothing(mine: Mine) -> None:
    """Interrupted or not."""
    before = older(mine.pytester.path)
    mine.write_sine(before="raise KeyboardInterrupt")
    mine.pytester.makepyfile(test_first="from test_mine_too import test_sine")
    mine.write(mine.text.removeprefix(IMPORTS))
    (mine.pytester.path / "test_mine_too.py").write_text(
        mine.text.replace("raise KeyboardInterrupt", "")
    )
    result = mine.pytest("--collect-only", "test_first.py", "test_mine.py", no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "nnet-parity ==" not in result.stdout.str()
    assert {
        path.name: path.read_text() for path in (mine.pytester.path / "build/report").iterdir()
    } == before


WHILE_WRITING = """
import os, signal
real, left = os.fsync, [{times}]

def fsync(number):
    if left[0]:
        left[0] -= 1
        signal.raise_signal(signal.{how})
    real(number)

def pytest_sessionfinish():
    os.fsync = fsync

def pytest_unconfigure():
    os.fsync = real
"""


@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM"])
def test_who_is_told_to_stop_while_the_report_is_written_finishes_it(
    mine: Mine, how: str, approved: Approved
) -> None:
    """It is complete; the exit code is 2 all the same, and one line says why."""
    mine.pytester.makeconftest(WHILE_WRITING.format(times=1, how=how))
    mine.write_sine(**FORWARD)
    result = mine.pytest(no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    approved(result.outlines[-1])
    assert mine.results()["complete"]
    files = [path.name for path in (mine.pytester.path / "build/report").iterdir()]
    assert sorted(files) == ["index.html", "report.md", "results.json"]


def test_who_is_told_twice_stops_at_once(mine: Mine) -> None:
    """No report is left but the older one, aside: it must not stand for this run."""
    older(mine.pytester.path)
    mine.pytester.makeconftest(WHILE_WRITING.format(times=2, how="SIGINT"))
    mine.write_sine(**FORWARD)
    with pytest.raises(KeyboardInterrupt):
        mine.pytest(no_reraise_ctrlc=True)
    assert [path.name for path in (mine.pytester.path / "build/report").iterdir()] == [OLDER]


def test_an_answer_that_raises_is_told(mine: Mine, approved: Approved) -> None:
    """A case's own words on a run may fail; the report is written all the same."""
    case = {"answer": "lambda rows: rows[7]", "question": '"Who learns?"', "checks": '["fit"]'}
    learning = {
        **LEARNING,
        "subjects": "[Trained(SineNet, Recipe('adam', 3, {'lr': 0.01}), most=1)]",
    }
    learning["references"] = "[gradient_descent(0.01, 3)]"
    mine.write_sine(
        before=MARK + "from reference import gradient_descent\n", **FLOAT64 | learning | case
    )
    result = mine.pytest("--parity-starts=2")
    said = mine.results()["said"]["Who learns?"]
    approved(said)
    assert any(f"Who learns? {said}" in line for line in result.outlines)


# Files are whole

KILLED = """
import os, random, signal, sys, time
from pathlib import Path
from harness.text.files import replace_whole

folder, draw = Path(sys.argv[1]), random.Random(0)
names = ("results.json", "report.md", "index.html")
replace_whole({folder / name: "0\\n" * 40_000 for name in names})
seen = set()
for turn in range(40):
    if (child := os.fork()) == 0:
        for number in range(10**9):
            replace_whole({folder / name: f"{(turn + number) % 10}\\n" * 40_000 for name in names})
    time.sleep(draw.uniform(0.001, 0.03))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    for name in names:
        text = (folder / name).read_text()
        assert len(text) == 80_000 and len(set(text.split())) == 1, (turn, name, len(text))
    halves = set(folder.iterdir()) - {folder / name for name in names}
    seen.add(len(halves))
    for half in halves:  # an hour later
        os.utime(half, (0, 0))
replace_whole({folder / name: "whole" for name in names})
print(max(seen), *sorted(path.name for path in folder.iterdir()))
"""


def test_a_writer_that_is_killed_leaves_whole_files(tmp_path: Path) -> None:
    """40 times, at any moment: what it left half written never piles up, and goes with the next
    writing.
    """
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.stderr == ""
    most, *names = done.stdout.split()
    assert names == ["index.html", "report.md", "results.json"]
    assert int(most) <= 12


def test_only_old_temporary_files_are_removed(tmp_path: Path) -> None:
    """Not what another writer is writing, though its process is of another container, nor what is
    called otherwise.
    """
    digits = "0123456789abcdef"
    kept = [f".nnet-parity-{digits}.half", ".abc.1.half", f"nnet-parity-{digits}.half"]
    for name in (*kept, old := f".nnet-parity-{digits[::-1]}.half"):
        (tmp_path / name).touch()
    for name in (*kept[1:], old):
        os.utime(tmp_path / name, (0, 0))
    replace_whole({tmp_path / "a[b]": "text"})
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["a[b]", *kept])


def test_no_link_is_written_through(tmp_path: Path) -> None:
    """A link that somebody puts where the temporary file would be, or that leads nowhere, is no
    way out of the folder.
    """
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError):
        replace_whole({tmp_path / "link": "text"})
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


@contextmanager
def limited(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: how a disk is full in a test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    """A file without room, a folder, a pipe in its place: none of the others is replaced either."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    replace_whole({tmp_path / name: "old" for name in ("one", "two")})
    before = sorted(path.name for path in tmp_path.iterdir())
    for bad, text in (
        ("two", "x" * 5000),
        ("folder", "new"),
        ("pipe", "new"),
        ("nowhere/two", "new"),
    ):
        with limited(1000), pytest.raises(OSError, match=r"^\[Errno \d+\] [A-Z]"):
            replace_whole({tmp_path / "one": "new", tmp_path / bad: text})
        assert (tmp_path / "one").read_text() == (tmp_path / "two").read_text() == "old"
        assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_summary_is_appended_whole_or_not_at_all(tmp_path: Path) -> None:
    """What others wrote there stays."""
    summary = tmp_path / "summary.md"
    summary.write_text("Before.\n")
    with limited(1000), pytest.raises(OSError, match="File too large"):
        append_whole(summary, "x" * 5000)
    assert summary.read_text() == "Before.\n"
    append_whole(summary, "After\ud800.\n")
    assert summary.read_text() == "Before.\nAfter\\ud800.\n"


WITHOUT_ROOM = """
import resource

def pytest_sessionfinish():
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
"""


def test_a_full_disk_is_a_sentence(
    mine: Mine, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """For the report and for the summary; the run fails, and the older report does not stand for
    it.
    """
    older(mine.pytester.path)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/dev/full")
    mine.pytester.makeconftest(WITHOUT_ROOM)
    mine.write_sine(**FORWARD)
    soft = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        result = mine.pytest()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, soft)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    approved(ends(result.outlines))
    assert [path.name for path in (mine.pytester.path / "build/report").iterdir()] == [OLDER]


def test_every_file_is_written_by_one_writer() -> None:
    """Nothing opens a file to write it but harness/text/files.py; R's guard writes into /proc."""
    mode = r"[\"'][rbt]*[wax+][rwaxbt+]*[\"']"
    writes = re.compile(
        r"write_text|write_bytes|\.write\(|open\(([^()]*,"
        rf" ?)?(mode=)?{mode}|np\.save|(json|pickle)\.dump\("
    )
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("harness", "reference", "cases", "nnet_parity")
        for path in (ROOT / folder).rglob("*.py")
        if writes.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"harness/text/files.py", "reference/r/guard.py"}


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """What nobody reads, or nobody reads on, is an OSError, as a full disk is."""
    pipe = tmp_path / "summary"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="No such device"):
        append_whole(pipe, "before anybody reads")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    append_whole(pipe, "a little")
    assert os.read(reader, 100) == b"a little"
    with pytest.raises(BlockingIOError):
        append_whole(pipe, "x" * 10_000_000)
    os.close(reader)
