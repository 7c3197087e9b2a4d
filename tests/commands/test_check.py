"""`nnet-parity check` judges a model in one command; what people type wrongly is answered."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness.looking import named
from tests.commands.conftest import Verb
from tests.commands.models import MODELS
from tests.conftest import Approved
from tests.fitted.made import make_fit

NET = "model.py:SineNet"


def test_the_version_is_that_of_the_package(verb: Verb) -> None:
    """On one line, with exit code 0."""
    code, said = verb("--version")
    assert code == 0
    assert said.split()[0] == "nnet-parity"


@pytest.mark.parametrize("name", ["check", "init"])
def test_help_has_examples(verb: Verb, name: str, approved: Approved) -> None:
    """They stand in --help, with the exit codes."""
    code, said = verb(name, "--help")
    assert code == 0
    approved(said)


@pytest.mark.parametrize(
    "options",
    [
        f"{NET} --nnet 1-4-1 --linout",
        "model.py:Dual --nnet 5+3-10-4+2 --linout --activation tanh",
        "model.py:Classes --nnet 4-3-3 --softmax --dtype float64",
    ],
)
def test_a_right_model_passes(verb: Verb, options: str) -> None:
    """Against NumPy: exit code 0."""
    code, said = verb("check", *options.split(), "--no-r")
    assert code == 0
    assert "FAIL" not in said


def test_a_right_model_passes_by_live_r(verb: Verb, live_r: None) -> None:
    """R answers unless --no-r says that it is not asked."""
    code, said = verb("check", NET, "--nnet", "1-4-1", "--linout")
    assert code == 0
    assert "live" in said


def test_a_forgotten_option_is_proposed(verb: Verb, tmp_path: Path, approved: Approved) -> None:
    """Outputs of nnet are logistic unless linout says otherwise: exit code 1, and the report."""
    options = ["--nnet", "1-4-1", "--no-r", "--dtype", "float64", "--report-dir", "report"]
    code, said = verb("check", NET, *options)
    assert code == 1
    approved([line for line in said.splitlines() if "if that is your call" in line])
    assert (tmp_path / "report" / "index.html").exists()
    assert list((tmp_path / "report" / "reproducers").glob("*.py"))


@pytest.mark.parametrize(("options", "proposed"), [(["--linout"], False), ([], True)])
def test_an_option_that_was_given_is_not_taken_back(
    verb: Verb, tmp_path: Path, options: list[str], proposed: bool
) -> None:
    """Beside linout, softmax is one activation too many; without it, it may have been forgotten."""
    (tmp_path / "softmax.py").write_text(
        "from torch import nn\ndef build():\n    return nn.Sequential(nn.Linear(2, 4),"
        " nn.Sigmoid(), nn.Linear(4, 3), nn.Softmax(dim=1))\n"
    )
    given = ["--nnet", "2-4-3", *options, "--no-r", "--dtype", "float64"]
    code, said = verb("check", "softmax.py:build", *given)
    assert code == 1
    assert ("one activation too many" in said, "your call of nnet()" in said) == (
        not proposed,
        proposed,
    )


def test_parameters_that_may_be_several_blocks_are_assumed(verb: Verb, approved: Approved) -> None:
    """It is said which; a wrong activation is judged, and the right one proposed."""
    options = ["--nnet", "4-4-4", "--linout", "--no-r", "--dtype", "float64"]
    code, said = verb("check", "model.py:Square", *options)
    assert code == 1
    assert "Square is the wrong one" in said
    approved([line for line in said.splitlines() if "assumed" in line or "your call" in line])


def test_two_models_are_compared(verb: Verb, tmp_path: Path) -> None:
    """With data of a shape, or made by a function; another model fails."""
    (tmp_path / "data.py").write_text(
        "import torch\ndef make(generator):\n    return torch.randn(5, 4, generator=generator)\n"
    )
    text = MODELS.replace("class Square", "class Other").replace(
        "ReLU(), nn.Linear(4", "Tanh(), nn.Linear(4"
    )
    (tmp_path / "original.py").write_text(MODELS)
    (tmp_path / "wrong.py").write_text(text)
    model = "model.py:Square"
    given = ["--like", "original.py:Square", "--dtype", "float32"]
    assert verb("check", model, *given, "--data", "(5, 4)")[0] == 0
    assert verb("check", model, *given, "--data", "data.py:make")[0] == 0
    given = ["--like", "wrong.py:Other", "--dtype", "float32", "--data", "(5, 4)"]
    assert verb("check", model, *given)[0] == 1


def test_a_port_is_judged_by_a_fit(verb: Verb, tmp_path: Path, live_r: None) -> None:
    """A port with other weights than those fitted fails."""
    make_fit(tmp_path / "fit.rds", "fit(y ~ a, d, size = 4)")
    assert verb("check", NET, "--like", "fit.rds")[0] == 1


def test_columns_and_targets_of_a_fit_are_chosen(
    verb: Verb, tmp_path: Path, live_r: None, approved: Approved
) -> None:
    """By their names in the file of rows; the first target is a typing error."""
    make_fit(tmp_path / "fit.rds", "fit(x[, 1], cbind(d$y, d$b), size = 4, linout = TRUE)")
    (tmp_path / "rows.csv").write_text("note,a,y,b\n" + "".join(f"n,{i},1,2\n" for i in range(9)))
    given = ["--like", "fit.rds", "--data", "rows.csv", "--columns", "a"]
    code, said = verb("check", NET, *given, "--y", "Y, b")
    assert code == 2
    approved(said)
    code, said = verb("check", NET, *given, "--y", "y, b")
    assert code == 1
    assert "a prediction was not answered" in said


@pytest.mark.parametrize(
    "options",
    [
        "model.py",
        "model.py:Sinenet",
        "model.py:Wide --nnet 1-4-1",
        "model.py:built --nnet 1-4-1",
        "model.py:function --nnet 1-4-1",
        "model",
        "SineNet",
        "nope.py:Net",
        "weights.pt",
        "fit.rds",
        "net.ipynb",
        "net.onnx",
        "net.pt2",
        "fit.RData",
        "fit.R",
        "model.SineNet",
        "folder",
        "bad.py:Net",
        "script.py:Net",
        "random.py:Net",
        "empty.py",
        f"{NET} --nnet 1-4",
        f"{NET} --nnet 1,4,1",
        f"{NET} --nnet 1-4-4-1",
        f"{NET} --nnet 2-4-1 --linout",
        "model.py:Deep --nnet 3-8-2",
        "model.py:Convolution --nnet 4-4-4",
        NET,
        "model.py:Convolution",
        f"{NET} --like model.py:Deep",
        f"{NET} --like fit.rds",
        f"{NET} --like fit.rds --data rows.csv",
        f"{NET} --data rows.csv --nnet 1-4-1",
        f"{NET} --like model.py:Deep --nnet 1-4-1",
        f"{NET} --nnet 1-4-1 --logits",
        f"{NET} --nnet 1-4-1 --linout --device cude",
    ],
)
def test_what_is_typed_wrongly_is_answered_in_a_sentence(
    verb: Verb, tmp_path: Path, options: str, approved: Approved
) -> None:
    """What was found, what was expected, and what to write; exit code 2."""
    (tmp_path / "folder").mkdir()
    for name in ("weights.pt", "net.ipynb", "net.onnx", "random.py", "empty.py"):
        (tmp_path / name).touch()
    if options != f"{NET} --like fit.rds":
        (tmp_path / "fit.rds").touch()
    (tmp_path / "bad.py").write_text("import nothing_of_this_name\n")
    (tmp_path / "script.py").write_text("raise SystemExit(3)\n")
    code, said = verb("check", *options.split())
    assert code == 2
    assert len(said.splitlines()) == 1
    approved(said)


def test_a_file_that_trains_when_it_is_imported_is_told(
    verb: Verb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """After some seconds, once, while it runs; then the model is judged."""
    monkeypatch.setattr(named, "LONG", 0.05)
    (tmp_path / "trains.py").write_text(f"import time\ntime.sleep(0.3)\n{MODELS}")
    code, said = verb("check", "trains.py:SineNet", "--nnet", "1-4-1", "--linout", "--no-r")
    assert code == 0
    approved([line for line in said.splitlines() if "still running" in line])


@pytest.mark.parametrize("name", ["check", "init"])
def test_an_interruption_is_told(verb: Verb, tmp_path: Path, name: str, approved: Approved) -> None:
    """With the exit code of shells; no file is written."""
    (tmp_path / "stopped.py").write_text("raise KeyboardInterrupt\n")
    code, said = verb(name, "stopped.py:Net")
    assert code == 130
    approved(said)
    assert not list(tmp_path.glob("test_*.py"))


def test_a_file_does_not_see_our_arguments(verb: Verb, tmp_path: Path) -> None:
    """A script that reads sys.argv reads its own name."""
    (tmp_path / "reads.py").write_text(f"import sys\nassert sys.argv[1:] == []\n{MODELS}")
    before = list(sys.argv)
    assert verb("check", "reads.py:make", "--nnet", "1-4-1", "--linout", "--no-r")[0] == 0
    assert sys.argv == before
