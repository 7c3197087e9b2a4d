"""How long R may take: what counts, what does not, and what is said."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.waiting import deadlines, progress
from harness.waiting.deadlines import R_SWITCH, Deadlines, get_deadlines
from reference.r import patience
from reference.r.patience import DeadlinePassed, Patience, find_size, measure
from reference.r.session import RCrashed, RSession
from tests.conftest import Approved

linux = pytest.mark.skipif(
    not Path("/proc/self/stat").exists(), reason="asks /proc for CPU times, which is not here"
)


@pytest.fixture
def start() -> Iterator[Callable[[str], int]]:
    """Starts a process that starts a Python program, and returns its id."""
    processes = []

    def begin(program: str) -> int:
        line = f"{sys.executable} -c '{program}' & wait"
        processes.append(subprocess.Popen(["sh", "-c", line], start_new_session=True))
        return processes[-1].pid

    yield begin
    for process in processes:
        os.killpg(process.pid, 9)
        process.wait()


@linux
@pytest.mark.usefixtures("live_r")
@pytest.mark.parametrize(
    ("code", "deadline"),
    [("Sys.sleep(987)", 0.05), ("tools::pskill(Sys.getpid(), 19)", 0.05), ("repeat {}", 0.1)],
    ids=["sleeps", "stopped", "computes"],
)
def test_the_deadline_that_passed_is_named(code: str, deadline: float, approved: Approved) -> None:
    """By CPU time or by waiting; with its limit, and the option that gives more. A stopped R is
    asked again.
    """
    session = RSession(deadline)
    with approved.raises(RCrashed, mask_figures=True):
        session.eval_text(code)
    session.close()


@linux
def test_cpu_time_is_that_of_all_children(start: Callable[[str], int]) -> None:
    """A process that waits for its child is measured with it."""
    shell = start("while True: pass")
    while (found := measure(shell)) is None or found.seconds < 0.1:
        time.sleep(0.02)
    own = Path(f"/proc/{shell}/stat").read_text().rpartition(")")[2].split()
    assert int(own[11]) + int(own[12]) <= 2  # ticks of the shell itself


@linux
def test_a_process_that_sleeps_does_not_run(start: Callable[[str], int]) -> None:
    """Nor is it stopped."""
    shell = start("import time\nwhile time.process_time() < 0.1: pass\ntime.sleep(99)")
    late = time.monotonic() + 60
    while (found := measure(shell)) is None or found.is_running or found.seconds == 0:
        assert time.monotonic() < late
        time.sleep(0.02)
    assert not found.is_stopped


def test_without_cpu_times_the_clock_counts(approved: Approved) -> None:
    """Several times as long as the CPU time that an ask may take."""
    waiting = Patience(0, "an ask", base=0.01)  # no process has this id
    with approved.raises(DeadlinePassed, mask_figures=True):
        for _ in range(20):
            time.sleep(0.01)
            waiting.look()


def test_a_machine_that_was_stopped_does_not_count() -> None:
    """An hour between two looks is a stopped machine, or a stopped Python, and not R's."""
    stopped = Patience(0, "an ask", base=10.0)
    stopped._looked -= 3600
    stopped.look()
    assert stopped.waited < 1


@linux
def test_a_computing_r_is_not_waiting(start: Callable[[str], int]) -> None:
    """However little CPU time it gets from a busy machine."""
    shell = start("while True: pass")
    while (found := measure(shell)) is None or not found.is_running:
        time.sleep(0.02)
    computing = Patience(shell, "an ask", base=1e9)
    for _ in range(10):
        time.sleep(0.03)
        computing.look()
    assert computing.waited < 0.1


def test_larger_asks_get_more() -> None:
    """In proportion to what nnet computes, from what R does in a minute on a slow machine on."""
    assert find_size(13, 50, 10_000) < 1
    assert Patience(0, "", 60.0, find_size(13, 50, 10_000)).limit == 60.0
    large = Patience(0, "", 60.0, find_size(241, 5_000, 10_000)).limit
    assert 300 < large < 600
    assert Patience(0, "", 60.0, find_size(241, 5_000, 20_000)).limit == pytest.approx(2 * large)


@pytest.mark.usefixtures("live_r")
def test_a_long_ask_is_told(monkeypatch: pytest.MonkeyPatch, approved: Approved) -> None:
    """Whoever listens hears what R was asked, and how much of its time is used; of a short ask,
    nothing.
    """
    said: list[str] = []
    progress.listen(said.append)
    session = RSession(20.0)
    session.versions()
    said.clear()
    session.eval_text("1")
    assert not said
    monkeypatch.setattr(patience, "PATIENCE", 0.0)
    session.eval_text("begin <- proc.time()[[3]]; while (proc.time()[[3]] < begin + 0.5) 1; 1")
    session.close()
    progress.stop_listening()
    approved(said[0], mask_figures=True)


def test_the_environment_gives_deadlines(
    monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """Where pytest's options do not: commands are no runs of pytest."""
    monkeypatch.setattr(deadlines, "_chosen", [])
    monkeypatch.delenv(R_SWITCH, raising=False)
    assert get_deadlines() == Deadlines()
    monkeypatch.setenv(R_SWITCH, "7.5")
    assert get_deadlines().r == 7.5
    monkeypatch.setenv(R_SWITCH, "soon")
    with approved.raises(ValueError):
        get_deadlines()
