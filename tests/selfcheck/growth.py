"""How the cost of a case grows: CPU seconds by hidden units, rows, draws and parameters.

usage: python -m tests.selfcheck.growth [--rounds N]

Printed are microseconds a problem (one draw in one dtype) at each size, beside asking the subject
and for asking it, and the slope of log(seconds of the case) by log(size) at the larger half of the
sizes: 1 is linear. The best of N rounds (default 3) counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from reference import Network, probes
from tests.selfcheck.throughput import NAMES, Clocked, Net, time_beside

KINDS = ("random", "saturated")


class Size(NamedTuple):
    """A network of one activation, and its probes."""

    inputs: int = 10
    hidden: int = 10
    outputs: int = 10
    rows: int = 5
    draws: int = 100


class Growth(NamedTuple):
    """Sizes of which one thing grows, and whether the work is linear in it."""

    name: str
    sizes: list[int]
    make: Callable[[int], Size]


GROWTHS = [
    Growth("hidden units", [16, 64, 256, 1024], lambda n: Size(hidden=n, draws=20)),
    Growth("rows", [16, 64, 256, 1024, 4096], lambda n: Size(rows=n, draws=20)),
    Growth("draws", [64, 256, 1024, 4096], lambda n: Size(draws=n)),
    Growth("parameters", [1_000, 10_000, 100_000], lambda n: square(n)),
]


def square(parameters: int) -> Size:
    """A network of about so many parameters, as wide everywhere."""
    width = round((parameters / 2) ** 0.5)
    return Size(width, width, width, draws=10)


def measure(size: Size, rounds: int, stacked: bool = False) -> tuple[float, float, int]:
    """Seconds beside the subject, seconds in it, and the number of problems."""
    network = Network(size.inputs, size.hidden, size.outputs, "tanh")
    beside, asking, count = [], [], 0
    for _ in range(rounds):
        subject = Clocked(lambda: Net(network), "net", NAMES, stacked=stacked)
        drawn = probes(draws=size.draws, rows=size.rows, kinds=KINDS)
        seconds, count = time_beside(network, subject, drawn)
        beside.append(seconds)
        asking.append(subject.seconds)
    return min(beside), min(asking), count


def find_slope(sizes: list[int], seconds: list[float]) -> float:
    """The slope of the logarithms at the larger half of the sizes."""
    half = len(sizes) // 2
    return float(np.polyfit(np.log(sizes[half - 1 :]), np.log(seconds[half - 1 :]), 1)[0])


def main() -> None:
    """Print a line for each size, and the slopes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    measure(Size(), 1)
    for growth in GROWTHS:
        found = [measure(growth.make(size), rounds) for size in growth.sizes]
        for size, (beside, asking, count) in zip(growth.sizes, found, strict=True):
            each = f"{1e6 * beside / count:,.0f} us beside, {1e6 * asking / count:,.0f} us asking"
            print(f"{growth.name} {size:,}: {each}", flush=True)
        slopes = [find_slope(growth.sizes, [each[part] for each in found]) for part in (0, 1)]
        print(f"{growth.name}: slope {slopes[0]:.2f} beside, {slopes[1]:.2f} asking", flush=True)
    for stacked in (False, True):
        seconds, count = measure(Size(draws=2000), rounds, stacked)[1:]
        how = "in stacks" if stacked else "draw by draw"
        print(f"asked {how}: {1e6 * seconds / count:,.0f} us a draw", flush=True)


if __name__ == "__main__":
    main()
