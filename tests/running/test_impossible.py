"""Trials that nobody can ever judge are no tests: the report holds them, as no evidence."""

from __future__ import annotations

import json

import pytest

from harness.core.verdict import Status
from harness.reporting.regressions import Kind, compare
from harness.reporting.results import parse
from nnet_parity import Case, Network, check, numpy_net, probes, r_nnet
from tests.conftest import Approved, Mine, screen_of
from tests.running.test_check import SineNet

RELU = 'Network(inputs=1, hidden=4, outputs=1, activation="relu")'
RIGHT = "return self.output(torch.relu(self.hidden(x)))"
BOTH = "[r_nnet, numpy_net]"
CHOSEN = {
    "words": ["-k", "forward"],
    "an id": ["test_mine.py::test_sine[SineNet-cpu-float32-loss-vs-numpy_net]"],
    "all but one": ["--deselect", "test_mine.py::test_sine[SineNet-cpu-float32-loss-vs-numpy_net]"],
}


@pytest.fixture
def relu(mine: Mine) -> Mine:
    """A case with a ReLU, which R's nnet never judges."""
    mine.write_sine(RIGHT, network=RELU, references=BOTH)
    return mine


def test_they_are_no_tests(relu: Mine, approved: Approved) -> None:
    """Eight of sixteen pass, none is skipped; the report has all sixteen, and says why."""
    result = relu.pytest()
    result.assert_outcomes(passed=8)
    verdicts = relu.results()["verdicts"]
    assert relu.results()["complete"]
    never = [verdict for verdict in verdicts if not verdict["applicable"]]
    assert {verdict["status"] for verdict in never} == {"ABSENT"}
    assert (len(never), len(verdicts)) == (8, 16)
    approved(line for line in screen_of(result) if "checks it" in line or "report" in line)


def test_collecting_shows_the_tests_that_there_are(relu: Mine) -> None:
    """Without those."""
    result = relu.pytest("--collect-only", "-q")
    assert sum("vs-numpy_net" in line for line in result.outlines) == 8
    assert not any("vs-r_nnet" in line for line in result.outlines)


@pytest.mark.parametrize("chosen", CHOSEN)
def test_a_part_of_a_case_has_only_what_was_chosen(relu: Mine, chosen: str) -> None:
    """Who asks for a part of a case is told of this part."""
    relu.pytest(*CHOSEN[chosen])
    assert {verdict["applicable"] for verdict in relu.results()["verdicts"]} == {True}
    assert relu.results()["complete"]


def test_a_case_of_nothing_else_is_one_failure(mine: Mine, approved: Approved) -> None:
    """It says why nothing can be checked, and what to do."""
    mine.write_sine(RIGHT, network=RELU, references="[r_nnet]")
    result = mine.pytest()
    result.assert_outcomes(failed=1)
    start = next(n for n, line in enumerate(result.outlines) if "nothing can be checked" in line)
    approved([*result.outlines[start : start + 3], *screen_of(result)])
    assert len(mine.results()["verdicts"]) == 8


def test_in_a_test_it_is_a_failure_too(mine: Mine, approved: Approved) -> None:
    """`verify` raises."""
    mine.write_sine(RIGHT, network=RELU, references="[r_nnet]")
    inside = mine.text.replace("test_sine = verify", "def test_sine():\n    verify")
    (mine.pytester.path / "test_mine.py").write_text(inside)
    result = mine.pytest("--tb=line")
    result.assert_outcomes(failed=1)
    approved(line.strip() for line in result.outlines if "can be checked" in line)


def test_in_a_test_without_r_it_is_said_why(
    mine: Mine, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """Another machine could judge it: so the reason is that of this one."""
    monkeypatch.setenv("NNET_PARITY_R", "recorded")
    mine.write_sine(references="[r_nnet]", checks='["forward"]', dtypes='["float64"]')
    inside = mine.text.replace("test_sine = verify", "def test_sine():\n    verify")
    (mine.pytester.path / "test_mine.py").write_text(inside)
    result = mine.pytest()
    result.assert_outcomes(failed=1)
    approved(line for line in result.outlines if line.startswith("E "))


def test_check_says_it(approved: Approved) -> None:
    """As a complaint; where somebody can judge, they are in the record and no reason to fail."""
    given = {
        "network": Network(1, 4, 1, activation="relu"),
        "subjects": [SineNet],
        "problems": probes(seed=0, draws=3),
        "checks": ["forward"],
        "dtypes": ["float64"],
    }
    none = check(Case(name="none", references=[r_nnet], **given), devices="cpu")
    assert not none
    approved(none.complaints)
    some = check(Case(name="some", references=[r_nnet, numpy_net], **given), devices="cpu")
    assert [v.status for v in some.verdicts] == [Status.FAIL, Status.ABSENT]  # no ReLU in SineNet
    assert not some.complaints


def test_against_an_older_report_they_are_unchanged(relu: Mine) -> None:
    """Where they were items that were skipped; both ways."""
    relu.pytest()
    new = relu.results()
    old = json.loads(json.dumps(new))
    for verdict in old["verdicts"]:  # as they were written before
        del verdict["applicable"]
        if verdict["status"] == "ABSENT":
            verdict["why"] = "nnet has no relu hidden units: let NumPy judge them"
    before, after = (parse(json.dumps(each).encode()) for each in (old, new))
    for one, other in ((before, after), (after, before)):
        assert {change.kind for change in compare(one, other)} == {Kind.UNCHANGED}
