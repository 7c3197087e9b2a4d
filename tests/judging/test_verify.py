"""No green without a judgement: whatever a user writes around `verify`, a case is judged or the run
fails.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import RIGHT, SINE_NET, Mine, screen_of

ROOT = Path(__file__).parents[2]
FORWARD = {"dtypes": '["float64"]', "checks": '["forward"]'}
WRONG = f"{RIGHT} + 1"
RELU = 'Network(inputs=1, hidden=4, outputs=1, activation="relu")'  # which R's nnet cannot judge


def case_of(mine: Mine, **given: str) -> str:
    """`Case(...)` as it is written in a file, right and small."""
    return mine.case("", **{**FORWARD, **given}).strip().removeprefix("= verify(").removesuffix(")")


def write(mine: Mine, body: str, forward: str = RIGHT, **given: str) -> None:
    """test_mine.py with SineNet and a body, in which A_CASE stands for a case."""
    mine.write(SINE_NET.format(forward=forward), body.replace("A_CASE", case_of(mine, **given)))


def complaints(result: pytest.RunResult) -> list[str]:
    """Why the run fails, by the screen, although no trial does."""
    lines = screen_of(result)
    start = next(n for n, line in enumerate(lines) if line.startswith("run fails"))
    return [line.removeprefix("run fails").strip() for line in lines[start:-1]]


# Inside a running test


INSIDE = {
    "a helper": "def check(case):\n    verify(case)\ndef test_it():\n    check(A_CASE)\n",
    "a call": "def test_it():\n    verify(A_CASE)\n",
    "an assertion": "def test_it():\n    assert verify(A_CASE)\n",
    "a name": "def test_it():\n    found = verify(A_CASE)\n",
    "a list": "def test_it():\n    _ = [verify(A_CASE)]\n",
    "a method": "class TestIt:\n    def test_it(self):\n        verify(A_CASE)\n",
    "a fixture": (
        "import pytest\n@pytest.fixture\ndef one():\n    return verify(A_CASE)\ndef test_it(one):"
        " pass\n"
    ),
    "an import": "def test_it():\n    import nnet_parity\n    nnet_parity.verify(A_CASE)\n",
}


@pytest.mark.parametrize("how", INSIDE)
def test_inside_a_test_verify_judges(mine: Mine, how: str) -> None:
    """A right model passes and is in the report, a wrong one fails the test."""
    write(mine, INSIDE[how])
    mine.pytest().assert_outcomes(passed=1)
    assert [v["status"] for v in mine.results()["verdicts"]] == ["PASS"]
    write(mine, INSIDE[how], WRONG)
    assert mine.pytest().ret == pytest.ExitCode.TESTS_FAILED
    assert [v["status"] for v in mine.results()["verdicts"]] == ["FAIL"]


def test_inside_a_test_the_failure_is_shown_without_our_frames(mine: Mine, approved: Any) -> None:
    """The first trial that fails in whole, how many more, and the line that runs the test again."""
    write(mine, INSIDE["a call"], WRONG, checks='["forward", "loss"]')
    result = mine.pytest()
    result.assert_outcomes(failed=1)
    assert not [
        line for line in result.outlines if "verification.py" in line or "plugin.py" in line
    ]
    said = [line.removeprefix("E ").strip() for line in result.outlines if line.startswith("E ")]
    approved(said, mask_figures=True)
    (again,) = [line for line in said if line.startswith("rerun: ")]
    mine.pytest(again.rpartition("pytest ")[2]).assert_outcomes(failed=1)


def test_inside_a_test_nothing_judged_is_a_failure(mine: Mine, approved: Any) -> None:
    """With the reasons."""
    write(mine, INSIDE["a call"], network=RELU, references="[r_nnet]")
    result = mine.pytest()
    result.assert_outcomes(failed=1)
    approved(line.removeprefix("E ").strip() for line in result.outlines if line.startswith("E "))


def test_two_cases_of_one_name_are_refused_inside_tests_too(mine: Mine, approved: Any) -> None:
    """Verdicts go by the name of a case."""
    write(mine, "def test_it():\n    verify(A_CASE)\ndef test_other():\n    verify(A_CASE)\n")
    result = mine.pytest()
    result.assert_outcomes(passed=1, failed=1)
    approved(line.removeprefix("E ").strip() for line in result.outlines if line.startswith("E "))


def test_without_the_plugin_verify_refuses_inside_a_test(
    mine: Mine, warm_python: str, approved: Any
) -> None:
    """It would judge nothing."""
    write(mine, INSIDE["a call"])
    result = mine.pytest_apart(
        warm_python, "-p", "no:nnet_parity", f"--rootdir={mine.pytester.path}"
    )
    result.assert_outcomes(failed=1)
    approved(line.removeprefix("E ").strip() for line in result.outlines if line.startswith("E "))


# At import


MADE = {
    "bare": "verify(A_CASE)\n",
    "in a list": "CASES = [verify(A_CASE)]\n",
    "asserted": "assert verify(A_CASE)\n",
    "in a class that pytest does not collect": "class Sine:\n    test_sine = verify(A_CASE)\n",
    "by a helper": "import helper\nhelper.check(A_CASE)\n",
    "in a TestCase": (
        "import unittest\nclass TestSine(unittest.TestCase):\n    test_sine = verify(A_CASE)\n"
    ),
}


@pytest.mark.parametrize("how", MADE)
def test_a_case_that_is_not_collected_fails_the_run(mine: Mine, how: str, approved: Any) -> None:
    """By its line and its name, beside tests that pass."""
    (mine.pytester.path / "helper.py").write_text(
        "import harness\ndef check(case): harness.verify(case)\n"
    )
    write(mine, MADE[how] + "\ndef test_it(): pass\n")
    result = mine.pytest()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (line,) = complaints(result)
    lines = mine.text.split("\n")
    assert "Case(" in lines[int(line.split(":")[1]) - 1]
    approved(line.partition(": ")[2])


def test_a_case_that_a_loop_overwrites_is_named(mine: Mine) -> None:
    """The last one is judged, the others are named."""
    names = '("one", "two", "three")'
    write(mine, f"for name in {names}:\n    test_sine = verify(A_CASE)\n", name="name")
    result = mine.pytest()
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert [line.partition("the case ")[2].split()[0] for line in complaints(result)] == [
        "one",
        "two",
    ]


def test_a_file_that_ends_early_has_one_reason(mine: Mine) -> None:
    """Of two cases of one name; the cases below it are not accused beside it."""
    names = "".join(f"test_{name} = verify(A_CASE)\n" for name in ("one", "two", "three"))
    write(mine, names)
    result = mine.pytest()
    result.assert_outcomes(errors=1)
    text = result.stdout.str()
    assert "expected a name for each (name=)" in text
    assert "was not collected" not in text


SELECTIONS = [
    ["-k", "other"],
    ["test_mine.py::test_other"],
    ["--collect-only"],
    ["--lf"],
    ["-x", "-k", "other"],
]


@pytest.mark.parametrize("chosen", SELECTIONS, ids=" ".join)
def test_who_chooses_tests_is_not_accused(mine: Mine, chosen: list[str]) -> None:
    """A case that was deselected whole is no complaint."""
    write(mine, "test_sine = verify(A_CASE)\ndef test_other(): pass\n")
    result = mine.pytest(*chosen)
    assert result.ret == 0
    assert "was not collected" not in result.stdout.str()


def test_a_class_that_was_not_chosen_is_not_accused(mine: Mine) -> None:
    """pytest does not look into it where tests are named by id."""
    write(
        mine,
        "class TestSine:\n    test_sine = verify(A_CASE)\nclass TestOther:\n    def test_it(self):"
        " pass\n",
    )
    assert mine.pytest("test_mine.py::TestOther::test_it").ret == 0


def test_a_module_that_is_imported_as_a_helper_is_not_accused(mine: Mine) -> None:
    """Its cases are tests of its own, or of whoever imports them."""
    write(mine, "test_sine = verify(A_CASE)\nspare = verify(A_CASE)\n", name='"a"')
    text = mine.text.replace('spare = verify(Case(name="a"', 'spare = verify(Case(name="b"')
    (mine.pytester.path / "models.py").write_text(text)
    (mine.pytester.path / "test_mine.py").write_text("from models import test_sine\n")
    mine.pytest().assert_outcomes(passed=1)
    assert mine.pytest().ret == 0


@pytest.mark.parametrize("mode", ["prepend", "importlib"])
def test_a_test_module_that_others_import_is_not_accused(mine: Mine, mode: str) -> None:
    """Though its cases are made a second time where it is imported under another name."""
    write(mine, "test_sine = verify(A_CASE)\n")
    (mine.pytester.path / "test_other.py").write_text(
        "import sys, pathlib\nsys.path.insert(0, str(pathlib.Path(__file__).parent))\nimport"
        " test_mine as again\ndef test_it(): assert again\n"
    )
    result = mine.pytest(f"--import-mode={mode}")
    result.assert_outcomes(passed=2)
    assert result.ret == 0


def test_a_helper_that_is_imported_inside_a_test_is_not_judged_there(mine: Mine) -> None:
    """What stands at the top of a module is no call of a test."""
    write(mine, "verify(A_CASE)\n", WRONG)
    (mine.pytester.path / "test_mine.py").rename(mine.pytester.path / "models.py")
    (mine.pytester.path / "test_mine.py").write_text("def test_it():\n    import models\n")
    result = mine.pytest()
    result.assert_outcomes(passed=1)
    assert result.ret == 0


def test_a_script_may_verify(mine: Mine) -> None:
    """Nothing runs tests there, and nothing complains: so it is in a notebook."""
    write(mine, "spare = verify(A_CASE)\nprint(spare.line)\n")
    assert mine.pytester.runpython("test_mine.py").ret == 0


# Nothing judged


SKIPPED = {
    "a mark of the module": (
        "import pytest\npytestmark = pytest.mark.skip\ntest_sine = verify(A_CASE)\n"
    ),
    "a class": (
        "import pytest\n@pytest.mark.skip\nclass TestSine:\n    test_sine = verify(A_CASE)\n"
    ),
}


@pytest.mark.parametrize("how", SKIPPED)
def test_a_run_that_judged_nothing_fails(mine: Mine, how: str, approved: Any) -> None:
    """Though every trial was skipped by a mark, and other tests passed."""
    write(mine, SKIPPED[how])
    (mine.pytester.path / "test_other.py").write_text("def test_it(): pass\n")
    result = mine.pytest()
    result.assert_outcomes(passed=1, skipped=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    approved(complaints(result))


def test_trials_that_were_chosen_must_be_judged(
    mine: Mine, monkeypatch: pytest.MonkeyPatch, approved: Any
) -> None:
    """Under -k too: all that was chosen is absent here."""
    monkeypatch.setenv("NNET_PARITY_R", "recorded")
    write(mine, "test_sine = verify(A_CASE)\n", references="[r_nnet, numpy_net]")
    result = mine.pytest("-k", "r_nnet")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    approved(complaints(result))


def test_a_run_without_trials_of_ours_is_left_alone(mine: Mine) -> None:
    """Nothing was chosen, so nothing is missing."""
    write(mine, "test_sine = verify(A_CASE)\ndef test_it(): pass\n")
    assert mine.pytest("-k", "test_it").ret == 0
    assert mine.pytest("--setup-plan").ret == 0


def test_workers_tell_the_controller(
    mine: Mine, warm_python: str, monkeypatch: pytest.MonkeyPatch, approved: Any
) -> None:
    """What no test is called, and what was judged inside a test, is in the report of a shared
    run.
    """
    pytest.importorskip("xdist")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    write(mine, "verify(A_CASE)\ndef test_it():\n    verify(A_CASE)\n")
    result = mine.pytest_apart(warm_python, "-p", "nnet_parity.plugin", processes=1)
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert [v["status"] for v in mine.results()["verdicts"]] == ["PASS"]
    approved(line.partition(": ")[2] for line in complaints(result))


# Known failures


def known(mine: Mine, forward: str, **given: str) -> pytest.RunResult:
    """A run of one case that is known to fail."""
    write(
        mine,
        "test_sine = verify(A_CASE)\n",
        forward,
        **{"known": '"the bias is wrong, see #12"', **given},
    )
    return mine.pytest("-rx")


@pytest.mark.parametrize("of", ["case", "subject", "mark"])
def test_a_known_failure_fails_nothing(mine: Mine, of: str, approved: Any) -> None:
    """It has a status of its own, with its reason, in pytest, on the screen and in the report."""
    given = {
        "case": {},
        "subject": {"known": '""', "subjects": '[Subject(SineNet, known="see #12")]'},
    }
    if of == "mark":
        body = (
            "import pytest\npytestmark = pytest.mark.xfail(reason='see #12')\ntest_sine ="
            " verify(A_CASE)\n"
        )
        write(mine, body, WRONG)
        result = mine.pytest("-rx")
    else:
        result = known(mine, WRONG, **given[of])
    result.assert_outcomes(xfailed=1)
    assert result.ret == 0
    assert [v["status"] for v in mine.results()["verdicts"]] == ["KNOWN"]
    approved(screen_of(result))
    assert "FAIL" not in "\n".join(screen_of(result)).replace("XFAIL", "")
    assert "## Failures" not in mine.markdown()


def test_what_is_known_to_fail_must_fail(mine: Mine, approved: Any) -> None:
    """A model that was mended fails the run until `known` is removed."""
    result = known(mine, RIGHT)
    result.assert_outcomes(passed=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    approved(complaints(result))


def test_what_is_known_may_pass_in_part(mine: Mine) -> None:
    """A gradient may be known to be wrong where the outputs are right."""
    twice = (
        "return self.output(torch.sigmoid(self.hidden(x) + self.hidden.bias -"
        " self.hidden.bias.detach()))"
    )
    result = known(mine, twice, checks='["forward", "gradient"]')
    result.assert_outcomes(passed=1, xfailed=1)
    assert result.ret == 0


def test_a_model_that_is_known_to_raise(mine: Mine) -> None:
    """Is known too."""
    known(mine, "raise RuntimeError('no')").assert_outcomes(xfailed=1)


def test_a_reference_that_breaks_is_not_known(mine: Mine) -> None:
    """`known` is of the subject: where R or a prototype breaks, the trial is BROKEN."""
    before = "from harness import Computed\ndef raising(p, x): raise RuntimeError('no')\n"
    write(
        mine,
        before + "test_sine = verify(A_CASE)\n",
        WRONG,
        known='"x"',
        references='[Computed(raising, "mine", dtype="float64")]',
    )
    mine.pytest().assert_outcomes(failed=1)
    assert [v["status"] for v in mine.results()["verdicts"]] == ["BROKEN"]


def test_known_is_text(mine: Mine, approved: Any) -> None:
    """At collection, in a sentence."""
    write(mine, "test_sine = verify(A_CASE)\n", known="3")
    result = mine.pytest()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    approved(line.partition(": ")[2] for line in result.outlines if "has the known" in line)
