"""Without R its recorded answers judge a port, and NumPy by the fitted weights where there are
none.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from harness import cli
from reference import fitted
from reference.fitted.object import FittedObject, answers_path
from reference.fitted.stored import read, sealed, write
from reference.r.nnet_reference import LIVE
from reference.rds.fit import FittedNet
from reference.rds.reading import read_fit
from tests.conftest import Approved, Mine
from tests.fitted.made import CALLS, make_fit
from tests.fitted.ports import Port, judge_all, statuses
from tests.fitted.test_fitted import PASSES, matrix, numbers, rows_file

pytestmark = pytest.mark.usefixtures("live_r")


@pytest.fixture
def fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FittedNet:
    """A fit by formula, saved to fit.rds in the working folder."""
    monkeypatch.chdir(tmp_path)
    return read_fit(make_fit(tmp_path / "fit.rds", CALLS["formula"]), LIVE)


def record(folder: Path, **given: Any) -> tuple[Path, dict[str, Any]]:
    """Record R's answers about the fit for a test file; return their file and the arguments."""
    given = {"y": "y", **given}
    if "x" not in given:
        given["x"] = rows_file(folder)
    case = fitted(folder / "fit.rds", Port, **given, name="port")
    assert isinstance(case.problems, FittedObject)
    path = answers_path(str(folder / "test_port.py"), "port")
    write(path, case.problems.record())
    return path, given


def judged(folder: Path, port: Port, given: dict[str, Any]) -> list[Any]:
    """The verdicts without R."""
    case = fitted(folder / "fit.rds", port, **given, name="port")
    return judge_all(case, folder / "test_port.py", "recorded")


def test_recorded_answers_judge_as_r_does(fit: FittedNet, tmp_path: Path) -> None:
    """To the bit: the same shares of the same bounds, and a wrong port fails."""
    _, given = record(tmp_path)
    port = Port(fit.topology, fit.wts)
    live = judge_all(fitted(tmp_path / "fit.rds", port, **given, name="port"))
    recorded = judged(tmp_path, port, given)
    assert statuses(recorded) == PASSES
    assert {verdict.source for verdict in recorded} == {"recorded"}
    assert [v.budget_used for v in recorded] == [v.budget_used for v in live]
    wrong = judged(tmp_path, Port(fit.topology, np.roll(fit.wts, 1)), given)
    assert {verdict.status for verdict in wrong} == {"FAIL"}


def test_numpy_judges_where_nothing_was_recorded(fit: FittedNet, tmp_path: Path) -> None:
    """By the fitted weights, which rdata reads: the source says so."""
    given = {"x": rows_file(tmp_path), "y": "y"}
    verdicts = judged(tmp_path, Port(fit.topology, fit.wts), given)
    assert statuses(verdicts) == PASSES
    assert {verdict.source for verdict in verdicts} == {"computed"}
    wrong = judged(tmp_path, Port(fit.topology, np.roll(fit.wts, 1)), given)
    assert {verdict.status for verdict in wrong} == {"FAIL"}


def test_the_answers_alone_are_a_fitted_object(fit: FittedNet, tmp_path: Path) -> None:
    """Their file holds the weights and the rows too: a test needs neither R nor the .rds."""
    path, _ = record(tmp_path)
    verdicts = judge_all(fitted(path, Port(fit.topology, fit.wts)))
    assert statuses(verdicts) == {"predictions": "PASS", "parameters": "PASS"}
    assert "your rows (30)" in verdicts[0].why


def other_rows(given: dict[str, Any]) -> dict[str, Any]:
    """One number of the rows is another."""
    text = Path(given["x"]).read_text()
    row = text.splitlines()[1]
    Path(given["x"]).write_text(text.replace(row, "9" + row, 1))
    return given


def other_prepare(given: dict[str, Any]) -> dict[str, Any]:
    """The rows are prepared otherwise."""
    return {**given, "prepare": "transform(x, a = a + 1)"}


@pytest.mark.parametrize("change", [other_rows, other_prepare])
def test_answers_to_another_question_are_refused(
    change: Callable[[dict[str, Any]], dict[str, Any]],
    fit: FittedNet,
    tmp_path: Path,
    approved: Approved,
) -> None:
    """They are of the rows and of the preparation that were asked."""
    _, given = record(tmp_path)
    verdicts = judged(tmp_path, Port(fit.topology, fit.wts), change(given))
    assert {verdict.status for verdict in verdicts} == {"BROKEN"}
    approved(verdicts[0].why)


def test_answers_about_another_object_are_refused(
    fit: FittedNet, tmp_path: Path, approved: Approved
) -> None:
    """The .rds beside them has another digest."""
    _, given = record(tmp_path)
    make_fit(tmp_path / "fit.rds", CALLS["formula"], seed=2)
    verdicts = judged(tmp_path, Port(fit.topology, fit.wts), given)
    assert {verdict.status for verdict in verdicts} == {"BROKEN"}
    approved(verdicts[0].why)


def cut(text: str) -> str:
    """Half of the file."""
    return text[: len(text) // 2]


def changed(text: str) -> str:
    """One weight is another."""
    stored = json.loads(text)
    stored["wts"][0] += 1.0
    return json.dumps(stored)


def of_another_shape(text: str) -> str:
    """It is JSON, and nothing like it."""
    return "[]"


@pytest.mark.parametrize("damage", [cut, changed, of_another_shape])
def test_damaged_answers_are_refused(
    damage: Callable[[str], str], fit: FittedNet, tmp_path: Path, approved: Approved
) -> None:
    """A file that was cut or changed judges nothing."""
    path, given = record(tmp_path)
    path.write_text(damage(path.read_text()))
    verdicts = judged(tmp_path, Port(fit.topology, fit.wts), given)
    assert {verdict.status for verdict in verdicts} == {"BROKEN"}
    approved(verdicts[0].why)


def test_answers_that_do_not_fit_together_are_refused(
    fit: FittedNet, tmp_path: Path, approved: Approved
) -> None:
    """Though their seal is right: somebody wrote them so."""
    path, _ = record(tmp_path)
    stored = read(path)
    changes: list[dict[str, Any]] = [
        {"count": 999},
        {"wts": stored.wts[1:]},
        {"schema": "other/1"},
        {"labels": ["a"]},
    ]
    for change in changes:
        write(path, sealed(structs.replace(stored, **change)))
        with approved.raises(ValueError):
            read(path)
    with approved.raises(ValueError):
        read(tmp_path / "none.json")


def test_a_file_of_answers_reads_as_it_was_written(fit: FittedNet, tmp_path: Path) -> None:
    """Every number, missing values too."""

    def lose(lines: list[list[str]]) -> None:
        lines[4][0] = "NA"

    given = {"x": rows_file(tmp_path, lose)}
    path, _ = record(tmp_path, y=None, **given)
    case = fitted(tmp_path / "fit.rds", Port, **given, name="port")
    assert isinstance(case.problems, FittedObject)
    stored, again = read(path), case.problems.record()
    assert stored.seal == again.seal
    assert stored.all_rows().equals(again.all_rows())
    assert np.isnan(stored.answers().predictions[3]).all()


PORT = """
import torch
from torch import nn
from nnet_parity import fitted, verify

class Zero(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(2, 3).double(), nn.Linear(3, 1).double()
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x):
        return self.out(torch.sigmoid(self.hidden(x)))

test_port = verify(fitted("fit.rds", Zero, x={"a": [1.0, 2.0], "b": [0.5, 3.0]}))
"""


def test_a_test_file_is_judged_and_recorded(
    mine: Mine,
    approved: Approved,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The screen of a failing port; what `record` says; the recording judges without R."""
    folder = mine.pytester.path
    make_fit(folder / "fit.rds", CALLS["matrix"])
    mine.write(PORT)
    result = mine.pytest("-q")
    assert result.ret == 1
    approved([line for line in result.outlines if "failed" not in line[:10]], mask_figures=True)
    monkeypatch.setenv("PYTEST_PLUGINS", "nnet_parity.plugin")
    entry = EntryPoint("record", "reference.commands.record:record", cli.GROUP)
    monkeypatch.setattr(cli, "entry_points", lambda group: [entry])
    capsys.readouterr()
    assert cli.main(["record", "test_mine.py"]) == 0
    assert cli.main(["record", "test_mine.py"]) == 1
    assert cli.main(["record", "test_mine.py", "--intent", "trim"]) == 0
    (recorded,) = (folder / "recordings").glob("*.json")
    alone = mine.text.replace('"fit.rds", Zero, x={"a": [1.0, 2.0], "b": [0.5, 3.0]}', "FILE, Zero")
    mine.write(alone.replace("FILE", repr(str(recorded))))
    sys.modules.pop("test_mine", None)
    assert cli.main(["record", "test_mine.py"]) == 0
    approved("".join(capsys.readouterr()))
    mine.write(PORT)
    sys.modules.pop("test_mine", None)
    assert len(list((folder / "recordings").glob("*.json"))) == 1
    result = mine.pytest("-q", "--parity-r", "recorded")
    assert result.ret == 1
    assert any("recorded" in line for line in result.outlines)


def test_data_that_fit_nowhere_are_refused(
    fit: FittedNet, tmp_path: Path, approved: Approved
) -> None:
    """Each in a sentence that says what was found and what was expected."""
    path = make_fit(tmp_path / "matrix.rds", CALLS["matrix"])
    port = Port(read_fit(path, LIVE).topology, read_fit(path, LIVE).wts)
    wrong: list[dict[str, Any]] = [
        {"x": matrix()[:, :1]},
        {"x": matrix(), "y": numbers()["y"][:10]},
        {"x": matrix(), "y": "price"},
        {"x": matrix(), "y": matrix()},
        {"x": matrix(), "predictions": numbers()["y"][:10]},
        {"x": matrix(), "prepare": "scale(x"},
        {"x": matrix(), "prepare": "x[, 1, drop = FALSE]"},
        {"x": matrix(), "encode": lambda rows: rows["x1"]},
    ]
    said = []
    for given in wrong:
        verdict = judge_all(fitted(path, port, **given))[0]
        assert verdict.status == "BROKEN", given
        said.append(verdict.why.partition("\n")[2])
    said.append(judge_all(fitted(tmp_path / "none.rds", port, x=matrix()))[0].why)
    approved(said)
