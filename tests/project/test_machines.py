"""Other machines: who is not root, cannot write, has no network or no R still gets verdicts, and
sentences.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness
from tests.conftest import IMPORTS, RIGHT, SINE_NET, Approved, Mine, part_of, unfolded

ROOT = Path(__file__).parents[2]
NOBODY = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}


def run(
    folder: Path,
    *before: str,
    python: str = sys.executable,
    who: dict[str, object] | None = None,
    **variables: str,
) -> tuple[int, str]:
    """Exit code and what is said by `python -m pytest` in a folder, with the settings of our own
    pyproject.toml.
    """
    env = (
        os.environ
        | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "250"}
        | variables
    )
    asked = [*before, python, "-m", "pytest", "-p", "nnet_parity.plugin"]
    done = subprocess.run(asked, cwd=folder, env=env, capture_output=True, text=True, **(who or {}))  # type: ignore[call-overload]
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that everybody can read, with one small case for both references."""
    place = Path(tempfile.mkdtemp(prefix="machines-"))
    place.chmod(0o755)
    shutil.copy(ROOT / "pyproject.toml", place)
    case = Mine.case(
        "test_sine", references="[r_nnet, numpy_net]", dtypes='["float64"]', checks='["forward"]'
    )
    (place / "cases").mkdir()
    (place / "cases" / "test_mine.py").write_text(IMPORTS + SINE_NET.format(forward=RIGHT) + case)
    yield place
    place.chmod(0o755)
    shutil.rmtree(place)


def test_who_is_not_root_in_a_folder_that_is_read_only(folder: Path, approved: Approved) -> None:
    """Verdicts are the same; that there is no report is said, fails the run, and shows no
    traceback.
    """
    folder.chmod(0o555)
    asked = [
        sys.executable,
        "-c",
        "import sys; from importlib.util import find_spec; open(find_spec('torch').origin);"
        " open(sys.argv[1])",
        harness.__file__,
    ]
    try:
        subprocess.run(asked, capture_output=True, check=True, **NOBODY)  # type: ignore[call-overload]
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip("nobody but root can read this Python or this checkout")
    code, said = run(folder, who=NOBODY, HOME="/nonexistent")
    assert code == 1, said
    approved(line for line in said.splitlines() if line.startswith("report"))
    assert " passed" in said.splitlines()[-1]
    assert "warning" not in said
    assert "Traceback" not in said


def test_no_network_is_needed_once_all_is_installed(folder: Path) -> None:
    """In a network of its own, without even a loopback."""
    alone = "unshare", "--map-root-user", "--net"
    if (
        not shutil.which("unshare")
        or subprocess.run([*alone, "true"], capture_output=True).returncode
    ):
        pytest.skip("unshare cannot make a network of its own here")
    code, said = run(folder, *alone)
    assert code == 0, said
    assert (folder / "build/report/index.html").exists()


def test_without_r_numpy_judges_alone(folder: Path, warm_python: str, approved: Approved) -> None:
    """Its trials are ABSENT, with the line that installs it; the run passes."""
    code, said = run(folder, python=warm_python, PATH=str(folder), R_HOME="")
    assert code == 0, said
    answer, *rest = unfolded(part_of(said.splitlines()))
    approved(answer, mask_figures=True)
    approved(rest)
