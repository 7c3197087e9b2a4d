"""Scripts run as `python script.py` runs them, in processes that know nothing of this one and end
with it.
"""

import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from harness.reproduce.programs import Ended, Scripts
from tests.conftest import Approved

ROOT = Path(__file__).parents[2]
Write = Callable[[str], Path]
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@pytest.fixture(scope="module")
def scripts() -> Iterator[Scripts]:
    """One that is started once: torch takes its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONUNBUFFERED", raising=False)
        patch.setenv("OMP_NUM_THREADS", "3")
        found = Scripts()
        found.prepare()
        yield found
    found.close()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a script into a folder of its own."""
    (tmp_path / "scripts").mkdir()

    def written(text: str) -> Path:
        path = tmp_path / "scripts" / "mine.py"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return written


def is_gone(pid: int) -> bool:
    """Has a process ended, within some seconds? One that nobody has waited for has ended too."""
    for _ in range(2_000):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def in_file(path: Path) -> int:
    """A number that a process writes into a file."""
    for _ in range(2_000):
        if path.exists() and path.read_text().endswith("\n"):
            return int(path.read_text())
        time.sleep(0.05)
    raise AssertionError("nothing was written")


SHOWS = """
    import json, os, sys
    import numpy as np
    import torch
    environment = sorted(each for each in os.environ.items() if each[0] != "PYTEST_CURRENT_TEST")
    given = sys.stdin.read()
    print(json.dumps([__name__, __file__, sys.argv, sys.path, os.getcwd(), environment, given]))
    relu = torch.relu(torch.ones(1))
    print(torch.get_default_dtype(), torch.is_grad_enabled(), relu, "mine" in dir(torch))
    print(np.geterr())
"""


def test_a_script_finds_what_it_finds_as_a_program(
    scripts: Scripts, write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same folder, path, environment and torch, whatever this process has made of its own."""
    path, before = write(SHOWS), torch.get_default_dtype()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("/nowhere")
    monkeypatch.setattr(torch, "relu", torch.tanh)
    monkeypatch.setattr(torch, "mine", 1, raising=False)
    torch.set_default_dtype(torch.float64)
    try:
        found = scripts.run(path)
    finally:
        torch.set_default_dtype(before)
    command, nothing = [sys.executable, str(path)], subprocess.DEVNULL
    program = subprocess.run(
        command, env=os.environ, stdin=nothing, capture_output=True, text=True, check=True
    )
    assert found == Ended(0, program.stdout)


ENDS = {  # a script, and the exit code that it ends with
    "": 0,
    "raise SystemExit": 0,
    "import sys; sys.exit(3)": 3,
    "import sys; sys.exit('why')": 1,
    "raise ValueError": 1,
    "raise KeyboardInterrupt": 1,
    "def (": 1,
    "import os; os._exit(7)": 7,
    "import os; os.kill(os.getpid(), 9)": -9,
}


def test_a_script_ends_with_its_exit_code(scripts: Scripts, write: Write) -> None:
    """However it ends, the next one runs."""
    assert {text: scripts.run(write(text)).code for text in ENDS} == ENDS


def test_what_a_script_prints_is_told_and_nobody_else_sees_it(
    scripts: Scripts, write: Write, capfd: pytest.CaptureFixture[str]
) -> None:
    """All of it, by whatever way it goes to the standard output, and nothing of it comes here."""
    text = """
        import os, subprocess, sys
        print("é", flush=True)
        os.write(1, b"two\\n")
        print("three", file=sys.stderr)
        subprocess.run(["echo", "four"])
        subprocess.run("ls -l /proc/self/fd | grep socket", shell=True, close_fds=False)
        print("five" * 50_000)
    """
    assert scripts.run(write(text)) == Ended(0, "é\ntwo\nfour\n" + "five" * 50_000 + "\n")
    assert capfd.readouterr() == ("", "")


def test_a_script_finds_nothing_of_the_one_before(scripts: Scripts, write: Write) -> None:
    """What it has told torch, its modules and its folder are gone."""
    text = "import sys, torch\nprint(torch.get_default_dtype(), 'colorsys' in sys.modules)\n"
    text += "import colorsys, os\ntorch.set_default_dtype(torch.float64)\nos.chdir('/')"
    assert [scripts.run(write(text)).said for _ in range(2)] == ["torch.float32 False\n"] * 2


def test_a_script_runs_in_the_folder_that_is_the_present_one(
    scripts: Scripts, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a program that is started there and then."""
    path = write("import os\nprint(os.getcwd())")
    for folder in (path.parent, path.parents[1]):
        monkeypatch.chdir(folder)
        assert scripts.run(path) == Ended(0, f"{folder}\n")


def test_a_script_past_its_deadline_is_ended_with_all_that_it_has_started(
    scripts: Scripts, write: Write, tmp_path: Path
) -> None:
    """R, say, which a script starts."""
    text = f"""
        import subprocess
        process = subprocess.Popen(["sleep", "600"])
        print(process.pid, file=open({str(tmp_path / "pid")!r}, "w"))
        print("so far", flush=True)
        while True: pass
    """
    assert scripts.run(write(text), deadline=0.5) == Ended(None, "so far\n")
    assert is_gone(in_file(tmp_path / "pid"))
    assert scripts.run(write("print('next')")) == Ended(0, "next\n")


NEEDS = """
    import sys
    sys.path[:0] = [{project!r}]
    from harness.reproduce.users_file import find_subject
    print(find_subject({file!r}, "case", "Mine").build)
"""


def needing(write: Write, tmp_path: Path, text: str) -> tuple[Path, str]:
    """A script that needs a user's file, and the path of that file."""
    file = tmp_path / "user.py"
    file.write_text(f"print(1, file=open({str(tmp_path / 'runs')!r}, 'a'))\n{text}")
    return write(NEEDS.format(project=str(ROOT), file=str(file))), str(file)


def test_a_users_file_is_run_once_for_all_its_scripts(
    scripts: Scripts, write: Write, tmp_path: Path
) -> None:
    """Each script is a fork of the process that has run it, and prints what it says alone."""
    path, file = needing(write, tmp_path, "class Mine: pass\n")
    (tmp_path / "runs").touch()
    found = [scripts.run(path, file=file) for _ in range(3)]
    assert found == [Ended(0, "<class '<run_path>.Mine'>\n")] * 3
    assert (tmp_path / "runs").read_text() == "1\n"


ENDINGS = {  # what a user's file does when it is run again, and what is said of it
    "import time; time.sleep(600)": "took longer than 0.5 s",
    "import subprocess; subprocess.run(['sleep', '601'])": "took longer than 0.5 s",
    "import os; os._exit(0)": "ended its process",
    "import signal; signal.raise_signal(signal.SIGXCPU)": "took longer than 30 s of CPU time",
    "import os; os._exit(9)": "ended its process",
    "import signal; signal.raise_signal(signal.SIGTERM)": "was ended by SIGTERM",
    "import os; os.kill(os.getpid(), 9)": "was killed: it was out of memory, or of CPU time",
    "raise SystemExit": "raised SystemExit (at user.py:4)",
    "1 / 0": "raised ZeroDivisionError: division by zero (at user.py:4)",
}


@pytest.mark.parametrize("text", ENDINGS)
def test_a_users_file_that_does_not_end_is_not_run_again(
    scripts: Scripts, write: Write, tmp_path: Path, text: str, approved: Approved
) -> None:
    """Its deadline passes once, however many scripts need it; nothing of it lives on."""
    path, file = needing(write, tmp_path, f"import os\nprint(os.getpid())\n{text}\n")
    (tmp_path / "runs").touch()
    deadline = 0.5 if "took longer than 0.5" in ENDINGS[text] else 60.0
    found = [scripts.run(path, deadline, file) for _ in range(3)]
    assert found == [Ended(None, "", ENDINGS[text])] * 3
    approved(found[0].why)
    assert (tmp_path / "runs").read_text() in ("", "1\n")
    assert scripts.run(write("print('next')")) == Ended(0, "next\n")


def test_processes_of_users_files_end_with_the_one_that_forks(write: Write, tmp_path: Path) -> None:
    """It is killed, and neither they nor the next script wait for anything."""
    own = Scripts()
    pids = []
    for name in ("one", "two"):
        file = tmp_path / f"{name}.py"
        text = "import os, subprocess\nchild = subprocess.Popen(['sleep', '602'])\n"
        file.write_text(f"{text}os.environ['SLEEP'] = str(child.pid)\n")
        found = own.run(
            write("import os; print(os.getppid(), os.environ['SLEEP'])"), file=str(file)
        )
        pids += map(int, found.said.split())
    assert own._forked is not None
    own._forked.process.kill()
    assert all(is_gone(pid) for pid in pids)
    assert own.run(write("print('next')")) == Ended(0, "next\n")
    own.close()


def test_a_users_file_is_ended_by_its_cpu_time(
    scripts: Scripts, write: Write, tmp_path: Path, approved: Approved
) -> None:
    """The limit is the system's own; here it is lowered from outside."""
    pid = tmp_path / "pid"
    text = f"import os\nprint(os.getpid(), file=open({str(pid)!r}, 'w'))\nwhile True: pass\n"
    path, file = needing(write, tmp_path, text)

    def lower() -> None:
        resource.prlimit(in_file(pid), resource.RLIMIT_CPU, (1, 60))

    lowering = threading.Thread(target=lower)
    lowering.start()
    approved(scripts.run(path, file=file).why)
    lowering.join()
    assert is_gone(in_file(pid))


def test_ctrl_c_ends_a_script_and_the_next_one_runs(write: Write, tmp_path: Path) -> None:
    """Ctrl-C is heard here, not there; no late answer is taken for that of the next script."""
    found = Scripts()
    text = (
        f"import os\nprint(os.getpid(), file=open({str(tmp_path / 'pid')!r}, 'w'))\nwhile True:"
        " pass"
    )

    found.prepare()
    assert found._forked is not None
    assert os.getsid(found._forked.process.pid) != os.getsid(0)

    def press() -> None:
        in_file(tmp_path / "pid")
        os.kill(os.getpid(), signal.SIGINT)

    pressing = threading.Thread(target=press)
    pressing.start()
    with pytest.raises(KeyboardInterrupt):
        found.run(write(text))
    pressing.join()
    assert is_gone(in_file(tmp_path / "pid"))
    assert found.run(write("print('next')")) == Ended(0, "next\n")
    found.close()


PARENT = """
import os, sys, threading
from pathlib import Path
from harness.reproduce.programs import SCRIPTS
SCRIPTS.prepare()
print(SCRIPTS._forked.process.pid, file=open("forked", "w"))
if sys.argv[1] == "has a fork" and not os.fork():  # which holds the socket open
    print(os.getpid(), file=open("fork", "w"))
    threading.Event().wait(600)
threading.Thread(target=SCRIPTS.run, args=[Path("mine.py")], daemon=True).start()
threading.Event().wait(600)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("how", ["alone", "has a fork"])
def test_scripts_end_with_who_started_them(how: str, tmp_path: Path) -> None:
    """Killed, it leaves no process behind, also where a fork of it lives on."""
    (tmp_path / "mine.py").write_text(
        "import os\nprint(os.getpid(), file=open('pid', 'w'))\nwhile True: pass"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, how],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        pids = [in_file(tmp_path / name) for name in ("forked", "pid")]
        parent.kill()
        parent.wait()
        assert [is_gone(pid) for pid in pids] == [True, True]
    finally:
        parent.kill()
        parent.wait()
        if how == "has a fork":
            os.kill(in_file(tmp_path / "fork"), signal.SIGKILL)


def test_it_is_started_again_where_it_has_died(write: Write) -> None:
    """The script at hand runs in a process of its own; the next one is a fork again."""
    found = Scripts()
    found.prepare()
    first = found._forked
    assert first is not None
    first.process.kill()
    first.process.wait()
    assert found.run(write("print('first')")) == Ended(0, "first\n")
    assert found.run(write("import sys; print('torch' in sys.modules)")) == Ended(0, "True\n")
    found.close()


def test_without_fork_a_script_has_a_process_of_its_own(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with the same exit code, and past its deadline."""
    monkeypatch.delattr(os, "fork")
    monkeypatch.setattr("harness.reproduce.programs.START", 0.0)
    found = Scripts()
    assert found.run(write("import sys; print('torch' in sys.modules); sys.exit(3)")) == Ended(
        3, "False\n"
    )
    assert found.run(write("print('so far', flush=True)\nwhile True: pass"), deadline=0.5) == Ended(
        None, "so far\n"
    )


def test_a_process_that_forks_itself_starts_its_own(scripts: Scripts, write: Write) -> None:
    """Two processes that ask one would mix up its answers."""
    path = write("print('mine')")
    scripts.run(path)
    read, told = os.pipe()
    if not (child := os.fork()):
        said = scripts.run(path).said
        os.write(told, json.dumps([said, scripts._forked.parent == os.getpid()]).encode())  # type: ignore[union-attr]
        scripts.close()
        os._exit(0)
    os.close(told)
    os.waitpid(child, 0)
    assert json.loads(os.read(read, 100)) == ["mine\n", True]
    os.close(read)
    assert scripts.run(path) == Ended(0, "mine\n")
