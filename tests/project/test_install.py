"""What a user writes works in a folder of its own, once the project is installed, from a wheel or
as editable.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import Approved, part_of, unfolded

ROOT = Path(__file__).parents[2]
DISTRIBUTED = (
    "harness",
    "reference",
    "nnet_parity",
    "build_backend.py",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)
TYPED = """
from nnet_parity import Contract, Network

width: str = Network(1, 4, 1).hidden
network = Network(1, 4, 1, activation="sigmoid")
reveal_type(Contract())
"""
# mypy reads ours, and not the large packages that ours import
QUICK = """
[mypy]
[mypy-torch.*,numpy.*,scipy.*,matplotlib.*,jinja2.*,pytest.*,_pytest.*,msgspec.*]
follow_imports = skip
"""
MODELS = """
from torch import nn


class SineNet(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(1, 4), nn.Sigmoid(), nn.Linear(4, 1))
"""
CASE = '''"""Does my port of the sine network compute what R's nnet computes?"""
from harness import Case, verify
from reference import Network, numpy_net, probes, r_nnet
from my_models import SineNet

test_sine = verify(Case(
    name="sine-1-4-1",
    network=Network(inputs=1, hidden=4, outputs=1, activation="logistic"),
    subjects=[SineNet],
    references=[r_nnet, numpy_net],
    problems=probes(seed=0),
))
'''


def ran(*command: str | Path, folder: Path) -> str:
    """What a command prints; it must succeed."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    found = subprocess.run(
        list(map(str, command)), cwd=folder, env=env, capture_output=True, text=True, timeout=300
    )
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Installs the project in a way, once, and gives the Python that has it."""
    return cache(lambda kind: install(kind, tmp_path_factory.mktemp(kind)))


@pytest.fixture(params=["wheel", "editable"])
def python(request: pytest.FixtureRequest, environments: Callable[[str], Path]) -> Path:
    """The Python of an environment that has the project, installed in this way."""
    return environments(request.param)


def install(kind: str, tmp_path: Path) -> Path:
    """The Python of a fresh environment, which has this one's packages and an installation of the
    project.
    """
    source, home = tmp_path / "source", tmp_path / "venv"
    source.mkdir()
    for name in DISTRIBUTED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    ran(sys.executable, "-m", "venv", "--without-pip", home, folder=tmp_path)
    python = home / "bin" / "python"
    site = ran(
        python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=tmp_path
    ).strip()
    Path(site, "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    given: list[str | Path] = ["-e", source]
    if kind == "wheel":
        ran(
            *pip,
            "wheel",
            "--no-deps",
            "--no-build-isolation",
            "-w",
            tmp_path,
            source,
            folder=tmp_path,
        )
        given = [next(tmp_path.glob("nnet_parity-*.whl"))]
        shutil.rmtree(source)
    ran(
        *pip,
        "--python",
        python,
        "install",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
        *given,
        folder=tmp_path,
    )
    return python


def test_what_a_user_writes_works_as_written(
    python: Path, tmp_path: Path, approved: Approved
) -> None:
    """In another folder: a line a trial, at the case's own line, and the answer on the screen."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "my_models.py").write_text(MODELS)
    (mine / "test_mine.py").write_text(CASE)
    ours = ran(
        python, "-c", "import harness, reference; print(harness.__file__)", folder=mine
    ).strip()
    assert str(ROOT) not in ours
    assert str(python.parents[2]) in ours
    screen = ran(python, "-m", "pytest", "-v", folder=mine)
    assert "test_mine.py::test_sine[SineNet-cpu-float32-gradient-vs-r_nnet] PASSED" in screen
    approved(unfolded(part_of(screen.split("\n"))), mask_figures=True)
    assert "14 passed" in screen
    assert (mine / "build" / "report" / "index.html").exists()


@pytest.mark.parametrize("python", ["editable"], indirect=True)
def test_type_checkers_see_an_editable_installation(python: Path, tmp_path: Path) -> None:
    """mypy finds the types of public names, and a user's mistake; only our packages can be imported
    from what is installed.
    """
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "typed.py").write_text(TYPED)
    (mine / "mypy.ini").write_text(QUICK)
    options = ["--python-executable", python, "--ignore-missing-imports", "typed.py"]
    command = list(map(str, [sys.executable, "-m", "mypy", *options]))
    said = subprocess.run(command, cwd=mine, capture_output=True, text=True, timeout=300).stdout
    assert "Contract" in said
    assert 'expression has type "int", variable has type "str"' in said
    assert "expected \"Literal['relu', 'tanh', 'logistic', 'identity']\"" in said
    names = ran(
        python, "-c", "import nnet_parity; print(nnet_parity.__path__[0])", folder=mine
    ).strip()
    folder = Path(names).parent
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    assert packages == {"harness", "nnet_parity", "reference"}


def test_a_file_system_without_links_gets_a_finder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editable installation works there as well, though type checkers do not see it."""
    import build_backend

    def refuse(self: Path, target: Path) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(build_backend, "EDITABLE", tmp_path / "links")
    monkeypatch.setattr(Path, "symlink_to", refuse)
    built: list[str] = []
    monkeypatch.setattr(
        build_backend.build_meta, "build_editable", lambda *given: built.append(os.getcwd())
    )
    before = os.getcwd()
    build_backend.build_editable(str(tmp_path))
    assert built == [before]
