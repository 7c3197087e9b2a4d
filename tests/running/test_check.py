"""`check` judges a case anywhere: what is wrong is never ok, whatever its user does around it."""

from __future__ import annotations

import json
import os
import pty
import random
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import FrozenInstanceError, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from harness.core.report import Report
from harness.core.verdict import Status, Verdict
from harness.judging.verification import reading
from harness.reporting.results import parse
from nnet_parity import (
    Case,
    Network,
    Result,
    Subject,
    VerdictFailed,
    check,
    numpy_net,
    probes,
    r_nnet,
    verify,
)
from tests.conftest import RIGHT, SINE_NET, Approved, Mine, narrowed, screen_of

RELU = Network(1, 4, 1, activation="relu")  # which R's nnet cannot judge
HOSTILE = "</style></div><script>alert(1)</script><img src=x onerror=alert(1)>{{ 7*7 }}\x1b[31m"


TAGS = {"div", "style", "p", "h3", "ul", "li", "b", "details", "summary", "span", "pre"}


class SineNet(nn.Module):
    """The right one."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(1, 4), nn.Linear(4, 1)

    def forward(self, x: Any) -> Any:
        return self.output(torch.sigmoid(self.hidden(x)))


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal on which no sentence is shortened."""
    monkeypatch.setenv("COLUMNS", "250")


class Doubled(SineNet):
    """One with twice the outputs."""

    def forward(self, x: Any) -> Any:
        return 2 * super().forward(x)


def make_case(*subjects: Any, **given: Any) -> Case:
    """A small case of these subjects, SineNet if there are none."""
    arguments = {
        "name": "sine-1-4-1",
        "network": Network(1, 4, 1, activation="logistic"),
        "subjects": list(subjects or [SineNet]),
        "references": [numpy_net],
        "problems": probes(seed=0, draws=3),
        "dtypes": ["float64"],
        "checks": ["forward"],
    }
    return Case(**(arguments | given))


def on_cpu(*cases: Case, **given: Any) -> Result:
    """What `check` says of cases on the CPU."""
    return check(list(cases), devices="cpu", **given)


def lines_of(result: Result) -> list[str]:
    """What is printed; columns are two spaces apart."""
    return narrowed(str(result).splitlines())


# What it says


def test_a_right_model_is_ok(approved: Approved) -> None:
    """By every word of the result."""
    result = on_cpu(make_case())
    assert (result.ok, bool(result), result.findings) == (True, True, [])
    assert [verdict.status for verdict in result.verdicts] == [Status.PASS]
    result.raise_if_failed()
    approved(lines_of(result), mask_figures=True)


def test_a_wrong_model_is_not(approved: Approved) -> None:
    """By every word of the result; its failure stands before the screen."""
    result = on_cpu(make_case(Doubled))
    assert (result.ok, bool(result), len(result.findings)) == (False, False, 1)
    approved(lines_of(result), mask_figures=True)
    with approved.raises(VerdictFailed, mask_figures=True):
        result.raise_if_failed()
    assert repr(result) == str(result)


def test_findings_are_plain_frozen_data() -> None:
    """The same as in the verdicts, with the element and its figures."""
    result = on_cpu(make_case(Doubled))
    (finding,) = result.findings
    assert finding is result.verdicts[0].finding
    assert finding.quantity == "forward"
    assert finding.actual == pytest.approx(2 * float(finding.expected or 0))
    with pytest.raises(FrozenInstanceError):
        finding.quantity = "loss"  # type: ignore[misc]


def test_of_many_failures_the_first_are_shown(approved: Approved) -> None:
    """How many more there are is said; the data has all, on paper and in a notebook."""
    doubled = [Subject(Doubled, name=f"Doubled{number}") for number in range(7)]
    result = on_cpu(make_case(*doubled))
    assert len(result.findings) == 7
    assert str(result).count("worst at") == result._repr_html_().count("worst at") == 5
    approved([line for line in lines_of(result) if line.startswith("...")])
    approved(re.findall("<p>(2 more .*?)</p>", result._repr_html_()))


@pytest.mark.parametrize("forward", [RIGHT, f"{RIGHT} + 1"], ids=["right", "wrong"])
def test_the_screen_is_pytests(mine: Mine, forward: str) -> None:
    """Line by line, but for where the whole report is."""
    mine.write_sine(forward, checks='["forward"]', dtypes='["float64"]')
    *screen, last = screen_of(mine.pytest())
    names: dict[str, Any] = {"__name__": "theirs"}
    with reading():
        exec(mine.text, names)
    result = check(names["test_sine"].case, devices="cpu")
    assert result.ok is (forward == RIGHT)
    *printed, counts = lines_of(result)
    assert printed[-len(screen) :] == screen
    assert counts.partition("total ")[2].strip() in last


def test_the_record_is_a_results_json() -> None:
    """It is read back by the strict reader, to the same verdicts."""
    result = on_cpu(make_case(SineNet, Doubled))
    report = parse(json.dumps(result.record(), allow_nan=False).encode())
    # a float32 or an infinity would not survive
    assert report.verdicts == result.verdicts


def test_several_cases_are_one_result() -> None:
    """In their order; one that fails fails all."""
    right, wrong = make_case(name="right"), make_case(Doubled, name="wrong")
    result = on_cpu(right, wrong)
    assert [verdict.case for verdict in result.verdicts] == ["right", "wrong"]
    assert not result
    assert on_cpu(right, make_case(name="other"))


def test_a_case_that_was_verified_is_judged_too() -> None:
    """As it stands in a test file."""
    with reading():
        right, wrong = verify(make_case()), verify(make_case(Doubled))
    assert check(right, devices="cpu")
    assert not check([wrong], devices="cpu")


# No green without evidence


def test_without_evidence_it_is_not_ok(approved: Approved) -> None:
    """All trials ABSENT: nobody could say anything."""
    result = on_cpu(make_case(network=RELU, references=[r_nnet]))
    assert {verdict.status for verdict in result.verdicts} == {Status.ABSENT}
    assert not result.ok
    assert result.findings == []
    approved(lines_of(result))
    with approved.raises(VerdictFailed):
        result.raise_if_failed()


def test_one_case_without_evidence_spoils_all() -> None:
    """However many trials of another pass."""
    absent = make_case(name="absent", network=RELU, references=[r_nnet])
    assert not on_cpu(make_case(), absent)


def test_on_a_device_that_is_not_here_nothing_is_ok() -> None:
    """NOT RUN is no evidence."""
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    result = check(make_case(), devices=["cuda"])
    assert {verdict.status for verdict in result.verdicts} == {Status.NOT_RUN}
    assert not result


def test_known_failures_alone_are_not_ok(approved: Approved) -> None:
    """Of a case of which nothing passes; beside a pass they are known, as under pytest."""
    known = Subject(Doubled, known="outputs are doubled until the next release")
    result = on_cpu(make_case(known))
    assert not result
    assert result.findings == []
    approved(lines_of(result))
    assert on_cpu(make_case(known, SineNet))


def test_a_known_failure_that_passes_is_not_ok(approved: Approved) -> None:
    """As under pytest: it is not known any more."""
    result = on_cpu(make_case(Subject(SineNet, known="it was wrong")))
    assert not result
    approved(result.complaints)


def test_a_model_that_cannot_be_asked_is_not_ok() -> None:
    """BROKEN, with the reason; `check` itself raises nothing."""

    def stop() -> nn.Module:
        sys.exit(0)

    result = on_cpu(make_case(Subject(stop, name="Stops", shapes=None)))
    assert not result
    assert {verdict.status for verdict in result.verdicts} == {Status.BROKEN}


# What it is asked


BAD: dict[str, Callable[[], object]] = {
    "nothing": lambda: check([]),
    "no case": lambda: check(SineNet),  # type: ignore[arg-type]
    "a text": lambda: check("sine"),  # type: ignore[arg-type]
    "a list of models": lambda: check([SineNet]),  # type: ignore[list-item]
    "two of a name": lambda: check([make_case(), make_case()]),
    "a device": lambda: check(make_case(), devices="gpu"),
    "who answers": lambda: check(make_case(), r="no"),
    "an unsound case": lambda: check(make_case(dtypes=["float8"])),
    "starts": lambda: check(make_case(), starts=1),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_judged_is_refused(what: str, approved: Approved) -> None:
    """In a sentence, before anything is judged."""
    with approved.raises((ValueError, TypeError)):
        BAD[what]()


def test_r_must_be_live(without_r: None, approved: Approved) -> None:
    """Where it is not, nothing else answers in its place."""
    case = make_case(references=[r_nnet, numpy_net])
    with pytest.raises(LookupError, match="R was not found"):
        check(case, devices="cpu", r="live")
    result = check(case, devices="cpu")  # auto
    assert [verdict.status for verdict in result.verdicts] == [Status.ABSENT, Status.PASS]
    assert result


def test_recordings_alone_answer(live_r: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the argument or the environment; the argument counts."""
    case = make_case(references=[r_nnet, numpy_net])
    assert [v.source for v in on_cpu(case, r="recorded").verdicts] == ["absent", "computed"]
    monkeypatch.setenv("NNET_PARITY_R", "recorded")
    assert [v.source for v in on_cpu(case).verdicts] == ["absent", "computed"]
    assert [v.source for v in on_cpu(case, r="live").verdicts] == ["live", "computed"]


def test_devices_may_be_said_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for pytest."""
    monkeypatch.setenv("NNET_PARITY_DEVICES", "cpu cuda:7")
    devices = [verdict.device for verdict in check(make_case()).verdicts]
    assert list(dict.fromkeys(devices)) == ["cpu", "cuda:7"]


def test_scripts_are_written_where_they_are_asked_for(tmp_path: Path) -> None:
    """One for the failure, and none without a folder."""
    folder = tmp_path / "reproducers"
    assert on_cpu(make_case(Doubled)).verdicts[0].alone == ""
    (verdict,) = on_cpu(make_case(Doubled), reproducers=folder).verdicts
    (script,) = folder.iterdir()
    assert verdict.alone == str(script)
    assert "class Doubled(SineNet)" in script.read_text()


# Beside what else its user does


def test_the_process_is_left_as_it_was() -> None:
    """Threads, random numbers, and torch's settings."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        torch.manual_seed(3)
        random.seed(3)
        states = torch.get_rng_state(), random.getstate()
        assert not on_cpu(make_case(SineNet, Doubled))
        assert torch.get_num_threads() == 2
        assert torch.equal(torch.get_rng_state(), states[0])
        assert random.getstate() == states[1]
    finally:
        torch.set_num_threads(threads)


def test_a_class_that_was_written_anew_is_not_passed_by_its_older_case(approved: Approved) -> None:
    """Neither judged by the older class, nor by the newer: the case is made again."""
    names: dict[str, Any] = {"__name__": "cells", "SineNet": SineNet, "make_case": make_case}
    module = sys.modules["cells"] = type(sys)("cells")
    vars(module).update(names)
    names = vars(module)
    try:
        exec("class Mine(SineNet):\n    def forward(self, x): return super().forward(x)", names)
        exec("case = make_case(Mine)", names)
        assert on_cpu(names["case"])
        exec("class Mine(SineNet):\n    def forward(self, x): return super().forward(x)", names)
        assert on_cpu(names["case"])  # the same cell has run again
        exec("class Mine(SineNet):\n    def forward(self, x): return 2 * x", names)
        with approved.raises(ValueError):
            on_cpu(names["case"])
        exec("case = make_case(Mine)", names)
        assert not on_cpu(names["case"])
    finally:
        del sys.modules["cells"]


def test_a_file_that_was_edited_is_not_passed_by_what_was_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """Until it is imported again."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    text = "import torch\nfrom torch import nn\n" + SINE_NET.format(forward=RIGHT)
    file = tmp_path / "edited_port.py"
    file.write_text(text)
    import edited_port  # type: ignore[import-not-found]

    case = make_case(edited_port.SineNet)
    try:
        assert on_cpu(case)
        file.write_text(f"{text}\n# the same\n")
        assert on_cpu(case)
        file.write_text(text.replace("return", "return 2 *"))
        with approved.raises(ValueError):
            on_cpu(case)
    finally:
        del sys.modules["edited_port"]


INSIDE = {  # in a test of pytest: how, and does the test pass with a wrong model?
    "not looked at": ("check(A_CASE)", False),
    "only printed": ("print(check(A_CASE))", False),
    "kept": ("result = check(A_CASE)", False),
    "asserted": ("assert check(A_CASE)", False),
    "raised": ("check(A_CASE).raise_if_failed()", False),
    "asserted not": ("assert not check(A_CASE).ok", True),
    "its findings looked at": ("assert check(A_CASE).findings", True),
}


@pytest.mark.parametrize("how", INSIDE)
def test_inside_a_test_nobody_forgets_to_look(mine: Mine, how: str) -> None:
    """A result that is not ok fails the test, unless the test asks; a right one never does."""
    body, passes = INSIDE[how]
    given = {"checks": '["forward"]', "dtypes": '["float64"]'}
    case = mine.case("", **given).strip().removeprefix("= verify(").removesuffix(")")
    # a test that expects a failure fails with a right model
    for forward, expected in ((RIGHT, not passes), ("return x", passes)):
        text = f"from harness import check\ndef test_it():\n    {body.replace('A_CASE', case)}\n"
        mine.write(SINE_NET.format(forward=forward), text)
        result = mine.pytest()
        result.assert_outcomes(passed=int(expected), failed=int(not expected))


def test_who_forgets_to_look_is_told(mine: Mine, approved: Approved) -> None:
    """What was forgotten, and what the result says."""
    body = "result = check(A_CASE)"
    case = mine.case("", checks='["forward"]', dtypes='["float64"]').strip()
    case = case.removeprefix("= verify(").removesuffix(")")
    text = f"from harness import check\ndef test_it():\n    {body.replace('A_CASE', case)}\n"
    mine.write(SINE_NET.format(forward="return x"), text)
    result = mine.pytest()
    approved(line[2:].strip() for line in result.outlines if line.startswith("E "))


def test_a_fixture_that_checks_is_looked_at_too(mine: Mine) -> None:
    """One that runs before each test, and whose result nobody has."""
    mine.write(
        SINE_NET.format(forward="return x"),
        mine.case("sine").replace("verify(", "(", 1),
        "import pytest\nfrom harness import check\n"
        "@pytest.fixture(autouse=True)\ndef port(): check(sine)\n"
        "def test_it(): pass\n",
    )
    mine.pytest().assert_outcomes(failed=1)


# On its way


@contextmanager
def shown(path: Path | None = None) -> Iterator[list[str]]:
    """Show all progress on stderr, which is a terminal or a file; the list gets what it shows."""
    screen, theirs = pty.openpty()
    said: list[str] = []
    stream = path.open("w") if path else os.fdopen(theirs, "w", encoding="utf-8", closefd=False)
    with stream, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", stream)
        patch.setattr("harness.running.progress.PATIENCE", 0.0)
        patch.setenv("TERM", "xterm")
        yield said
    os.set_blocking(screen, False)
    with suppress(BlockingIOError):
        while not path:
            said.append(os.read(screen, 10_000).decode())
    said += [path.read_text()] if path else []
    os.close(screen)
    os.close(theirs)


def test_progress_is_shown_in_one_line_that_is_cleared(approved: Approved) -> None:
    """The case, the trial and how many there are; at the end nothing is left."""
    with shown() as said:
        on_cpu(make_case(checks=["forward", "loss"]))
    lines = "".join(said).split("\r")
    approved(line.rstrip() for line in lines if line.strip())
    assert "\n" not in "".join(said)
    assert lines[-2].isspace()
    assert lines[-1] == ""


def test_progress_is_hidden_where_it_is_not_wanted(tmp_path: Path) -> None:
    """By the argument; and of itself where stderr is a file."""
    with shown() as said:
        on_cpu(make_case(), progress=False)
    assert said == []
    with shown(tmp_path / "log") as said:
        on_cpu(make_case())
    assert said == [""]


def test_progress_in_a_file_has_lines(tmp_path: Path) -> None:
    """Where it is asked for."""
    with shown(tmp_path / "log") as said:
        on_cpu(make_case(checks=["forward", "loss"]), progress=True)
    assert [line.split(",")[0] for line in said[0].splitlines()] == [
        "  sine-1-4-1: trial 1 of 2",
        "  sine-1-4-1: trial 2 of 2",
    ]


def test_slow_work_is_said_in_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without being asked for: a line after some seconds, here at once."""
    monkeypatch.setattr("harness.running.progress.PATIENCE_OF_LOG", 0.0)
    with shown(tmp_path / "log") as said:
        on_cpu(make_case(checks=["forward", "loss"]))
    assert "trial 1 of 2" in said[0]


# On paper, and in a notebook


def test_the_report_is_written(tmp_path: Path, approved: Approved) -> None:
    """As pytest writes it; in place of an older one, never of anything else."""
    result = on_cpu(make_case())
    result.save(tmp_path / "report")
    names = sorted(path.name for path in (tmp_path / "report").iterdir())
    assert names == ["index.html", "report.md", "results.json"]
    wrong = on_cpu(make_case(Doubled))
    assert not wrong
    wrong.save(tmp_path / "report")
    assert "FAILED" in (tmp_path / "report/report.md").read_text()
    for text in ("my page", None):
        if text is None:
            (tmp_path / "results.json").write_text("{}")
        (tmp_path / "index.html").write_text("my page")
        with approved.raises(FileExistsError):
            result.save(tmp_path)
    assert (tmp_path / "index.html").read_text() == "my page"


class Elements(HTMLParser):
    """The tags, the attributes and the texts of HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        if self.tags[-1] != "style" and data.strip():
            self.words.append(" ".join(data.split()))


def test_a_notebook_shows_a_card(approved: Approved) -> None:
    """What is wrong first, the answers, the counts, the failures."""
    known = Subject(Doubled, name="Known", known="it is doubled")
    result = on_cpu(make_case(known), make_case(Doubled, name="wrong"))
    assert not result
    words = Elements(result._repr_html_()).words
    approved((word for word in words if not word.startswith("cuda NOT RUN")), mask_figures=True)


def test_a_card_changes_nothing_around_it() -> None:
    """One element, without script or address, whose rules hold for it alone; light and dark."""
    result = on_cpu(make_case(Doubled))
    assert not result
    text = result._repr_html_().strip()
    assert re.fullmatch(r'<div class="nnet-parity">.*</div>', text, re.DOTALL)
    assert not re.search(r"https?:|src=|href=|@import|url\(|<script|\bid=", text)
    (style,) = re.findall("<style>(.*?)</style>", text, re.DOTALL)
    depth, start, selectors = 0, 0, []
    for place, letter in enumerate(style):
        if letter == "{":
            if depth == 0:
                selectors.append(style[start:place].strip())
            depth += 1
        elif letter == "}":
            depth -= 1
            start = place + 1
    assert depth == 0
    for selector in selectors:
        assert selector.startswith("@media") or all(
            ".nnet-parity.nnet-parity" in each for each in selector.split(",")
        )
    assert "prefers-color-scheme: dark" in style
    assert '[data-jp-theme-light="false"]' in style


def test_nothing_in_a_name_becomes_markup() -> None:
    """Neither in the card, nor on a terminal."""
    verdict = Verdict(
        *(HOSTILE for _ in range(8)), Status.FAIL, why=HOSTILE, question=HOSTILE, known=HOSTILE
    )
    absent = replace(verdict, status=Status.ABSENT)
    report = Report({}, [verdict, absent], devices={HOSTILE: HOSTILE})
    result = Result(report, [HOSTILE])
    found = Elements(result._repr_html_())
    assert set(found.tags) <= TAGS
    assert set(found.attributes) <= {"class", "open"}
    assert "\x1b" not in str(result) + result._repr_html_()
