"""Signals to real runs of pytest, at random moments, over an older report that passed.

Every second run is shared out by pytest-xdist, and every third one asks R. Afterwards no process of
the run lives, no file of it lies in the temporary folder, no older report is in the place of its
own, and its exit code is 0 only if it has left a complete report.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from harness.core.report import Report
from harness.core.verdict import Status, Verdict
from harness.publishing.writing import write
from nnet_parity.report_folder import OLDER, WHOLE, exchange
from tests.conftest import IMPORTS, RIGHT, SINE_NET
from tests.robustness.trial import Trial

ROOT = Path(__file__).resolve().parents[2]
HOW = {
    "SIGINT": [signal.SIGINT],
    "SIGTERM": [signal.SIGTERM],
    "SIGHUP": [signal.SIGHUP],
    "SIGKILL": [signal.SIGKILL],
    "SIGINT twice": [signal.SIGINT, signal.SIGINT],
}
# pytest restores no handler of a signal that whoever starts it in the background ignores
START = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); import pytest; "
    "sys.exit(pytest.main())"
)
CONFTEST = "open('begun', 'w').close()\n"  # pytest has loaded our plugin before
CASE = (
    IMPORTS
    + SINE_NET.format(forward=RIGHT)
    + """
network = Network(inputs=1, hidden=4, outputs=1, activation="logistic")
test_sine = verify(
    Case("sine", network, [SineNet], [{references}], probes(seed=0, draws=3), dtypes=["float64"])
)
"""
)
DEADLINE = 120.0  # seconds, beyond which a run that was told to stop counts as hung
PATIENCE = 20.0  # seconds in which what a run has started has to end


def attack(count: int, seed: int) -> Iterator[Trial]:
    """Send signals to `count` runs at moments drawn from `seed`."""
    draw = Random(seed)
    longest = {kind: measure(*kind) for kind in ((False, False), (True, True), (True, False))}
    longest[False, True] = longest[True, True]
    for number in range(count):
        how = list(HOW)[number % len(HOW)]
        kind = number % 2 == 1, number % 3 == 0
        begin = time.monotonic()
        found = strike(how, draw.uniform(0, longest[kind]), *kind)
        name = f"{number}: {how}{', xdist' if kind[0] else ''}{', R' if kind[1] else ''}"
        yield Trial(name, found, time.monotonic() - begin)


def measure(is_shared: bool, asks_r: bool) -> float:
    """Return the seconds that a run takes which nobody disturbs."""
    with tempfile.TemporaryDirectory() as place:
        begin = time.monotonic()
        run = start(Path(place), is_shared, asks_r)
        assert run.wait() == 0, (Path(place) / "said").read_text()
        return time.monotonic() - begin


def start(folder: Path, is_shared: bool, asks_r: bool) -> subprocess.Popen[bytes]:
    """Start pytest in a folder that holds a case and an older report."""
    what = ("older", "older", "N", "numpy_net", "computed", "loss", "cpu", "float64")
    older = Report({}, [Verdict(*what, Status.PASS, budget_used=0.5)])
    write(older, folder / "build/report", exchange)
    (folder / "tmp").mkdir()
    (folder / "conftest.py").write_text(CONFTEST)
    references = "numpy_net, r_nnet" if asks_r else "numpy_net"
    (folder / "test_mine.py").write_text(CASE.replace("{references}", references))
    given = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    given |= {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "tmp")}
    given |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "NNET_PARITY_DEVICES": "cpu"}
    command = [sys.executable, "-c", START, "-q", "-p", "nnet_parity.plugin"]
    command += [
        "--basetemp=base",
        "-p",
        "no:cacheprovider",
        *(["-p", "xdist", "-n", "2"] if is_shared else []),
    ]
    with (folder / "said").open("wb") as said:
        return subprocess.Popen(
            command, cwd=folder, env=given, stdout=said, stderr=said, start_new_session=True
        )


def strike(how: str, moment: float, is_shared: bool, asks_r: bool) -> str:
    """Send signals to a run at a moment; return what does not hold afterwards."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        run = start(folder, is_shared, asks_r)
        time.sleep(moment)
        for each in HOW[how]:
            if run.poll() is None:
                run.send_signal(each)
                time.sleep(0.05)
        try:
            code = run.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            code = None
        found = f"it hung for {DEADLINE:g} s" if code is None else look(folder, code)
        found = found or wait_for_end(folder)
        if found:
            last = (folder / "said").read_text(errors="replace").strip().splitlines()[-1:]
            found = f"{found}, after {moment:.2f} s: {' '.join(last)}"
        for pid in find_processes(folder):
            os.kill(pid, signal.SIGKILL)
        return found


def look(folder: Path, code: int) -> str:
    """Return what does not hold for the report and the exit code of a run that has ended."""
    place = folder / "build/report"
    here = [name for name in WHOLE if (place / name).exists()]
    texts = [(place / name).read_text() for name in here]
    is_older = any("older" in text for text in texts)
    if is_older and ((folder / "begun").exists() or code == 0):
        return "an older report is in the place of that of this run"
    if not is_older and here and len(here) < len(WHOLE):
        return f"of the report there is only {', '.join(here)}"
    if not here and not all((place / OLDER / name).exists() for name in WHOLE):
        return "the older report is lost"
    complete = len(here) == len(WHOLE) and not is_older and json.loads(texts[0])["complete"]
    if code == 0 and not complete:
        return "it ended with 0, without a complete report"
    if code not in (0, 1, 2, -signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGKILL):
        return f"it ended with {code}"
    if code == 1 and "KeyboardInterrupt" not in (folder / "said").read_text(errors="replace"):
        return "it ended with 1"
    return ""


def wait_for_end(folder: Path) -> str:
    """Return what a run has left, of processes and in the temporary folder, after PATIENCE."""
    late = time.monotonic() + PATIENCE
    while time.monotonic() < late:
        processes = find_processes(folder)
        if not processes:
            break
        time.sleep(0.1)
    else:
        words = [Path(f"/proc/{pid}/cmdline").read_bytes()[:90] for pid in processes]
        return f"{len(processes)} processes live: {words!r}"
    left = [path.name for path in (folder / "tmp").iterdir()]
    return f"in the temporary folder there is {left}" if left else ""


def find_processes(folder: Path) -> list[int]:
    """Return the processes whose temporary folder is that of a run."""
    mark, found = f"TMPDIR={folder / 'tmp'}\0".encode(), []
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            try:
                if mark in (place / "environ").read_bytes():
                    found.append(int(place.name))
            except OSError:
                continue
    return found
