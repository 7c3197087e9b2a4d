"""Asks `same` of right models in all ways of calling: a failure is a false alarm.

usage: python -m tests.selfcheck.ways [--models N] [--start N] [--seed N]

The models are those of `tests.selfcheck.models`, each beside the same with other formulas.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter

import torch

from harness.core.verdict import Status
from harness.same.case import same
from nnet_parity import check
from tests.selfcheck.zoo.draw import draw
from tests.selfcheck.zoo.net import rewrite

ALARMS = (Status.FAIL, Status.BROKEN)


def judge_model(number: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Return how many verdicts of a random model have each status, and its alarms as lines."""
    example = draw(seed, number)
    net, _ = rewrite(example, random.Random(f"styles {seed} {number}"))
    case = same(net, example.net, data=example.inputs, dtypes=[example.dtype], draws=1)
    verdicts = check(case).verdicts
    lines = [f"{number}: {one.id}: {one.why}" for one in verdicts if one.status in ALARMS]
    return Counter(one.status.name for one in verdicts), lines


def main() -> int:
    """Print alarms and counts; return the number of alarms, at most 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--seed", type=int, default=20261201)
    given = parser.parse_args()
    torch.set_num_threads(1)
    statuses: Counter[str] = Counter()
    alarms: list[str] = []
    for number in range(given.start, given.start + given.models):
        counted, lines = judge_model(number, given.seed)
        statuses += counted
        alarms += lines
    print("\n".join(alarms))
    print(f"{given.models} models: {dict(statuses)}, {len(alarms)} alarms")
    return min(len(alarms), 1)


if __name__ == "__main__":
    raise SystemExit(main())
