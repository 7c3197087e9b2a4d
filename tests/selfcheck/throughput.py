"""How many problems and how many networks a core judges in a second, beside asking the subject.

usage: python -m tests.selfcheck.throughput [--rounds N] [--against CHECKOUT]

A problem is one draw in one dtype: outputs, loss and both gradients, with their bounds, against
NumPy. The seconds are CPU seconds of all trials of a case, less those in which the subject answers.
With `--against` another checkout is measured in a process of its own, in turn with this one. The
best of N rounds (default 7) is printed, and the ratio to the other checkout's best.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import process_time
from typing import Any

import torch
from torch import Tensor, nn

from harness import Case, Problem, Subject
from harness.core.implementation import Observation
from harness.judging.cache import Cache
from harness.reproduce.programs import THREADS
from harness.running.trial import run
from reference import Network, numpy_net, probes

ROOT = Path(__file__).resolve().parents[2]
DRAWS = 500  # of each kind
KINDS = ("exact", "few-term", "random", "saturated")
NETWORKS = 40
ACTS: dict[str, Callable[[Tensor], Tensor]] = {
    "logistic": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
}
NAMES = {"W1": "hidden.weight", "b": "hidden.bias", "W2": "out.weight", "b_w": "out.bias"}
SHAPES = {
    "1-4-1, 5 rows": Network(1, 4, 1, "logistic"),
    "4-10-4, 5 rows": Network(4, 10, 4, "relu"),
    "10-10-10, 5 rows": Network(10, 10, 10, "tanh"),
}


class Net(nn.Module):
    """The network of one group of inputs and one head, as its user writes it."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        (inputs,), (outputs,) = network.inputs, network.outputs
        self.hidden, self.out = (
            nn.Linear(inputs, network.hidden),
            nn.Linear(network.hidden, outputs),
        )
        self.act = ACTS[network.activation]

    def forward(self, x: Tensor) -> Any:
        return self.out(self.act(self.hidden(x)))


class Clocked(Subject):
    """A subject that knows how long it answered; it is asked about each problem once."""

    def observe(self, problem: Problem, dtype: str, *more: Any, **named: Any) -> Observation:
        began = process_time()
        known: dict[Any, Observation] = self.__dict__.setdefault("known_answers", {})
        key = problem.kind, dtype
        if key not in known:
            known[key] = super().observe(problem, dtype, *more, **named)
        self.__dict__["seconds"] = self.seconds + process_time() - began
        return known[key]

    @property
    def seconds(self) -> float:
        """In which it answered."""
        return float(self.__dict__.get("seconds", 0.0))


def time_beside(network: Network, subject: Clocked, problems: Any) -> tuple[float, int]:
    """Seconds of all trials of a case without those of its subject, and its number of problems."""
    before, began = subject.seconds, process_time()
    case = Case("throughput", network, [subject], [numpy_net], problems)
    cache = Cache(case)
    for trial in case.trials():
        verdict = run(trial, cache)
        if verdict.status.fails:
            raise AssertionError(verdict.why)
    seconds = process_time() - began - (subject.seconds - before)
    return seconds, cache.timing.problems


class OneShape:
    """Problems of one network, whose answers are known after the first round."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.subject = Clocked(partial(Net, network), "net", NAMES)
        self.measure()

    def measure(self) -> float:
        """Problems a second; they are drawn anew, the same each time."""
        drawn = probes(draws=DRAWS, kinds=KINDS)
        seconds, count = time_beside(self.network, self.subject, drawn)
        return count / seconds


class ManyShapes:
    """Networks of different shapes, each with 12 draws in both dtypes that are made anew."""

    def __init__(self) -> None:
        self.measure()

    def measure(self) -> float:
        """Networks a second."""
        seconds = 0.0
        for number in range(NETWORKS):
            widths = 1 + number % 5, 1 + number % 7, 1 + number % 3
            network = Network(*widths, tuple(ACTS)[number % 3])
            subject = Clocked(partial(Net, network), "net", NAMES)
            drawn = probes(number, kinds=["random"])
            seconds += time_beside(network, subject, drawn)[0]
        return NETWORKS / seconds


MEASURES: dict[str, Callable[[], OneShape | ManyShapes]] = {
    **{
        f"problems a second, {name}": partial(OneShape, network) for name, network in SHAPES.items()
    },
    "networks a second": ManyShapes,
}


def answer() -> None:
    """Measure once for each line that is read, and print the numbers as a line of JSON."""
    torch.set_num_threads(1)
    ready = {name: make() for name, make in MEASURES.items()}
    for _ in sys.stdin:
        print(json.dumps({name: one.measure() for name, one in ready.items()}), flush=True)


def start(checkout: Path) -> subprocess.Popen[str]:
    """A process that measures a checkout, once for each line that it is sent."""
    one = dict.fromkeys(THREADS, "1")
    return subprocess.Popen(
        [sys.executable, "-P", __file__, "--answer"],
        env=os.environ | one | {"PYTHONPATH": str(checkout)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def measure(checkouts: list[Path], rounds: int) -> list[dict[str, float]]:
    """The best of each checkout's rounds, which take turns."""
    workers = [start(checkout) for checkout in checkouts]
    best: list[dict[str, float]] = [{} for _ in workers]
    for _ in range(rounds):
        for worker, of_worker in zip(workers, best, strict=True):
            assert worker.stdin
            assert worker.stdout
            worker.stdin.write("\n")
            worker.stdin.flush()
            for name, rate in json.loads(worker.stdout.readline()).items():
                of_worker[name] = max(of_worker.get(name, 0.0), rate)
    for worker in workers:
        worker.communicate()
    return best


def main() -> None:
    """Print a line for each measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--answer", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.answer:
        answer()
        return
    if given.against and not (given.against / "harness").is_dir():
        parser.error(f"--against {given.against}: expected the folder of a checkout")
    checkouts = [ROOT, *([given.against.resolve()] if given.against else [])]
    here, *others = measure(checkouts, given.rounds)
    for name, rate in here.items():
        ratios = [f", {rate / other[name]:.2f} times {other[name]:,.0f}" for other in others]
        print(f"{name}: {rate:,.0f}{''.join(ratios)}")


if __name__ == "__main__":
    main()
