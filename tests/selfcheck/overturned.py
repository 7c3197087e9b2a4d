"""Does the shadow ever turn a planted fault into a pass?

usage: python -m tests.selfcheck.overturned [--networks N] [--seed S] [--size X]

Each fault of the catalogue is planted in a PyTorch module, as it is and in another formulation (the
logistic by tanh, tanh by the logistic), and the whole case is judged: by the oracle, and where this
fails by the module's own operations. A fault is overturned if a trial that the oracle fails passes
by them, though the fault changes the answers in exact arithmetic. It prints how many trials were
asked twice, and which were overturned; right modules in another formulation are counted beside.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from time import process_time

import torch
from torch import Tensor

from harness import Case, Loss, Status, Subject
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

    statuses: Counter[str] = field(default_factory=Counter)
    twice: int = 0
    overturned: list[str] = field(default_factory=list)
    right: Counter[str] = field(default_factory=Counter)


def list_faults(size: float) -> Iterator[Fault]:
    """Yield the faults that a module can have, of a size where they have one."""
    for fault in OPERATORS:
        if planted.plants(fault) and fault.name != "through_float32":
            yield fault.at(size) if fault.sized else fault


def judge(subject: Subject, network: Network, seed: int, dtype: str) -> list[tuple[Status, str]]:
    """Return the status and sentence of every trial of a case."""
    problems = probes(seed=seed, draws=3, loss=LOSS)
    case = Case("planted", network, [subject], [numpy_net], problems, dtypes=[dtype])
    cache = Cache(case)
    verdicts = [run(trial, cache) for trial in case.trials()]
    return [(verdict.status, verdict.why) for verdict in verdicts]


def plant(account: Account, fault: Fault, network: Network, seed: int, dtype: str) -> None:
    """Plant a fault in both formulations, and count what comes of it."""
    try:
        mistake = planted.planted(fault, network)
    except Exception:  # a fault that this network cannot have
        return
    for otherwise in (False, True):
        if otherwise and isinstance(fault, Hidden):
            continue
        wrong = replace(mistake, act=act_otherwise) if otherwise else mistake
        found = judge(planted.subject(network, LOSS, wrong), network, seed, dtype)
        account.statuses.update(status.value for status, _ in found)
        # a fault that changes an answer by less than rounding may pass: only if nothing fails is
        # it not seen at all
        second = [why for _, why in found if "another way" in why]
        account.twice += len(second)
        if second and not otherwise:
            account.overturned.append(
                f"{fault.name} in {network.sentence()} ({dtype}): {second[0]}"
            )


def count_right(account: Account, network: Network, seed: int, dtype: str) -> None:
    """Judge the right module in another formulation."""
    right = planted.subject(network, LOSS, replace(RIGHT, act=act_otherwise))
    account.right.update(status.value for status, _ in judge(right, network, seed, dtype))


def main() -> None:
    """Plant everything, and print the account."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=float, default=1e-6)
    given = parser.parse_args()
    limit_threads()
    account, began = Account(), process_time()
    for number, network in enumerate(NETWORKS[: given.networks]):
        for dtype in ("float64", "float32"):
            count_right(account, network, given.seed + number, dtype)
            for fault in list_faults(given.size):
                plant(account, fault, network, given.seed + number, dtype)
    print("trials of faults:", dict(account.statuses))
    print("trials of right modules in another formulation:", dict(account.right))
    print(f"passed by their own operations: {account.twice}, {process_time() - began:.0f} s of CPU")
    print(f"faults overturned: {len(account.overturned)}")
    for line in account.overturned:
        print(" ", line)


if __name__ == "__main__":
    main()
