"""Right PyTorch modules in many styles, judged as users' models are: none may be red.

usage: python -m tests.selfcheck.module_styles [--styles N] [--seeds N] [--draws N]

A style is a choice of forms (`tests.selfcheck.forms`): how sums are written, how activations are,
how parameters are held, what stands around the model, and what it gives back.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import process_time
from typing import Any

import numpy as np

from harness import Case, Subject
from harness.judging.cache import Cache
from harness.reporting.environment import limit_threads
from harness.running.trial import run
from reference import Network, numpy_net, probes
from reference.probes.kinds import KINDS, Probes
from tests.selfcheck.forms.style import Style, choose_styles, declared
from tests.support import DTYPES

STYLES, SEEDS, DRAWS = 150, 25, 4
Say = Callable[[str], None]


@dataclass
class Judged:
    """What came of right models: how many were judged, and the sentences of those that are red.

    `largest` is the most that a model used of a bound; `seconds` are of CPU.
    """

    styles: int = 0
    declared: int = 0
    models: int = 0
    trials: int = 0
    red: list[str] = field(default_factory=list)
    largest: float = 0.0
    seconds: float = 0.0

    def judge(self, style: Style, rng: np.random.Generator, draws: int) -> None:
        """Judge a style on a random network, in one dtype, by every other kind of probes."""
        network, seed = style.network(rng), int(rng.integers(2**31))
        dtype, first = DTYPES[rng.integers(len(DTYPES))], int(rng.integers(2))
        asked = probes(seed=seed, draws=draws, kinds=list(KINDS)[first::2])
        self.judge_subject(style.subject(network), network, asked, dtype)

    def judge_subject(
        self, subject: Subject, network: Network, asked: Probes, dtype: str = "float64"
    ) -> None:
        """Judge a model; its first red trial is kept."""
        case = Case("styles", network, [subject], [numpy_net], asked, dtypes=[dtype])
        cache = Cache(case)
        self.models += 1
        for trial in case.trials():
            verdict = run(trial, cache)
            self.trials += 1
            if verdict.status.fails:
                where = f"{network.sentence()}, {asked}"
                self.red.append(f"{trial.id}: {where}: {verdict.why}")
                return
            self.largest = max(self.largest, verdict.budget_used or 0.0)

    def record(self) -> dict[str, Any]:
        """As the file holds it."""
        rounded = {"largest": round(self.largest, 4), "seconds": round(self.seconds, 1)}
        return {**vars(self), **rounded, "sentence": self.sentence()}

    def sentence(self) -> str:
        """Say it in a line."""
        return (
            f"{len(self.red)} red of {self.models:,} right PyTorch modules in {self.styles} styles"
            f" and {self.declared} that declare a contract"
        )


def judge_styles(
    some: Sequence[Style], seeds: int, draws: int = DRAWS, say: Say = lambda said: None
) -> Judged:
    """Judge these styles, and those that declare a contract, each on so many random networks."""
    others, began = declared(), process_time()
    found = Judged(len(some), len(others))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracers and compilers
        for number, style in enumerate([*some, *others]):
            for seed in range(min(seeds, style.most)):
                found.judge(style, np.random.default_rng([number, seed]), draws)
            say(f"{number + 1} styles of modules, {len(found.red)} red")
    found.seconds = process_time() - began
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and print what is red."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--styles", type=int, default=STYLES)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--draws", type=int, default=DRAWS)
    given = parser.parse_args(arguments)
    limit_threads()
    some = choose_styles(given.styles)
    found = judge_styles(some, given.seeds, given.draws, lambda said: print(said, file=sys.stderr))
    for said in found.red:
        print(f"red: {said}")
    for style in declared():
        print(f"declares a contract: {style.name}")
    print(
        f"{found.sentence()}; at most {found.largest:.2g} of a bound, {found.seconds:.0f} s of CPU"
    )
    return 1 if found.red else 0


if __name__ == "__main__":
    sys.exit(main())
