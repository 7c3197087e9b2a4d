"""The screen at the end of a run: a line for each question, at any width, failures first."""

import re
from dataclasses import replace
from typing import Any

import pytest

from harness.core.report import Asked, Cost, Race, Report, Sizes
from harness.core.verdict import Status, Verdict
from harness.reporting.answers import list_answers
from harness.running.result import WHOLE
from harness.screen.layout import NARROWEST
from harness.screen.rows import Ending
from harness.screen.screen import make_screen, make_title
from tests.conftest import Approved

LONG = "Does a network with a very long question, longer than any terminal is wide, pass?" * 3
WIDTHS = (60, 72, 80, 99, 100, 110, 137, 250)


def verdict(number: int, status: Status = Status.PASS, **more: Any) -> Verdict:
    """A verdict of a case of its own, with a question of its own."""
    given = {
        "subject": f"Net{number}",
        "reference": "numpy_net",
        "source": "computed",
        "check": "forward",
        "device": "cpu",
        "dtype": "float64",
        "budget_used": 0.35,
        "question": f"Is question {number} answered?",
        "why": f"heading\nreason {number}",
        **more,
    }
    return Verdict(id=f"id{number}", case=f"case-{number}", status=status, **given)


def everything() -> Report:
    """A report with all that the screen can show."""
    example = {"expect": "differs", "actual": 8.02694, "expected": 3.04521, "allowed": 3e-14}
    contrast = example | {"actual": 0.0, "expected": -0.0405, "check": "interaction"}
    verdicts = [
        verdict(0),
        verdict(0, reference="r_nnet", source="live", budget_used=0.003),
        verdict(1, caveat="Only the sums are identified"),
        verdict(2, check="fit", reference="nnet", source="recorded", budget_used=0.8),
        verdict(3, **example),
        verdict(4, reference="r_nnet", source="live", **contrast),
        verdict(5, Status.KNOWN, known="see issue 12"),
        verdict(6, Status.FAIL),
        replace(verdict(6, Status.FAIL), id="second", follows="id6"),
        replace(verdict(6, Status.FAIL), id="third", follows="id6"),
        verdict(7, Status.BROKEN),
        verdict(8, Status.ABSENT, why="R nnet has no ReLU units", applicable=False),
        verdict(0, Status.ABSENT, why="R was not found: install it", reference="r_nnet"),
        verdict(0, Status.VACUOUS, why="the bound of o is too wide"),
        verdict(9, budget_used=0.9981, reference="aVeryLongNameOfAReference"),
        verdict(10, question=LONG),
    ]
    races = [Race("fit", "Net0", "cpu", "float64", 0.3, 30, aa_ratio=1.01)]
    asked = {"case-0": Asked(100, (1, 5, 1024), {"inputs": Sizes(1e-3, 1e4, True)}, ("eval()",))}
    return Report(
        {"R": "4.2.2", "nnet": "7.3-18", "recorded": "2026-01-01"},
        verdicts,
        [Cost("case-0", 1_000, 1e-5, 1e-5)],
        devices={"cuda": "torch sees no CUDA device"},
        races=races,
        said={"Is question 3 answered?": "It is, by a long sentence of the case. And a second"},
        asked=asked,
    )


ENDING = Ending("report.md", "build/report/index.html", ["test_mine.py::test_it: why"])


def texts(report: Report, width: int, is_verbose: bool = False) -> list[str]:
    """The lines of the screen as text."""
    return [line.text for line in make_screen(report, width, ENDING, is_verbose)]


@pytest.mark.parametrize("width", [60, 80, 110])
def test_the_screen_of_everything(width: int, approved: Approved) -> None:
    """Failures first, then a line for each question in its group, then what was not checked."""
    approved([make_title(everything()), *texts(everything(), width)])


def test_the_screen_of_everything_in_full(approved: Approved) -> None:
    """With -v nothing is shortened, and details stand below."""
    approved(texts(everything(), 110, is_verbose=True))


@pytest.mark.parametrize("is_verbose", [False, True])
def test_no_line_is_wider_than_the_terminal(is_verbose: bool) -> None:
    """At any width from 60 columns up; a narrower terminal gets lines of 60."""
    for width in (20, *WIDTHS):
        assert max(map(len, texts(everything(), width, is_verbose))) <= max(width, NARROWEST)


def test_no_question_is_left_out() -> None:
    """However many there are, each has its line."""
    kinds = (Status.PASS, Status.FAIL, Status.ABSENT, Status.KNOWN, Status.BROKEN)
    verdicts = [verdict(number, kinds[number % 5], known="so") for number in range(200)]
    for width in WIDTHS:
        lines = texts(Report({}, verdicts), width)
        shown = {int(number) for line in lines for number in re.findall(r"Is question (\d+)", line)}
        assert shown == set(range(200))


def test_what_is_wide_is_shown_whole_with_v() -> None:
    """Its words are all there, in their order."""
    lines = texts(Report({}, [verdict(0, question=LONG)]), 80, is_verbose=True)
    shown = [re.sub(r"^equal|✓| 1 +35 %.*$", "", line) for line in lines[1:]]
    said = re.sub(r"\s+", "", "".join(shown))
    assert re.sub(r"\s+", "", LONG) in said


def test_many_causes_are_counted(approved: Approved) -> None:
    """The report holds them all."""
    failed = [replace(verdict(0, Status.FAIL), id=f"{number}") for number in range(40)]
    lines = texts(Report({}, failed), 80)
    assert len(lines) < 15
    approved(line.strip() for line in lines if "more" in line)
    shown = make_screen(Report({}, failed), 110, Ending(WHOLE))  # as check() prints it
    approved(line.text.strip() for line in shown if "more" in line.text)


def test_reasons_are_grouped(approved: Approved) -> None:
    """The most frequent first, one line each, at most six of them."""
    verdicts = [verdict(n, Status.ABSENT, why=f"reason {min(n, 9 - n)}") for n in range(10)]
    verdicts += [verdict(n, Status.ABSENT, why=f"another {n}") for n in range(10, 15)]
    verdicts += [verdict(n, Status.UNDEFINED, why=f"too large {n}") for n in range(20, 23)]
    approved(line for line in texts(Report({}, verdicts), 110) if "?" not in line)


def test_titles(approved: Approved) -> None:
    """Questions that were answered, mismatches and errors, each in its number."""
    reports = [
        Report({}, [verdict(0)]),
        Report({}, [verdict(0), verdict(1)]),
        Report({}, [verdict(0)], complete=False),
        Report({}, [verdict(0), verdict(1, Status.FAIL)]),
        Report({}, [verdict(0, Status.BROKEN)]),
        Report({}, [verdict(0, Status.FAIL), verdict(1, Status.BROKEN), verdict(2, Status.BROKEN)]),
        Report({}, [verdict(0, Status.ABSENT)]),
        Report({}, []),
        Report({}, [], races=everything().races),
    ]
    approved(map(make_title, reports))


def test_a_case_without_a_question_has_one_of_its_own(approved: Approved) -> None:
    """It names who is compared; two that would read alike have the names of their cases."""
    plain = [verdict(0, question=""), verdict(0, question="", reference="r_nnet", source="live")]
    other = [verdict(number, question="") for number in range(1, 5)]
    many = [replace(each, case="many") for each in other]
    differs = verdict(9, question="", expect="differs")
    fits = verdict(9, question="", check="fit", reference="nnet", source="live")
    on_cpu = verdict(9, question="", reference="cpu", device="cuda")
    reports = [
        [on_cpu],
        plain,
        many,
        [differs],
        [fits],
        [other[0], replace(other[0], case="again")],
    ]
    approved(question for each in reports for question in Report({}, each).questions())


def test_colours_are_of_marks() -> None:
    """Of failures the whole text, of others the mark; figures and labels have none."""
    lines = make_screen(everything(), 110, ENDING)
    coloured = {line.text[line.start : line.end]: line.colour for line in lines if line.colour}
    assert coloured["✓ "] == coloured["≠ "] == "green"
    assert coloured["~ "] == coloured["? "] == "yellow"
    assert [text for text, colour in coloured.items() if colour == "red"] == [
        "✗ Is question 6 answered?",
        "✗ Is question 7 answered?",
        "test_mine.py::test_it: why",
    ]


def test_the_report_says_that_nothing_could_be_checked(approved: Approved) -> None:
    """In place of an answer."""
    (answer,) = list_answers(Report({}, [verdict(0, Status.ABSENT)])).values()
    approved(said.text for said in answer)
