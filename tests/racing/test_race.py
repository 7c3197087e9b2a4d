"""The race: ratios of one run, in turn, of models that are right; left out unless it is asked
for.
"""

import json
import re
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness import Case, Entry, Recipe, Trained
from harness.core.report import Race, Report
from harness.model import devices
from harness.model.devices import Cuda, kind_of
from harness.racing.race import Round, summarise_rounds
from harness.reporting.counts import describe_races
from harness.training.trainer import Fitted
from reference import Network, nnet_fits, nnet_gradients, numpy_net, probes
from tests.conftest import SINE_NET, Approved, Mine, screen_of, unfolded

RACES = """
from cases.sine_training import one_draw, sine_population
from harness import Case, Entry, Recipe, Trained
from reference import nnet_gradients, starts

{model}
NET = Network(inputs=1, hidden=4, outputs=1, activation="logistic")
CASE = Case("before", NET, [SineNet], [numpy_net], probes(seed=0, draws=3))


def pacemaker(problem):
    return lambda draw: ({seconds}, {wanted})


def entry(fits):
    recipe = Recipe("sgd", 3, {{"lr": 1e-3}})
    trained = Trained(SineNet, recipe, "SineNet", start=starts.uniform(), most=9)
    return Entry("a race", trained, CASE, sine_population(one_draw), {pacemaker}, fits, 4)


def test_speed(raced):
    found = raced(entry({fits}), "{device}", "float64")
    assert found.rounds == 4
"""
RIGHT = SINE_NET.format(forward="return self.output(torch.sigmoid(self.hidden(x)))")
WRONG = SINE_NET.format(forward="return self.output(torch.sigmoid(self.hidden(-x)))")


def run_races(
    mine: Mine, *arguments: str, model: str = RIGHT, fits: bool = False, **given: Any
) -> pytest.RunResult:
    """pytest in a folder with one test_speed.py, with pytest-benchmark."""
    import pytest_benchmark.plugin

    from nnet_parity import plugin

    values = {"seconds": 1e-3, "wanted": "float('inf')", "device": "cpu"} | given
    values.setdefault("pacemaker", "pacemaker")
    mine.write(RACES.format(model=model, fits=fits, **values))
    (mine.pytester.path / "test_mine.py").rename(mine.pytester.path / "test_speed.py")
    return mine.pytester.runpytest_inprocess(*arguments, plugins=[plugin, pytest_benchmark.plugin])


def speed(mine: Mine) -> list[dict[str, Any]]:
    """The races of build/report/speed.json."""
    path = mine.pytester.path / "build/report/speed.json"
    found: list[dict[str, Any]] = json.loads(path.read_text())["races"]
    return found


def test_races_are_run_only_where_they_are_asked_for(mine: Mine, approved: Approved) -> None:
    """Without --parity-speed they are deselected, and counted in one line."""
    result = run_races(mine)
    result.assert_outcomes(deselected=1)
    approved(line for line in result.outlines if "left out" in line)
    assert not (mine.pytester.path / "build/report/speed.json").exists()


def test_a_race_is_told_and_written(mine: Mine, approved: Approved) -> None:
    """On the screen, in results.json, in speed.json and in pytest-benchmark's own JSON."""
    result = run_races(mine, "--parity-speed", "--benchmark-json=bench.json")
    result.assert_outcomes(passed=1)
    [race] = speed(mine)
    assert race == mine.results()["races"][0]
    assert (race["name"], race["subject"], race["device"], race["dtype"]) == (
        "a race",
        "SineNet",
        "cpu",
        "float64",
    )
    low, high = race["quartiles"]
    assert 0 < low <= high
    assert race["ratio"] == race["seconds"] / race["pace"]
    assert 0.2 < race["aa_ratio"] < 5  # one against itself, on whatever machine this is
    assert (race["share"], race["loss"], race["rounds"]) == (None, None, 4)
    [one] = json.loads((mine.pytester.path / "bench.json").read_text())["benchmarks"]
    assert one["group"] == "a race"
    assert one["extra_info"]["ratio"] == race["ratio"]
    assert len(one["stats"]["data"]) == 4
    assert one["stats"]["iterations"] == race["evaluations"] > 1
    assert one["stats"]["min"] == race["seconds"]  # of one evaluation, on the same clock
    assert one["options"]["timer"] == "read_clock"
    assert race["clock"] == "CPU"
    approved(unfolded(screen_of(result)), mask_figures=True)


def test_a_fit_is_raced_to_the_pacemakers_loss(mine: Mine) -> None:
    """The share of starts that reach it stands beside the time, and the loss that was reached."""
    run_races(mine, "--parity-speed", fits=True, wanted="1e9").assert_outcomes(passed=1)
    [race] = speed(mine)
    assert (race["share"], race["rounds"]) == (1.0, 4)
    assert 1 < race["loss"] < 1e3
    run_races(mine, "--parity-speed", fits=True, wanted="1e-9").assert_outcomes(passed=1)
    assert speed(mine)[0]["share"] == 0.0


def block(result: pytest.RunResult) -> list[str]:
    """What is printed of the one test that failed."""
    lines = result.outlines
    start = next(
        number for number, line in enumerate(lines) if re.fullmatch("_+ test_speed _+", line)
    )
    return lines[
        start + 1 : next(n for n, line in enumerate(lines) if n > start and line.startswith("="))
    ]


def test_who_is_wrong_does_not_race(mine: Mine, approved: Approved) -> None:
    """It fails, with the sentences of the first trial that does not pass."""
    result = run_races(mine, "--parity-speed", model=WRONG)
    result.assert_outcomes(failed=1)
    approved(block(result), mask_figures=True)
    assert not (mine.pytester.path / "build/report/speed.json").exists()


def test_a_device_that_is_not_here_does_not_race(mine: Mine, approved: Approved) -> None:
    """A skip that says why."""
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    result = run_races(mine, "--parity-speed", "-rs", device="cuda")
    result.assert_outcomes(skipped=1)
    approved(line.split(": ", 1)[1] for line in result.outlines if line.startswith("SKIPPED"))


def test_a_race_that_times_nothing_says_so(mine: Mine, approved: Approved) -> None:
    """pytest-benchmark can be switched off."""
    result = run_races(mine, "--parity-speed", "--benchmark-disable")
    result.assert_outcomes(failed=1)
    approved(line.removeprefix("E").strip() for line in result.outlines if line.startswith("E "))


def entry(fits: bool) -> Entry:
    """An entry whose rounds are given."""
    case = Case("case", Network(1, 1, 1), [object], [numpy_net], probes())
    return Entry(
        "a race",
        Trained(object, Recipe("sgd", 1), "it"),
        case,
        case.problems,
        lambda problem: None,
        fits,
    )  # type: ignore[arg-type, return-value]


def test_a_case_of_another_model_is_refused(approved: Approved) -> None:
    """Else a wrong model could race."""
    case = Case("case", Network(1, 1, 1), [dict], [numpy_net], probes())
    trained = Trained(object, Recipe("sgd", 1), "it")
    with approved.raises(ValueError):
        Entry("a race", trained, case, case.problems, lambda problem: lambda draw: (1.0, 1.0))  # type: ignore[arg-type]


def test_a_ratio_is_of_the_shortest_times() -> None:
    """What disturbs a turn makes it longer, so the shortest counts; a turn of ten evaluations
    counts a tenth. Quartiles are of the rounds, and noise is second over first.
    """
    rounds = [
        Round(pace=0.01, first=0.4, wanted=np.inf, second=0.1 * k, loss=np.inf)
        for k in (1, 2, 3, 4, 5)
    ]
    found = summarise_rounds(entry(False), rounds, 10, "cpu", "float64")
    assert (round(found.ratio, 12), found.rounds, found.share) == (1.0, 5, None)
    assert found.quartiles is not None
    assert np.round(found.quartiles, 12).tolist() == [2.0, 4.0]
    assert found.aa_ratio is not None
    assert round(found.aa_ratio, 12) == 0.25
    assert found.seconds is not None
    assert (round(found.seconds, 12), found.pace, found.evaluations) == (0.01, 0.01, 10)


def test_a_stack_counts_by_net() -> None:
    """The time of a call is divided by the number of networks that it evaluates."""
    rounds = [Round(pace=0.01, first=0.4, wanted=np.inf, second=0.4, loss=np.inf)]
    one = replace(entry(False), nets=100)
    found = summarise_rounds(one, rounds, 1, "cpu", "float64")
    assert (round(found.ratio, 12), found.nets) == (0.4, 100)


def test_starts_are_compared_one_by_one() -> None:
    """The shortest time of a long fit is not held against another start's: the ratio is the median
    over the starts.
    """
    rounds = []
    for draw, (pace, second) in enumerate([(1.0, 2.0), (10.0, 30.0), (100.0, 400.0)]):
        for slower in (1.0, 1.5):
            times = {"pace": slower * pace, "first": second, "second": second * slower}
            rounds.append(Round(wanted=1.0, loss=1.0, draw=draw, **times))
    found = summarise_rounds(entry(True), rounds, 1, "cpu", "float64")
    assert (found.ratio, found.aa_ratio, found.rounds) == (3.0, 1.0, 6)


def test_a_share_counts_the_starts_that_reach_the_loss() -> None:
    """Up to a millionth above it."""
    losses = [0.5, 1.0, 1.0 + 1e-7, 1.1]
    rounds = [Round(pace=1, first=1, wanted=1.0, second=1, loss=loss) for loss in losses]
    found = summarise_rounds(entry(True), rounds, 1, "cpu", "float64")
    assert (found.share, found.loss) == (0.75, (1.0 + (1.0 + 1e-7)) / 2)  # the median


def test_races_are_told_by_name_fastest_first(approved: Approved) -> None:
    """With the share that reaches the loss, the noise of the run, the number of networks of a
    stack, and the clock if it is not the CPU's.
    """
    races = [
        Race("fit", "slow", "cpu", "float64", 30.25, 4, aa_ratio=1.01, share=0.5),
        Race("fit", "fast", "cpu", "float32", 0.4, 4, aa_ratio=0.97, share=1.0),
        Race("other", "it", "cpu", "float64", 2.0, 4),
        Race("stack", "many", "cuda", "float32", 0.02, 4, nets=1024, clock="wall"),
    ]
    approved(describe_races(Report({}, [], races=races)))


@pytest.mark.parametrize("fails", [True, False])
def test_a_slower_run_fails_with_its_report(mine: Mine, approved: Approved, fails: bool) -> None:
    """pytest-benchmark raises where --benchmark-compare-fail finds a race slower: the report is
    written and shown all the same, there is no traceback, and the exit code is that of a failure.
    """
    run_races(mine, "--parity-speed", "--benchmark-save=before").assert_outcomes(passed=1)
    [saved] = (mine.pytester.path / ".benchmarks").rglob("*before.json")
    before = json.loads(saved.read_text())
    before["benchmarks"][0]["stats"]["min"] *= 1e-3 if fails else 1e3
    saved.write_text(json.dumps(before))
    (mine.pytester.path / "build/report/speed.json").unlink()
    compare = ["--benchmark-compare", "--benchmark-compare-fail=min:30%"]
    result = run_races(mine, "--parity-speed", *compare)
    assert result.ret == (pytest.ExitCode.TESTS_FAILED if fails else pytest.ExitCode.OK)
    assert len(speed(mine)) == 1
    assert "Traceback" not in result.stdout.str() + result.stderr.str()
    approved(unfolded(screen_of(result)), mask_figures=True)


def test_speed_says_where_it_was_measured(mine: Mine) -> None:
    """speed.json can be held against that of another day: machine, versions, commit and date. It is
    kept beside the kept runs.
    """
    run_races(mine, "--parity-speed", "--parity-keep=kept").assert_outcomes(passed=1)
    path = mine.pytester.path / "build/report/speed.json"
    where = json.loads(path.read_text())["environment"]
    assert {"cpu", "cores", "commit", "date", "python", "torch", "numpy"} <= set(where)
    assert where == mine.results()["environment"]
    [kept] = (mine.pytester.path / "kept").iterdir()
    assert kept.read_text() == path.read_text()


def test_nnets_versions_stand_in_the_report(mine: Mine, live_r: None) -> None:
    """Whose time is the unit, even if R judges no trial."""
    run_races(mine, "--parity-speed", pacemaker="nnet_gradients").assert_outcomes(passed=1)
    assert {"R", "nnet"} <= set(mine.results()["environment"])


def test_nnets_own_time_is_measured_inside_r(live_r: None) -> None:
    """On R's own CPU clock: a value and gradient takes microseconds, which no ask of R's process
    does; a fit says its loss too.
    """
    from cases.sine_training import one_draw, sine_population
    from reference import nnet_fit

    start = nnet_fit().starting(
        Network(1, 4, 1, "logistic"), sine_population(one_draw), 2, "float64"
    )
    seconds, wanted = nnet_gradients(start)(0)
    assert 1e-7 < seconds < 1e-3
    assert wanted == np.inf
    took, loss = nnet_fits(start)(1)
    assert took > 10 * seconds
    fitted = nnet_fit().fit(start, "float64", "cpu", lambda said: None)
    assert isinstance(fitted, Fitted)
    assert loss == fitted.claimed[1]


def test_a_device_is_timed_on_the_wall_once_it_has_finished(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """CUDA works while the CPU only waits: its clock is read after it was waited for. The CPU's
    clock does not count time in which this process sleeps.
    """
    said: list[str] = []
    monkeypatch.setattr(Cuda, "synchronize", lambda self, device: said.append(f"wait {device}"))
    monkeypatch.setattr(devices, "perf_counter", lambda: said.append("wall") or 7.0)
    assert (kind_of("cuda:1").clock, kind_of("cuda:1").read_clock("cuda:1")) == ("wall", 7.0)
    assert said == ["wait cuda:1", "wall"]
    before = kind_of("cpu").read_clock("cpu")
    time.sleep(0.05)
    assert (kind_of("cpu").clock, kind_of("cpu").read_clock("cpu") < before + 0.04) == ("CPU", True)
