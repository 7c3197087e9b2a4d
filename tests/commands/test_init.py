"""`nnet-parity init` writes a test of a model that runs as it stands."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.commands.conftest import Verb
from tests.commands.models import MODELS
from tests.conftest import Approved, Mine

NAMES = ("SineNet", "Dual", "Deep", "Classes", "Gelu", "Convolution", "Images", "Square")


def test_a_test_is_written_of_each_kind_of_model(
    verb: Verb, tmp_path: Path, approved: Approved
) -> None:
    """What is printed, and the whole file: networks, several layers, a guess, another model."""
    for name in NAMES:
        code, said = verb("init", f"model.py:{name}")
        assert code == 0
        approved(said)
    for path in sorted(tmp_path.glob("test_*.py")):
        text = path.read_text()
        approved(text)
        comments = text.replace("\n# ", " ").splitlines()  # each on one line
        approved([line for line in comments if line.startswith(" ") and line[1] != " "])
    assert len(list(tmp_path.glob("test_*.py"))) == len(NAMES)


@pytest.mark.parametrize(
    ("name", "passed"), [("SineNet", 8), ("Dual", 8), ("Deep", 8), ("Classes", 8), ("Square", 8)]
)
def test_what_is_written_passes_as_it_stands(
    verb: Verb, mine: Mine, name: str, passed: int
) -> None:
    """By NumPy alone, so that R is not needed."""
    folder = mine.pytester.path
    (folder / "model.py").write_text(MODELS)
    file = folder / "test_mine.py"
    assert verb("init", f"{folder}/model.py:{name}", "-o", str(file))[0] == 0
    file.write_text(file.read_text().replace("[r_nnet, numpy_net]", "[numpy_net]"))
    sys.modules.pop("model", None)
    mine.pytest().assert_outcomes(passed=passed)


def test_a_guess_says_where_the_model_goes_wrong(verb: Verb, mine: Mine) -> None:
    """The test of a model that calls GELU is no error in its parameters: its outputs fail."""
    folder = mine.pytester.path
    (folder / "model.py").write_text(MODELS)
    assert verb("init", f"{folder}/model.py:Gelu")[0] == 0
    sys.modules.pop("model", None)
    result = mine.pytest("-k", "float64-forward-vs-numpy_net")
    result.assert_outcomes(failed=1)
    assert "forward differs by" in result.stdout.str()


def test_a_file_that_is_there_stays(verb: Verb, tmp_path: Path, approved: Approved) -> None:
    """Also if it is a link that leads nowhere; -o gives another name."""
    (tmp_path / "test_sine_net.py").write_text("mine")
    code, said = verb("init", "model.py:SineNet")
    assert code == 2
    approved(said)
    assert (tmp_path / "test_sine_net.py").read_text() == "mine"
    (tmp_path / "link.py").symlink_to("nowhere.py")
    assert verb("init", "model.py:SineNet", "-o", "link.py")[0] == 2
    assert verb("init", "model.py:SineNet", "-o", "test_other.py")[0] == 0


def test_a_model_in_a_package_is_imported_as_pytest_imports_it(verb: Verb, tmp_path: Path) -> None:
    """From the folder above all packages; a function that builds a model is a model."""
    package = tmp_path / "theirs" / "nets"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package / "net.py").write_text(MODELS)
    assert verb("init", "theirs/nets/net.py:make")[0] == 0
    text = (package / "test_make.py").read_text()
    assert "from theirs.nets.net import make\n" in text


@pytest.mark.parametrize("name", ["Wide", "Broken", "built", "function", "nothing", "torch"])
def test_what_is_no_model_is_told_in_a_sentence(
    verb: Verb, tmp_path: Path, name: str, approved: Approved
) -> None:
    """Nothing is written then."""
    code, said = verb("init", f"model.py:{name}")
    assert code == 2
    approved(said)
    assert not list(tmp_path.glob("test_*.py"))
