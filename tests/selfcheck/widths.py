"""CPU seconds that all trials of a right model take, by its layers, and the largest share of a
bound that it uses.

usage: python -m tests.selfcheck.widths [DTYPE [LAYERS ...]], as in bfloat16 1-512-1 8-256-256-8

Against NumPy, 12 draws of each kind of probes with 4 rows, in one thread; in float64, float32 and
bfloat16 if no dtype is named.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence
from itertools import pairwise
from time import process_time
from typing import Any

import torch
from torch import nn

from harness import Case, Subject
from harness.judging.cache import Cache
from harness.reporting.environment import limit_threads
from harness.running.trial import run
from reference import Equations, numpy_net, probes

DTYPES = ("float64", "float32", "bfloat16")
LAYERS = (
    *(f"1-{width}-1" for width in (8, 32, 128, 512, 1024, 2048)),
    "8-1024-8",
    "100-512-10",
    "8-256-256-8",
    "-".join(["4", *["16"] * 20, "2"]),
)


def module(widths: Sequence[int]) -> nn.Module:
    """Layers with tanh between them."""
    layers: list[nn.Module] = []
    for given, made in pairwise(widths):
        layers += [nn.Linear(given, made), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def equations(widths: Sequence[int]) -> Equations:
    """The same network as it is written on a tape."""
    names = [f"{2 * number}" for number in range(len(widths) - 1)]
    shapes: dict[str, int | tuple[int, ...]] = {}
    for name, given, made in zip(names, widths, widths[1:], strict=False):
        shapes |= {f"{name}.weight": (made, given), f"{name}.bias": (made,)}

    def forward(m: Any, p: Any, x: Any) -> Any:
        for name in names[:-1]:
            x = m.act("tanh", m.affine(x, p[f"{name}.weight"], p[f"{name}.bias"]))
        return m.affine(x, p[f"{names[-1]}.weight"], p[f"{names[-1]}.bias"])

    return Equations("layers", widths[0], widths[-1], shapes, forward)


def measure(layers: str, dtype: str) -> str:
    """CPU seconds, the peak memory of the process so far, the largest share and the statuses."""
    widths = [int(width) for width in layers.split("-")]
    began = process_time()
    right = Subject(lambda: module(widths), name="Right")
    asked = probes(rows=4, draws=12)
    case = Case("widths", equations(widths), [right], [numpy_net], asked, dtypes=[dtype])
    cache = Cache(case)
    verdicts = [run(trial, cache) for trial in case.trials()]
    seconds = process_time() - began
    share = max(verdict.budget_used or 0.0 for verdict in verdicts)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    statuses = ", ".join(sorted({verdict.status.value for verdict in verdicts}))
    return f"{seconds:8.1f} CPU-s {memory:6.1f} GiB {share:6.2f} of a bound  {statuses}"


def main() -> None:
    """Measure and print."""
    limit_threads()
    torch.set_num_threads(1)
    dtypes, layers = sys.argv[1:2] or DTYPES, sys.argv[2:] or LAYERS
    measure("1-8-1", "bfloat16")  # the first takes longer
    for dtype in dtypes:
        for each in layers:
            said = each if len(each) < 20 else f"{each.count('-') + 1} layers: {each[:12]}..."
            print(f"{dtype:10}{said:28}{measure(each, dtype)}", flush=True)


if __name__ == "__main__":
    main()
