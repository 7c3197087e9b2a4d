"""Reach: are faults caught that act only where a condition holds, inside of what was asked?

usage: python -m tests.selfcheck.reach [--faults N] [--seed N]

A generator that does not know the probes draws faults: at some numbers of rows, above or below a
threshold, where blocks are small or 0, in some layouts and modes. One counts if a witness shows
it: a problem inside of what the report says was asked, drawn apart from the probes, on which the
fault is red. It is caught if any trial of the case is red.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from time import process_time
from typing import Any

import numpy as np

from harness import Case, Problem, Status, Subject
from harness.core.implementation import Missing
from harness.judging.cache import Cache
from harness.judging.comparison import Comparison
from harness.reporting.environment import limit_threads
from harness.running.asked import collect_asked
from reference import Equations, Network, numpy_net, probes
from tests.selfcheck.reaching.asked import Recorder
from tests.selfcheck.reaching.generator import Conditional, Generator
from tests.selfcheck.reaching.port import Plan, deep, plan_of, subject_of
from tests.selfcheck.reaching.witness import Witnesses, inside

FAULTS = 600  # of a full check
ACTS = ("relu", "tanh", "logistic", "identity")
DEEP_EVERY = 5  # of networks
TRIES = 8  # faults of a kind that are drawn until a witness shows one
WITNESSES = 2  # for one fault
Say = Callable[[str], None]


def networks(seed: int) -> Iterator[tuple[Network | Equations, Plan]]:
    """Random networks, some with two groups and heads and skip connections, some deep."""
    rng = np.random.default_rng(seed)
    number = 0
    while True:
        number += 1
        act, output = ACTS[rng.integers(3)], ACTS[rng.choice([0, 2, 3, 3, 3])]
        if number % DEEP_EVERY == 0:
            widths = [int(width) for width in rng.integers(1, 9, 4)]
            yield deep(widths, [act, ACTS[rng.integers(3)], output])
            continue
        groups, heads = (
            tuple(int(width) for width in rng.integers(1, 6, rng.integers(1, 3))) for _ in "io"
        )
        skip, hidden = bool(rng.random() < 0.3), int(rng.integers(1, 17))
        network = Network(groups, hidden, heads, act, output, skip=skip)
        yield network, plan_of(network)


@dataclass
class Reach:
    """What came of conditional faults.

    `tried` and `caught` count by kind; `missed` says which were not caught, and on what. `unseen`
    counts, by kind, those drawn that no witness shows: they are not tried.
    """

    tried: dict[str, int] = field(default_factory=dict)
    caught: dict[str, int] = field(default_factory=dict)
    unseen: dict[str, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def record(self) -> dict[str, Any]:
        """As the file holds it."""
        kinds = {
            kind: {"tried": tried, "caught": self.caught[kind], "unseen": self.unseen.get(kind, 0)}
            for kind, tried in sorted(self.tried.items())
        }
        return {
            "tried": sum(self.tried.values()),
            "caught": sum(self.caught.values()),
            "kinds": kinds,
            "missed": self.missed,
            "seconds": round(self.seconds, 1),
            "sentence": self.sentence(),
        }

    def sentence(self) -> str:
        """Say it in a line."""
        return (
            f"{sum(self.caught.values())} of {sum(self.tried.values())} faults that act only where"
            " a condition holds caught, inside of what was asked"
        )

    def count(self, fault: Conditional, caught: bool) -> None:
        """Count a fault."""
        self.tried[fault.kind] = self.tried.get(fault.kind, 0) + 1
        self.caught[fault.kind] = self.caught.get(fault.kind, 0) + caught


def is_caught(case: Case, cache: Cache, subject: Subject) -> bool:
    """Is any trial of a subject of the case red? Raises AssertionError for a broken one."""
    for trial in case.trials():
        if trial.subject is not subject:
            continue
        judged = Comparison(trial, cache, cache.stacks(trial), trial.check).judged(trial.check)
        if judged.status is Status.FAIL:
            return True
        if isinstance(judged, Missing):
            raise AssertionError(f"{subject.name} broke: {judged.why}")
    return False


class Port:
    """A right port, its case, and what this asks."""

    def __init__(
        self, network: Network | Equations, plan: Plan, seed: int, draws: int = 30
    ) -> None:
        self.network, self.plan, self.seed = network, plan, seed
        self.probes = probes(seed=seed, draws=draws)
        blocks = [block.name for block in network.layout.blocks]
        self.biases = [block.name for block in network.layout.blocks if block.role == "bias"]
        sums = [f"z{layer}" for layer in range(1, len(plan.hidden) + 1)]
        self.recorder = Recorder(blocks, self.biases, ["x", "o", "t", "e", *sums])
        self.right = subject_of(network, plan, self.recorder.changes, "right")
        case = Case("right", network, [self.right], [numpy_net], self.probes)
        cache = Cache(case)
        if is_caught(case, cache, self.right):
            raise AssertionError(f"a right port of {network.sentence()} is red")
        self.formulation = cache.formulation(self.right)
        self.asked = self.recorder.asked.as_printed(collect_asked(cache))
        self.generator = Generator(self.asked, blocks, self.biases, seed)
        self.witnesses = Witnesses(self.formulation, self.asked, self.biases, seed)

    def subject(self, fault: Conditional) -> Subject:
        """Return the port with a fault."""
        return subject_of(self.network, self.plan, fault.changes, str(fault))

    def is_seen(self, fault: Conditional) -> bool:
        """Does a witness show the fault?"""
        subject = self.subject(fault)
        for _ in range(WITNESSES):
            drawn = self.witnesses.draw(fault)
            problem = inside(drawn, self.right, self.recorder, self.asked)
            if problem is not None and self._is_red(subject, problem):
                return True
        return False

    def _is_red(self, subject: Subject, problem: Problem) -> bool:
        case = Case("witness", self.network, [subject], [numpy_net], lambda formulation: [problem])
        return is_caught(case, Cache(case), subject)

    def draw(self, draw: Callable[[], Conditional | None], found: Reach) -> Conditional | None:
        """Draw a fault that a witness shows; None if nothing of its kind was asked or shown."""
        for _ in range(TRIES):
            fault = draw()
            if fault is None:
                return None
            if self.is_seen(fault):
                return fault
            found.unseen[fault.kind] = found.unseen.get(fault.kind, 0) + 1
        return None

    def judge(self, found: Reach, every: int = 1) -> None:
        """Judge a fault of each kind, or of every other one, every third, ..."""
        faults = []
        for draw in self.generator.kinds[::every]:
            fault = self.draw(draw, found)
            if fault is not None:
                faults.append(fault)
        if faults:
            self.judge_faults(faults, found)

    def judge_faults(self, faults: Sequence[Conditional], found: Reach) -> None:
        """Are these faults caught by the case?"""
        subjects = [self.subject(fault) for fault in faults]
        case = Case("reach", self.network, subjects, [numpy_net], self.probes)
        cache = Cache(case)
        for fault, subject in zip(faults, subjects, strict=True):
            caught = is_caught(case, cache, subject)
            found.count(fault, caught)
            if not caught:
                found.missed.append(f"{fault} ({self.network.sentence()}, probes {self.seed})")


def reach(faults: int, seed: int = 0, every: int = 1, say: Say = lambda said: None) -> Reach:
    """Try about so many faults, on each network one of each kind, or of every other, third, ..."""
    began, found = process_time(), Reach()
    for number, (network, plan) in enumerate(networks(seed)):
        before = len(found.missed)
        Port(network, plan, 1000 * seed + number).judge(found, every)
        for missed in found.missed[before:]:
            say(f"missed: {missed}")
        tried = sum(found.tried.values())
        say(f"{tried} conditional faults, {len(found.missed)} missed")
        if tried >= faults:
            break
    found.seconds = process_time() - began
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it, and print what was missed and the counts by kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=FAULTS)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    limit_threads()
    found = reach(given.faults, given.seed, say=lambda said: print(said, file=sys.stderr))
    for kind, tried in sorted(found.tried.items()):
        unseen = found.unseen.get(kind, 0)
        print(f"{kind:26} {found.caught[kind]:4} of {tried:4} ({unseen} more were not seen)")
    print(f"{found.sentence()}; {found.seconds:.0f} s of CPU")
    return 0


if __name__ == "__main__":
    sys.exit(main())
