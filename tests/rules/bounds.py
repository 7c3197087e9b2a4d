"""The sizes of the bounds of every rule on drawn calls, as a table that tells every change.

usage: python -m tests.rules.bounds [--write]      prints the table; or renews bounds.txt

Each line has an operation and a dtype; for each of its calls the median and the largest bound in
units of the roundoff of the dtype times the size of the result, to two digits, and the numbers of
bounds that are 0 and infinite. A line of a corner has every bound, to four digits; where a result
is 0 or not finite, in units of the roundoff.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from harness.rules.precision import precision_of
from harness.rules.registry import RULES, Error
from tests.selfcheck import rule_kernel_calls as _kernels  # noqa: F401
from tests.selfcheck import rule_loss_corners as _losses  # noqa: F401
from tests.selfcheck.rule_calls import MAKERS
from tests.selfcheck.rule_corners import CORNERS, bound
from tests.selfcheck.rule_draws import KINDS, Draws
from tests.selfcheck.rules import try_call

TABLE = Path(__file__).with_name("bounds.txt")
DTYPES = ("float32", "bfloat16")
MOST = 60  # numbers of an argument
MOST_SHOWN = 9  # numbers of a corner
CALLS = len(KINDS) + 4


def measure(result: Tensor | None, error: Error, roundoff: float) -> str:
    """Return the median and the largest of bounds in units, and how many are 0 and infinite."""
    if result is None or not result.numel():
        return "-"
    if error is None:
        return "exact"
    finite = error.isfinite()
    sized = finite & (result != 0) & result.isfinite()
    units = (error / (roundoff * abs(result)))[sized]
    counts = f"{int((error == 0).sum())},{int((~finite).sum())}"
    at_zero = (error[finite & (result == 0)] / roundoff).sum()
    if not units.numel():
        return f"{counts},{at_zero:.2g}"
    return f"{units.median():.2g},{units.max():.2g},{counts},{at_zero:.2g}"


def describe(name: str, dtype: str) -> str:
    """Return the line of an operation in a dtype."""
    roundoff = precision_of(dtype).stored
    calls = []
    for seed in range(CALLS):
        draws = Draws(seed, getattr(torch, dtype))
        draws.kind, draws.most = KINDS[seed % len(KINDS)], MOST
        made = try_call(MAKERS[name], draws)
        if made is None:
            return f"{name} {dtype} has no kernel"
        results = zip(made.call.results, made.errors, strict=False)
        calls.append(";".join(measure(*each, roundoff) for each in results))
    return f"{name} {dtype} {' '.join(calls)}"


def describe_corner(what: str, dtype: str) -> str:
    """Return the line of a corner in a dtype."""
    roundoff = precision_of(dtype).stored
    said = []
    for result, error in zip(*bound(CORNERS[what], dtype), strict=False):
        if result is None or error is None:
            said.append("-" if result is None else "exact")
            continue
        sized = result.isfinite() & (result != 0)
        units = error / roundoff / torch.where(sized, abs(result), 1.0)
        said.append(",".join(f"{each:.4g}" for each in units.reshape(-1).tolist()[:MOST_SHOWN]))
    return f"{what} {dtype} {' '.join(said)}"


def list_lines() -> list[str]:
    drawn = [describe(name, dtype) for name in MAKERS for dtype in DTYPES]
    return drawn + [describe_corner(what, dtype) for what in CORNERS for dtype in DTYPES]


def find_file(name: str) -> str:
    """Return the module that has the rule of an operation, or of a corner's."""
    name = CORNERS[name][0]._schema.name if name in CORNERS else name
    return RULES[name].__module__.rpartition(".")[2]


def main(argv: Sequence[str]) -> None:
    text = "\n".join(list_lines()) + "\n"
    if "--write" in argv:
        TABLE.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main(sys.argv[1:])
