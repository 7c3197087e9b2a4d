"""`nnet-parity port` writes a module of a fitted nnet, and says how near it is to R."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from harness import cli as command
from harness.waiting import progress
from reference.commands import port as verb
from reference.fitted.stored import read
from reference.r.nnet_reference import LIVE
from tests.conftest import Approved, Mine
from tests.fitted.made import CALLS, CLASSES, make_fit

FILES = [
    "__init__.py",
    "certificate.json",
    "certificate.md",
    "model.py",
    "model.safetensors",
    "predictions.json",
    "test_model.py",
]
TABLE = "y,a,b,f,o,s,l\n1,0.5,1,u,1,p,TRUE\n2,-1.25,2,v,2,q,FALSE\n0,NA,2,v,3,q,TRUE\n"
Port = Callable[..., tuple[int, str]]


@pytest.fixture
def port(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Port:
    """The verb, in a folder of its own, found as it is where the project is installed."""
    entry = EntryPoint("port", "reference.commands.port:port", command.GROUP)
    monkeypatch.setattr(command, "entry_points", lambda group: [entry])
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str]:
        try:
            code = command.main(["port", *arguments])
        except SystemExit as left:
            code = int(left.code or 0)
        said = capsys.readouterr()
        lines = [line for line in said.err.splitlines() if not line.endswith("...")]
        return code, said.out + "\n".join(lines)

    return run


def test_a_fit_is_ported_from_raw_rows(
    port: Port, tmp_path: Path, live_r: None, approved: Approved
) -> None:
    """The six files, R's predictions with the rows, the certificate; written again without
    a question.
    """
    make_fit(tmp_path / "fit.rds", CALLS["formula"])
    (tmp_path / "new.csv").write_text(TABLE)
    code, said = port("fit.rds", "--data", "new.csv")
    assert code == 0
    approved(said, mask_figures=True)
    folder = tmp_path / "fit"
    assert sorted(path.name for path in folder.iterdir()) == FILES
    stored = read(folder / "predictions.json")
    assert stored.count == 3
    assert stored.rows["f"][:3] == ["u", "v", "v"]
    assert [row == [None] for row in stored.predictions[:3]] == [False, False, True]
    certificate = json.loads((folder / "certificate.json").read_text())
    assert [verdict["status"] for verdict in certificate["verdicts"]] == ["PASS", "PASS"]
    text = (folder / "certificate.md").read_text()
    approved(text.replace(certificate["digest"], "<digest>"), mask_figures=True)
    assert port("fit.rds", "--data", "new.csv", "--smooth")[0] == 0
    assert "--smooth" not in (folder / "model.py").read_text()


def test_a_fit_is_ported_without_data(
    port: Port, tmp_path: Path, live_r: None, approved: Approved
) -> None:
    """On drawn rows, which the certificate says; of a formula and of a matrix."""
    for name in ("skip", "matrix"):
        make_fit(tmp_path / "fit.rds", CALLS[name])
        assert port("fit.rds", "-o", name)[0] == 0
        approved((tmp_path / name / "certificate.md").read_text().partition("- net")[2], True)
    assert port("fit.rds", "--smooth")[0] == 0
    text = (tmp_path / "fit/certificate.md").read_text()
    approved([line for line in text.splitlines() if line.startswith("- compared")])


@pytest.mark.parametrize(("name", "smooth"), [("formula", ""), ("two outputs", "--smooth")])
def test_the_test_that_is_written_passes(
    name: str, smooth: str, port: Port, mine: Mine, tmp_path: Path, live_r: None
) -> None:
    """By R's answers in the file beside it, without R; with one weight changed it fails."""
    fit = make_fit(tmp_path / "fit.rds", CALLS[name])
    folder = mine.pytester.path / "port"
    assert port(str(fit), "-o", str(folder), *filter(None, [smooth]))[0] == 0
    mine.pytest("--parity-r", "recorded", "port").assert_outcomes(passed=2)
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-3] ^= 1
    weights.write_bytes(content)
    result = mine.pytest("--parity-r", "recorded", "port")
    assert result.parseoutcomes()["failed"] >= 1


def test_several_ports_are_tested_in_one_run(
    port: Port, mine: Mine, tmp_path: Path, live_r: None
) -> None:
    """Of two fits, and of one fit in two folders: their cases have names of their own."""
    root = mine.pytester.path
    fit, other = (make_fit(tmp_path / f"{name}.rds", CALLS["matrix"]) for name in ("fit", "other"))
    for one, folder in ((fit, "fit"), (other, "other"), (fit, "again")):
        assert port(str(one), "-o", str(root / folder))[0] == 0
    result = mine.pytest("--parity-r", "recorded")
    result.assert_outcomes(passed=6)
    assert "nnet-parity: 3 questions answered, 0 mismatches" in result.stdout.str()


def test_an_unknown_option_shows_those_of_the_verb(port: Port, approved: Approved) -> None:
    """Not those of all verbs."""
    code, said = port("fit.rds", "--smoth")
    assert code == 2
    approved(said)


def test_a_file_that_was_changed_is_not_overwritten(
    port: Port, tmp_path: Path, live_r: None, approved: Approved
) -> None:
    """Unless it is forced; nothing is written then."""
    make_fit(tmp_path / "fit.rds", CALLS["matrix"])
    assert port("fit.rds")[0] == 0
    model = tmp_path / "fit/model.py"
    before = (tmp_path / "fit/certificate.json").read_bytes()
    model.write_text("my own")
    code, said = port("fit.rds")
    assert code == 2
    approved(said)
    assert model.read_text() == "my own"
    assert (tmp_path / "fit/certificate.json").read_bytes() == before
    assert port("fit.rds", "--force")[0] == 0
    assert model.read_text() != "my own"


def test_a_fit_is_ported_without_r(
    port: Port, tmp_path: Path, live_r: None, request: pytest.FixtureRequest, approved: Approved
) -> None:
    """Compared with nnet's equations, and it says that R was not asked."""
    make_fit(tmp_path / "fit.rds", CALLS["formula"])
    make_fit(tmp_path / "matrix.rds", CALLS["matrix"])
    make_fit(tmp_path / "poly.rds", "fit(y ~ poly(a, 2), d, size = 1)")
    request.getfixturevalue("without_r")
    (tmp_path / "new.csv").write_text(TABLE)
    (tmp_path / "two.csv").write_text("x,z\n1,2\n0,1\n")
    code, said = port("fit.rds", "--data", "new.csv")
    assert code == 0
    approved(said, mask_figures=True)
    assert not (tmp_path / "fit/predictions.json").exists()
    assert '"../fit.rds"' in (tmp_path / "fit/test_model.py").read_text()
    assert port("matrix.rds", "--data", "two.csv")[0] == 0
    code, said = port("poly.rds", "--data", "new.csv")
    assert code == 2
    approved(said)
    LIVE.close()


def test_what_cannot_be_ported_is_told(
    port: Port, tmp_path: Path, live_r: None, approved: Approved
) -> None:
    """By a sentence and 2: no fit, other columns, an unknown level, a formula to be trusted."""
    make_fit(tmp_path / "fit.rds", CALLS["formula"])
    make_fit(tmp_path / "matrix.rds", CALLS["matrix"])
    make_fit(tmp_path / "poly.rds", "fit(y ~ poly(a, 2), d, size = 1)")
    make_fit(tmp_path / "paste.rds", "fit(y ~ paste(f, s), d, size = 1)")
    (tmp_path / "new.csv").write_text(TABLE)
    (tmp_path / "other.csv").write_text("a,f\n1,u\n")
    (tmp_path / "level.csv").write_text(TABLE.replace("u,1", "z,1"))
    for arguments in (
        ("missing.rds",),
        ("fit.rds", "--data", "other.csv"),
        ("matrix.rds", "--data", "other.csv"),
        ("fit.rds", "--data", "level.csv"),
        ("poly.rds", "--data", "new.csv"),
    ):
        code, said = port(*arguments)
        assert code == 2
        approved(said)
    code, said = port("paste.rds", "--trust")
    assert code == 2
    approved(said.rpartition("; ")[2])
    code, _ = port("poly.rds", "--data", "new.csv", "--trust")
    assert code == 0
    text = (tmp_path / "poly/model.py").read_text()
    assert "def columns" not in text
    assert 'encode="columns"' in (tmp_path / "poly/test_model.py").read_text()
    certificate = json.loads((tmp_path / "poly/certificate.json").read_text())
    assert [verdict["status"] for verdict in certificate["verdicts"]] == ["PASS", "PASS"]
    approved([line for line in text.splitlines() if line.startswith("#")][-1])
    approved((tmp_path / "poly/certificate.md").read_text().partition("Not said")[2], True)


def test_a_hostile_formula_runs_nothing(
    port: Port, tmp_path: Path, live_r: None, approved: Approved
) -> None:
    """Neither without data nor with them: R is not asked to evaluate it."""
    proof = tmp_path / "proof"
    evil = f"evil <- function(x) {{ file.create({str(proof)!r}); x }}"
    make_fit(tmp_path / "fit.rds", f"{{ {evil}; fit(y ~ evil(a), d, size = 1) }}")
    proof.unlink()
    (tmp_path / "new.csv").write_text(TABLE)
    for arguments in ((), ("--data", "new.csv")):
        code, said = port("fit.rds", *arguments)
        assert code == 2
        approved(said)
    assert not proof.exists()


def test_a_net_of_which_nothing_can_be_judged_fails(
    port: Port, tmp_path: Path, live_r: None, approved: Approved
) -> None:
    """All weights are 0: any port is right, which is no evidence; nor is one that is all clip."""
    zeros = "fit(x, d$y, size = 1, Wts = rep(0, 5), mask = rep(FALSE, 5), linout = TRUE)"
    make_fit(tmp_path / "zero.rds", zeros)
    code, said = port("zero.rds")
    assert code == 1
    approved(said)
    make_fit(tmp_path / "far.rds", zeros.replace("rep(0, 5)", "c(99, 1, 1, 1, 1)"))
    (tmp_path / "two.csv").write_text("x,z\n1,2\n0,1\n")
    assert port("far.rds", "--data", "two.csv")[0] == 1
    approved((tmp_path / "far/certificate.md").read_text().partition("Not said")[2], True)


def test_whoever_waits_is_told(
    port: Port,
    tmp_path: Path,
    live_r: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    approved: Approved,
) -> None:
    """What it does, beyond two seconds; Ctrl-C ends it, and nothing is written."""
    make_fit(tmp_path / "fit.rds", CALLS["matrix"])
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    command.main(["port", "fit.rds", "-o", "first"])
    approved(capsys.readouterr().err)

    def interrupt(*given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(verb, "judge_port", interrupt)
    code, said = port("fit.rds")
    assert code == 130
    approved(said)
    assert not (tmp_path / "fit").exists()


def test_its_help(port: Port, approved: Approved, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files, the options, the exit codes."""
    monkeypatch.setenv("COLUMNS", "100")
    code, said = port("--help")
    assert code == 0
    approved(said)


def test_columns_of_a_matrix_are_chosen_by_name(
    port: Port, tmp_path: Path, live_r: None, approved: Approved
) -> None:
    """A csv may hold the response too; a file is no folder."""
    make_fit(tmp_path / "fit.rds", CALLS["matrix"])
    (tmp_path / "new.csv").write_text("y,b,a\n1,2,0.5\n2,2,-1.5\n0,1,0.25\n")
    code, said = port("fit.rds", "--data", "new.csv")
    assert code == 2
    approved(said)
    assert port("fit.rds", "--data", "new.csv", "--columns", "a,b")[0] == 0
    code, said = port("fit.rds", "-o", "new.csv")
    assert code == 2
    approved(said)


@pytest.mark.parametrize("name", ["empty level", "multinom", "entropy", "two entropies"])
def test_a_classification_is_ported(
    name: str, port: Port, tmp_path: Path, live_r: None, approved: Approved
) -> None:
    """The certificate names the classes, and says where R's own names are wrong."""
    make_fit(tmp_path / "fit.rds", CLASSES[name])
    code, said = port("fit.rds")
    assert code == 0, said
    certificate = json.loads((tmp_path / "fit/certificate.json").read_text())
    text = (tmp_path / "fit/certificate.md").read_text()
    approved(text.replace(certificate["digest"], "<digest>"), mask_figures=True)


def test_ties_are_counted(
    port: Port, tmp_path: Path, live_r: None, approved: Approved, request: pytest.FixtureRequest
) -> None:
    """Rows in which R draws the class are not compared, and the certificate says how many."""
    weights = "Wts = c(0, 1, 0, 0, 1, 0, 2, -1, 0), mask = rep(FALSE, 9)"
    tied = f"fit(x, nnet::class.ind(d$f), size = 1, softmax = TRUE, {weights})"
    make_fit(tmp_path / "fit.rds", tied)
    (tmp_path / "two.csv").write_text("a,b\n1,2\n-20,1\n")
    assert port("fit.rds", "--data", "two.csv")[0] == 0
    approved((tmp_path / "fit/certificate.md").read_text().partition("Verdicts")[2], True)
    request.getfixturevalue("without_r")
    assert port("fit.rds", "-o", "without")[0] == 0
    LIVE.close()
