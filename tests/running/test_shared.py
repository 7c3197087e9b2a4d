"""A run that pytest-xdist shares out says what one process would say; who dies costs the trials
that it was asked.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from torch import nn

from harness import Case
from harness.core.verdict import Status, Verdict
from harness.running.complaints import find_cases_without_evidence
from harness.running.findings import Findings, make_report, merge
from harness.running.runner import Runner
from reference import Network, probes, r_nnet
from tests.conftest import IMPORTS, RIGHT, SINE_NET, Approved, Mine, baseline_of, screen_of

pytest.importorskip("xdist", reason="pytest-xdist is not installed: pip install pytest-xdist")

ROOT = Path(__file__).parents[2]
TWICE = (
    "return self.output(torch.sigmoid(self.hidden(x) + self.hidden.bias -"
    " self.hidden.bias.detach()))"
)
FLOAT64 = {"dtypes": '["float64"]'}
ABSENT = {
    "network": 'Network(inputs=1, hidden=4, outputs=1, activation="relu")',
    "references": "[r_nnet]",
}
DIES = "[Subject(Dies), Subject(SineNet)]"


def shared(mine: Mine, python: str, *arguments: str, processes: int = 2) -> pytest.RunResult:
    """Run pytest in the folder of `mine`, in so many processes that ask and one that tells."""
    mine.pytester.makeini("[pytest]\naddopts = -p xdist -p nnet_parity.plugin\n")
    return mine.pytest_apart(python, *arguments, processes=processes)


@pytest.fixture
def ours(mine: Mine, monkeypatch: pytest.MonkeyPatch) -> Mine:
    """A folder for a user's file, seen from processes of their own."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return mine


def told(result: pytest.RunResult) -> list[str]:
    """What the end of a run says, from the comparison with a baseline to where the report is."""
    return [*baseline_of(result), *screen_of(result)]


def found(mine: Mine) -> dict[str, Any]:
    """results.json without what differs from one run of one process to the next."""
    text = (mine.pytester.path / "build/report/results.json").read_text()
    report: dict[str, Any] = json.loads(text)
    del report["environment"]["date"], report["costs"], report["seconds"], report["command"]
    for verdict in report["verdicts"]:
        del verdict["seconds"]
    return report


def junit(mine: Mine) -> dict[str, dict[str, str]]:
    """Of each test, its properties and the kind of its outcome."""
    cases = ElementTree.parse(mine.pytester.path / "junit.xml").iter("testcase")
    return {
        str(case.get("name")): (
            {str(each.get("name")): str(each.get("value")) for each in case.iter("property")}
            | {"outcome": " ".join(child.tag for child in case if child.tag != "properties")}
        )
        for case in cases
    }


def test_a_shared_run_says_what_one_process_says(
    ours: Mine, warm_python: str, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """The same verdicts in the same order, answers, annotations, comparison, properties and exit
    code.
    """
    ours.write_sine(references="[r_nnet, numpy_net]")
    ours.pytest("--parity-report-dir=old")
    more = [
        ours.case("test_absent", name='"absent"', **ABSENT),
        ours.case("test_again", name='"again"', question='"And again?"', **FLOAT64),
        "def test_of_another_kind(): pass",
    ]
    ours.write_sine(TWICE, references="[r_nnet, numpy_net]")
    ours.write(ours.text.removeprefix(IMPORTS), *more)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    arguments = "--parity-baseline=old/results.json", "--junitxml=junit.xml"
    alone = ours.pytest(*arguments)
    report, properties = found(ours), junit(ours)
    result = shared(ours, warm_python, *arguments)
    assert told(result) == told(alone)
    assert any("::error file=test_mine.py" in line for line in result.outlines)
    approved(line for line in screen_of(result) if line.startswith("not checked"))
    assert result.parseoutcomes() == alone.parseoutcomes()
    assert found(ours) == report
    assert junit(ours) == properties
    assert result.ret == alone.ret
    assert report["complete"]


def test_a_model_that_ends_its_process_costs_its_own_trials(
    ours: Mine, warm_python: str, approved: Approved
) -> None:
    """They are BROKEN, the others are judged, the report is whole, and the run fails."""
    dies = SINE_NET.format(forward="import os; os._exit(3)").replace("SineNet", "Dies")
    ours.write(SINE_NET.format(forward=RIGHT), dies, ours.case("test_sine", subjects=DIES))
    result = shared(ours, warm_python, "--junitxml=junit.xml", processes=1)
    result.assert_outcomes(passed=8, failed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    report = ours.results()
    assert report["complete"]
    first, *rest = (v for v in report["verdicts"] if v["subject"] == "Dies")
    assert {v["status"] for v in (first, *rest)} == {"BROKEN"}
    assert {v["status"] for v in report["verdicts"] if v["subject"] == "SineNet"} == {"PASS"}
    (sentence,) = {v["why"] for v in rest}
    approved([first["why"], sentence])
    assert sentence.endswith(first["id"])
    assert first["why"].split("\n")[1] in result.stdout.str()
    assert junit(ours)[f"test_sine[{first['id']}]"] == {"outcome": "error"}


def test_what_is_handed_over_makes_one_run() -> None:
    """Nothing is handed over twice; a case whose trials all came without evidence is known, and so
    is a lack of any.
    """
    runner, whole = Runner(), Findings()
    relu = Case(
        "sine", Network(1, 4, 1, "relu"), [nn.Identity], [r_nnet], probes(), dtypes=["float64"]
    )
    runner.collect("test_mine.py::test_sine", replace(relu, checks=["forward", "loss"]).trials())
    runner.note(Findings(collected=2))
    named = "sine", "SineNet", "r_nnet", "live", "forward", "cpu", "float64", Status.ABSENT
    for number in range(2):
        assert not find_cases_without_evidence(whole)
        assert len(whole.verdicts) == number
        verdict = Verdict(str(number), *named)
        runner.note(Findings(verdicts={f"test_mine.py::test_sine[{number}]": verdict}))
        whole = merge(whole, runner.hand_over())
        assert not runner.found.verdicts
        assert make_report(whole, is_interrupted=False).complete is bool(number)
    assert find_cases_without_evidence(whole) == ["test_mine.py::test_sine"]


RACED = """
import pytest
def test_race(raced): raced(None, "cpu", "float64")
"""


def test_nobody_races_beside_others(ours: Mine, warm_python: str, approved: Approved) -> None:
    """Two processes share the cores, and pytest-benchmark measures nothing then."""
    ours.pytester.makepyfile(test_speed=RACED)
    result = shared(ours, warm_python, "--parity-speed", processes=1)
    result.assert_outcomes(failed=1)
    title = next(
        number for number, line in enumerate(result.outlines) if line.strip("_") == " test_race "
    )
    approved(result.outlines[title + 2])  # below the line that says which process it was


def test_races_that_processes_leave_out_are_counted_once(ours: Mine, warm_python: str) -> None:
    """All of them collect the same tests."""
    ours.pytester.makepyfile(test_speed=RACED, test_other="def test_it(): pass")
    result = shared(ours, warm_python)
    result.assert_outcomes(passed=1)
    assert "1 race was left out: --parity-speed runs them" in result.outlines


def test_a_foreign_file_in_the_place_of_the_report_is_told(
    ours: Mine, warm_python: str, approved: Approved
) -> None:
    """Each file of cases is an error with the sentence, not an internal error of pytest."""
    (ours.pytester.path / "index.html").write_text("<html>mine</html>")
    ours.write_sine(**FLOAT64)
    result = shared(ours, warm_python, "--parity-report-dir=.", processes=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(errors=1)
    approved([line for line in result.outlines if line.startswith("the report would")])
    assert (ours.pytester.path / "index.html").read_text() == "<html>mine</html>"
