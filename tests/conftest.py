"""A pytest of its own, in a folder of its own, for files that a user might have written."""

import gc
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.warm import THREADS, write_client

pytest_plugins = ["pytester"]

os.environ.update(dict.fromkeys(THREADS, "1"))  # waiting threads would take the cores

# a background job of a shell: what it starts would inherit that
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the short selfcheck first. Processes of xdist that share its tests, as at the end of a
    run, would each make it, which takes half a minute.
    """
    items.sort(key=lambda item: item.path.name != "test_selfcheck.py")


def pytest_collection_finish() -> None:
    """Exclude what is imported and collected by now (most of a million objects) from the collection
    of garbage, and collect less often: that took 4 to 9 % of the tests' CPU time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


ROOT = Path(__file__).parents[1]
IMPORTS = """\
import torch
from torch import nn

from harness import Case, Contrast, Subject, verify
from reference import Crossed, Network, numpy_net, probes, r_nnet

"""
SINE_NET = """
class SineNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(1, 4)
        self.output = nn.Linear(4, 1)

    def forward(self, x):
        {forward}


"""
RIGHT = "return self.output(torch.sigmoid(self.hidden(x)))"


NAME = r"(?P<name>\b[A-Za-z]\w*(?:-\w+)+)"  # sine-1-4-1: its figures are no results
FIGURE = re.compile(
    NAME + r"|(?<![\w.=])[-−+±]?(?:\d+(?:,\d{3})*(?:\.\d+)?|inf|nan)(?:e[-−+]?\d+)?(?![\w])"
)
# which is worst, figures decide
KIND = re.compile(r"\((?:exact|few-term|saturated|random|53-bit|\d+-row|crossed) draw ")
MASKS = (  # what differs between machines and days, and what stands for it
    # three parts: "R 4.2 or newer" is ours
    (re.compile(r"\b(R|Python|nnet) \d+\.\d+[.-]\d+"), r"\1 <version>"),
    (re.compile(r"\b(torch|NumPy|numpy|scipy) \d+\.\d+\.\d+(?:[\w.+]*\w)?"), r"\1 <version>"),
    (re.compile(r"\b(JAX|ONNX Runtime) \d+\.\d+\.\d+"), r"\1 <version>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:T[\d:.]+(?:\+[\d:]+)?)?"), "<date>"),
    (re.compile(r"\b(\w+\.py):\d+"), r"\1:<line>"),  # files grow
    (re.compile(r"\b\d+ kB\b"), "<size>"),  # of a file: its digits pack as they may
    (re.compile(r"\bgw\d+\b"), "<worker>"),  # xdist gives a trial to whoever is free
    # by which wheel was installed
    (re.compile(r"\bbuilt (?:without CUDA|for CUDA [\d.]+)"), "built <for>"),
    # by where the Python lies
    (re.compile(r"\breproduce: (?:<python>|\S*/python[\d.]*) "), "reproduce: python "),
    (re.compile(r"\bat 0x[0-9a-f]+"), "at <address>"),  # where an object lies in memory
)


def masked(text: str, folders: dict[str, Path], figures: bool) -> str:
    """A sentence without what differs between machines: folders, versions, dates and, if asked,
    figures.
    """
    for name, folder in folders.items():
        text = text.replace(str(folder), f"<{name}>")
    for pattern, instead in MASKS:
        text = pattern.sub(instead, text)
    if figures:
        text = FIGURE.sub(lambda found: found["name"] or "#", KIND.sub("(<kind> draw ", text))
    return text


class Approved:
    """Compares what a user can see with `__snapshots__` beside the test, which `python3 run.py test
    --snapshot-update` renews.

    `approved(text)` compares one text, `approved(lines)` several, `with
    approved.raises(ValueError):` what an error says. What differs between machines is masked:
    folders, versions and dates always, figures where `mask_figures=True`. A test may call it
    several times.
    """

    def __init__(self, snapshot: SnapshotAssertion, folders: dict[str, Path]) -> None:
        self.snapshot, self.folders = snapshot, folders

    def __call__(self, said: Any, mask_figures: bool = False) -> None:
        text = said if isinstance(said, str) else "\n".join(map(str, said))
        assert text.strip(), "there is nothing to approve: was it found?"
        assert masked(text, self.folders, mask_figures) == self.snapshot

    @contextmanager
    def raises(
        self,
        kind: type[BaseException] | tuple[type[BaseException], ...],
        mask_figures: bool = False,
    ) -> Iterator[pytest.ExceptionInfo[BaseException]]:
        """`pytest.raises`, and its words are approved."""
        with pytest.raises(kind) as error:
            yield error
        self(str(error.value), mask_figures)


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """Hide from the programs that tests start that this run is in CI or shared by pytest-xdist.

    In CI, pytest repeats a failure in its summary; pytest-benchmark and syrupy ask the environment
    whether they are in a worker of xdist's.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name in ("CI", "BUILD_NUMBER") or name.startswith("PYTEST_XDIST_"):
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def warm_python() -> Iterator[str]:
    """A Python that starts with torch, harness and reference imported (see warm.py): an executable.

    For programs whose start-up, imports and signals are not what is tested.
    """
    with TemporaryDirectory(prefix="warm-") as folder, socket.socket(socket.AF_UNIX) as listener:
        at, client = Path(folder, "socket"), Path(folder, "python")
        listener.bind(str(at))
        listener.listen()
        write_client(client, at)
        server = subprocess.Popen(
            [sys.executable, str(ROOT / "tests/warm.py"), str(listener.fileno())],
            env={**os.environ, **dict.fromkeys(THREADS, "1")},
            stdin=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
        )
        yield str(client)
        server.terminate()
        server.wait()


@pytest.fixture
def approved(
    snapshot: SnapshotAssertion,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Approved:
    """Compares what a user can see with approved files."""
    folders = {"base": tmp_path_factory.getbasetemp(), "python": Path(sys.executable)}
    folders["project"] = Path(__file__).parents[1]  # the Python may lie in it
    if "pytester" in request.fixturenames:
        folders = {"folder": request.getfixturevalue("pytester").path, **folders}
    if "tmp_path" in request.fixturenames:
        folders = {"tmp": request.getfixturevalue("tmp_path"), **folders}
    return Approved(snapshot, folders)


def unfolded(lines: Iterable[str]) -> list[str]:
    """Lines of the screen as they are before they are folded, which versions and figures of other
    lengths change.
    """
    joined: list[str] = []
    for line in lines:
        if line.startswith("    ") and not line.startswith(12 * " ") and joined:
            joined[-1] += f" {line.strip()}"
        else:
            joined.append(line)
    return joined


class Mine:
    """A user's folder with one test file: `write` it, run `pytest`, read the report."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.text = ""

    def write(self, *parts: str) -> None:
        """test_mine.py, out of parts."""
        self.text = IMPORTS + "\n".join(parts)
        (self.pytester.path / "test_mine.py").write_text(self.text, encoding="utf-8")

    def write_sine(self, forward: str = RIGHT, before: str = "", **case: str) -> None:
        """test_mine.py with SineNet, whose forward this is, and its case; what is not given is
        right, and small.
        """
        self.write(SINE_NET.format(forward=forward), before, self.case("test_sine", **case))

    @staticmethod
    def case(test: str, **given: str) -> str:
        """`test = verify(Case(...))`, arguments as they are written in a file."""
        arguments = {
            "name": '"sine-1-4-1"',
            "network": 'Network(inputs=1, hidden=4, outputs=1, activation="logistic")',
            "subjects": "[SineNet]",
            "references": "[numpy_net]",
            "problems": "probes(seed=0, draws=3, kinds=['few-term', 'random'])",
            **given,
        }
        return (
            f"{test} ="
            f" verify(Case({', '.join(f'{name}={value}' for name, value in arguments.items())}))\n"
        )

    def pytest_apart(self, python: str, *arguments: str, processes: int = 0) -> pytest.RunResult:
        """Run pytest here by an executable Python, alone or in so many processes of xdist's."""
        shared = ["-p", "xdist", "--dist=load", f"--tx={processes}*popen//python={python}"]
        options = [f"--basetemp={self.pytester.path / 'temporary'}", *(shared if processes else [])]
        return self.pytester.run(python, "-m", "pytest", *options, *arguments)

    def pytest(self, *arguments: str, no_reraise_ctrlc: bool = False) -> pytest.RunResult:
        """Run pytest here, in this process, with our plugin alone, whether it is installed or not.

        With `no_reraise_ctrlc`, what interrupts it does not interrupt us.
        """
        from nnet_parity import plugin

        how = {"plugins": [plugin], "no_reraise_ctrlc": no_reraise_ctrlc}
        return self.pytester.runpytest_inprocess(*arguments, **how)

    def line_of(self, start: str) -> int:
        """The number of the line of test_mine.py that begins so."""
        return next(
            number for number, line in enumerate(self.text.split("\n"), 1) if line.startswith(start)
        )

    def results(self, folder: str = "build/report") -> dict[str, Any]:
        """results.json; fails for what is not JSON by the letter."""

        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is not JSON")

        path = self.pytester.path / folder / "results.json"
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)
        return found

    def markdown(self) -> str:
        """report.md."""
        return (self.pytester.path / "build/report/report.md").read_text(encoding="utf-8")


def title_of(lines: list[str]) -> int:
    """The number of the line that is the title of our part of the end screen."""
    return next(
        number for number, line in enumerate(lines) if re.fullmatch("=+ nnet-parity: .+ =+", line)
    )


def baseline_of(result: pytest.RunResult) -> list[str]:
    """The lines of the comparison with a baseline, which stands before our part of the end screen;
    first its title.
    """
    lines = result.outlines
    end = title_of(lines)
    start = next(
        number for number in reversed(range(end)) if re.fullmatch("=+ .+ =+", lines[number])
    )
    return [lines[start].strip("= "), *filter(None, lines[start + 1 : end])]


def screen_of(result: pytest.RunResult) -> list[str]:
    """The lines of our part of the end screen, without its title and what follows the report's
    place; columns are two spaces apart.
    """
    return part_of(result.outlines)


def part_of(lines: list[str]) -> list[str]:
    """The same, of a screen that is given line by line."""
    start = title_of(lines)
    end = next(
        number for number, line in enumerate(lines) if number > start and line.startswith("report")
    )
    return narrowed(lines[start + 1 : end + 1])


def narrowed(lines: Iterable[str]) -> list[str]:
    """Lines whose columns are two spaces apart, however long their texts are, and without the
    heading of the columns.
    """
    shown = [re.sub(r"(?<=\S) {2,}", "  ", line.rstrip()) for line in lines if line.strip()]
    return [line for line in shown if not re.fullmatch(r" +checks  bound used(  against)?", line)]


def at_collection(result: pytest.RunResult) -> str:
    """What is said of test_mine.py, which could not be collected: one line."""
    start = next(
        number
        for number, line in enumerate(result.outlines)
        if "ERROR collecting test_mine.py" in line
    )
    assert result.outlines[start + 2].startswith("====")
    return result.outlines[start + 1]


@pytest.fixture(scope="session")
def loaded() -> None:
    """What a run of its own is the first to load is unloaded after it, and torch cannot be loaded
    twice.
    """
    import jinja2  # noqa: F401
    import scipy.optimize  # noqa: F401
    import threadpoolctl  # noqa: F401
    import torch

    import harness.drawing.figures
    import harness.plugin.plugin
    import harness.shadow.shadow  # noqa: F401
    import reference.explaining.likely  # noqa: F401

    torch.optim.SGD([torch.zeros(1, requires_grad=True)])  # the first optimiser loads half of torch


@pytest.fixture
def mine(loaded: None, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Mine:
    """A folder for a user's file; what this run of pytest was told by its surroundings does not
    reach the inner one.
    """
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("COLUMNS", "250")  # no sentence is shortened
    monkeypatch.setenv("NNET_PARITY_DEVICES", "cpu")
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    # a file is written twice within the second
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    return Mine(pytester)


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes these programs all that there is on PATH, and gives the folder that they are in."""
    everything, folder = os.environ["PATH"], tmp_path / "only these"

    def hide(*programs: str) -> Path:
        folder.mkdir()
        for name in programs:
            (folder / name).symlink_to(
                shutil.which(name, path=everything) or pytest.skip(f"{name} is not here")
            )
        monkeypatch.setenv("PATH", str(folder))
        monkeypatch.delenv("R_HOME", raising=False)
        return folder

    return hide


@pytest.fixture
def without_r(only: Callable[..., Path]) -> Iterator[None]:
    """A machine on which R is not found; what was started before is ended."""
    from reference.r.nnet_reference import LIVE

    LIVE.close()
    only()
    yield
    LIVE.close()


@pytest.fixture
def without_nnet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live_r: None) -> None:
    """A machine whose R has no such package."""
    home, real = tmp_path / "R", Path(subprocess.check_output(["R", "RHOME"], text=True).strip())
    (home / "library").mkdir(parents=True)
    for entry in (*real.iterdir(), *(real / "library").iterdir()):
        if entry.name not in ("library", "nnet"):
            (home / entry.relative_to(real)).symlink_to(entry)
    for name in ("R_LIBS", "R_LIBS_SITE", "R_LIBS_USER"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("R_ENVIRON", os.devnull)  # Debian's site file names the real library
    monkeypatch.setenv("R_HOME", str(home))


@pytest.fixture
def without_rpy2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live_r: None) -> None:
    """A machine whose Python has none."""
    (tmp_path / "rpy2.py").write_text("raise ModuleNotFoundError(\"No module named 'rpy2'\")")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.fixture
def live_r() -> None:
    """Skips where R's nnet does not answer."""
    from reference import Network, r_nnet

    if os.environ.get("NNET_PARITY_R") == "recorded":
        pytest.skip("R was left out")
    if why := r_nnet.cannot_answer(Network(1, 4, 1, "logistic"), "forward"):
        pytest.skip(why)
