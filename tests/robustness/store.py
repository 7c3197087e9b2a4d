"""Kills of writers that share a folder, in containers of their own.

Two writers write reports, their scripts and a recording into one folder, again and again, each with
process ids of its own (in a PID namespace, where this machine allows it). One of them is killed at
a random moment while the other goes on. Then what lies in the folder is looked at: each file is
whole, the files of a report are of one run, its scripts are there, and no report is lost.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from hashlib import sha256
from itertools import count as numbers
from pathlib import Path
from random import Random

from harness.core.report import MARK, Report
from harness.core.verdict import Status, Verdict
from harness.publishing.writing import write
from harness.text.files import HALF, replace_whole
from nnet_parity.report_folder import NAMES, OLDER, WHOLE, OlderReport, exchange
from nnet_parity.report_folder import _locked as locked
from tests.robustness.trial import Trial

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 0.05  # seconds from the start of a writer to its end
NAMESPACE = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
RUN = re.compile(r"run-([0-9a-f]{8})")
RECORDING = "sine.recording"


def attack(count: int, seed: int) -> Iterator[Trial]:
    """Kill `count` writers at moments drawn from `seed`, each of the two in turn."""
    draw = Random(seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        save(folder, "ffffffff")
        writers = [start(folder, number) for number in range(2)]
        try:
            for number in range(count):
                begin = time.monotonic()
                time.sleep(draw.uniform(0, LONGEST))
                tell(writers[number % 2], "kill")
                found = look(folder)
                tell(writers[number % 2], "write")
                yield Trial(f"kill {number}", found, time.monotonic() - begin)
        finally:
            for writer in writers:
                writer.kill()
                writer.communicate()
        found = look_at_the_end(folder)
        if found:
            yield Trial("what is left", found)


def start(folder: Path, number: int) -> subprocess.Popen[str]:
    """Start a process that forks writers, in a PID namespace if that is allowed, and a writer."""
    allowed = subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
    words = [sys.executable, "-m", "tests.robustness.store", str(folder), str(number)]
    command = [*NAMESPACE, *words] if allowed else words
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    tell(process, "write")
    return process


def tell(process: subprocess.Popen[str], what: str) -> None:
    """Tell a process to start or to kill its writer, and wait until it has."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{what}\n")
    process.stdin.flush()
    process.stdout.readline()


def serve(folder: Path, number: int) -> None:
    """Start and kill writers as standard input says."""
    child = 0
    for turn, line in enumerate(sys.stdin):
        if line == "kill\n":
            os.kill(child, 9)
            os.waitpid(child, 0)
        elif not (child := os.fork()):
            write_for_ever(folder, number << 28 | turn << 14)
        print("done", flush=True)


def write_for_ever(folder: Path, first: int) -> None:
    """Write reports of runs that are called by numbers from `first` on."""
    try:
        for number in numbers(first):
            OlderReport(folder).set_aside()
            save(folder, f"{number:08x}")
            for other in range(4):  # most of the time of a writer is spent in exchanges
                save_copy(folder, f"{number + 4096 * (1 + other):08x}")
    except BaseException as error:
        (folder / "error").write_text(repr(error))
    os._exit(1)


def save(folder: Path, run: str) -> None:
    """Write what a run writes: a recording, a script, and the report that names it."""
    text = f"run-{run}\n" * 20_000
    replace_whole({folder / RECORDING: f"{sha256(text.encode()).hexdigest()}\n{text}"})
    script = Path("reproducers", f"{run}.py")
    (folder / script).parent.mkdir(parents=True, exist_ok=True)
    replace_whole({folder / script: f"# run-{run}\n# {MARK}\n"})
    what = (f"run-{run}", f"run-{run}", "N", "numpy_net", "computed", "loss", "cpu", "float64")
    verdict = Verdict(*what, Status.PASS, budget_used=0.5, alone=str(script))
    write(Report({}, [verdict]), folder, exchange)


def save_copy(folder: Path, run: str) -> None:
    """Write the report that lies there as that of another run, without a script."""
    texts = {}
    for name in WHOLE:
        for place in (folder, folder / OLDER):
            if (place / name).is_file():
                text = (place / name).read_text()
                text = re.sub("reproducers/[0-9a-f]{8}.py", "", text)
                texts[folder / name] = RUN.sub(f"run-{run}", text)
                break
    if len(texts) == len(WHOLE):
        replace_whole(texts, exchange(folder))


def look(folder: Path) -> str:
    """Return what does not hold in the folder, while no writer exchanges its report."""
    if (folder / "error").exists():
        return f"a writer raised {(folder / 'error').read_text()}"
    with locked(folder):
        digest, _, text = (folder / RECORDING).read_text().partition("\n")
        if sha256(text.encode()).hexdigest() != digest:
            return "the recording is not whole"
        whole = []
        for place in (folder, folder / OLDER):
            if found := look_at_report(place):
                return found
            whole.append(all((place / name).exists() for name in WHOLE))
        if not any(whole):
            return "no report is whole"
        if whole[0]:
            for script in re.findall(r'"alone": "(.+?)"', (folder / WHOLE[0]).read_text()):
                if not (folder / script).exists():
                    return f"the report names {script}, which is not there"
    return ""


def look_at_report(place: Path) -> str:
    """Return what does not hold for the files of a report in a folder."""
    runs: set[str] = set()
    for name in WHOLE:
        if not (place / name).exists():
            continue
        text = (place / name).read_text()
        runs.update(RUN.findall(text))
        if name == "index.html" and not text.rstrip().endswith("</html>"):
            return f"{name} is not whole"
        if name == "results.json":
            json.loads(text)
    return f"the files of {place.name} are of {len(runs)} runs" if len(runs) > 1 else ""


def look_at_the_end(folder: Path) -> str:
    """Return what is left of killed writers after the next run, a week later."""
    for path in [*folder.rglob("*")]:
        if HALF.fullmatch(path.name) or path.parent.name == "reproducers":
            os.utime(path, (0, 0))
    save(folder, "eeeeeeee")
    left = {path.name for path in folder.iterdir()} - {*NAMES, RECORDING, "reproducers"}
    left |= {path.name for path in (folder / "reproducers").iterdir()} - {"eeeeeeee.py"}
    return f"{len(left)} files of killed writers are left: {sorted(left)[:3]}" if left else ""


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
