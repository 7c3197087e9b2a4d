"""Models that are typed into a notebook, a REPL or `python -c`: their scripts, and their errors."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Approved

ROOT = Path(__file__).parents[2]
IMPORTS = """\
import torch
from torch import nn
from nnet_parity import Case, Network, check, numpy_net, probes
FACTOR = 2.0
shift = torch.tensor([0.0])
def activation(z):
    return torch.sigmoid(z)
"""
MODEL = """\
class SineNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(1, 4)
        self.output = nn.Linear(4, 1)

    def forward(self, x):
        return FACTOR * self.output(activation(self.hidden(x))) + shift
"""
CASE = """\
case = Case(name="sine", network=Network(1, 4, 1, activation="logistic"), subjects=[SineNet],
            references=[numpy_net], problems=probes(seed=0, draws=3), dtypes=["float64"],
            checks=["forward"])
"""
CHECK = 'result = check(case, devices="cpu", reproducers="reproducers")\n'
SCRIPT = "reproducers/sine-forward.py"
# runs cells as a notebook does, and prints what the last one displays
SHELL = """\
import json, sys
from IPython.core.interactiveshell import InteractiveShell

shell = InteractiveShell.instance()
for cell in json.load(open(sys.argv[1])):
    shell.run_cell(cell, store_history=True).raise_error()
"""


def run(command: Sequence[str], folder: Path, **given: Any) -> subprocess.CompletedProcess[str]:
    """A program in a folder, with what it prints."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(folder / "ipython")}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, **given
    )


@pytest.fixture
def notebook(warm_python: str, tmp_path: Path) -> Callable[..., list[str]]:
    """Runs cells in IPython's own shell, and gives the lines that they print."""
    pytest.importorskip("IPython")

    def run_cells(*cells: str) -> list[str]:
        (tmp_path / "shell.py").write_text(SHELL)
        (tmp_path / "cells.json").write_text(json.dumps(cells))
        ended = run([warm_python, "shell.py", "cells.json"], tmp_path)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout.splitlines()

    return run_cells


@pytest.fixture
def fails_again(warm_python: str, tmp_path: Path) -> Callable[[], bool]:
    """Does the script of the failure fail as the model did, in a Python without the notebook?"""

    def run_script() -> bool:
        ended = run([warm_python, SCRIPT], tmp_path)
        return (ended.returncode, ended.stdout.splitlines()[-1]) == (1, "fails again")

    return run_script


def test_a_class_of_a_cell_has_its_script(
    notebook: Callable[..., list[str]],
    tmp_path: Path,
    approved: Approved,
    fails_again: Callable[[], bool],
) -> None:
    """With the functions, numbers and tensors of other cells that it reads; it fails by itself."""
    said = notebook(IMPORTS, MODEL, CASE, CHECK, "print(result)")
    approved(line.strip() for line in said if "reproduce:" in line)
    assert fails_again()
    script = (tmp_path / SCRIPT).read_text()
    approved(script[script.index("# The model") : script.index("BUILD")])


CELLS = {  # how a user may go on, and a line of the script that then fails
    "a value of now": (["FACTOR = 3.0", CASE], "FACTOR = 3.0"),
    "cells in another order": (["shift = torch.tensor([1.0])"], "shift = torch.tensor([1.0])"),
    "a class written anew": ([MODEL.replace("FACTOR *", "4 *"), CASE], "return 4 * self.output"),
}


@pytest.mark.parametrize("how", CELLS)
def test_a_script_has_what_cells_say_now(
    how: str, notebook: Callable[..., list[str]], tmp_path: Path, fails_again: Callable[[], bool]
) -> None:
    """The latest values and classes, whatever stood in earlier cells."""
    cells, expected = CELLS[how]
    notebook(IMPORTS, MODEL, CASE, *cells, CHECK, "print(result)")
    assert expected in (tmp_path / SCRIPT).read_text()
    assert fails_again()


def test_a_lambda_of_a_cell_has_its_script(
    notebook: Callable[..., list[str]], tmp_path: Path, fails_again: Callable[[], bool]
) -> None:
    """Several may stand on its line."""
    subject = CASE.replace("[SineNet]", "[Subject(lambda: SineNet(), name='SineNet')]")
    notebook(IMPORTS, "from nnet_parity import Subject", MODEL, subject, CHECK)
    assert fails_again()


def test_an_error_in_a_cell_is_told_by_its_line(
    notebook: Callable[..., list[str]], approved: Approved
) -> None:
    """It has no file whose name a person would know."""
    broken = MODEL.replace("return FACTOR", "return FACTORS")
    said = notebook(IMPORTS, broken, CASE, CHECK, "print(result)")
    approved(line for line in said if "raised" in line and not line.startswith("Is"))


def test_a_class_written_anew_is_not_judged_by_the_older_one(
    notebook: Callable[..., list[str]], approved: Approved
) -> None:
    """The older case is refused, whichever of the two is wrong; a new one is judged."""
    right = MODEL.replace("FACTOR * ", "")
    tried = "try: check(case)\nexcept ValueError as error: print(error)"
    approved(notebook(IMPORTS, right, CASE, "assert check(case)", MODEL, tried))
    said = notebook(IMPORTS, MODEL, CASE, "assert not check(case)", right, tried)
    assert "defined anew" in said[-1]
    notebook(
        IMPORTS, right, CASE, right, "assert check(case)", MODEL, CASE, "assert not check(case)"
    )


def test_a_notebook_has_no_recordings(
    notebook: Callable[..., list[str]], approved: Approved
) -> None:
    """Where R is left out, it is said why nobody answers for it."""
    imports = IMPORTS.replace("numpy_net", "numpy_net, r_nnet")
    case = CASE.replace("[numpy_net]", "[r_nnet, numpy_net]")
    recorded = 'result = check(case, devices="cpu", r="recorded")\nassert not result'
    approved(notebook(imports, MODEL, case, recorded, "print(result.verdicts[0].why)"))


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="Python keeps what is typed since 3.13")
def test_without_a_source_there_is_a_sentence(
    tmp_path: Path, warm_python: str, approved: Approved
) -> None:
    """By `python -c` and in the REPL the failure says why it has no script, and all else."""
    text = f"{IMPORTS}{MODEL}{CASE}{CHECK}print(result)"
    ended = run([warm_python, "-c", text], tmp_path)
    approved(line.strip() for line in ended.stdout.splitlines() if "reproduce:" in line)
    assert not list((tmp_path / "reproducers").glob("*.py"))
    typed = f"{IMPORTS}\n{MODEL.replace(chr(10) * 2, chr(10))}\n{CASE}{CHECK}print(result)\n"
    ended = run([sys.executable, "-i", "-q"], tmp_path, input=typed)
    assert "Python has not kept the source of SineNet" in ended.stdout


def test_a_script_that_checks_is_read_for_its_cases_alone(
    tmp_path: Path, warm_python: str, fails_again: Callable[[], bool]
) -> None:
    """Where a model cannot be copied its file is run again, up to `check`, which judges nothing."""
    odd = "class Odd:\n    by = 2.0\nglobals()['FACTOR'] = Odd()  # no statement gives this name\n"
    model = MODEL.replace("FACTOR *", "FACTOR.by *")
    imports = IMPORTS.replace("FACTOR = 2.0\n", "")
    runs = "open('runs', 'a').write(__name__ + ' ')\n"
    text = f"{imports}{runs}{odd}{model}{CASE}{CHECK}open('runs', 'a').write('end ')\nprint(result)"
    (tmp_path / "port.py").write_text(text)
    ended = run([warm_python, "port.py"], tmp_path)
    assert f" {SCRIPT}\n" in ended.stdout, ended.stdout + ended.stderr
    assert (tmp_path / "runs").read_text().split() == ["__main__", "<run_path>", "end"]
    assert fails_again()


# A real kernel


def list_of(pid: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found += [int(path.parent.name), *list_of(int(path.parent.name))]
    return found


def outputs_of(cell: Any) -> list[str]:
    """The kinds of what a cell shows."""
    kinds = []
    for output in cell.outputs:
        kinds += list(output.get("data", {})) or [output.get("name", output.output_type)]
    return kinds


def test_a_notebook_is_executed(
    live_r: None, tmp_path: Path, fails_again: Callable[[], bool]
) -> None:
    """By a kernel of its own, with R: the card and the script; it ends with R.

    Progress is shown to a person, who can answer a cell's questions, and to no program.
    """
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    imports = IMPORTS.replace("numpy_net", "numpy_net, r_nnet") + "import os\nos.getpid()"
    case = CASE.replace("[numpy_net]", "[r_nnet, numpy_net]")
    patience = "import harness.running.progress as progress\nprogress.PATIENCE = 0"
    cells = [imports, MODEL, f"{case}{patience}", CHECK, "result", CHECK]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    client = nbclient.NotebookClient(
        book, timeout=120, resources={"metadata": {"path": str(tmp_path)}}
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JUPYTER_PLATFORM_DIRS": "1"}
    with client.setup_kernel(env=environment):
        for number, cell in enumerate(book.cells):
            client.kc.allow_stdin = number == 5
            client.execute_cell(cell, number)
        pid = int(book.cells[0].outputs[0]["data"]["text/plain"])
        started = list_of(pid)
        assert len(started) >= 2  # R's guard and worker
    assert outputs_of(book.cells[3]) == []
    assert sorted(outputs_of(book.cells[4])) == ["text/html", "text/plain"]
    assert set(outputs_of(book.cells[5])) == {"stderr"}
    assert fails_again()
    late = time.monotonic() + 20
    while any(Path(f"/proc/{each}").exists() for each in started):
        assert time.monotonic() < late
        time.sleep(0.05)


INTERRUPTED = """\
import os, signal, threading, time
class Slow(SineNet):
    def forward(self, x):
        if not os.path.exists("asked"):
            open("asked", "w").close()
            time.sleep({seconds})
        return super().forward(x)
"""


@pytest.mark.skipif(not shutil.which("R"), reason="R is not on the path")
def test_ctrl_c_returns_nothing_and_ends(live_r: None, tmp_path: Path, approved: Approved) -> None:
    """The sentence, no result, and no process that stays."""
    imports = IMPORTS.replace("numpy_net", "numpy_net, r_nnet")
    case = CASE.replace("[numpy_net]", "[r_nnet]").replace("[SineNet]", "[SineNet, Slow]")
    slow = INTERRUPTED.format(seconds=60)
    ending = "print('a result')\n"
    (tmp_path / "port.py").write_text(f"{imports}{MODEL}{slow}{case}{CHECK}{ending}")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "port.py"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    late = time.monotonic() + 60
    while not (tmp_path / "asked").exists():
        assert time.monotonic() < late
        time.sleep(0.05)
    started = list_of(process.pid)
    assert started
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=60)
    assert "a result" not in out
    approved(said.splitlines()[-1])
    while any(Path(f"/proc/{each}").exists() for each in started):
        assert time.monotonic() < late
        time.sleep(0.05)
