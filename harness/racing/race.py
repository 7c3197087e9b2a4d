"""A speed race: measures a model's time as a multiple of a pacemaker's time in the same run.

A race has many rounds; in each of them the pacemaker and the model take turns. A disturbed turn
is longer, never shorter: a time is the shortest of its turns.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from harness.core.report import Race, grouped
from harness.model.compiled import limited
from harness.model.devices import kind_of
from harness.model.settings import hold_settings
from harness.racing.entry import REACHED, Entry, Turns
from harness.reporting.environment import limit_threads

QUARTILES = (0.25, 0.75)


class Round(NamedTuple):
    """The times and losses of one round of a race.

    `draw` is the number of the problem. `pace` is the pacemaker's time in seconds for one
    evaluation of one network, or for one fit; `first` and `second` are the times of the model's two
    turns, in seconds. `wanted` is the loss to be reached (infinite: none), and `loss` the loss that
    the model reached in its second turn.
    """

    pace: float
    first: float
    wanted: float
    second: float
    loss: float
    draw: int = 0


def race(entry: Entry, device: str, dtype: str, benchmark: Any) -> Race:
    """Run a speed race, and return its result.

    In each round the pacemaker takes one turn and the model takes two. The fixture of
    pytest-benchmark runs the second turn, and is given its times. Raises RuntimeError if the model
    raises, or if nothing is timed.
    """
    kind = kind_of(device)
    with hold_settings(entry.case.settings), kind.hold_precision(device, dtype), limited():
        return _race(entry, device, dtype, benchmark)


def _race(entry: Entry, device: str, dtype: str, benchmark: Any) -> Race:
    limit_threads()
    start = entry.begin(dtype)
    draws = start.draws if entry.fits else 1
    pace = entry.pacemaker(start)
    turns = Turns(entry, start, dtype, device)
    rounds: list[Round] = []

    def take_first() -> None:
        draw = len(rounds) % draws
        seconds, wanted = pace(draw)
        first, loss = turns.take(draw, wanted)
        rounds.append(Round(seconds, first, wanted, np.nan, loss, draw))

    def take_second() -> None:
        latest = rounds[-1]
        second, loss = turns.take(latest.draw, latest.wanted)
        rounds[-1] = latest._replace(second=second, loss=loss)

    benchmark.group = entry.name
    benchmark.pedantic(take_second, setup=take_first, rounds=entry.rounds, warmup_rounds=1)
    if benchmark.stats is None:
        raise RuntimeError(
            "pytest-benchmark times nothing, expected it enabled: leave --benchmark-disable out"
        )
    found = summarise_rounds(entry, rounds[-entry.rounds :], turns.evaluations, device, dtype)
    tell_benchmark(benchmark, found, [each.second for each in rounds[-entry.rounds :]])
    return found


def tell_benchmark(benchmark: Any, found: Race, seconds: Sequence[float]) -> None:
    """Give pytest-benchmark the times of the turns, on the clock of the race, and the number of
    evaluations in a turn, so that its figures are those of one evaluation.
    """
    stats = benchmark.stats
    stats.iterations = found.evaluations
    stats.stats.data[:] = [each / found.evaluations for each in seconds]
    stats.options["timer"] = kind_of(found.device).read_clock
    for name, value in vars(found).items():
        if value is not None:
            benchmark.extra_info[name] = value


def summarise_rounds(
    entry: Entry, rounds: Sequence[Round], evaluations: int, device: str, dtype: str
) -> Race:
    """Return the result of a race: how many times longer than the pacemaker the model takes.

    Each turn of the model has this number of evaluations, each of `entry.nets` networks. The time
    on a draw is the shortest of its rounds; the ratio of times is the median over the draws. The
    quartiles are those of the ratios of single rounds, and show their noise.
    """
    each = evaluations * entry.nets
    by_draw = list(grouped(rounds, lambda one: one.draw).values())
    seconds = [min(one.second for one in some) / each for some in by_draw]
    paces = [min(one.pace for one in some) for some in by_draw]
    firsts = [min(one.first for one in some) / each for some in by_draw]
    found = Race(
        name=entry.name,
        subject=entry.trained.title(),
        device=device,
        dtype=dtype,
        ratio=_find_median_ratio(seconds, paces),
        rounds=len(rounds),
        quartiles=_find_quartiles([one.second / each / one.pace for one in rounds]),
        aa_ratio=_find_median_ratio(seconds, firsts),
        aa_quartiles=_find_quartiles([one.second / one.first for one in rounds]),
        clock=kind_of(device).clock,
        nets=entry.nets,
        evaluations=evaluations,
        seconds=float(np.median(seconds)),
        pace=float(np.median(paces)),
    )
    if not entry.fits:
        return found
    share = float(np.mean([one.loss <= one.wanted * REACHED for one in rounds]))
    loss = float(np.median([one.loss for one in rounds]))
    return replace(found, share=share, loss=loss if np.isfinite(loss) else None)


def _find_median_ratio(seconds: Sequence[float], others: Sequence[float]) -> float:
    return float(np.median(np.divide(seconds, others)))


def _find_quartiles(ratios: Sequence[float]) -> tuple[float, float]:
    low, high = np.quantile(ratios, QUARTILES).tolist()
    return low, high
