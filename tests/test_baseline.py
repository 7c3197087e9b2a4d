"""Two reports compared: what became of every trial, in which words, with which exit code, and what is refused."""

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
from conftest import Mine

from harness import command, github, results
from harness.answers import LINES
from harness.baseline import Change, Kind, compare, told
from harness.report import Report, write
from harness.results import read
from harness.verdict import Status, Verdict

ROOT = Path(__file__).parents[1]
MACHINE = {"processor": "x86_64", "threads": 1, "torch": "2.13.0", "numpy": "2.4.6", "R": "4.2.2", "nnet": "7.3-18"}
NAUGHTY = "../../<b>`x`</b>|\x1b[31m\u202e\udcff" + "n" * 300
FAILURE = """\
sine: Net (cpu, float64) against R nnet 7.3-18 (live)
gradient is outside its rounding: 12 times what float64 may differ by
  worst at b[1]: got 2, R says 1, allowed ±0.083
  again: pytest "test_mine.py::test_sine[a]\""""


def verdict(status: str = "PASS", used: float | None = 0.01, id: str = "a", **rest: Any) -> Verdict:
    """A verdict of one trial: `case` sine, on the CPU, against live R."""
    fails = status in ("FAIL", "BROKEN")
    given = {"case": "sine", "subject": "Net", "reference": "r_nnet", "source": "live", "check": "gradient"}
    given |= {"device": "cpu", "dtype": "float64", "why": FAILURE if fails else f"why it is {status}", **rest}
    return Verdict(id=id, status=Status(status), budget_used=used, **given)


def report(*verdicts: Verdict, **machine: Any) -> Report:
    """A whole report of these verdicts, with one more trial that passed, so that there is something to compare."""
    contracts = {"Net float64": "float64, u = 2^-53"}
    return Report(MACHINE | machine, [*verdicts, verdict(id="always")], (), contracts)


def change(old: Verdict | None, new: Verdict | None, **how: Any) -> Change:
    """What became of the one trial that is not always the same."""
    found = compare(report(*[old] * (old is not None)), report(*[new] * (new is not None)), **how)
    [one] = [each for each in found if each.trial == "sine: a"]
    return one


# What became of a trial

EVIDENCE = {None: None, "PASS": "passes", "FAIL": "fails", "BROKEN": "fails", "KNOWN": "known"}
WITHOUT = ("ABSENT", "VACUOUS", "UNDEFINED", "NOT RUN")
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
    """All 63: a trial that fails and did not fail before always fails the comparison, and nothing else does."""
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
    assert change(verdict(used=2.0, expect="differs"), verdict(used=9e9, expect="differs")).kind is Kind.UNCHANGED


def test_another_claim_is_not_comparable() -> None:
    """A trial that is now claimed to differ did not stay what it was."""
    found = change(verdict(), verdict(used=7.0, expect="differs"))
    assert (found.kind, found.told) == (
        Kind.NOT_COMPARABLE,
        "PASS before, PASS now, but claimed equal before, differs now",
    )


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
def test_what_rounds_otherwise_hides_drift_and_nothing_else(name: str, value: Any, where: dict[str, str]) -> None:
    """It is named; a regression is one whatever the versions."""

    def became(new: Verdict) -> Change:
        found = compare(report(verdict(**where)), report(new, **{name: value}))
        return next(each for each in found if each.trial == "sine: a")

    found = became(verdict(used=0.9, **where))
    assert found.kind is Kind.NOT_COMPARABLE
    was, here = MACHINE.get(name, "not known"), "not known" if value is None else value
    expected = f"passes as before; what it uses of its bound is not compared: {name} was {was}, is {here}"
    assert found.told == expected
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
def test_what_does_not_touch_its_rounding_lets_drift_be_seen(name: str, value: str, where: dict[str, str]) -> None:
    """R does not round for NumPy, nor a GPU for the CPU."""
    found = compare(report(verdict(**where)), report(verdict(used=0.9, **where), **{name: value}))
    assert Kind.DRIFT in {each.kind for each in found}


def test_another_contract_is_another_bound() -> None:
    """Of the subject, in the dtype of the trial."""
    old, new = report(verdict()), report(verdict(used=0.9))
    found = compare(old, replace(new, contracts={"Net float64": "wider"}))
    assert {each.kind for each in found} == {Kind.NOT_COMPARABLE}
    assert found[0].told.endswith(": the contract of Net float64 was float64, u = 2^-53, is wider")


def test_a_report_and_itself_are_the_same() -> None:
    """Of every status."""
    verdicts = [verdict(status, id=f"{status}") for status in Status]
    found = compare(report(*verdicts), report(*verdicts))
    assert {each.kind for each in found} == {Kind.UNCHANGED, Kind.STILL_FAILING}
    assert told(compare(report(), report()), 110) == ["1 trials compared: 1 unchanged"]


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
        *(verdict("ABSENT", None, id=f"lost {number}", why="R was not found: install it") for number in range(3)),
        verdict("FAIL", 12.0, id="falls"),
        *(verdict(id=f"drifts {number}", used=0.3 + number / 10) for number in range(2)),
        verdict("BROKEN", None, id="failing"),
        verdict(id="heals"),
        verdict(id="claims", expect="differs"),
    ]
    return report(*old), report(*new)


def test_sentences_come_worst_first() -> None:
    """Each with what was and what is, those alike as one, counts at the end."""
    outside = "gradient is outside its rounding: 12 times what float64 may differ by"
    assert told(compare(*many()), 200) == [
        f"regression: sine: falls: PASS before, FAIL now: {outside}",
        f"new failure: sine: appears and fails: not asked before, FAIL now: {outside}",
        "lost: sine: lost 0 and 2 more: PASS before, ABSENT now: R was not found: install it",
        "gone: sine: gone: PASS before, not asked now",
        "drift: sine: drifts 1: passes, used 0.1 of its bound, uses 0.4 now",
        "drift: sine: drifts 0: passes, used 0.1 of its bound, uses 0.3 now",
        f"still failing: sine: failing: FAIL before, BROKEN now: {outside}",
        "not comparable: sine: claims: PASS before, PASS now, but claimed equal before, differs now",
        "new: sine: appears: not asked before, PASS now",
        "improvement: sine: heals: BROKEN before, PASS now",
        "13 trials compared: 1 regression, 1 new failure, 3 lost, 1 gone, 2 drift, 1 still failing, "
        "1 not comparable, 1 new, 1 improvement, 1 unchanged",
    ]


def test_the_first_failures_can_be_told_in_full() -> None:
    """With every line of their own, indented."""
    lines = told(compare(*many()), 200, whole=1)
    assert lines[0] == "regression: sine: falls: PASS before, FAIL now"
    assert lines[1:5] == [f"    {line}" for line in FAILURE.split("\n")]
    assert lines[5].startswith("new failure: ")


def test_the_worst_of_a_kind_comes_first() -> None:
    """By budget used; what must be equal and is not has none, and is the worst."""
    ids = {"near": 2.0, "far": 1e9, "endless": None}
    new = report(*(verdict("FAIL", used, id=id, why=f"heading\n{id}") for id, used in ids.items()))
    found = compare(report(*(verdict(id=id) for id in ids)), new)
    assert [each.trial for each in found[:3]] == ["sine: endless", "sine: far", "sine: near"]


def test_many_changes_take_thirty_lines() -> None:
    """The rest is counted."""
    ids = [f"trial {number}" for number in range(200)]
    new = report(*(verdict("FAIL", 12.0, id=id, why=f"heading\nfinding {id}") for id in ids))
    lines = told(compare(report(*(verdict(id=id) for id in ids)), new), 110, whole=3)
    assert len(lines) == LINES
    assert lines[-2:] == ["... and 178 lines more", "201 trials compared: 200 regression, 1 unchanged"]


# What says nothing is refused


@pytest.mark.parametrize("verdicts", [[verdict("ABSENT")], [verdict(id="another")]])
def test_no_trial_in_both_is_no_comparison(verdicts: list[Verdict]) -> None:
    """No evidence is not a pass."""
    with pytest.raises(ValueError, match=r"^no trial was judged in both reports: give two runs of the same cases$"):
        compare(Report(MACHINE, [verdict()]), Report(MACHINE, verdicts))


def test_two_trials_of_one_name_are_refused() -> None:
    """One could hide the other."""
    expected = r"^the newer report has two trials sine: a: give each case a name of its own$"
    with pytest.raises(ValueError, match=expected):
        compare(report(verdict()), report(verdict(), verdict("FAIL")))
    assert compare(report(verdict(case="x: y", id="z")), report(verdict(case="x", id="y: z")))


def test_a_run_that_ended_early_is_no_pass() -> None:
    """What it lacks may have failed; a regression in it is one all the same."""
    old = report(verdict(), verdict(id="b"))
    with pytest.raises(ValueError, match=r"^the newer run ended early and lacks 1 trials: let it run to its end$"):
        compare(old, replace(report(verdict()), complete=False))
    assert compare(old, replace(report(verdict("FAIL")), complete=False))[0].kind is Kind.REGRESSION
    assert compare(replace(old, complete=False), report(verdict()))


# Files


def saved(tmp_path: Path, made: Report, name: str = "new") -> Path:
    """The results.json of a report, as pytest writes it."""
    write(made, tmp_path / name)
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
        assert (found.environment, found.contracts, found.complete) == (made.environment, made.contracts, True)
        assert found.verdicts == made.verdicts


RAW = json.dumps(report(verdict()).record(), indent=1)
SECOND = "`$.verdicts[1]"


def altered(alter: Callable[[dict[str, Any]], Any]) -> str:
    """A results.json in which something is not as it should be."""
    record = json.loads(RAW)
    alter(record)
    return json.dumps(record)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "is not JSON that can be trusted (Expecting value: line 1 column 1 (char 0))"),
        (b"\xff\xfe",
         "is not JSON that can be trusted ('utf-8' codec can't decode byte 0xff in position 0: invalid start byte)"),
        ("[" * 100_000, "is nested too deeply"),
        ('{"a": ' * 100_000, "is nested too deeply"),
        ("[]", "is no whole report (Expected `object`, got `array`)"),
        ("{}", "is no whole report (the schema is None, expected 'nnet-parity/results/1')"),
        (RAW.replace("results/1", "results/2"),
         "is no whole report (the schema is 'nnet-parity/results/2', expected 'nnet-parity/results/1')"),
        (RAW.replace('"status": "PASS",', '"status": "PASS", "status": "FAIL",'),
         "is not JSON that can be trusted ('status' stands more than once in one object)"),
        (RAW.replace("0.01", "NaN"), "is not JSON that can be trusted (NaN is not finite)"),
        (RAW.replace("0.01", "-Infinity"), "is not JSON that can be trusted (-Infinity is not finite)"),
        (RAW.replace("0.01", "1e400"), "is not JSON that can be trusted (1e400 is not finite)"),
        (altered(lambda r: r.pop("complete")), "is no whole report (Object missing required field `complete`)"),
        (altered(lambda r: r.update(verdicts={})),
         "is no whole report (Expected `array`, got `object` - at `$.verdicts`)"),
        (altered(lambda r: r.update(environment=[1])),
         "is no whole report (Expected `object`, got `array` - at `$.environment`)"),
        (altered(lambda r: r["verdicts"].append(7)),
         "is no whole report (Expected `object`, got `int` - at `$.verdicts[2]`)"),
        *((altered(lambda r, name=name: r["verdicts"][1].pop(name)),
           f"is no whole report (Object missing required field `{name}` - at {SECOND}`)")
          for name in ("id", "status", "why", "expect", "budget_used")),
        (altered(lambda r: r["verdicts"][1].update(status="pass")),
         f"is no whole report (Invalid enum value 'pass' - at {SECOND}.status`)"),
        (altered(lambda r: r["verdicts"][1].update(expect=None)),
         f"is no whole report (Expected `str`, got `null` - at {SECOND}.expect`)"),
        (altered(lambda r: r["verdicts"][1].update(expect="same")),
         f"is no whole report (Invalid enum value 'same' - at {SECOND}.expect`)"),
        (altered(lambda r: r["verdicts"][1].update(budget_used=None)),
         f"is no whole report (Expected `float` <= 1 of a PASS, got None - at {SECOND}.budget_used`)"),
        (altered(lambda r: r["verdicts"][1].update(budget_used=True)),
         f"is no whole report (Expected `float | null`, got `bool` - at {SECOND}.budget_used`)"),
        (altered(lambda r: r["verdicts"][1].update(budget_used=1.5)),
         f"is no whole report (Expected `float` <= 1 of a PASS, got 1.5 - at {SECOND}.budget_used`)"),
        (altered(lambda r: r["verdicts"][1].update(status="FAIL", budget_used=-1)),
         f"is no whole report (Expected `float` >= 0.0 - at {SECOND}.budget_used`)"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_report_is_told_apart(tmp_path: Path, text: str | bytes, found: str) -> None:
    """What was found, what was expected, what to do."""
    path = tmp_path / "old.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=r"give a results\.json as pytest wrote it$") as error:
        read(path)
    assert str(error.value) == f"{path} {found}: give a results.json as pytest wrote it"


def test_what_is_no_file_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder, nothing at all, a pipe without a writer, a device without an end, a file too large."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_text(RAW)
    monkeypatch.setattr(results, "MOST_BYTES", 5)
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "pipe", Path("/dev/zero"), Path("nu\0l")):
        with pytest.raises(ValueError, match=r" (is not a file|embedded null byte): give a results\.json"):
            read(path)
    with pytest.raises(ValueError, match=rf"large has {len(RAW)} bytes, expected at most 5: give a"):
        read(tmp_path / "large")


# The command


def ran(*arguments: object) -> int:
    """The exit code of the command, in this process."""
    try:
        return command.main([str(argument) for argument in arguments])
    except SystemExit as end:  # argparse ends by itself
        return int(end.code or 0)


def test_the_command_says_what_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The failure in full, the count, 1."""
    old, new = (saved(tmp_path, made, name) for made, name in zip(many(), ("old", "new"), strict=True))
    assert ran("compare", old, new) == 1
    out, err = capsys.readouterr()
    assert out.startswith(f"regression: sine: falls: PASS before, FAIL now\n    {FAILURE.splitlines()[0]}\n")
    assert out.endswith(" 1 unchanged\n")
    assert err == ""


def test_the_command_says_that_nothing_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0; drift is no failure, and both limits can be chosen."""
    old, new = (saved(tmp_path, report(verdict(used=used)), str(used)) for used in (0.05, 0.3))
    for arguments, expected in [
        ([old, old], "2 trials compared: 2 unchanged"),
        ([old, new], "drift: sine: a: passes, used 0.05 of its bound, uses 0.3 now"),
        ([old, new, "--factor", "6.5"], "2 trials compared: 2 unchanged"),
        ([old, new, "--floor=0.3"], "2 trials compared: 2 unchanged"),
    ]:
        assert ran("compare", *arguments) == 0
        assert capsys.readouterr().out.split("\n")[0] == expected


def test_unusable_input_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """2, on the other stream, and no escape sequence on it."""
    good, bad = saved(tmp_path, report()), tmp_path / "a\x1b[31mb.json"
    assert ran("compare", bad, good) == 2
    expected = f"nnet-parity: {tmp_path}/a[31mb.json is not a file: give a results.json as pytest wrote it\n"
    assert tuple(capsys.readouterr()) == ("", expected)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--factor", "0.5"], "argument --factor: 0.5 is not a number from 1 up"),
        (["--factor", "nan"], "argument --factor: nan is not a number from 1 up"),
        (["--floor", "inf"], "argument --floor: inf is not a number from 0 up"),
        (["--floor", "much"], "argument --floor: invalid number value: 'much'"),
        (["--fact", "3"], "unrecognized arguments: --fact 3"),
    ],
)
def test_limits_that_are_none_are_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    """By 2, before any file is looked at."""
    assert ran("compare", "old.json", "new.json", *arguments) == 2
    assert capsys.readouterr().err.split("\n")[-2].endswith(f"error: {sentence}")


def test_help_tells_all(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the program its verbs; of a verb its words, options and exit codes."""
    assert ran("--help") == 0
    assert re.search(r"^ +compare +say what has become of every trial since", capsys.readouterr().out, re.MULTILINE)
    assert ran("compare", "--help") == 0
    out = capsys.readouterr().out
    for word in ({*Kind} - {Kind.UNCHANGED}) | {"--factor NUMBER", "--floor NUMBER", "OLD.json", "NEW.json"}:
        assert word in out
    assert "Exit code: 0; 1 if there is a regression or a new failure; 2 if" in out
    assert ran() == 2


def test_verbs_of_other_folders_are_found_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As entry points; one that cannot be loaded hinders no other."""
    made = [EntryPoint("exact", "test_baseline:exact", command.GROUP), EntryPoint("off", "no.such", command.GROUP)]
    monkeypatch.setattr(command, "entry_points", lambda group: made if group == command.GROUP else [])
    monkeypatch.setitem(sys.modules, "test_baseline", sys.modules[__name__])
    assert ran("exact", "7") == 7
    assert ran("exact", "refuse") == 2
    assert capsys.readouterr().err == "nnet-parity: invalid literal for int() with base 10: 'refuse'\n"
    assert ran("off") == 2
    assert capsys.readouterr().err.endswith("error: off (no.such) cannot be loaded: No module named 'no'\n")
    assert ran("--help") == 0
    out = capsys.readouterr().out
    for line in ("compare   say what has become", "exact     give a number back", "off       (cannot be loaded here)"):
        assert line in out


def exact(parser: Any) -> Callable[[Any], int]:
    """give a number back"""
    parser.add_argument("number")
    return lambda given: int(given.number)


def test_the_command_is_a_program(tmp_path: Path) -> None:
    """Named in pyproject.toml; in a process of its own, on a terminal that knows ASCII only, without loading torch."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert scripts == {"nnet-parity": "nnet_parity.console:main"}
    old, new = saved(tmp_path, report(verdict()), "old"), saved(tmp_path, report(verdict("FAIL", 12.0)), "new")
    program = "import sys; from harness.command import main; sys.exit(main() + 10 * ('torch' in sys.modules))"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii", "COLUMNS": "120"}
    arguments = [sys.executable, "-c", program, "compare", str(old), str(new)]
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert "    worst at b[1]: got 2, R says 1, allowed \\xb10.083\n" in done.stdout
    assert done.stdout.endswith("2 trials compared: 1 regression, 1 unchanged\n")


# Whatever a file holds


def hostile(random_: random.Random) -> list[tuple[str, bytes]]:
    """Some hundred files that are not what pytest wrote: how each came about, and what it holds."""
    data = RAW.encode()
    made = [(f"cut at {at}", data[:at]) for at in range(0, len(data), max(1, len(data) // 120))]
    for number in range(120):
        at = random_.randrange(len(data))
        made.append((f"byte {at} changed ({number})", data[:at] + bytes([random_.randrange(256)]) + data[at + 1 :]))
    values = (None, True, -1, 1e308, 10**400, "", NAUGHTY, [], [[]], {}, {"PASS": 1}, "PASS", 0.5)
    record = json.loads(RAW)
    for part in (None, "environment", "contracts", 0, 1):
        for name in list(
            record if part is None else record["verdicts"][part] if isinstance(part, int) else record[part]
        ):
            for value in random_.sample(values, 4):
                other = json.loads(RAW)
                place = other if part is None else other["verdicts"][part] if isinstance(part, int) else other[part]
                place[name] = value
                made.append((f"{part} {name} is {value!r:.20}", json.dumps(other).encode()))
    for literal in ("NaN", "Infinity", "-1e999", "1" * 5000, "[" * 5000 + "]" * 5000, "[" * 900 + "]" * 900):
        made.append((f"a number is {literal[:10]}", RAW.replace("0.01", literal).encode()))
        made.append((f"a version is {literal[:10]}", RAW.replace('"2.13.0"', literal).encode()))
    for line in RAW.split("\n"):
        if line.rstrip(",").count(":") == 1 and not line.rstrip().endswith(("{", "[")):
            made.append((f"twice {line.strip()}", RAW.replace(line, f"{line.rstrip(',')},\n{line}", 1).encode()))
    return made


@pytest.mark.filterwarnings("error")
def test_no_file_is_taken_for_what_it_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of hundreds, as old and as new report: a sentence and 2, or a comparison of what the file really says.

    Judged without our reader: where it compares, the file is JSON by the letter, and where it finds no regression, no
    trial that the old file says passed is said to fail by the new one.
    """
    monkeypatch.setattr("harness.command.entry_points", cache(command.entry_points))  # what is installed stays so
    good = saved(tmp_path, report(verdict()))
    path, refused, compared = tmp_path / "hostile.json", 0, 0
    for how, data in (made := hostile(random.Random(0))):
        path.write_bytes(data)
        for old, new in ((path, good), (good, path)):
            code = ran("compare", old, new)
            out, err = capsys.readouterr()
            assert "Traceback" not in out + err, how
            assert not {character for character in out + err if character < " " and character != "\n"}, how
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
                {(v["case"], v["id"]) for v in json.loads(file.read_bytes())["verdicts"] if v["status"] in statuses}
                for file, statuses in ((old, {"PASS"}), (new, {"FAIL", "BROKEN"}))
            )
            assert code == bool(passed & failed) or (code == 1 and failed), how
    assert len(made) >= 400
    assert min(refused, compared) >= 100


# In pytest


def test_pytest_compares_with_a_baseline(mine: Mine) -> None:
    """It says so in a section of its own; with what this run wrote before, nothing changed."""
    mine.write_sine(dtypes='["float64"]')
    mine.pytest("--parity-report-dir=old")
    result = mine.pytest("--parity-baseline=old/results.json")
    assert result.ret == 0
    result.stdout.re_match_lines([r"=+ since the baseline =+", "4 trials compared: 4 unchanged$", "=+ nnet-parity =+"])


def test_pytest_fails_where_it_got_worse(mine: Mine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence of the failure in short, after the failure itself; GitHub's annotation at the line of the case."""
    mine.write_sine(dtypes='["float64"]', checks='["forward"]')
    mine.pytest()
    mine.write_sine("return self.hidden(x)[:, :1]", dtypes='["float64"]', checks='["forward"]')
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(mine.pytester.path))
    result = mine.pytest("--parity-baseline=build/report/results.json")
    assert result.ret == 1
    line = mine.line_of("test_sine =")
    trial = "sine-1-4-1: SineNet-cpu-float64-forward-vs-numpy_net"
    result.stdout.re_match_lines(
        [
            f"regression: {trial}: PASS before, FAIL now: forward is",
            r"1 trials compared: 1 regression",
            f"::error file=test_mine.py,line={line},title={trial.replace(':', '%3A')}::sine-1-4-1: SineNet .*%0A.*",
        ]
    )


@pytest.mark.parametrize("why", ["no file", "another case"])
def test_pytest_fails_for_a_baseline_of_no_use(mine: Mine, why: str) -> None:
    """Though every trial passes: what was asked for was not done."""
    mine.write_sine(dtypes='["float64"]', checks='["forward"]')
    sentence = "missing.json is not a file: give a results.json as pytest wrote it"
    if why == "another case":
        saved(mine.pytester.path, report(), "other")
        sentence = "no trial was judged in both reports: give two runs of the same cases"
    result = mine.pytest("--parity-baseline", "missing.json" if why == "no file" else "other/results.json")
    result.assert_outcomes(passed=1)
    assert result.ret == 1
    assert f"not compared with the baseline, which is a failure: {sentence}" in " ".join(result.stdout.str().split())


def test_pytest_without_a_trial_is_no_comparison(mine: Mine) -> None:
    """Nothing was asked, so nothing is the same."""
    mine.write("def test_it(): pass")
    saved(mine.pytester.path, report(), "old")
    result = mine.pytest("--parity-baseline=old/results.json")
    assert result.ret == 1
    assert mine.pytest("--parity-baseline=old/results.json", "--collect-only").ret == 0


def test_pytest_reads_its_baseline_before_it_writes_its_report(mine: Mine) -> None:
    """They may be one file."""
    mine.write_sine(dtypes='["float64"]')
    mine.pytest()
    result = mine.pytest("--parity-baseline=build/report/results.json", "-k", "loss")
    assert "gone: sine-1-4-1: SineNet-cpu-float64-forward-vs-numpy_net and 2 more: PASS before, not asked now" in (
        result.outlines
    )
    assert result.ret == 0


def test_junit_takes_hostile_names(mine: Mine) -> None:
    """It is XML, and has status and budget used, whatever a case is called and a model raises."""
    name = repr(f"<b>&\"'\x1b[31m\x00\udcff]]>{'n' * 300}")
    mine.write_sine(name=name, subjects=f"[Subject(SineNet, name={name})]", dtypes='["float64"]', checks='["loss"]')
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


def test_annotations_are_one_a_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of many failures of a case the first, in full; paths are the repository's; nothing in a name is obeyed."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    file = str(tmp_path / "a,b:c%.py")
    failed = [(file, 7, verdict("FAIL", case="x,y::z\r\n", id="50%", why="50%\r\n::error::\x1b[31mno"))]
    failed += [(file, 7, verdict("FAIL")), (file, 8, verdict("FAIL", why="why")), ("/elsewhere/t.py", 1, failed[0][2])]
    assert github.errors(failed) == [
        "::error file=a%2Cb%3Ac%25.py,line=7,title=x%2Cy%3A%3Az%0D%0A%3A 50%25"
        "::50%25%0D%0A::error::[31mno%0Aand 1 more here",
        "::error file=a%2Cb%3Ac%25.py,line=8,title=sine%3A a::why",
        "::error file=/elsewhere/t.py,line=1,title=x%2Cy%3A%3Az%0D%0A%3A 50%25::50%25%0D%0A::error::[31mno",
    ]
