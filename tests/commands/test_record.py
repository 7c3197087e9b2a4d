"""Without R its recordings judge: made by `nnet-parity record`, chosen by --parity-r, stale where
the case changed.
"""

from __future__ import annotations

import re
import sys
import tomllib
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cases.test_dual_head
import cases.test_sine
import cases.test_sine_training
from harness import cli as command
from harness.comparing.judge import Side, judge
from harness.core.implementation import Missing
from harness.core.problem import Problem
from harness.core.verdict import Status
from harness.judging.cache import Cache
from harness.judging.verification import Verification
from reference import RNnet
from reference.r import recorded
from reference.r.nnet_reference import LIVE
from reference.r.preflight import RUnavailable
from reference.r.recorded import RStale, place
from reference.r.recording import CODE, read, write
from reference.r.recording import Recording as Recorded
from tests.conftest import IMPORTS, Approved, Mine, screen_of
from tests.running.test_plugin import BOTH, FLOAT64

FOLDER = Path(__file__).parents[2] / "cases"
MODULES = (cases.test_sine, cases.test_dual_head, cases.test_sine_training)
OURS = {
    v.case.name: v
    for module in MODULES
    for v in vars(module).values()
    if isinstance(v, Verification)
}

# R is asked about every kind of probes
ASKED = {"references": BOTH, "problems": "probes(seed=0, draws=3)"}


class Recording:
    """`nnet-parity record` in a user's folder, in this process."""

    def __init__(self, mine: Mine, capsys: pytest.CaptureFixture[str]) -> None:
        self.mine, self.capsys = mine, capsys

    def __call__(self, *arguments: str) -> tuple[int, str]:
        """Its exit code, and what it says."""
        self.capsys.readouterr()
        code = command.main(["record", "test_mine.py", *arguments])
        sys.modules.pop("test_mine", None)
        return code, "".join(self.capsys.readouterr())

    @property
    def files(self) -> list[Path]:
        """What is recorded."""
        return sorted(self.mine.pytester.path.glob("recordings/*"))

    def verdicts(self, *arguments: str) -> list[dict[str, Any]]:
        """What a run of pytest finds."""
        self.mine.pytest(*arguments)
        return list(self.mine.results()["verdicts"])


@pytest.fixture
def record(
    mine: Mine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Recording:
    """The verb, found as it is where the project is installed."""
    entry = EntryPoint("record", "reference.commands.record:record", command.GROUP)
    monkeypatch.setattr(command, "entry_points", lambda group: [entry])
    monkeypatch.setenv("PYTEST_PLUGINS", "nnet_parity.plugin")
    return Recording(mine, capsys)


def told(verdict: dict[str, Any]) -> dict[str, Any]:
    """A verdict without what may differ between R and its recording: who was asked, and how long it
    took.
    """
    where = re.sub(r"\((live|recorded [\d-]+)\)", "", verdict["where"] or "")
    return {name: v for name, v in verdict.items() if name not in ("source", "seconds", "why")} | {
        "where": where
    }


def broken(mine: Mine) -> str:
    """Why a trial could not be asked; one that was is no reason to look further."""
    return str(next(v["why"] for v in mine.results()["verdicts"] if v["status"] == "BROKEN"))


def test_the_verb_is_found_where_it_is_installed() -> None:
    """By the group of entry points that the command looks into."""
    project = tomllib.loads((FOLDER.parent / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]
    assert project["entry-points"][command.GROUP]["record"] == "reference.commands.record:record"


def test_a_recording_judges_as_r_does(record: Recording, live_r: None, approved: Approved) -> None:
    """The same verdicts, to the last digit; every line says live or recorded; R is not started."""
    record.mine.write_sine(**ASKED)
    live = record.verdicts("--parity-r", "live")
    code, said = record()
    assert code == 0
    approved(said)
    LIVE.close()
    result = record.mine.pytest("--parity-r", "recorded")
    result.assert_outcomes(passed=14)
    found = record.mine.results()
    assert [told(v) for v in found["verdicts"]] == [told(v) for v in live]
    assert {v["source"] for v in found["verdicts"] if v["reference"] == "r_nnet"} == {"recorded"}
    assert LIVE._worker is None
    (facts,) = (read(path, "sine-1-4-1").facts for path in record.files)
    last, answer = screen_of(result)[-1], record.mine.markdown().split("\n")[4]
    assert all(each in last for each in (facts.date, facts.versions["R"], facts.versions["nnet"]))
    approved(last)
    approved(answer, mask_figures=True)
    (contract,) = (name for name in found["contracts"] if facts.date in name)
    approved(contract)
    assert facts.versions["nnet"] in contract
    assert found["environment"]["recorded"] == facts.date


def test_a_recording_stands_in_where_r_is_not(
    record: Recording, live_r: None, request: pytest.FixtureRequest
) -> None:
    """By itself: --parity-r auto is the default; and where R is, R is asked."""
    record.mine.write_sine(**ASKED, **FLOAT64)
    record()
    assert {v["source"] for v in record.verdicts()} == {"live", "computed"}
    request.getfixturevalue("without_r")
    record.mine.pytest().assert_outcomes(passed=7)
    assert {v["source"] for v in record.mine.results()["verdicts"]} == {"recorded", "computed"}


def test_without_r_and_without_a_recording_both_ways_out_are_said(
    mine: Mine, without_r: None, approved: Approved
) -> None:
    """NumPy judges, and R is ABSENT with the two lines of which one mends it."""
    mine.write_sine(**ASKED, **FLOAT64)
    mine.pytest().assert_outcomes(passed=4, skipped=3)
    why = {
        v["why"]
        for v in mine.results()["verdicts"]
        if v["status"] == "ABSENT" and v["check"] == "forward"
    }
    approved(why)
    assert len(why) == 1


def test_r_that_must_be_live_ends_the_run_where_it_is_not(
    mine: Mine, without_r: None, approved: Approved
) -> None:
    """At once, in one sentence; exit code 4."""
    mine.write_sine(**ASKED)
    result = mine.pytest("--parity-r", "live")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line]
    approved(line)
    assert "passed" not in result.stdout.str()


def test_r_that_must_be_live_ends_a_shared_run_too(
    mine: Mine,
    warm_python: str,
    without_r: None,
    monkeypatch: pytest.MonkeyPatch,
    approved: Approved,
) -> None:
    """The processes of xdist say it while they collect."""
    mine.write_sine(**ASKED)
    mine.pytester.makeini("[pytest]\naddopts = -p xdist -p nnet_parity.plugin\n")
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parent))
    result = mine.pytest_apart(warm_python, "--parity-r", "live", processes=1)
    assert result.ret != 0
    approved(line for line in result.outlines if line.startswith("--parity-r live: "))


def test_a_mode_that_is_none_is_refused(
    mine: Mine, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """From the environment too, which is the option's default."""
    monkeypatch.setenv("NNET_PARITY_R", "absent")
    result = mine.pytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    approved(line for line in result.errlines if line)


TRAINING = """
import numpy as np
from harness import Population, Recipe, Trained
from reference import nnet_fit, optim_bfgs, starts


def data(count, by=0.0):
    x = np.tile(np.linspace(0, 6, 12)[:, None], (count, 1, 1))
    return x, np.sin(x) * (1 + by)


NETWORK = Network(inputs=1, hidden=4, outputs=1, activation="logistic")
ALL = dict(network=NETWORK, dtypes=["float64"])
GRID = np.linspace(0, 6, 5)[:, None]
"""
FIT = (
    'test_fit = verify(Case("fit", subjects=[optim_bfgs], references=[nnet_fit()],'
    " problems=Population({}), **ALL))"
)
STATES = """
class SineNet(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(1, 4), nn.Sigmoid(), nn.Linear(4, 1))


STEPS = Trained(SineNet, Recipe("sgd", 3, {"lr": 0.01}))
test_steps = verify(Case("steps", subjects=[STEPS], checks=["loss"],
    references=[r_nnet, numpy_net], problems=Population(data, 0.01, GRID), **ALL))
"""


def test_fits_are_recorded_and_states_are_not(
    record: Recording, live_r: None, approved: Approved
) -> None:
    """R's own fits are the same everywhere; the states that a model visits are this machine's,
    which is said.
    """
    record.mine.write(TRAINING, FIT.format("data, 0.01, GRID"), STATES)
    live = record.verdicts("--parity-starts", "4")
    code, said = record("--starts", "4")
    assert code == 0
    approved(said.splitlines()[1])
    found = record.verdicts("--parity-starts", "4", "--parity-r", "recorded")
    assert [told(v) for v in found[:2]] == [told(v) for v in live[:2]]
    assert [v["status"] for v in found] == ["PASS", live[1]["status"], "ABSENT", "PASS"]
    approved(found[2]["why"])
    fits = {fit["trainer"]: fit for fit in record.mine.results()["fits"]}
    date = read(record.files[0], "fit").facts.date
    approved(name for name in fits if date in name)
    # a recording does not know what it takes
    assert {fit["seconds"] for fit in fits.values()} == {None}


def test_more_starts_than_were_recorded_are_said_to_be(
    record: Recording, live_r: None, approved: Approved
) -> None:
    """ABSENT, with the number that was."""
    record.mine.write(TRAINING, FIT.format("data, 0.01, GRID"))
    record("--starts", "2")
    why = {v["why"] for v in record.verdicts("--parity-r", "recorded", "--parity-starts", "3")}
    (sentence,) = why
    approved(sentence)


def test_another_last_bit_of_another_machine_is_no_alarm(
    record: Recording, live_r: None, approved: Approved
) -> None:
    """Data whose sine another C library rounds otherwise are not those that R was asked: ABSENT,
    and it is said why.
    """
    record.mine.write(TRAINING, FIT.format("data, 0.01, GRID"))
    record("--starts", "2")
    record.mine.write(TRAINING, FIT.format("lambda count: data(count, by=2.0**-52), 0.01, GRID"))
    (why,) = {v["why"] for v in record.verdicts("--parity-r", "recorded", "--parity-starts", "2")}
    approved(why, mask_figures=True)
    assert re.search(r"\b[12]e-16\b", why)
    record.mine.write(TRAINING, FIT.format("lambda count: data(count, by=1e-9), 0.01, GRID"))
    assert {
        v["status"] for v in record.verdicts("--parity-r", "recorded", "--parity-starts", "2")
    } == {"BROKEN"}


def test_a_case_that_has_changed_makes_its_recording_stale(
    record: Recording, live_r: None, approved: Approved
) -> None:
    """BROKEN, with the file, its date, what is asked that was not, and the line that records again;
    that mends it.
    """
    record.mine.write_sine(**ASKED, **FLOAT64)
    record()
    record.mine.write_sine(references=BOTH, problems="probes(seed=1, draws=3)", **FLOAT64)
    result = record.mine.pytest("--parity-r", "recorded")
    result.assert_outcomes(passed=4, failed=1)
    (path,) = record.files
    why = broken(record.mine)
    approved(why)
    assert all(each in why for each in (path.name, read(path, "sine-1-4-1").facts.date))
    assert all(line in result.outlines for line in why.split("\n"))
    code, said = record("--intent", "fix", "--reason", "another seed")
    assert code == 0
    approved(said)
    assert read(path, "sine-1-4-1").facts.reason == "another seed"
    record.mine.pytest("--parity-r", "recorded").assert_outcomes(passed=7)


def test_another_numpy_is_named_where_a_recording_is_stale(
    record: Recording, live_r: None, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """It need not draw the same random numbers."""
    record.mine.write_sine(**ASKED, **FLOAT64)
    record()
    record.mine.write_sine(references=BOTH, problems="probes(seed=1, draws=3)", **FLOAT64)
    was = np.__version__
    monkeypatch.setattr(np, "__version__", "9.9")
    record.mine.pytest("--parity-r", "recorded")
    approved(broken(record.mine).replace(was, "<version>"))
    assert was in broken(record.mine)


def test_other_r_code_makes_a_recording_stale(
    record: Recording, live_r: None, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """Whatever was asked: its answers are those of other code."""
    record.mine.write_sine(**ASKED, **FLOAT64)
    record()
    monkeypatch.setattr(recorded, "CODE", "0" * 64)
    result = record.mine.pytest("--parity-r", "recorded")
    result.assert_outcomes(passed=4, failed=1)
    approved(broken(record.mine))


def test_what_is_recorded_is_not_overwritten_without_an_intent(
    record: Recording, live_r: None, approved: Approved
) -> None:
    """create leaves it, to the last byte, and says which intents there are; the others need
    something that is there.
    """
    record.mine.write_sine(**ASKED, **FLOAT64)
    for intent in ("fix", "trim"):
        code, said = record("--intent", intent)
        assert code == 1
        approved(said)
    assert record()[0] == 0
    (path,) = record.files
    before = path.read_bytes()
    record.mine.write_sine(references=BOTH, problems="probes(seed=1, draws=3)", **FLOAT64)
    code, said = record()
    assert code == 1
    approved(said)
    assert path.read_bytes() == before


def test_recording_again_says_what_differs(
    record: Recording, live_r: None, approved: Approved
) -> None:
    """Nothing, where R is the same; a damaged recording is replaced, and called that."""
    record.mine.write_sine(**ASKED, **FLOAT64)
    record()
    approved(record("--intent", "fix")[1])
    (path,) = record.files
    path.write_bytes(path.read_bytes()[:-1])
    code, said = record("--intent", "fix")
    assert code == 0
    approved(said)
    found = read(path, "sine-1-4-1")
    assert found.facts.intent == "fix"
    asks = [
        replace(ask, answer={name: 1.5 * of for name, of in ask.answer.items()})
        for ask in found.asks
    ]
    write(path, Recorded(found.facts, asks))
    approved(record("--intent", "fix")[1], mask_figures=True)


def test_trimming_drops_what_is_not_asked_and_changes_no_answer(
    record: Recording, live_r: None, approved: Approved
) -> None:
    """It takes no R, and keeps the date of the answers; what is asked anew, it cannot answer."""
    record.mine.write_sine(**ASKED, **FLOAT64)
    record()
    (path,) = record.files
    before = read(path, "sine-1-4-1")
    LIVE.close()
    kinds = 'probes(seed=0, draws=3, kinds=["exact", "few-term"])'
    record.mine.write_sine(references=BOTH, problems=kinds, **FLOAT64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NNET_PARITY_R", "recorded")
        code, said = record("--intent", "trim")
    assert code == 0
    approved(said)
    after = read(path, "sine-1-4-1")
    assert (after.facts.intent, after.facts.date, after.facts.versions) == (
        "trim",
        before.facts.date,
        before.facts.versions,
    )
    for key, ask in after.answers.items():
        for name, array in ask.answer.items():
            assert array.tobytes() == before.answers[key].answer[name].tobytes()
    record.mine.write_sine(references=BOTH, problems="probes(seed=1, draws=3)", **FLOAT64)
    code, said = record("--intent", "trim")
    assert code == 1
    approved(said)


def test_trimming_drops_nothing_that_another_machine_asks_in_other_bits(
    record: Recording, live_r: None, approved: Approved
) -> None:
    """It says that it cannot, and changes nothing."""
    record.mine.write(TRAINING, FIT.format("data, 0.01, GRID"))
    record("--starts", "2")
    (path,) = record.files
    before = path.read_bytes()
    record.mine.write(TRAINING, FIT.format("lambda count: data(count, by=2.0**-52), 0.01, GRID"))
    code, said = record("--intent", "trim")
    assert code == 1
    approved(said, mask_figures=True)
    assert path.read_bytes() == before


def test_a_damaged_recording_is_an_error_and_never_a_pass(
    record: Recording, live_r: None, approved: Approved
) -> None:
    """The case is not asked; the sentence names its file."""
    record.mine.write_sine(**ASKED, **FLOAT64)
    record()
    (path,) = record.files
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    result = record.mine.pytest("--parity-r", "recorded")
    result.assert_outcomes(errors=1)
    approved(line for line in result.outlines if path.name in line)


def test_recording_needs_r_and_a_case(
    record: Recording, without_r: None, approved: Approved
) -> None:
    """A sentence, and exit code 2."""
    record.mine.write_sine(**ASKED)
    code, said = record()
    assert code == 2
    approved(line for line in said.splitlines() if line.startswith("ERROR"))
    record.mine.write("")  # no test either
    code, said = record()
    assert code == 2
    assert "no case was found: give test files" in said
    record.mine.write("def test_it(): pass")
    code, said = record()
    assert code == 2
    approved(said.splitlines()[-1])
    assert record.files == []


def test_what_r_fails_at_is_not_recorded(
    record: Recording, live_r: None, approved: Approved
) -> None:
    """With R's own words, and exit code 1; other cases are recorded."""
    fit = (
        'test_b = verify(Case("b", subjects=[optim_bfgs], references=[nnet_fit(maxit=10**12)], {},'
        " **ALL))"
    )
    record.mine.write(
        TRAINING,
        fit.format("problems=Population(data, 0.01, GRID)"),
        FIT.format("data, 0.01, GRID"),
    )
    code, said = record("--starts", "2")
    first, second = said.splitlines()
    assert code == 1
    approved(first)
    assert second.startswith("fit: ")
    assert len(record.files) == 1


HUGE = """
import numpy as np
from harness import Problem


def huge(formulation):
    own = np.full((1, formulation.own.size), 1e200)
    return [Problem("huge", formulation, own, np.ones((1, 1, 1)), np.ones((1, 1, 1)))]


"""


def test_an_answer_that_is_not_finite_is_recorded(record: Recording, live_r: None) -> None:
    """A loss beyond the largest number is R's answer, as a slope that is no number is."""
    record.mine.write_sine(before=HUGE, problems="huge", references=BOTH)
    code, _ = record()
    assert code == 0
    assert len(record.files) == 1


def test_what_cannot_be_asked_is_not_recorded(
    record: Recording, live_r: None, approved: Approved
) -> None:
    """Whatever a user's code raises: one line, in which a name drives no terminal; other cases are
    recorded.
    """
    mute = "class Mute(Exception):\n    def __str__(self):\n        raise OSError\n\n\n"
    mute += "def boom(formulation):\n    raise Mute\n\n\n"
    record.mine.write_sine(**ASKED, before=mute)
    second = record.mine.case(
        "test_second", name=r"'red\x1b[31m ##[group]'", references=BOTH, problems="boom"
    )
    record.mine.write(record.mine.text.removeprefix(IMPORTS), second)
    code, said = record()
    assert code == 1
    approved(said)
    assert len(record.files) == 1


def test_an_interrupt_leaves_what_is_recorded_whole(
    record: Recording, live_r: None, approved: Approved
) -> None:
    """Ctrl-C while the second case is asked: the first one is there, nothing of the second; exit
    code 130.
    """
    stop = "def stop(formulation):\n    raise KeyboardInterrupt\n\n\n"
    record.mine.write_sine(**ASKED, before=stop)
    second = record.mine.case("test_second", name='"second"', references=BOTH, problems="stop")
    record.mine.write(record.mine.text.removeprefix(IMPORTS), second)
    code, said = record()
    assert code == 130
    approved(said.splitlines()[-1])
    (path,) = record.files
    assert read(path, "sine-1-4-1").answers


def test_no_race_is_run_against_a_recording(mine: Mine, approved: Approved) -> None:
    """A time is not recorded."""
    mine.write("def test_speed(raced):\n    raced(None, 'cpu', 'float64')")
    result = mine.pytest("--parity-speed", "--parity-r", "recorded", "-rs")
    result.assert_outcomes(skipped=1)
    (skip,) = (line for line in result.outlines if line.startswith("SKIPPED"))
    approved(re.sub(r"^SKIPPED \S+ \S+: ", "", skip))  # without the line of the plugin


# The recordings of the project's own cases


@pytest.mark.parametrize(
    "name", ["sine-logistic", "sine-tanh", "dual-widths-tanh-identity", "S1 from many starts"]
)
def test_live_r_is_its_recording_within_the_bounds(name: str, live_r: None) -> None:
    """Of whatever version and platform: what R answers now and what it answered then are judged as
    any two are.
    """
    case, file = OURS[name].case, OURS[name].file
    live, then = (case.answering(file, mode) for mode in ("live", "recorded"))
    cache, compared = Cache(case, 20), 0
    for now, was in zip(live.trials(), then.trials(), strict=True):
        if (
            not isinstance(now.reference, RNnet)
            or now.check == "input_gradient"
            or now.reference is was.reference
        ):
            continue
        for problem in cache.stacks(now):
            sides = [_side(cache, one.reference, problem, now.check) for one in (now, was)]
            owners = np.zeros(sides[0].answer.shape[1:], int)
            judged = judge(sides[:1], sides[1:], [owners], now.reference.contract().largest)
            assert judged.status in (Status.PASS, Status.VACUOUS), (problem.kind, now.check, judged)
            compared += judged.status is Status.PASS
    if case.population:  # training is chaotic: each end is judged by its own weights
        cache = Cache(then, 20)
        final = next(trial for trial in then.trials() if trial.check == "final")
        told = [one for one in then.references if one.source == "recorded"]
        verdicts = [harness_run(replace(final, subject=one, reference=one), cache) for one in told]
        assert {v.status for v in verdicts} == {Status.PASS}
        compared = len(verdicts)
    assert compared


def harness_run(trial: Any, cache: Cache) -> Any:
    """The verdict of a trial."""
    from harness.running.trial import run

    return run(trial, cache)


def _side(cache: Cache, reference: Any, problem: Problem, quantity: str) -> Side:
    """What a reference answers, with its bounds."""
    answer = cache.reference(reference, problem, "float64").answer(quantity)
    assert not isinstance(answer, Missing), answer
    bound = cache.oracle(problem, reference.contract(), reference)[quantity]
    if quantity == "gradient":
        answer = problem.formulation.pull_back(answer)
    return Side(answer, bound)


def test_our_recordings_are_of_our_cases_and_of_this_code() -> None:
    """None is stale for R's code, none belongs to a case that is gone, and together they stay
    small.
    """
    import cases.test_classifiers
    import cases.test_dual_training
    import cases.test_narrow

    more = cases.test_classifiers, cases.test_dual_training, cases.test_narrow
    modules = (*MODULES, *more)
    ours = [v for module in modules for v in vars(module).values() if isinstance(v, Verification)]
    found = sorted(FOLDER.glob("recordings/*"))
    named = {place(v.file, v.case.name): v.case.name for v in ours}
    assert found
    assert set(found) <= set(named)
    assert {read(path, named[path]).facts.code for path in found} == {CODE}
    assert sum(path.stat().st_size for path in found) < 16_000_000


def test_a_recording_answers_only_what_it_holds(
    approved: Approved, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anything else raises: an ask more, an ask of another kind."""
    monkeypatch.chdir(FOLDER.parent)  # files are named as seen from here
    name = "sine-clip"
    then: Any = RNnet(declare_clip=False).answering(OURS[name].file, name, False, "recorded")
    held = read(place(OURS[name].file, name), name).asks[0]
    assert np.array_equal(
        then.r.evaluate(held.topology, **held.arguments).value, held.answer["value"]
    )
    with approved.raises(RStale):
        then.r.fit(
            held.topology,
            held.arguments["theta"][0],
            held.arguments["inputs"][0],
            held.arguments["targets"][0],
        )
    off = {**held.arguments, "theta": held.arguments["theta"] * (1 + 2.0**-52)}
    with approved.raises(RUnavailable, mask_figures=True):
        then.r.evaluate(held.topology, **off)
    with pytest.raises(RStale):
        then.r.evaluate(held.topology, **off | {"theta": held.arguments["theta"] + 1e-9})
