"""What the judge can be trusted with, measured on itself: false alarms, catch rates, and rivals on the same corpus.

usage: python tests/selfcheck.py [--seconds N] [--out FILE]      as `nnet-parity selfcheck` runs it

Correct implementations in many styles are judged on random networks; then every operator of the catalogue is planted,
at every size where it has one, and is caught by the probes of one case or not. Published rules judge the same numbers.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from rivals import RIVALS
from styles import STYLES, in_r
from support import ACTIVATIONS, DTYPES, judged, oracle_of

from harness import Contract, Formulation, Loss, Problem, Status
from harness.judge import budget
from harness.naming import tensors
from harness.problem import QUANTITIES
from reference import Network, probes, r_nnet
from reference.catalogue import OPERATORS
from reference.faults import Answers, Fault, solve

SIZES = tuple(10.0**-exponent for exponent in range(13, 0, -1))
NETWORKS = 4  # on which every fault is planted
WANTED = 50_000, 5_000_000  # verdicts on networks, and on elements, that a full check comes to at least
LIMIT = 0.95  # of the trials that a fault is caught in, for delta95


class Case(NamedTuple):
    """A random network and its probes: what one case asks."""

    network: Network
    problems: list[Problem]


def cases(seed: int) -> Iterator[Case]:
    """Random networks of one or two groups and heads, of every activation, with probes of their own."""
    rng = np.random.default_rng(seed)
    while True:
        for g, f in ACTIVATIONS:
            groups, heads = (tuple(int(w) for w in rng.integers(1, 9, rng.integers(1, 3))) for _ in range(2))
            network = Network(groups, int(rng.integers(1, 13)), heads, g, f)
            seed, rows, own = int(rng.integers(2**31)), int(rng.integers(1, 9)), Formulation.identity(network)
            decayed = probes(seed, draws=5, rows=rows, kinds=["random"], loss=Loss(decay=0.125))
            yield Case(network, [*probes(seed, rows=rows)(own), *decayed(own)])


@dataclass
class Alarms:
    """What came of correct implementations: verdicts on networks (draws of one implementation), and on elements."""

    networks: int = 0
    elements: int = 0
    false: int = 0
    largest: float = 0.0
    rivals: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RIVALS, 0))

    def judge(self, problem: Problem, dtype: str, answers: Answers, right: Answers, bounds: Any = None) -> None:
        """Every quantity of every draw against its own bound; rivals compare with NumPy in the same dtype."""
        bounds, top = bounds or oracle_of(problem, Contract(dtype)), float(np.finfo(dtype).max)
        alarmed = np.zeros(problem.draws, dtype=bool)
        rival = {name: np.zeros(problem.draws, dtype=bool) for name in RIVALS}
        for quantity, answer in answers.items():
            bound = bounds[quantity]
            flat = (problem.draws, -1)
            inside = (abs(bound.value) + bound.error).reshape(flat).max(axis=1) <= top  # else it is UNDEFINED
            used = np.where(inside, budget(answer - bound.value, bound.error).reshape(flat).max(axis=1), 0)
            alarmed |= used > 1
            self.largest = max(self.largest, float(used.max()))
            self.elements += answer.size
            for name, rule in RIVALS.items():
                rival[name] |= inside & rule(answer.reshape(flat), right[quantity].reshape(flat), bound.value, dtype)
        self.networks += problem.draws
        self.false += int(alarmed.sum())
        for name, flagged in rival.items():
            self.rivals[name] += int(flagged.sum())


def false_alarms(until: Callable[[Alarms], bool], say: Callable[[str], None]) -> Alarms:
    """Styles on random networks until there are enough."""
    found = Alarms()
    for case in cases(seed=0):
        for problem in case.problems:
            for dtype in DTYPES:
                right = solve(problem, Contract(dtype))
                for style in STYLES.values():
                    found.judge(problem, dtype, style(problem, dtype), right)
                nnet = dtype == "float64" and r_nnet.absent(case.network, "forward") is None
                if nnet and (answers := in_r(problem, dtype)):  # none for a decayed tanh
                    bounds = oracle_of(r_nnet.expressed(problem), r_nnet.contract())
                    found.judge(problem, dtype, answers, right, bounds)
        say(f"{found.networks:,} networks, {found.elements:,} elements, {found.false} false alarms")
        if until(found):
            return found
    raise AssertionError("cases() ends")


@dataclass
class Caught:
    """What came of one fault at one size in one dtype."""

    name: str
    stage: str
    dtype: str
    size: float | None
    tried: int = 0
    caught: int = 0
    located: int = 0
    rivals: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RIVALS, 0))

    def record(self) -> dict[str, Any]:
        """As the file holds it."""
        names = ("name", "stage", "dtype", "size", "tried", "caught", "located")
        return {name: getattr(self, name) for name in names}


def planted(fault: Fault, size: float | None) -> Fault:
    return fault if size is None else fault.at(size)


def caught(fault: Fault, size: float | None, dtype: str, some: list[Case]) -> Caught:
    """One fault in every case where it can be made and changes something."""
    found = Caught(fault.name, fault.spoils, dtype, size)
    made = planted(fault, size)
    for case in (case for case in some if made.fits(case.network)):
        contract = Contract(dtype)
        right = [solve(problem, contract) for problem in case.problems]
        wrong = [held(made.run(problem, contract), dtype) for problem in case.problems]
        changed = [q for q in QUANTITIES if any((r[q] != w[q]).any() for r, w in zip(right, wrong, strict=True))]
        if not changed:  # inert here: nothing to catch
            continue
        found.tried += 1
        first = next((q for q in QUANTITIES if outside(case, wrong, q, dtype)), None)
        found.caught += first is not None
        if first is not None:
            names = outside(case, wrong, first, dtype)
            found.located += first == changed[0] and names <= affected(case, right, wrong, first)
        for name, rule in RIVALS.items():
            found.rivals[name] += any(
                rule(
                    w[q].reshape(len(w[q]), -1), r[q].reshape(len(w[q]), -1), oracle_of(p, contract)[q].value, dtype
                ).any()
                for p, r, w in zip(case.problems, right, wrong, strict=True)
                for q in QUANTITIES
            )
    return found


def held(answers: Answers, dtype: str) -> Answers:
    """As the dtype holds them: what it rounds away is no fault."""
    with np.errstate(over="ignore"):
        return {quantity: answer.astype(dtype).astype(float) for quantity, answer in answers.items()}


def outside(case: Case, answers: list[Answers], quantity: str, dtype: str) -> set[str]:
    """The tensors of a quantity that are outside in any stack."""
    found: set[str] = set()
    for problem, answer in zip(case.problems, answers, strict=True):
        judgement = judged(problem, answer, quantity, dtype)
        if judgement.status is Status.FAIL:
            found |= {tensors(problem, quantity)[0][i] for i in judgement.tensors_outside}
    return found


def affected(case: Case, right: list[Answers], wrong: list[Answers], quantity: str) -> set[str]:
    """The tensors of a quantity that the fault changes in any stack."""
    found: set[str] = set()
    for problem, r, w in zip(case.problems, right, wrong, strict=True):
        names, owners = tensors(problem, quantity)
        differs = (r[quantity] != w[quantity]).any(axis=0)
        found |= {names[i] for i in np.unique(np.broadcast_to(owners, differs.shape)[differs])}
    return found


def delta95(faults: list[Caught]) -> dict[str, dict[str, Any]]:
    """For each stage and dtype the smallest size from which on sized faults are caught nearly always, and its bits."""
    found: dict[str, dict[str, Any]] = {}
    for dtype in DTYPES:
        for stage in QUANTITIES:
            at = {
                size: [c for c in faults if (c.dtype, c.stage, c.size) == (dtype, stage, size) and c.tried]
                for size in SIZES
            }
            rates = {
                size: sum(c.caught for c in some) / sum(c.tried for c in some) for size, some in at.items() if some
            }
            good = [size for size in rates if all(rates[other] >= LIMIT for other in rates if other >= size)]
            if good:
                size = min(good)
                found[f"{stage} {dtype}"] = {"size": size, "bits": round(math.log2(size / Contract(dtype).roundoff), 1)}
    return found


def check(seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Everything that the file holds; `seconds` is about what it may take."""
    began = perf_counter()
    share = 0.4 * seconds

    def enough(alarms: Alarms) -> bool:
        full = alarms.networks >= WANTED[0] and alarms.elements >= WANTED[1]
        return perf_counter() - began > share if seconds < 120 else full and perf_counter() - began > share

    alarms = false_alarms(enough, say)
    some = [case for case, _ in zip(cases(seed=1), range(NETWORKS if seconds >= 120 else 1), strict=False)]
    sizes = SIZES if seconds >= 120 else SIZES[::4]
    faults: list[Caught] = []
    for number, fault in enumerate(OPERATORS):
        for dtype in DTYPES:
            faults += [caught(fault, size, dtype, some) for size in (sizes if fault.sized else (None,))]
        say(f"fault {number + 1} of {len(OPERATORS)}")
    faults = [each for each in faults if each.tried]
    return {
        "false_alarms": alarms.false,
        "element_verdicts": alarms.elements,
        "network_verdicts": alarms.networks,
        "largest_budget_used": round(alarms.largest, 4),
        "seconds": round(perf_counter() - began, 1),
        "faults": [each.record() for each in faults],
        "rivals": [rival(name, alarms, faults) for name in RIVALS],
        "delta95": delta95(faults),
    }


def rival(name: str, alarms: Alarms, faults: list[Caught]) -> dict[str, Any]:
    """A published rule: how often it flags what is right, and catches what is not, by size."""

    def rate(some: list[Caught]) -> float:
        return round(sum(c.rivals[name] for c in some) / max(sum(c.tried for c in some), 1), 4)

    sized = sorted({c.size for c in faults if c.size is not None})
    by_size = {
        f"{size:.0e} {d}": rate([c for c in faults if (c.size, c.dtype) == (size, d)]) for size in sized for d in DTYPES
    }
    by_size |= {f"structural {d}": rate([c for c in faults if c.size is None and c.dtype == d]) for d in DTYPES}
    return {"rule": name, "false_alarm_rate": round(alarms.rivals[name] / alarms.networks, 6), "catch_rate": by_size}


def summary(found: dict[str, Any]) -> list[str]:
    """A few lines for a screen."""
    structural = [f for f in found["faults"] if f["size"] is None]
    one = sum(f["caught"] for f in structural), sum(f["tried"] for f in structural)
    located = sum(f["located"] for f in found["faults"]), sum(f["caught"] for f in found["faults"])
    lines = [
        f"{found['false_alarms']} false alarms in {found['network_verdicts']:,} verdicts on networks of correct "
        f"implementations ({found['element_verdicts']:,} elements); {found['largest_budget_used']:.2f} of a bound used",
        f"{one[0]} of {one[1]} structural faults caught by the probes of one case",
        f"{located[0]} of {located[1]} catches name the right tensor",
    ]
    lines += [
        f"{stage}: faults from {d['size']:.0e} on are caught ({d['bits']:g} bits above u)"
        for stage, d in found["delta95"].items()
    ]
    return [*lines, *(f"{r['rule']}: flags {r['false_alarm_rate']:.2%} of what is right" for r in found["rivals"])]


def main(arguments: list[str]) -> int:
    """Check, write the file, and say what came of it; 1 where there was a false alarm."""
    parser = argparse.ArgumentParser("nnet-parity selfcheck", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seconds", type=float, default=300.0, help="about what it may take (default: 300)")
    parser.add_argument("--out", type=Path, default=Path("build/selfcheck.json"), help="default: build/selfcheck.json")
    given = parser.parse_args(arguments)
    warnings.simplefilter("ignore", RuntimeWarning)
    told = [perf_counter()]

    def say(text: str) -> None:
        if perf_counter() - told[0] > 2:
            told[0] = perf_counter()
            print(f"  {text}", file=sys.stderr, flush=True)

    found = check(given.seconds, say)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(*summary(found), f"written: {given.out}", sep="\n")
    return int(found["false_alarms"] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
