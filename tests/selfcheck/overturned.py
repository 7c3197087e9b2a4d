"""Does the shadow ever turn a planted fault into a pass?

usage: python -m tests.selfcheck.overturned [--plantings N] [--seed S] [--size X]

A fault of the catalogue is planted in a PyTorch module, as it is and in another formulation (the
logistic by tanh, tanh by the logistic), and both cases are judged: by the oracle, and where this
fails by the module's own operations. A fault is overturned if a trial passes by them that it
changes: one that the oracle fails where it is planted as it is. It prints how many trials were
passed in this way, and which were overturned or BROKEN; right modules in another formulation are
counted beside. N plantings are drawn from all faults, networks and dtypes (0: all); 120 take 3
CPU-minutes.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from time import process_time

import torch
from torch import Tensor

from harness import Case, Loss, Status, Subject
from harness.core.verdict import Verdict
from harness.judging.cache import Cache
from harness.reporting.environment import limit_threads
from harness.running.trial import run
from reference import Network, numpy_net, probes
from reference.faults.kinds import Fault, Hidden
from reference.mistakes.catalogue import OPERATORS
from tests.selfcheck import planted
from tests.selfcheck.planted import RIGHT
from tests.selfcheck.styles import ACTS

Act = Callable[[int, str, Tensor], Tensor]
NETWORKS = [
    Network(3, 4, 2, "logistic"),
    Network((2, 2), 3, (2, 1), "tanh"),
    Network(2, 5, 1, "logistic", "logistic"),
    Network(3, 3, 2, "tanh", skip=True),
]
LOSS = Loss("mean", decay=0.125)
DTYPES = ("float64", "float32")
Planting = tuple[Fault, int, str]  # into the network of this number, and in a dtype


def act_otherwise(layer: int, name: str, z: Tensor) -> Tensor:
    """Return an activation in another formulation."""
    if name == "logistic":
        return 0.5 + 0.5 * torch.tanh(0.5 * z)
    if name == "tanh":
        return 2 * torch.sigmoid(2 * z) - 1
    return ACTS[name](z)


@dataclass
class Account:
    """What came of all trials."""

    planted: int = 0
    impossible: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    twice: int = 0
    overturned: list[str] = field(default_factory=list)
    right: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)  # by fault and reason


def list_faults(size: float) -> Iterator[Fault]:
    """Yield the faults that a module can have, of a size where they have one."""
    for fault in OPERATORS:
        if planted.plants(fault) and fault.name != "through_float32":
            yield fault.at(size) if fault.sized else fault


def judge(subject: Subject, network: Network, seed: int, dtype: str) -> dict[str, Verdict]:
    """Return the verdict of every trial of a case, by its check."""
    problems = probes(seed=seed, draws=3, loss=LOSS)
    case = Case("planted", network, [subject], [numpy_net], problems, dtypes=[dtype])
    cache = Cache(case)
    return {trial.check: run(trial, cache) for trial in case.trials()}


def plant(account: Account, planting: Planting, seed: int) -> None:
    """Plant a fault in both formulations, and count what comes of it."""
    fault, number, dtype = planting
    network = NETWORKS[number]
    if not fault.fits(network):
        account.impossible += 1
        return
    mistake = planted.planted(fault, network)
    account.planted += 1
    plain: dict[str, Verdict] = {}
    for otherwise in (False, True):
        if otherwise and isinstance(fault, Hidden):
            continue
        wrong = replace(mistake, act=act_otherwise) if otherwise else mistake
        found = judge(planted.subject(network, LOSS, wrong), network, seed + number, dtype)
        account.statuses.update(verdict.status.value for verdict in found.values())
        plain = plain or found
        for check, verdict in found.items():
            if verdict.status is Status.BROKEN:
                account.broken[f"{fault.name}: {verdict.why.splitlines()[-1]}"] += 1
            if "another way" in verdict.why and verdict.status is Status.PASS:
                account.twice += 1
                if not otherwise or plain[check].status is Status.FAIL:
                    where = f"{fault.name} in {network.sentence()} ({dtype}, {check})"
                    account.overturned.append(f"{where}: {verdict.why}")


def count_right(account: Account, network: Network, seed: int, dtype: str) -> None:
    """Judge the right module in another formulation."""
    right = planted.subject(network, LOSS, replace(RIGHT, act=act_otherwise))
    found = judge(right, network, seed, dtype)
    account.right.update(verdict.status.value for verdict in found.values())


def list_plantings(count: int, seed: int, size: float) -> list[Planting]:
    """Return the faults to plant, drawn from all; all if `count` is 0."""
    every = [
        (fault, number, dtype)
        for fault in list_faults(size)
        for number in range(len(NETWORKS))
        for dtype in DTYPES
    ]
    rng = random.Random(seed)
    return rng.sample(every, count) if count else every


def main() -> int:
    """Plant faults, and print the account; the exit code is 1 if one was overturned."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--plantings", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=float, default=1e-6)
    given = parser.parse_args()
    limit_threads()
    account, began = Account(), process_time()
    for number, network in enumerate(NETWORKS[:2]):
        count_right(account, network, given.seed + number, DTYPES[number])
    plantings = list_plantings(given.plantings, given.seed, given.size)
    for number, planting in enumerate(plantings, 1):
        plant(account, planting, given.seed)
        if number % 10 == 0:
            seconds = process_time() - began
            so_far = f"{len(account.overturned)} overturned so far, {seconds:.0f} CPU-s"
            print(f"{number} of {len(plantings)}: {so_far}", file=sys.stderr, flush=True)
    print(f"faults planted: {account.planted}; {account.impossible} do not fit their network")
    print("trials of faults:", dict(account.statuses))
    for why, count in account.broken.most_common():
        print(f"  broken {count} times: {why}")
    print("trials of right modules in another formulation:", dict(account.right))
    print(f"passed by their own operations: {account.twice}, {process_time() - began:.0f} CPU-s")
    print(f"faults overturned: {len(account.overturned)}")
    for line in account.overturned:
        print(" ", line)
    return int(bool(account.overturned or account.broken))


if __name__ == "__main__":
    raise SystemExit(main())
