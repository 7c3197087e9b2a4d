"""Somebody's own `harness` or `reference`: both places are named, with what to do, and theirs is let be."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from reference import doctor

ROOT = Path(__file__).parents[1]
CASE = """
from harness import Case, verify
from reference import Network, numpy_net, probes

def test_of_another_kind(): pass
"""
THEIRS = "def mine(): return 1\n"
UNRELATED = "from harness import mine\n\ndef test_mine(): assert mine() == 1\n"
ADVICE = (
    "rename yours, or start in another folder (`pytest` does not look into the working folder as `python -m pytest`"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder, where the project is found as if it were installed, after what stands in the folder."""
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


@pytest.mark.parametrize("name", ["harness", "reference"])
def test_theirs_in_the_place_of_ours(folder: Path, name: str) -> None:
    """A case file cannot be imported; what was found, what was expected, and what to do."""
    theirs = stand(folder, name)
    (folder / "test_mine.py").write_text(CASE)
    code, said = as_module()
    assert code == pytest.ExitCode.INTERRUPTED
    assert f"nnet-parity: `import {name}` finds {theirs}, expected {ROOT / name}: {ADVICE} does)" in said.splitlines()
    assert "Traceback (most recent call last)" not in said


def test_a_module_of_theirs(folder: Path) -> None:
    """A file is no less in the way than a folder."""
    (folder / "harness.py").write_text(THEIRS)
    (folder / "test_mine.py").write_text(CASE)
    assert (
        f"nnet-parity: `import harness` finds {folder / 'harness.py'}, expected {ROOT / 'harness'}: " in as_module()[1]
    )


def test_theirs_works_for_them(folder: Path) -> None:
    """Who has a harness of their own and asks nothing of ours is not disturbed, nor told."""
    stand(folder, "harness")
    (folder / "test_mine.py").write_text(UNRELATED)
    code, said = as_module()
    assert code == 0
    assert "nnet-parity: " not in said


def test_theirs_is_found_where_nothing_of_ours_is_used(folder: Path) -> None:
    """Our plugin loads no package of ours before a suite uses us: `pytest` finds theirs too."""
    stand(folder, "harness")
    (folder / "test_mine.py").write_text(UNRELATED)
    code, said = as_program()
    assert code == 0
    assert "nnet-parity: " not in said


def test_ours_in_the_place_of_theirs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where one file uses ours and another theirs, they are told how to have theirs; the line works."""
    theirs = stand(folder, "harness")
    (folder / "test_a.py").write_text("import sys\nsys.path.remove(sys.path[0])\nimport harness\ndef test_a(): pass\n")
    (folder / "test_mine.py").write_text(UNRELATED)
    code, said = as_program()
    assert code == pytest.ExitCode.INTERRUPTED
    assert (
        f"nnet-parity: `import harness` finds {ROOT / 'harness'}, not {theirs / '__init__.py'}: rename yours, or leave "
        "nnet-parity out with `pytest -p no:nnet_parity`"
    ) in said


def test_other_errors_are_not_explained_by_it(folder: Path) -> None:
    """Nothing is said of packages where there is one of each."""
    (folder / "test_mine.py").write_text("import no_such_module")
    code, said = as_program()
    assert code == pytest.ExitCode.INTERRUPTED
    assert "nnet-parity: " not in said


COMMAND = sys.executable, "-c", "from nnet_parity.console import main; raise SystemExit(main())", "doctor"


def test_the_command_says_the_same(folder: Path) -> None:
    """It ends with 2, as for all that it cannot use."""
    theirs = stand(folder, "harness")
    sentence = f"nnet-parity: `import harness` finds {theirs}, expected {ROOT / 'harness'}: {ADVICE} does)\n"
    assert run(*COMMAND) == (2, sentence)


def test_a_package_that_the_command_lacks(folder: Path) -> None:
    """The line that mends it in place of a traceback."""
    (folder / "msgspec.py").write_text("raise ModuleNotFoundError(\"No module named 'msgspec'\", name='msgspec')")
    mend = f"{sys.executable} -m pip install msgspec"
    assert run(*COMMAND) == (2, f"nnet-parity: No module named 'msgspec'. This mends it: {mend}\n")


def test_the_doctor_says_the_same(folder: Path) -> None:
    """pytest starts in this folder and loads another harness."""
    theirs = stand(folder, "harness")
    finding = doctor.plugin()
    assert finding.fails
    assert finding.why.startswith(f"`import harness` finds {theirs}, expected {ROOT / 'harness'}: rename yours, ")
