"""What run.py promises, asked of a copy of it beside a project that installs in a second and needs
no network.
"""

import ast
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import pytest

from tests.conftest import Approved

PROJECT = Path(__file__).resolve().parents[2]

# Builds the small project with the standard library alone (PEP 660), when told to slowly or not at
# all.
BACKEND = """
import os, pathlib, time, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    if os.environ.get("BUILD") == "fails":
        raise SystemExit("the disk is full, says the small project")
    if os.environ.get("BUILD") == "slow":
        pathlib.Path("building").touch()
        time.sleep(float(os.environ["SECONDS"]))
    package = pathlib.Path(".editable/small").absolute()
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").touch()
    with zipfile.ZipFile(f"{folder}/small-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("__editable__.small-1.pth", str(package.parent))
        metadata = "Metadata-Version: 2.1\\nName: small\\nVersion: 1\\n"
        kind = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
        wheel.writestr("small-1.dist-info/METADATA", metadata)
        wheel.writestr("small-1.dist-info/WHEEL", kind)
        wheel.writestr("small-1.dist-info/RECORD", "")
    return "small-1-py3-none-any.whl"
"""

# Stands where pytest would be imported from, and tells how it was called.
PYTEST = """
import json, os, sys
told = {name: os.environ.get(name) for name in ["NNET_PARITY_R", "RPY2_CFFI_MODE"]}
print(json.dumps({"arguments": sys.argv[1:], "folder": os.getcwd(), "python": sys.prefix, **told}))
sys.exit(int(os.environ.get("CODE", "0")))
"""


@dataclass(frozen=True)
class Checkout:
    """The small project with run.py, on a machine of which run.py sees what its folder `programs`
    holds.
    """

    root: Path
    programs: Path

    def command(self, *arguments: str, played: str = "") -> list[str]:
        """The command line; `played` is what to pretend, as a statement about the modules os and
        sys.
        """
        script = str(self.root / "run.py")
        if not played:
            return [sys.executable, script, *arguments]
        play = f"import os, runpy, sys; {played}; runpy.run_path({script!r}, run_name='__main__')"
        return [sys.executable, "-c", play, *arguments]

    def environment(self, **variables: str) -> dict[str, str]:
        home = str(self.programs)
        return {
            "PATH": home,
            "HOME": home,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            **variables,
        }

    def run(
        self, *arguments: str, played: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        command, env = self.command(*arguments, played=played), self.environment(**variables)
        return subprocess.run(
            command, env=env, cwd=self.programs, capture_output=True, text=True, timeout=60
        )

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Starts a run whose build is slow, and comes back when the build has begun."""
        env = self.environment(BUILD="slow", **variables)
        (self.root / "building").unlink(missing_ok=True)
        run = subprocess.Popen(
            self.command(*arguments),
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        deadline = time.monotonic() + 30
        while not (self.root / "building").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return run


def program(folder: Path, name: str, script: str = "") -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def new_checkout(root: Path) -> Checkout:
    root.mkdir()
    shutil.copy(PROJECT / "run.py", root)
    (root / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    for name in ("requirements.txt", "requirements-cpu.txt"):
        (root / name).write_text("")
    (root / "backend.py").write_text(BACKEND)
    (root / "pytest.py").write_text(PYTEST)
    programs = root.parent / f"{root.name} programs"
    program(programs, "make")
    program(programs, "R", f"R_HOME_DIR={root.parent / 'R home'}")
    (root.parent / "R home" / "library" / "nnet").mkdir(parents=True, exist_ok=True)
    return Checkout(root, programs)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """One that is set up, in a path with a space; R with nnet, and make, are there, apt is not."""
    checkout = new_checkout(tmp_path_factory.mktemp("launcher") / "a path with a space")
    first = checkout.run("verify")
    assert first.returncode == 0, first.stderr
    return checkout


def said(stderr: str) -> list[str]:
    """The lines that run.py says of its own."""
    return [line for line in stderr.splitlines() if line.startswith("run.py: ")]


@pytest.fixture
def without_r(checkout: Checkout, tmp_path: Path) -> Checkout:
    """The same checkout, seen from a machine without R, make and apt."""
    programs = tmp_path / "programs"
    programs.mkdir()
    return Checkout(checkout.root, programs)


def test_help_answers_before_anything_is_set_up(tmp_path: Path, approved: Approved) -> None:
    """Help names the commands and `--no-r`, however it is asked for, and makes no .venv."""
    new = new_checkout(tmp_path / "new")
    help_, of_a_command, nothing = (
        new.run(*arguments) for arguments in (["--help"], ["verify", "-h"], [])
    )
    assert {help_.returncode, of_a_command.returncode, nothing.returncode} == {0}
    assert help_.stdout == of_a_command.stdout == nothing.stdout
    approved(help_.stdout)
    assert not (new.root / ".venv").exists()


def test_an_unknown_command_is_named(checkout: Checkout, approved: Approved) -> None:
    """What is no command gets one line that names the commands, and 2."""
    answer = checkout.run("varify")
    assert answer.returncode == 2
    approved(answer.stderr)


def test_an_old_python_is_named(checkout: Checkout, approved: Approved) -> None:
    """Python 3.9 (played: sys.version_info is set) gets one line, and 1."""
    answer = checkout.run("verify", played="sys.version_info = (3, 9, 2)")
    assert answer.returncode == 1
    approved(answer.stderr)


def test_the_launcher_needs_the_standard_library_only() -> None:
    """run.py imports nothing that has to be installed."""
    tree = ast.walk(ast.parse((PROJECT / "run.py").read_text()))
    names = [
        n.module if isinstance(n, ast.ImportFrom) else n.names[0].name
        for n in tree
        if isinstance(n, ast.Import | ast.ImportFrom)
    ]
    assert names
    assert {str(name).split(".")[0] for name in names} <= sys.stdlib_module_names


def test_the_second_run_starts_at_once(checkout: Checkout) -> None:
    """Set up already, a run says nothing of its own and is with pytest within a second of CPU."""
    begin = getrusage(RUSAGE_CHILDREN).ru_utime  # other tests may share the cores
    answer = checkout.run("verify")
    assert getrusage(RUSAGE_CHILDREN).ru_utime - begin < 1
    assert (answer.returncode, answer.stderr) == (0, "")


def test_a_lost_folder_of_the_editable_install_is_made_again(
    checkout: Checkout, approved: Approved
) -> None:
    """If .venv is there and the folder of its .pth file is not, this checkout alone is installed
    again.
    """
    shutil.rmtree(checkout.root / ".editable")
    first, second = checkout.run("verify"), checkout.run("verify")
    assert (checkout.root / ".editable" / "small").exists()
    approved(said(first.stderr))
    assert (second.returncode, second.stderr) == (0, "")


# hypothesis alone takes a second to import
NOT_NEEDED = ["-p", "no:hypothesispytest", "-p", "no:syrupy"]
ONE_CORE, TWO_CORES = (
    f"sys.platform = 'linux'; os.sched_getaffinity = lambda process: {cores}"
    for cores in ({0}, {0, 1})
)


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        (["verify"], [*NOT_NEEDED, "-n", "2", "cases/"]),
        (["test"], ["-n", "2", "--dist", "worksteal", "tests/"]),
        (["test", "-k", "a or b", "-x"], ["tests/", "-k", "a or b", "-x"]),
        (["test", "-k", "/"], ["tests/", "-k", "/"]),
        (
            ["verify", "cases/test_sine.py::test_it[a b]"],
            [*NOT_NEEDED, "cases/test_sine.py::test_it[a b]"],
        ),
        (["verify", "-x", str(Path(__file__))], [*NOT_NEEDED, "-x", str(Path(__file__))]),
        (
            ["verify", "--r", "live", "--baseline=old.json", "--device", "cuda", "--runslow"],
            [
                *NOT_NEEDED,
                "cases/",
                "--parity-r",
                "live",
                "--parity-baseline=old.json",
                "--parity-device",
                "cuda",
                "--runslow",
            ],
        ),
    ],
)
def test_pytest_gets_the_folder_and_the_arguments(
    checkout: Checkout, given: list[str], passed: list[str]
) -> None:
    """From any working directory pytest runs in the checkout, by .venv's Python, with rpy2 told its
    mode.
    """
    answer = json.loads(checkout.run(*given, played=TWO_CORES).stdout)
    root = str(checkout.root)
    assert answer == {
        "arguments": passed,
        "folder": root,
        "python": f"{root}/.venv",
        "NNET_PARITY_R": None,
        "RPY2_CFFI_MODE": "ABI",
    }


@pytest.mark.parametrize(
    ("option", "is_shared"),
    [
        (["-q"], True),
        (["-rs"], True),
        (["--parity-baseline", __file__], True),
        (["--report-dir", str(PROJECT)], True),
        (["--ignore", "cases/test_speed.py"], True),
        (["--junitxml=build/report/junit.xml"], True),
        (["--color=yes"], True),
        (["-x"], False),
        (["-vx"], False),
        (["-s"], False),
        (["--maxfail=2"], False),
        (["--pdb"], False),
        (["-k", "sine"], False),
        (["-n", "3"], False),
        (["-n0"], False),
        (["--dist=loadfile"], False),
        (["--speed"], False),
        (["--ahead"], False),
        (["--device", "cuda"], False),
        (["--parity-require-device=cuda"], False),
        (["--snapshot-update"], False),
        (["--collectonly"], False),
        (["--setup-plan"], False),
        (["--fixtures"], False),
        (["-p", "no:xdist"], False),
        (["cases/test_sine.py::test_it"], False),
    ],
)
def test_whole_folders_are_shared_between_two_processes(
    checkout: Checkout, option: list[str], is_shared: bool
) -> None:
    """Where two cores are (played), unless an option asks for one process or says how many."""
    passed = json.loads(checkout.run("verify", *option, played=TWO_CORES).stdout)["arguments"]
    assert ("-n 2" in " ".join(passed)) is is_shared


@pytest.mark.parametrize(
    "option", ["--baseline", "--keep", "--parity-report-dir", "--deselect", "-o"]
)
def test_a_path_that_an_option_takes_names_no_tests(checkout: Checkout, option: str) -> None:
    """The folder of the command stays beside it: pytest would run all folders of the ini file."""
    passed = json.loads(checkout.run("verify", option, __file__).stdout)["arguments"]
    assert "cases/" in passed


def test_one_core_runs_one_process(checkout: Checkout) -> None:
    """Two processes on one core (played) would only load everything twice."""
    passed = json.loads(checkout.run("verify", played=ONE_CORE).stdout)["arguments"]
    assert passed == [*NOT_NEEDED, "cases/"]


def test_the_exit_code_is_that_of_pytest(checkout: Checkout) -> None:
    """Whatever pytest ends with, the launcher ends with."""
    assert checkout.run("test", CODE="5").returncode == 5


def test_without_apt_the_line_to_run_is_printed(without_r: Checkout, approved: Approved) -> None:
    """Where R is missing and there is no apt, one line says what to run, one that the run goes
    on.
    """
    answer = without_r.run("verify")
    assert answer.returncode == 0
    approved(answer.stderr)
    assert json.loads(answer.stdout)["NNET_PARITY_R"] is None


def test_who_is_not_root_gets_the_line_to_run(without_r: Checkout, approved: Approved) -> None:
    """Where R is missing and the user is not root (played), apt is not called and one line says
    what to run.
    """
    program(without_r.programs, "apt-get", "exit 99")
    answer = without_r.run("verify", played="os.geteuid = lambda: 1000")
    assert answer.returncode == 0
    approved(answer.stderr)


def test_root_gets_r_through_apt_and_is_told_before(
    without_r: Checkout, approved: Approved
) -> None:
    """As root (played) the packages are named, with the way to leave them out, before apt (a script
    here) is asked.
    """
    program(without_r.programs, "apt-get", 'echo "$DEBIAN_FRONTEND $*" >>"${0}.log"')
    answer = without_r.run("verify", played="os.geteuid = lambda: 0")
    assert answer.returncode == 0
    approved(answer.stderr)
    assert (without_r.programs / "apt-get.log").read_text().splitlines() == [
        "noninteractive update",
        "noninteractive install -y --no-install-recommends r-base-core r-cran-nnet make",
    ]


def ask_on_a_terminal(checkout: Checkout, answer: str) -> str:
    """Runs verify as root (played) on a terminal, gives an answer there; returns what is shown."""
    parent, child = pty.openpty()
    run = subprocess.Popen(
        checkout.command("verify", played="os.geteuid = lambda: 0"),
        env=checkout.environment(),
        cwd=checkout.programs,
        stdin=child,
        stdout=subprocess.DEVNULL,
        stderr=child,
    )
    os.close(child)
    os.write(parent, answer.encode())
    shown = b""
    with suppress(OSError):  # the terminal is closed: the run has ended
        while part := os.read(parent, 1000):
            shown += part
    os.close(parent)
    assert run.wait(30) == 0
    return shown.decode()


@pytest.mark.parametrize(("answer", "is_run"), [("n\n", False), ("\n", True)])
def test_root_is_asked_on_a_terminal(without_r: Checkout, answer: str, is_run: bool) -> None:
    """On a terminal apt (a script here) is called only after a yes, or Return."""
    program(without_r.programs, "apt-get", 'echo "$*" >>"${0}.log"')
    shown = ask_on_a_terminal(without_r, answer)
    assert "run.py: go on? [Y/n]" in shown
    assert (without_r.programs / "apt-get.log").exists() is is_run
    assert ("going on without R" in shown) is not is_run


@pytest.mark.parametrize("command", ["types", "lint"])
def test_what_needs_no_r_asks_for_none(without_r: Checkout, command: str) -> None:
    """Types and style are checked without R: nothing is said of it, and apt is not called."""
    program(without_r.programs, "apt-get", "touch ${0}.called")
    answer = without_r.run(command, played="os.geteuid = lambda: 0")
    assert said(answer.stderr) == []
    assert not (without_r.programs / "apt-get.called").exists()


def test_when_apt_fails_its_words_are_shown(without_r: Checkout, approved: Approved) -> None:
    """An apt that fails is quoted in full, and the run goes on without R."""
    program(without_r.programs, "apt-get", "echo no route to the mirror; exit 100")
    answer = without_r.run("verify", played="os.geteuid = lambda: 0")
    assert answer.returncode == 0
    assert "no route to the mirror" in answer.stderr
    approved(answer.stderr)


def test_only_what_is_missing_is_asked_for(checkout: Checkout, without_r: Checkout) -> None:
    """R without nnet, as Debian's r-base-core has it, lacks r-cran-nnet alone."""
    program(without_r.programs, "make")
    program(without_r.programs, "R", f"R_HOME_DIR={without_r.programs}")
    assert (
        without_r.run("verify")
        .stderr.splitlines()[0]
        .endswith("--no-install-recommends r-cran-nnet")
    )


def test_without_venv_the_run_ends_there(
    checkout: Checkout, tmp_path: Path, approved: Approved
) -> None:
    """Where Python has no ensurepip (played), as on a bare Debian, nothing can be set up: the line
    to run, and 1.
    """
    new = new_checkout(tmp_path / "new")
    answer = new.run(
        "verify", played="import importlib.util; importlib.util.find_spec = lambda name: None"
    )
    assert answer.returncode == 1
    approved(answer.stderr)


def test_what_the_system_refuses_is_quoted(tmp_path: Path, approved: Approved) -> None:
    """A file that is gone, say: one line, and 1."""
    new = new_checkout(tmp_path / "new")
    (new.root / "requirements.txt").unlink()
    answer = new.run("verify")
    assert answer.returncode == 1
    approved(answer.stderr)


def test_no_r_asks_for_nothing_and_tells_the_library(without_r: Checkout) -> None:
    """`--no-r`, wherever it stands, leaves apt alone and reaches the library as
    NNET_PARITY_R=recorded.
    """
    answers = [
        without_r.run("--no-r", "verify", played=ONE_CORE),
        without_r.run("verify", "--no-r", played=ONE_CORE),
        without_r.run("verify", NNET_PARITY_R="recorded", played=ONE_CORE),
    ]
    assert [answer.stderr for answer in answers] == ["", "", ""]
    assert all(json.loads(answer.stdout)["NNET_PARITY_R"] == "recorded" for answer in answers)
    assert all(
        json.loads(answer.stdout)["arguments"] == [*NOT_NEEDED, "cases/"] for answer in answers
    )


def change_the_pins(checkout: Checkout) -> None:
    with (checkout.root / "requirements.txt").open("a") as pins:
        pins.write("# newer\n")


def test_new_pins_are_installed_into_the_same_venv(checkout: Checkout, approved: Approved) -> None:
    """A change of requirements.txt costs one pip install, not a new .venv."""
    (checkout.root / ".venv" / "kept").touch()
    change_the_pins(checkout)
    approved(said(checkout.run("verify").stderr))
    assert (checkout.root / ".venv" / "kept").exists()


def test_a_package_is_installed_only_with_its_hash(checkout: Checkout, tmp_path: Path) -> None:
    """A file whose SHA-256 is not that of its pin is refused by pip, and the set-up ends with 1."""
    assert checkout.run("verify").returncode == 0
    pins, stamp = checkout.root / "requirements.txt", checkout.root / ".venv" / "set-up-complete"
    whole = {path: path.read_text() for path in (pins, stamp)}
    for name, is_right in (("right", True), ("wrong", False)):
        wheel = tmp_path / f"{name}-1-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as file:
            file.writestr(f"{name}.py", "")
            metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n"
            file.writestr(f"{name}-1.dist-info/METADATA", metadata)
            file.writestr(f"{name}-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
            file.writestr(f"{name}-1.dist-info/RECORD", "")
        digest = sha256(wheel.read_bytes()).hexdigest() if is_right else "0" * 64
        pins.write_text(f"{name}==1 \\\n    --hash=sha256:{digest}\n")
        answer = checkout.run("verify", PIP_FIND_LINKS=str(tmp_path))
        assert answer.returncode == (0 if is_right else 1), answer.stderr
        assert ("DO NOT MATCH THE HASHES" in answer.stderr) is not is_right
        assert stamp.exists() is is_right
    for path, text in whole.items():  # other tests begin with it
        path.write_text(text)


def test_a_checkout_elsewhere_is_set_up_again(checkout: Checkout, tmp_path: Path) -> None:
    """A .venv knows its own path: copied or moved with its checkout, it is made anew."""
    shutil.copytree(checkout.root, tmp_path / "elsewhere", symlinks=True)
    answer = Checkout(tmp_path / "elsewhere", checkout.programs).run("verify")
    assert said(answer.stderr)
    assert json.loads(answer.stdout)["python"] == str(tmp_path / "elsewhere" / ".venv")


def test_an_interrupted_set_up_ends_cleanly_and_is_mended(
    checkout: Checkout, approved: Approved
) -> None:
    """Ctrl-C in the middle of pip ends with 130 and no traceback; the next run makes the half-made
    .venv whole.
    """
    change_the_pins(checkout)
    interrupted = checkout.start("verify", SECONDS="30")
    interrupted.send_signal(signal.SIGINT)
    out, err = interrupted.communicate(timeout=20)
    assert interrupted.returncode == 130
    assert "Traceback" not in out + err
    approved(err.splitlines()[-1])
    assert not (checkout.root / ".venv" / "set-up-complete").exists()

    (checkout.root / ".venv" / "half made").touch()
    assert checkout.run("verify").returncode == 0
    assert not (checkout.root / ".venv" / "half made").exists()
    assert (checkout.root / ".venv" / "set-up-complete").exists()


def test_two_set_ups_do_not_meet_in_one_venv(checkout: Checkout, approved: Approved) -> None:
    """Of two runs at once the second waits, says so, and finds everything done."""
    change_the_pins(checkout)
    first = checkout.start("verify", SECONDS="1")
    second = checkout.run("test")
    first.communicate(timeout=20)
    assert first.returncode == 0
    approved(second.stderr)
    assert json.loads(second.stdout)["arguments"][-1] == "tests/"


def test_a_set_up_that_fails_is_quoted(checkout: Checkout, approved: Approved) -> None:
    """pip's words are shown when it fails, with what to do; no stamp says that .venv is whole, as
    after Ctrl-C.
    """
    change_the_pins(checkout)
    failed = checkout.run("verify", BUILD="fails")
    assert failed.returncode == 1
    assert "the disk is full, says the small project" in failed.stderr
    approved(said(failed.stderr))
    assert failed.stderr.splitlines()[-1] == said(failed.stderr)[-1]
    assert not (checkout.root / ".venv" / "set-up-complete").exists()


def test_pip_compiles_for_who_keeps_no_bytecode(checkout: Checkout) -> None:
    """Else Python compiles what a run imports, an eighth of the modules, as is approved above."""
    change_the_pins(checkout)
    keeps_none = checkout.run("verify", BUILD="fails", PYTHONDONTWRITEBYTECODE="1")
    assert "-m pip install --no-deps" in keeps_none.stderr
