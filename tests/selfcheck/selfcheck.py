"""What the judge can be trusted with, measured on itself: false alarms, catch rates, and rivals on
the same corpus.

usage: python -m tests.selfcheck.selfcheck [--seconds N] [--out FILE]
as `nnet-parity selfcheck` runs it

Correct implementations in many styles are judged on random networks; then every operator of the
catalogue is planted, at every size where it has one, in the equations and in PyTorch modules, and
is caught by the probes of one case or not, placed or not, named or not. Published rules judge the
same numbers.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import compress, islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import harness
from harness import Contract, Problem
from harness.core.problem import QUANTITIES
from harness.reporting.environment import environment, limit_threads
from harness.text.files import replace_whole
from reference import numpy_net, probes, r_nnet
from reference.faults.kinds import Answers, Fault, solve
from reference.mistakes.catalogue import OPERATORS
from tests.judging.test_wrong_ports import PORTS
from tests.selfcheck import alone, chart, planted
from tests.selfcheck.corpus import Case, Stack, cases, changed, first_outside, wide
from tests.selfcheck.costs import costs
from tests.selfcheck.forms.style import SPECIAL, choose_styles
from tests.selfcheck.module_styles import SEEDS, judge_styles
from tests.selfcheck.module_styles import STYLES as MODULE_STYLES
from tests.selfcheck.narrow import narrow
from tests.selfcheck.offers import Offers, held, is_asked
from tests.selfcheck.one_ulp import one_ulp
from tests.selfcheck.reach import FAULTS, reach
from tests.selfcheck.rivals import RIVALS
from tests.selfcheck.styles import STYLES, WIDE_STYLES, Style, in_r
from tests.support import DTYPES, oracle_of, used

SIZES = tuple(10.0**-exponent for exponent in range(13, 0, -1))
NETWORKS = 4  # on which every fault is planted
# verdicts on networks, and on elements, that a full check comes to at least
WANTED = 50_000, 5_000_000
FULL = 120.0  # seconds from which on a check is a full one
LIMIT = 0.95  # of the trials that a fault is caught in, for delta95
WIDE_EVERY = 8  # of cases
# of styles of modules, and of kinds of conditional faults, that a short check takes
SHORT_STYLES, SHORT_KINDS = 12, 4
US = "nnet-parity"


@dataclass
class Alarms:
    """What came of correct implementations: verdicts on networks (draws of one implementation), and
    on elements.

    `wide` are those on networks that threads share; `largest` is the most that anybody used of a
    bound.
    """

    networks: int = 0
    elements: int = 0
    false: int = 0
    largest: float = 0.0
    wide: int = 0
    rivals: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RIVALS, 0))

    def judge_styles(self, problem: Problem, styles: dict[str, Style]) -> None:
        """Correct implementations in these styles, in every dtype."""
        for dtype in DTYPES:
            right = solve(problem, Contract(dtype))
            for style in styles.values():
                self.judge(problem, dtype, style(problem, dtype), right)

    def judge(
        self, problem: Problem, dtype: str, answers: Answers, right: Answers, bounds: Any = None
    ) -> None:
        """Every quantity of every draw against its own bound; rivals compare with NumPy in the same
        dtype.
        """
        bounds, top = bounds or oracle_of(problem, Contract(dtype)), float(np.finfo(dtype).max)
        alarmed = np.zeros(problem.draws, dtype=bool)
        rival = {name: np.zeros(problem.draws, dtype=bool) for name in RIVALS}
        for quantity, answer in answers.items():
            bound = bounds[quantity]
            flat = (problem.draws, -1)
            inside = (abs(bound.value) + bound.error).reshape(flat).max(axis=1) <= top
            share = used(answer, bound, top)
            alarmed |= share > 1
            self.largest = max(self.largest, float(share.max()))
            self.elements += answer.size
            for name, rule in RIVALS.items():
                rival[name] |= inside & rule(
                    answer.reshape(flat), right[quantity].reshape(flat), bound.value, dtype
                )
        self.networks += problem.draws
        self.false += int(alarmed.sum())
        for name, flagged in rival.items():
            self.rivals[name] += int(flagged.sum())


def false_alarms(until: Callable[[Alarms], bool], say: Callable[[str], None]) -> Alarms:
    """Styles on random networks, small ones and now and then a wide one, until there are enough."""
    found = Alarms()
    larger = wide(seed=0)
    for number, case in enumerate(cases(seed=0)):
        for problem in case.problems:
            found.judge_styles(problem, STYLES)
            if r_nnet.cannot_answer(case.network, "forward") is None and (
                answers := in_r(problem, "float64")
            ):
                # no answers for a decayed tanh
                bounds = oracle_of(r_nnet.as_evaluated(problem), r_nnet.contract())
                found.judge(problem, "float64", answers, solve(problem, Contract()), bounds)
        if number % WIDE_EVERY == 0:
            before = found.networks
            found.judge_styles(next(larger), WIDE_STYLES)
            found.wide += found.networks - before
        say(f"{found.networks:,} networks, {found.elements:,} elements, {found.false} false alarms")
        if until(found):
            return found
    raise AssertionError("cases() ends")


@dataclass
class Caught:
    """What came of one fault at one size in one dtype.

    `located` are those caught whose first quantity outside is the first that the fault changes,
    with only tensors that it changes; `within` those that change earlier ones by less than rounding
    may, where nobody could see them.
    """

    name: str
    stage: str
    dtype: str
    size: float | None
    tried: int = 0
    caught: int = 0
    located: int = 0
    within: int = 0
    seconds: list[float] = field(default_factory=list)
    rivals: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RIVALS, 0))

    def record(self) -> dict[str, Any]:
        """As the file holds it."""
        names = ("name", "stage", "dtype", "size", "tried", "caught", "located", "within")
        return {name: getattr(self, name) for name in names}

    def judge(
        self, problems: Sequence[Problem], right: Sequence[Stack], wrong: Sequence[Stack]
    ) -> str:
        """Count one trial; the first quantity outside, "" where none is or nothing was changed."""
        # numbers that float32 cannot hold are asked in float64 only
        asked = [self.dtype == "float64" or not problem.float64_only for problem in problems]
        problems, right, wrong = (list(compress(each, asked)) for each in (problems, right, wrong))
        other = changed(problems, right, wrong)
        if not other:  # inert here: nothing to catch
            return ""
        self.tried += 1
        first, names = first_outside(problems, wrong, self.dtype)
        placed = bool(first) and names <= other.get(first, set())
        self.caught += bool(first)
        self.located += placed and first == next(iter(other))
        self.within += placed and first != next(iter(other))
        for name in RIVALS:
            self.rivals[name] += any(
                _flags(name, p, r, w, self.dtype)
                for p, r, w in zip(problems, right, wrong, strict=True)
            )
        return first


def _flags(rival: str, problem: Problem, right: Stack, wrong: Stack, dtype: str) -> bool:
    """Does a rival flag any quantity of any draw? What is not given is flagged by everybody."""
    if any(quantity not in wrong for quantity in QUANTITIES):
        return True
    exact = oracle_of(problem, Contract(dtype))
    return any(
        RIVALS[rival](
            *(a.reshape(problem.draws, -1) for a in (wrong[q], right[q], exact[q].value)), dtype
        ).any()
        for q in QUANTITIES
    )


@dataclass
class Planting:
    """What came of faults planted one way: in the equations, or in modules."""

    offers: Offers
    found: dict[tuple[Any, ...], Caught] = field(default_factory=dict)

    def judge(
        self,
        fault: Fault,
        dtype: str,
        problems: list[Problem],
        right: list[Stack],
        wrong: list[Stack],
    ) -> None:
        """Count a trial of a fault, and what is offered for it."""
        began = perf_counter()
        name = fault.name if fault.size is None else fault.name.rpartition("_")[0]
        key = name, dtype, fault.size
        one = self.found.setdefault(key, Caught(name, fault.spoils, dtype, fault.size))
        first = one.judge(problems, right, wrong)
        one.seconds.append(perf_counter() - began)
        if first and is_asked(fault.size) and all(first in answers for answers in wrong):
            self.offers.ask(problems, wrong, first, fault, dtype)

    @property
    def tried(self) -> list[Caught]:
        """Those that changed something anywhere."""
        return [one for one in self.found.values() if one.tried]


def plant(
    case: Case, fault: Fault, dtype: str, equations: Planting, modules: Planting | None
) -> None:
    """A fault in the equations and, if it is of the catalogue's sizes, in a module.

    What passes through float32 is no mistake in float32, but rounding.
    """
    if dtype == "float32" and fault.name.endswith("float32"):
        return
    contract = Contract(dtype)
    wrong = [held(fault.run(problem, contract), dtype) for problem in case.problems]
    equations.judge(fault, dtype, case.problems, solved(case, dtype), wrong)
    if modules and planted.plants(fault) and is_asked(fault.size):
        mistake = planted.planted(fault, case.network)
        right = planted.right(case, dtype, planted.unplanted(fault, mistake))
        modules.judge(
            fault, dtype, planted.asked(case), right, planted.answers(case, dtype, mistake)
        )


@lru_cache(maxsize=len(DTYPES))
def solved(case: Case, dtype: str) -> list[Answers]:
    """The answers without mistake."""
    return [solve(problem, Contract(dtype)) for problem in case.problems]


def sized(sizes: Sequence[float]) -> Iterator[Fault]:
    """The operators, each at every size where it has one."""
    for fault in OPERATORS:
        yield from (fault.at(size) for size in sizes) if fault.sized else [fault]


def delta95(faults: list[Caught]) -> dict[str, dict[str, Any]]:
    """For each stage and dtype the smallest size from which on sized faults are caught nearly
    always, and its bits.
    """
    found: dict[str, dict[str, Any]] = {}
    for dtype in DTYPES:
        for stage in QUANTITIES:
            at = {
                size: [
                    c
                    for c in faults
                    if (c.dtype, c.stage, c.size) == (dtype, stage, size) and c.tried
                ]
                for size in SIZES
            }
            rates = {
                size: sum(c.caught for c in some) / sum(c.tried for c in some)
                for size, some in at.items()
                if some
            }
            good = [
                size
                for size in rates
                if all(rates[other] >= LIMIT for other in rates if other >= size)
            ]
            if good:
                size = min(good)
                found[f"{stage} {dtype}"] = {
                    "size": size,
                    "bits": round(math.log2(size / Contract(dtype).roundoff), 1),
                }
    return found


def reproducers(count: int) -> dict[str, int]:
    """Of failures of wrong ports, as people make them, how many have a script that fails again on
    its own.
    """
    ended: list[bool | None] = []
    for subject, network, problems, *_ in PORTS[:count]:
        asked = problems or probes(seed=0, draws=4)
        ended += alone.again(
            harness.Case("port", network, [subject], [numpy_net], asked, dtypes=["float64"])
        ).values()
    return {"tried": len(ended), "again": sum(one is True for one in ended)}


def check(seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Everything that the file holds; `seconds` is about what it may take."""
    limit_threads()
    here = environment()  # before anybody commits meanwhile
    began, full = perf_counter(), seconds >= FULL
    share = 0.4 * seconds

    def enough(alarms: Alarms) -> bool:
        wanted = alarms.networks >= WANTED[0] and alarms.elements >= WANTED[1]
        return perf_counter() - began > share and (wanted or not full)

    alarms = false_alarms(enough, say)
    some = list(islice(cases(seed=1), NETWORKS if full else 1))
    offers = Offers()
    equations, modules = Planting(offers), Planting(offers)
    for number, case in enumerate(some):
        fitting = (
            fault for fault in sized(SIZES if full else SIZES[::4]) if fault.fits(case.network)
        )
        for turn, fault in enumerate(fitting):
            for dtype in DTYPES:
                # modules take long: a short check takes turns
                due = full or dtype == DTYPES[turn % len(DTYPES)]
                plant(case, fault, dtype, equations, modules if due else None)
            say(f"network {number + 1} of {len(some)}: {fault.name}")
        for dtype in DTYPES:
            offers.ask_strangers(case, dtype, seed=number, count=8 if full else 2)
        offers.forget()
    say("sixteen bits, and scripts that fail alone")
    few = [
        replace(case, draws=6 if full else 3) for case in islice(cases(seed=3), 4 if full else 1)
    ]
    narrowly = narrow(few, every=1 if full else 6)
    say("right modules in many styles")
    every_style = choose_styles(MODULE_STYLES)
    some_styles = every_style if full else every_style[len(SPECIAL) :: SHORT_STYLES]
    styled = judge_styles(some_styles, SEEDS if full else 1, say=say)
    say("faults that act only where a condition holds")
    reached = reach(FAULTS, say=say) if full else reach(1, every=SHORT_KINDS)
    rules = [
        ours(alarms, equations.tried),
        *(rival(name, alarms, equations.tried) for name in RIVALS),
    ]
    found = {
        "date": here["date"],
        "commit": here["commit"],
        "false_alarms": (
            alarms.false + len(styled.red) + sum(one.false for one in narrowly.values())
        ),
        "element_verdicts": alarms.elements + sum(one.elements for one in narrowly.values()),
        "network_verdicts": alarms.networks + sum(one.networks for one in narrowly.values()),
        "wide_verdicts": alarms.wide,
        "largest_budget_used": round(alarms.largest, 4),
        "faults": [each.record() for each in equations.tried],
        "modules": [each.record() for each in modules.tried],
        "not_planted": planted.NOT_PLANTED,
        "offers": offers.record(),
        "one_ulp": one_ulp(list(islice(cases(seed=2), 24 if full else 4)), most=25),
        "narrow": {dtype: one.record() for dtype, one in narrowly.items()},
        "module_styles": styled.record(),
        "reach": reached.record(),
        "reproducers": reproducers(len(PORTS) if full else 3),
        "cost": (
            costs(some) | {"fault": _median([s for each in equations.tried for s in each.seconds])}
        ),
        "rules": rules,
        "rivals": rules[1:],
        "delta95": delta95(equations.tried),
        "seconds": round(perf_counter() - began, 1),
    }
    return found | {"summary": summary(found)}


def _median(seconds: Sequence[float]) -> float:
    return round(float(np.median(seconds)), 5)


def ours(alarms: Alarms, faults: list[Caught]) -> dict[str, Any]:
    """The judge as the rules are recorded."""
    return rule(US, alarms.false, alarms, faults, lambda one: one.caught)


def rival(name: str, alarms: Alarms, faults: list[Caught]) -> dict[str, Any]:
    """A published rule."""
    return rule(name, alarms.rivals[name], alarms, faults, lambda one: one.rivals[name])


def rule(
    name: str, flagged: int, alarms: Alarms, faults: list[Caught], count: Callable[[Caught], int]
) -> dict[str, Any]:
    """How often a rule flags what is right, and catches what is not, by size."""

    def rate(some: list[Caught]) -> float:
        return round(sum(map(count, some)) / max(sum(c.tried for c in some), 1), 4)

    sizes = sorted({c.size for c in faults if c.size is not None})
    by_size = {
        f"{size:.0e} {d}": rate(some)
        for size in sizes
        for d in DTYPES
        if (some := [c for c in faults if (c.size, c.dtype) == (size, d)])
    }
    by_size |= {
        f"structural {d}": rate([c for c in faults if c.size is None and c.dtype == d])
        for d in DTYPES
    }
    return {
        "rule": name,
        "false_alarm_rate": round(flagged / alarms.networks, 6),
        "catch_rate": by_size,
    }


def summary(found: dict[str, Any]) -> list[str]:
    """A few lines for a screen."""

    def total(records: list[dict[str, Any]], *names: str) -> list[int]:
        return [sum(record[name] for record in records) for name in names]

    structural = [[f for f in found[way] if f["size"] is None] for way in ("faults", "modules")]
    one, other = (total(some, "caught", "tried") for some in structural)
    located, within, made = total(
        [*found["faults"], *found["modules"]], "located", "within", "caught"
    )
    offers, cost = found["offers"], found["cost"]
    again, scripts = total([found["reproducers"]], "again", "tried")
    ulp = total(list(found["one_ulp"].values()), "caught", "tried")
    lines = [
        (
            f"{found['false_alarms']} false alarms in {found['network_verdicts']:,} verdicts on"
            f" networks of correct implementations ({found['element_verdicts']:,} elements);"
            f" {found['largest_budget_used']:.2f} of a bound used"
        ),
        f"{one[0]} of {one[1]} structural faults caught by the probes of one case",
        f"{other[0]} of {other[1]} structural faults in PyTorch modules caught",
        f"{located} of {made} catches name the right tensor",
        f"{within} catches are of what is within rounding until a later quantity",
        (
            f"{offers['made'] - offers['wrong']} of {offers['made']} likely mistakes offered are"
            f" the right ones; {offers['strangers']['made']} offered for"
            f" {offers['strangers']['tried']} mistakes that nobody lists"
        ),
        f"{ulp[0]} of {ulp[1]} weights off by one unit in the last place caught by exact probes",
        f"{again} of {scripts} scripts of failures fail again on their own",
        found["module_styles"]["sentence"],
        found["reach"]["sentence"],
    ]
    lines += [
        f"{dtype}, layer by layer: {one['evident']} of {one['quantities']} quantities are evidence,"
        f" {one['caught']} of {one['tried']} structural faults caught, {one['largest']:.2f} of a"
        " bound used"
        for dtype, one in found["narrow"].items()
    ]
    lines += [
        f"{stage}: faults from {d['size']:.0e} on are caught ({d['bits']:g} bits above u)"
        for stage, d in found["delta95"].items()
    ]
    lines += [
        f"{r['rule']}: flags {r['false_alarm_rate']:.2%} of what is right" for r in found["rivals"]
    ]
    shares = ", ".join(f"{name} {cost[name]:.0%}" for name in ("oracle", "subject", "judge"))
    return [
        *lines,
        (
            f"a case and dtype takes {cost['case']:.2f} s ({shares}), a fault {cost['fault']:.3f} s"
            " to judge"
        ),
    ]


def main(arguments: list[str]) -> int:
    """Check, write the file, and say what came of it; 1 where there was a false alarm."""
    parser = argparse.ArgumentParser(
        "nnet-parity selfcheck", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--seconds", type=float, default=300.0, help="about what it may take (default: 300)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("build/selfcheck.json"),
        help="default: build/selfcheck.json",
    )
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore", RuntimeWarning)
    told = [perf_counter()]

    def say(text: str) -> None:
        if perf_counter() - told[0] > 2:
            told[0] = perf_counter()
            print(f"  {text}", file=sys.stderr, flush=True)

    found = check(given.seconds, say)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    picture = given.out.with_suffix(".svg")
    result = json.dumps(found, indent=1, allow_nan=False)
    replace_whole({given.out: result, picture: chart.drawn(found)})
    print(*found["summary"], f"written: {given.out} and {picture}", sep="\n")
    return int(found["false_alarms"] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
