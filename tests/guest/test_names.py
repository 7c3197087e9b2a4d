"""Somebody's own `harness` or `reference`: both places are named, with what to do, and theirs is
let be.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from reference.commands import doctor
from tests.conftest import Approved

ROOT = Path(__file__).parents[2]
CASE = """
from harness import Case, verify
from reference import Network, numpy_net, probes

def test_of_another_kind(): pass
"""
THEIRS = "def mine(): return 1\n"
UNRELATED = "from harness import mine\n\ndef test_mine(): assert mine() == 1\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder, where the project is found as if it were installed, after what stands in the
    folder.
    """
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p nnet_parity.plugin -p no:cacheprovider")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*command: str) -> tuple[int, str]:
    """Exit code and all that is said."""
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def as_module(*arguments: str) -> tuple[int, str]:
    """`python -m pytest`, which looks for modules in the working folder first."""
    return run(sys.executable, "-m", "pytest", *arguments)


def as_program(*arguments: str) -> tuple[int, str]:
    """`pytest`, which does not, until it has found files to collect."""
    return run(str(Path(sysconfig.get_path("scripts"), "pytest")), *arguments)


def stand(folder: Path, name: str, text: str = THEIRS) -> Path:
    """A package of theirs."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(text)
    return folder / name


def told(said: str) -> list[str]:
    """The lines that are ours."""
    return [line for line in said.splitlines() if line.startswith("nnet-parity: ")]


@pytest.mark.parametrize("name", ["harness", "reference"])
def test_theirs_in_the_place_of_ours(folder: Path, name: str, approved: Approved) -> None:
    """A case file cannot be imported; what was found, what was expected, and what to do."""
    stand(folder, name)
    (folder / "test_mine.py").write_text(CASE)
    code, said = as_module()
    assert code == pytest.ExitCode.INTERRUPTED
    approved(told(said))
    assert "Traceback (most recent call last)" not in said


def test_a_module_of_theirs(folder: Path, approved: Approved) -> None:
    """A file is no less in the way than a folder."""
    (folder / "harness.py").write_text(THEIRS)
    (folder / "test_mine.py").write_text(CASE)
    approved(told(as_module()[1]))


def test_theirs_works_for_them(folder: Path) -> None:
    """Who has a harness of their own and asks nothing of ours is not disturbed, nor told."""
    stand(folder, "harness")
    (folder / "test_mine.py").write_text(UNRELATED)
    code, said = as_module()
    assert code == 0
    assert not told(said)


def test_theirs_is_found_where_nothing_of_ours_is_used(folder: Path) -> None:
    """Our plugin loads no package of ours before a suite uses us: `pytest` finds theirs too."""
    stand(folder, "harness")
    (folder / "test_mine.py").write_text(UNRELATED)
    code, said = as_program()
    assert code == 0
    assert not told(said)


def test_ours_in_the_place_of_theirs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """Where one file uses ours and another theirs, they are told how to have theirs; the line
    works.
    """
    stand(folder, "harness")
    (folder / "test_a.py").write_text(
        "import sys\nsys.path.remove(sys.path[0])\nimport harness\ndef test_a(): pass\n"
    )
    (folder / "test_mine.py").write_text(UNRELATED)
    code, said = as_program()
    assert code == pytest.ExitCode.INTERRUPTED
    approved(told(said))


def test_other_errors_are_not_explained_by_it(folder: Path) -> None:
    """Nothing is said of packages where there is one of each."""
    (folder / "test_mine.py").write_text("import no_such_module")
    code, said = as_program()
    assert code == pytest.ExitCode.INTERRUPTED
    assert not told(said)


COMMAND = (
    sys.executable,
    "-c",
    "from nnet_parity.console import main; raise SystemExit(main())",
    "doctor",
)


def test_the_command_says_the_same(folder: Path, approved: Approved) -> None:
    """It ends with 2, as for all that it cannot use."""
    stand(folder, "harness")
    code, said = run(*COMMAND)
    assert code == 2
    approved(said)


def test_a_package_that_the_command_lacks(folder: Path, approved: Approved) -> None:
    """The line that mends it in place of a traceback."""
    (folder / "msgspec.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'msgspec'\", name='msgspec')"
    )
    code, said = run(*COMMAND)
    assert code == 2
    assert f"{sys.executable} -m pip install msgspec" in said
    approved(said)


def test_the_doctor_says_the_same(folder: Path, approved: Approved) -> None:
    """pytest starts in this folder and loads another harness."""
    stand(folder, "harness")
    finding = doctor.plugin()
    assert finding.fails
    approved(finding.why)
