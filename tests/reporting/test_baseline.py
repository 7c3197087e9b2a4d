"""Two reports compared: what became of every trial, in which words, with which exit code, and what
is refused.
"""

import json
import os
import random
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from harness import cli as command
from harness.core.report import Report
from harness.core.verdict import Status, Verdict
from harness.publishing.writing import write
from harness.reporting import github, results
from harness.reporting.older_results import add_finding
from harness.reporting.regressions import LINES, Change, Kind, compare, summary_lines
from harness.reporting.results import read
from nnet_parity.report_folder import exchange
from tests.conftest import Approved, Mine, baseline_of, unfolded

ROOT = Path(__file__).parents[2]
MACHINE = {
    "processor": "x86_64",
    "threads": 1,
    "torch": "2.13.0",
    "numpy": "2.4.6",
    "R": "4.2.2",
    "nnet": "7.3-18",
}
NAUGHTY = "../../<b>`x`</b>|\x1b[31m\u202e\udcff" + "n" * 300
FAILURE = """\
sine: Net (cpu, float64) against R nnet 7.3-18 (live)
gradient differs by 12 times its float64 rounding bound
  worst at b[1]: got 2, R says 1, allowed ±0.083
  rerun: pytest "test_mine.py::test_sine[a]\""""


def verdict(status: str = "PASS", used: float | None = 0.01, id: str = "a", **rest: Any) -> Verdict:
    """A verdict of one trial: `case` sine, on the CPU, against live R."""
    fails = status in ("FAIL", "BROKEN")
    given = {
        "case": "sine",
        "subject": "Net",
        "reference": "r_nnet",
        "source": "live",
        "check": "gradient",
    }
    given |= {
        "device": "cpu",
        "dtype": "float64",
        "why": FAILURE if fails else f"why it is {status}",
        **rest,
    }
    return add_finding(Verdict(id=id, status=Status(status), budget_used=used, **given))


def report(*verdicts: Verdict, **machine: Any) -> Report:
    """A whole report of these verdicts, with one more trial that passed, so that there is something
    to compare.
    """
    contracts = {"Net float64": "float64, u = 2^-53"}
    return Report(MACHINE | machine, [*verdicts, verdict(id="always")], (), contracts)


def change(old: Verdict | None, new: Verdict | None, **how: Any) -> Change:
    """What became of the one trial that is not always the same."""
    found = compare(report(*[old] * (old is not None)), report(*[new] * (new is not None)), **how)
    [one] = [each for each in found if each.trial == "sine: a"]
    return one


# What became of a trial

EVIDENCE = {None: None, "PASS": "passes", "FAIL": "fails", "BROKEN": "fails", "KNOWN": "known"}
EXPECTED = {
    ("passes", "passes"): Kind.UNCHANGED,
    ("passes", "fails"): Kind.REGRESSION,
    ("passes", "silent"): Kind.LOST,
    ("passes", None): Kind.GONE,
    ("fails", "passes"): Kind.IMPROVEMENT,
    ("fails", "fails"): Kind.STILL_FAILING,
    ("fails", "silent"): Kind.LOST,
    ("fails", None): Kind.GONE,
    ("silent", "passes"): Kind.NEW,
    ("silent", "fails"): Kind.NEW_FAILURE,
    ("silent", "silent"): Kind.UNCHANGED,
    ("silent", None): Kind.GONE,
    (None, "passes"): Kind.NEW,
    (None, "fails"): Kind.NEW_FAILURE,
    (None, "silent"): Kind.NEW,
    ("known", "passes"): Kind.IMPROVEMENT,
    ("known", "fails"): Kind.NEW_FAILURE,
    ("known", "silent"): Kind.LOST,
    ("known", None): Kind.GONE,
    **{(old, "known"): Kind.KNOWN for old in (None, "passes", "fails", "silent", "known")},
}


@pytest.mark.parametrize("old", [None, *Status])
@pytest.mark.parametrize("new", [None, *Status])
def test_every_pair_of_statuses_has_its_word(old: Status | None, new: Status | None) -> None:
    """All 63: a trial that fails and did not fail before always fails the comparison, and nothing
    else does.
    """
    if old is None and new is None:
        return
    found = change(*(None if status is None else verdict(status) for status in (old, new)))
    assert found.kind == EXPECTED[EVIDENCE.get(old, "silent"), EVIDENCE.get(new, "silent")]
    fails_now, failed = EVIDENCE.get(new) == "fails", EVIDENCE.get(old) == "fails"
    assert found.kind.fails == (fails_now and not failed)


@pytest.mark.parametrize(
    ("used", "uses", "how", "kind"),
    [
        (0.01, 0.3, {}, Kind.DRIFT),
        (0.001, 0.004, {}, Kind.UNCHANGED),  # noise: below the floor
        (0.2, 0.4, {}, Kind.UNCHANGED),  # no more than the factor
        (0.2, 0.41, {}, Kind.DRIFT),
        (0.0, 0.2, {}, Kind.DRIFT),
        (0.0, 0.1, {}, Kind.UNCHANGED),
        (0.9, 0.1, {}, Kind.UNCHANGED),
        (None, 0.9, {}, Kind.UNCHANGED),  # no number, no drift
        (0.1, None, {}, Kind.UNCHANGED),
        (0.2, 0.41, {"factor": 3}, Kind.UNCHANGED),
        (0.001, 0.004, {"floor": 0}, Kind.DRIFT),
        (0.01, 0.3, {"floor": 0.3}, Kind.UNCHANGED),
    ],
)
def test_drift_is_growth_beyond_the_factor_and_the_floor(
    used: float | None, uses: float | None, how: dict[str, float], kind: Kind
) -> None:
    """Both must be exceeded."""
    assert change(verdict(used=used), verdict(used=uses), **how).kind is kind


def test_a_counterexample_that_grows_is_no_drift() -> None:
    """Who claims a difference is glad of a large one."""
    assert (
        change(verdict(used=2.0, expect="differs"), verdict(used=9e9, expect="differs")).kind
        is Kind.UNCHANGED
    )


def test_another_claim_is_not_comparable(approved: Approved) -> None:
    """A trial that is now claimed to differ did not stay what it was."""
    found = change(verdict(), verdict(used=7.0, expect="differs"))
    assert found.kind is Kind.NOT_COMPARABLE
    approved(found.told)


@pytest.mark.parametrize(
    ("name", "value", "where"),
    [
        ("torch", "2.14.0", {}),
        ("numpy", "3.0", {}),
        ("processor", "aarch64", {}),
        ("threads", 2, {}),
        ("R", "4.5.0", {}),
        ("nnet", None, {}),
        ("nnet", "7.3-20", {"source": "recorded"}),
        ("device", "H200", {"device": "cuda:0"}),
        ("cuda", "13", {"device": "cuda:0"}),
    ],
)
def test_what_rounds_otherwise_hides_drift_and_nothing_else(
    name: str, value: Any, where: dict[str, str], approved: Approved
) -> None:
    """It is named; a regression is one whatever the versions."""

    def became(new: Verdict) -> Change:
        found = compare(report(verdict(**where)), report(new, **{name: value}))
        return next(each for each in found if each.trial == "sine: a")

    found = became(verdict(used=0.9, **where))
    assert found.kind is Kind.NOT_COMPARABLE
    approved(found.told)
    assert became(verdict("FAIL", 12.0, **where)).kind is Kind.REGRESSION
    assert became(verdict("ABSENT", None, **where)).kind is Kind.LOST


@pytest.mark.parametrize(
    ("name", "value", "where"),
    [
        ("R", "4.5.0", {"source": "computed"}),
        ("device", "H200", {}),
        ("platform", "another kernel", {}),
        ("commit", "another", {}),
    ],
)
def test_what_does_not_touch_its_rounding_lets_drift_be_seen(
    name: str, value: str, where: dict[str, str]
) -> None:
    """R does not round for NumPy, nor a GPU for the CPU."""
    found = compare(report(verdict(**where)), report(verdict(used=0.9, **where), **{name: value}))
    assert Kind.DRIFT in {each.kind for each in found}


def test_another_contract_is_another_bound(approved: Approved) -> None:
    """Of the subject, in the dtype of the trial."""
    old, new = report(verdict()), report(verdict(used=0.9))
    found = compare(old, replace(new, contracts={"Net float64": "wider"}))
    assert {each.kind for each in found} == {Kind.NOT_COMPARABLE}
    approved(found[0].told)


def test_a_report_and_itself_are_the_same(approved: Approved) -> None:
    """Of every status."""
    verdicts = [verdict(status, id=f"{status}") for status in Status]
    found = compare(report(*verdicts), report(*verdicts))
    assert {each.kind for each in found} == {Kind.UNCHANGED, Kind.STILL_FAILING, Kind.KNOWN}
    approved(summary_lines(compare(report(), report()), 110))


# In words


def many() -> tuple[Report, Report]:
    """Two reports between which everything happened."""
    old = [
        verdict(id="falls"),
        *(verdict(id=f"lost {number}") for number in range(3)),
        verdict(id="gone"),
        *(verdict(id=f"drifts {number}", used=0.1) for number in range(2)),
        verdict("FAIL", 12.0, id="failing"),
        verdict("BROKEN", None, id="heals"),
        verdict(id="claims"),
    ]
    new = [
        verdict(id="appears"),
        verdict("FAIL", None, id="appears and fails"),
        *(
            verdict("ABSENT", None, id=f"lost {number}", why="R was not found: install it")
            for number in range(3)
        ),
        verdict("FAIL", 12.0, id="falls"),
        *(verdict(id=f"drifts {number}", used=0.3 + number / 10) for number in range(2)),
        verdict("BROKEN", None, id="failing"),
        verdict(id="heals"),
        verdict(id="claims", expect="differs"),
    ]
    return report(*old), report(*new)


def test_sentences_come_worst_first(approved: Approved) -> None:
    """Each with what was and what is, those alike as one, counts at the end."""
    found = compare(*many())
    worst = [list(Kind).index(each.kind) for each in found]
    assert (worst, len(found)) == (sorted(worst), 13)
    approved(summary_lines(found, 200))


def test_the_first_failures_can_be_told_in_full(approved: Approved) -> None:
    """With every line of their own, indented."""
    lines = summary_lines(compare(*many()), 200, whole=1)
    assert lines[1:5] == [f"    {line}" for line in FAILURE.split("\n")]
    approved(lines[:6])


def test_the_worst_of_a_kind_comes_first() -> None:
    """By budget used; what must be equal and is not has none, and is the worst."""
    ids = {"near": 2.0, "far": 1e9, "endless": None}
    new = report(*(verdict("FAIL", used, id=id, why=f"heading\n{id}") for id, used in ids.items()))
    found = compare(report(*(verdict(id=id) for id in ids)), new)
    assert [each.trial for each in found[:3]] == ["sine: endless", "sine: far", "sine: near"]


def test_failures_of_one_cause_are_one_sentence(approved: Approved) -> None:
    """It names the first failure, though another one is worse, and counts the others."""
    first = verdict("FAIL", 12.0, id="forward", why="heading\nthe first")
    rest = [verdict("FAIL", 99.0, id=id, why="heading\nmore", follows="forward") for id in "ab"]
    ids = ("forward", "a", "b")
    found = compare(report(*(verdict(id=id) for id in ids)), report(first, *rest))
    approved(summary_lines(found, 110))


def test_many_changes_take_thirty_lines(approved: Approved) -> None:
    """The rest is counted."""
    ids = [f"trial {number}" for number in range(200)]
    new = report(*(verdict("FAIL", 12.0, id=id, why=f"heading\nfinding {id}") for id in ids))
    lines = summary_lines(compare(report(*(verdict(id=id) for id in ids)), new), 110, whole=3)
    assert len(lines) == LINES
    approved(lines[-2:])


# What says nothing is refused


@pytest.mark.parametrize(
    "verdicts", [[verdict("ABSENT")], [verdict(id="another")]], ids=["not judged", "another"]
)
def test_no_trial_in_both_is_no_comparison(verdicts: list[Verdict], approved: Approved) -> None:
    """No evidence is not a pass."""
    with approved.raises(ValueError):
        compare(Report(MACHINE, [verdict()]), Report(MACHINE, verdicts))


def test_two_trials_of_one_name_are_refused(approved: Approved) -> None:
    """One could hide the other."""
    with approved.raises(ValueError):
        compare(report(verdict()), report(verdict(), verdict("FAIL")))
    assert compare(report(verdict(case="x: y", id="z")), report(verdict(case="x", id="y: z")))


def test_a_run_that_ended_early_is_no_pass(approved: Approved) -> None:
    """What it lacks may have failed; a regression in it is one all the same."""
    old = report(verdict(), verdict(id="b"))
    with approved.raises(ValueError):
        compare(old, replace(report(verdict()), complete=False))
    assert compare(old, replace(report(verdict("FAIL")), complete=False))[0].kind is Kind.REGRESSION
    assert compare(replace(old, complete=False), report(verdict()))


# Files


def saved(tmp_path: Path, made: Report, name: str = "new") -> Path:
    """The results.json of a report, as pytest writes it."""
    write(made, tmp_path / name, exchange)
    return tmp_path / name / "results.json"


@pytest.fixture(autouse=True)
def no_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports written here are not the run's own."""
    for name in ("GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS", "GITHUB_WORKSPACE"):
        monkeypatch.delenv(name, raising=False)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """All that a comparison looks at, names that are markup or no UTF-8 too."""
    for made in (*many(), report(verdict(case=NAUGHTY, id=NAUGHTY, why=NAUGHTY))):
        found = read(saved(tmp_path, made))
        assert (found.environment, found.contracts, found.complete) == (
            made.environment,
            made.contracts,
            True,
        )
        assert found.verdicts == made.verdicts


RAW = json.dumps(report(verdict()).record(), indent=1)


def altered(alter: Callable[[dict[str, Any]], Any]) -> str:
    """A results.json in which something is not as it should be."""
    record = json.loads(RAW)
    alter(record)
    return json.dumps(record)


NO_REPORT = {
    "empty": "",
    "no UTF-8": b"\xff\xfe",
    "deep lists": "[" * 100_000,
    "deep objects": '{"a": ' * 100_000,
    "a list": "[]",
    "nothing in it": "{}",
    "another schema": RAW.replace("results/1", "results/2"),
    "a name twice": RAW.replace('"status": "PASS",', '"status": "PASS", "status": "FAIL",'),
    "NaN": RAW.replace("0.01", "NaN"),
    "-Infinity": RAW.replace("0.01", "-Infinity"),
    "too large": RAW.replace("0.01", "1e400"),
    "no complete": altered(lambda r: r.pop("complete")),
    "no list of verdicts": altered(lambda r: r.update(verdicts={})),
    "no environment": altered(lambda r: r.update(environment=[1])),
    "no verdict": altered(lambda r: r["verdicts"].append(7)),
    "no id": altered(lambda r: r["verdicts"][1].pop("id")),
    "no status": altered(lambda r: r["verdicts"][1].pop("status")),
    "no why": altered(lambda r: r["verdicts"][1].pop("why")),
    "no expect": altered(lambda r: r["verdicts"][1].pop("expect")),
    "no budget": altered(lambda r: r["verdicts"][1].pop("budget_used")),
    "another status": altered(lambda r: r["verdicts"][1].update(status="pass")),
    "null for expect": altered(lambda r: r["verdicts"][1].update(expect=None)),
    "another expect": altered(lambda r: r["verdicts"][1].update(expect="same")),
    "null for the budget": altered(lambda r: r["verdicts"][1].update(budget_used=None)),
    "a word for the budget": altered(lambda r: r["verdicts"][1].update(budget_used=True)),
    "a pass beyond its budget": altered(lambda r: r["verdicts"][1].update(budget_used=1.5)),
    "a budget below 0": altered(lambda r: r["verdicts"][1].update(status="FAIL", budget_used=-1)),
}


@pytest.mark.parametrize("how", NO_REPORT)
def test_a_file_that_is_no_report_is_told_apart(
    tmp_path: Path, how: str, approved: Approved
) -> None:
    """What was found, what was expected, what to do."""
    path, text = tmp_path / "old.json", NO_REPORT[how]
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with approved.raises(ValueError) as error:
        read(path)
    assert str(error.value).startswith(f"{path} ")


def test_what_is_no_file_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """A folder, nothing at all, a pipe without a writer, a device without an end, a file too
    large.
    """
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_text(RAW)
    monkeypatch.setattr(results, "MOST_BYTES", 5)
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "pipe", Path("/dev/zero")):
        with approved.raises(ValueError):
            read(path)
    # some Pythons say that no name has a null byte
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):
        read(Path("nu\0l"))
    with approved.raises(ValueError, mask_figures=True) as error:
        read(tmp_path / "large")
    assert f" {len(RAW):,} " in str(error.value)


# The command


def ran(*arguments: object) -> int:
    """The exit code of the command, in this process."""
    try:
        return command.main([str(argument) for argument in arguments])
    except SystemExit as end:  # argparse ends by itself
        return int(end.code or 0)


def test_the_command_says_what_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], approved: Approved, wide: None
) -> None:
    """The failure in full, the count, 1."""
    old, new = (
        saved(tmp_path, made, name) for made, name in zip(many(), ("old", "new"), strict=True)
    )
    assert ran("compare", old, new) == 1
    out, err = capsys.readouterr()
    approved(out)
    assert FAILURE.splitlines()[0] in out
    assert err == ""


def test_the_command_says_that_nothing_changed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], approved: Approved
) -> None:
    """0; drift is no failure, and both limits can be chosen."""
    old, new = (saved(tmp_path, report(verdict(used=used)), str(used)) for used in (0.05, 0.3))
    said = []
    for arguments in (
        [old, old],
        [old, new],
        [old, new, "--factor", "6.5"],
        [old, new, "--floor=0.3"],
    ):
        assert ran("compare", *arguments) == 0
        said.append(capsys.readouterr().out)
    same, drift, *chosen = said
    assert chosen == [same, same]
    approved([same, drift])


def test_unusable_input_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], approved: Approved
) -> None:
    """2, on the other stream, and no escape sequence on it."""
    good, bad = saved(tmp_path, report()), tmp_path / "a\x1b[31mb.json"
    assert ran("compare", bad, good) == 2
    out, err = capsys.readouterr()
    assert out == ""
    approved(err)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--factor", "0.5"],
        ["--factor", "nan"],
        ["--floor", "inf"],
        ["--floor", "much"],
        ["--fact", "3"],
    ],
    ids=" ".join,
)
def test_limits_that_are_none_are_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], approved: Approved
) -> None:
    """By 2, before any file is looked at."""
    assert ran("compare", "old.json", "new.json", *arguments) == 2
    approved(capsys.readouterr().err.split("\n")[-2])


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of one width."""
    monkeypatch.setenv("COLUMNS", "110")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, wide: None) -> None:
    """The verbs that pyproject.toml names, and no other that this environment may have."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    verbs = [
        EntryPoint(*named, command.GROUP)
        for named in project["entry-points"][command.GROUP].items()
    ]
    monkeypatch.setattr(command, "entry_points", lambda group: verbs)


@pytest.mark.parametrize(
    "verb",
    ["", "compare", "race", "record", "selfcheck", "doctor"],
    ids=lambda verb: verb or "nnet-parity",
)
def test_help_tells_all(
    verb: str, capsys: pytest.CaptureFixture[str], installed: None, approved: Approved
) -> None:
    """Of the program its verbs; of a verb its words, options and exit codes."""
    assert ran(*verb.split(), "--help") == 0
    out = capsys.readouterr().out
    approved(out)
    if verb == "compare":
        assert all(kind in out for kind in {*Kind} - {Kind.UNCHANGED})
    assert ran() == 2


def test_verbs_of_other_folders_are_found_by_name(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wide: None,
    approved: Approved,
) -> None:
    """As entry points; one that cannot be loaded hinders no other."""
    made = [
        EntryPoint("exact", "test_baseline:exact", command.GROUP),
        EntryPoint("off", "no.such", command.GROUP),
    ]
    monkeypatch.setattr(
        command, "entry_points", lambda group: made if group == command.GROUP else []
    )
    monkeypatch.setitem(sys.modules, "test_baseline", sys.modules[__name__])
    assert ran("exact", "7") == 7
    assert ran("exact", "refuse") == 2
    approved(capsys.readouterr().err)
    assert ran("off") == 2
    approved(capsys.readouterr().err)
    assert ran("--help") == 0
    approved(capsys.readouterr().out)


def exact(parser: Any) -> Callable[[Any], int]:
    """give a number back"""
    parser.add_argument("number")
    return lambda given: int(given.number)


def test_the_command_is_a_program(tmp_path: Path, approved: Approved) -> None:
    """Named in pyproject.toml; in a process of its own, on a terminal that knows ASCII only,
    without loading torch.
    """
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "scripts"
    ]
    assert scripts == {"nnet-parity": "nnet_parity.console:main"}
    old = saved(tmp_path, report(verdict()), "old")
    new = saved(tmp_path, report(verdict("FAIL", 12.0)), "new")
    program = (
        "import sys; from harness.cli import main; sys.exit(main() + 10 * ('torch' in sys.modules))"
    )
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "ascii",
        "COLUMNS": "120",
    }
    arguments = [sys.executable, "-c", program, "compare", str(old), str(new)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    approved(done.stdout)
    assert "\\xb10.083" in done.stdout


# Whatever a file holds


def hostile(random_: random.Random) -> list[tuple[str, bytes]]:
    """Some hundred files that are not what pytest wrote: how each came about, and what it holds."""
    data = RAW.encode()
    made = [(f"cut at {at}", data[:at]) for at in range(0, len(data), max(1, len(data) // 120))]
    for number in range(120):
        at = random_.randrange(len(data))
        made.append(
            (
                f"byte {at} changed ({number})",
                data[:at] + bytes([random_.randrange(256)]) + data[at + 1 :],
            )
        )
    values = (None, True, -1, 1e308, 10**400, "", NAUGHTY, [], [[]], {}, {"PASS": 1}, "PASS", 0.5)
    record = json.loads(RAW)
    for part in (None, "environment", "contracts", 0, 1):
        for name in list(
            record
            if part is None
            else record["verdicts"][part]
            if isinstance(part, int)
            else record[part]
        ):
            for value in random_.sample(values, 4):
                other = json.loads(RAW)
                place = (
                    other
                    if part is None
                    else other["verdicts"][part]
                    if isinstance(part, int)
                    else other[part]
                )
                place[name] = value
                made.append((f"{part} {name} is {value!r:.20}", json.dumps(other).encode()))
    for literal in (
        "NaN",
        "Infinity",
        "-1e999",
        "1" * 5000,
        "[" * 5000 + "]" * 5000,
        "[" * 900 + "]" * 900,
    ):
        made.append((f"a number is {literal[:10]}", RAW.replace("0.01", literal).encode()))
        made.append((f"a version is {literal[:10]}", RAW.replace('"2.13.0"', literal).encode()))
    for line in RAW.split("\n"):
        if line.rstrip(",").count(":") == 1 and not line.rstrip().endswith(("{", "[")):
            made.append(
                (
                    f"twice {line.strip()}",
                    RAW.replace(line, f"{line.rstrip(',')},\n{line}", 1).encode(),
                )
            )
    return made


@pytest.mark.filterwarnings("error")
def test_no_file_is_taken_for_what_it_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of hundreds, as old and as new report: a sentence and 2, or a comparison of what the
    file really says.

    Judged without our reader: where it compares, the file is JSON by the letter, and where it finds
    no regression, no trial that the old file says passed is said to fail by the new one.
    """
    # what is installed stays so
    monkeypatch.setattr("harness.cli.entry_points", cache(command.entry_points))
    good = saved(tmp_path, report(verdict()))
    path, refused, compared = tmp_path / "hostile.json", 0, 0
    for how, data in (made := hostile(random.Random(0))):
        path.write_bytes(data)
        for old, new in ((path, good), (good, path)):
            code = ran("compare", old, new)
            out, err = capsys.readouterr()
            assert "Traceback" not in out + err, how
            assert not {
                character for character in out + err if character < " " and character != "\n"
            }, how
            assert len(out.split("\n")) <= LINES + 1, how
            if code == 2:
                refused += 1
                assert out == "", how
                assert err.startswith("nnet-parity: "), how
                assert err.count("\n") == 1, how
                continue
            compared += 1
            assert err == "", how
            passed, failed = (
                {
                    (v["case"], v["id"])
                    for v in json.loads(file.read_bytes())["verdicts"]
                    if v["status"] in statuses
                }
                for file, statuses in ((old, {"PASS"}), (new, {"FAIL", "BROKEN"}))
            )
            assert code == bool(passed & failed) or (code == 1 and failed), how
    assert len(made) >= 400
    assert min(refused, compared) >= 100


# In pytest


def test_pytest_compares_with_a_baseline(mine: Mine, approved: Approved) -> None:
    """It says so in a section of its own; with what this run wrote before, nothing changed."""
    mine.write_sine(dtypes='["float64"]')
    mine.pytest("--parity-report-dir=old")
    result = mine.pytest("--parity-baseline=old/results.json")
    assert result.ret == 0
    approved(baseline_of(result))


def test_pytest_fails_where_it_got_worse(
    mine: Mine, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """The sentence of the failure in short, after the failure itself; GitHub's annotation at the
    line of the case.
    """
    mine.write_sine(dtypes='["float64"]', checks='["forward"]')
    mine.pytest()
    mine.write_sine("return self.hidden(x)[:, :1]", dtypes='["float64"]', checks='["forward"]')
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(mine.pytester.path))
    result = mine.pytest("--parity-baseline=build/report/results.json")
    assert result.ret == 1
    line = mine.line_of("test_sine =")
    section = [line for line in baseline_of(result) if not line.startswith("::")]
    approved(unfolded(section), mask_figures=True)
    head = f"::error file=test_mine.py,line={line},title=sine-1-4-1%3A "
    (annotation,) = [line.removeprefix(head) for line in result.outlines if line.startswith(head)]
    approved(annotation, mask_figures=True)


@pytest.mark.parametrize("why", ["no file", "another case"])
def test_pytest_fails_for_a_baseline_of_no_use(mine: Mine, why: str, approved: Approved) -> None:
    """Though every trial passes: what was asked for was not done."""
    mine.write_sine(dtypes='["float64"]', checks='["forward"]')
    saved(mine.pytester.path, report(), "other")
    result = mine.pytest(
        "--parity-baseline", "missing.json" if why == "no file" else "other/results.json"
    )
    result.assert_outcomes(passed=1)
    assert result.ret == 1
    approved(unfolded(baseline_of(result)))


def test_pytest_without_a_trial_is_no_comparison(mine: Mine) -> None:
    """Nothing was asked, so nothing is the same."""
    mine.write("def test_it(): pass")
    saved(mine.pytester.path, report(), "old")
    result = mine.pytest("--parity-baseline=old/results.json")
    assert result.ret == 1
    assert mine.pytest("--parity-baseline=old/results.json", "--collect-only").ret == 0


def test_pytest_reads_its_baseline_before_it_writes_its_report(
    mine: Mine, approved: Approved
) -> None:
    """They may be one file."""
    mine.write_sine(dtypes='["float64"]')
    mine.pytest()
    result = mine.pytest("--parity-baseline=build/report/results.json", "-k", "loss")
    approved(unfolded(baseline_of(result)))
    assert result.ret == 0


def test_junit_takes_hostile_names(mine: Mine) -> None:
    """It is XML, and has status and budget used, whatever a case is called and a model raises."""
    name = repr(f"<b>&\"'\x1b[31m\x00\udcff]]>{'n' * 300}")
    mine.write_sine(
        name=name,
        subjects=f"[Subject(SineNet, name={name})]",
        dtypes='["float64"]',
        checks='["loss"]',
    )
    mine.pytest("--junitxml=junit.xml")
    [case] = ElementTree.parse(mine.pytester.path / "junit.xml").iter("testcase")
    found = {each.get("name"): each.get("value") or "" for each in case.iter("property")}
    assert found["status"] == "PASS"
    assert 0 <= float(found["budget_used"]) <= 1


# On GitHub


def test_annotations_are_for_github_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere there are none."""
    assert github.errors([("test_mine.py", 7, verdict("FAIL"))]) == []
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert len(github.errors([("test_mine.py", 7, verdict("FAIL"))])) == 1


def test_annotations_are_one_a_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, approved: Approved
) -> None:
    """Of each cause the first failure, in full, and the number of others; paths are the
    repository's; nothing in a name is obeyed.
    """
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    file = str(tmp_path / "a,b:c%.py")
    failed = [
        (file, 7, verdict("FAIL", case="x,y::z\r\n", id="50%", why="50%\r\n::error::\x1b[31mno")),
        (file, 8, verdict("FAIL", why="why")),
        (file, 8, verdict("FAIL", id="b", follows="a")),
        ("/elsewhere/t.py", 1, verdict("FAIL", case="other", why="other")),
    ]
    found = github.errors(failed)
    approved(found)
    heads = [
        "::error file=a%2Cb%3Ac%25.py,line=7,title=x%2Cy%3A%3Az%0D%0A%3A ",
        "::error file=a%2Cb%3Ac%25.py,line=8,title=sine%3A why::",
        "::error file=/elsewhere/t.py,line=1,title=other%3A other::",
    ]
    assert all(each.startswith(head) for each, head in zip(found, heads, strict=True))
    assert not re.search(r"[\n\r\x1b]", "".join(found))
