"""`nnet_parity` is the one door to the public names: all of them, lazily, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

import harness
import nnet_parity
import reference
from tests.conftest import Approved

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("package", [harness, reference], ids=["harness", "reference"])
def test_the_door_has_every_public_name(package: object) -> None:
    """Those that a package exports, no more and no fewer, and the very same things."""
    source = Path(str(package.__file__)).read_text(encoding="utf-8")
    exported = {
        line.rpartition(" as ")[2] for line in source.splitlines() if line.startswith("from ")
    }
    name = str(package.__name__)
    assert set(nnet_parity.PUBLIC[name]) == exported
    assert all(getattr(nnet_parity, each) is getattr(package, each) for each in exported)


def test_the_door_loads_nothing_before_a_name_is_used() -> None:
    """In a Python of its own."""
    script = """
import sys
import nnet_parity, nnet_parity.plugin
heavy = "harness", "reference", "numpy", "scipy", "torch", "jinja2"
print(*(name for name in heavy if name in sys.modules))
from nnet_parity import Case, Network, starts
print(Case.__module__, Network.__module__, starts.__name__, "torch" in sys.modules)
"""
    said = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines() == [
        "",
        "harness.judging.case reference.mathematics.network reference.training.starts False",
    ]


def test_another_name_is_no_name_of_ours(approved: Approved) -> None:
    """As any module says it."""
    with approved.raises(AttributeError):
        _ = nnet_parity.Cases  # type: ignore[attr-defined]
    assert "Cases" not in dir(nnet_parity)
    assert "verify" in dir(nnet_parity)


def test_an_old_name_is_explained(approved: Approved) -> None:
    """With the line to write in its place."""
    with approved.raises(ImportError):
        from nnet_parity import Prototype  # type: ignore[attr-defined]  # noqa: F401
