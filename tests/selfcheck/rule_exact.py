"""Audits the repetitions in float64 and float64's kernels against exact results.

usage: python -m tests.selfcheck.rule_exact [--calls N] [--seed S] [--only NAME]

A repetition is one evaluation in float64, to which half of the bound of two belongs. Where Arb
knows an operation, the results of both are compared with balls; numbers that are not finite are
left out.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import flint
import numpy as np
import torch

from tests.selfcheck import rule_sum_calls as _calls  # noqa: F401
from tests.selfcheck.rule_balls import evaluate
from tests.selfcheck.rule_calls import MAKERS
from tests.selfcheck.rule_draws import Draws
from tests.selfcheck.rules import Answer, try_call

MOST = 200  # numbers of an argument
LEAST = flint.arb(2) ** -1074  # the smallest number of float64


@dataclass
class Compared:
    """How many numbers were compared, the shares of their bounds, and what is outside."""

    numbers: int = 0
    shares: list[float] = field(default_factory=lambda: [0.0])
    outside: list[str] = field(default_factory=list)


def compare_exactly(made: Answer, exact: Sequence[Any]) -> Compared:
    """Compare the results of a kernel and of a repetition with exact ones."""
    found_all = Compared()
    both = zip(made.found, made.call.results, made.errors, exact, strict=False)
    for found, repeated, error, balls in both:
        if found is None or repeated is None or not found.numel():
            continue
        assert tuple(repeated.shape) == np.shape(balls), (repeated.shape, np.shape(balls))
        allowed = torch.zeros_like(repeated) if error is None else error
        lists = (found, repeated, allowed)
        for one, other, most, ball in zip(
            *(each.reshape(-1).tolist() for each in lists), np.ravel(balls), strict=True
        ):
            if not np.isfinite([one, other, most]).all() or not ball.is_finite():
                continue
            for number, who, share in ((one, "kernel", 1.0), (other, "repetition", 0.5)):
                apart, bound = abs(ball - number), share * most
                found_all.numbers += 1
                if not (apart <= bound or apart <= flint.arb(bound) + LEAST):
                    said = f"{who}: {number!r}, not {ball.str(20)}, {bound!r} allowed"
                    found_all.outside.append(said)
                if bound > 0:
                    found_all.shares.append(float((apart / bound).mid()))
    return found_all


def is_empty(made: Answer) -> bool:
    """Has a call no number to compare?"""
    return not any(each is not None and each.numel() for each in made.call.results)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.selfcheck.rule_exact")
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="")
    given = parser.parse_args(argv)
    wrong = 0
    for name, make in MAKERS.items():
        if given.only not in name:
            continue
        shares, outside, compared = [0.0], [], 0
        for number in range(given.calls):
            draws = Draws(given.seed + number, torch.float64)
            draws.most = MOST
            made = try_call(make, draws)
            if made is None or is_empty(made):
                continue
            exact = evaluate(name, made.call.given)
            if exact is None:
                continue
            one = compare_exactly(made, exact)
            compared += one.numbers
            shares.append(max(one.shares))
            outside += [f"seed {given.seed + number}: {each}" for each in one.outside]
        wrong += len(outside)
        if compared:
            print(
                f"{name:36} {compared:7,} numbers {len(outside):5,} outside"
                f" {median(shares):7.2g} {max(shares):7.2g} {outside[0] if outside else ''}"
            )
        else:
            print(f"{name:36} no exact formula")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
