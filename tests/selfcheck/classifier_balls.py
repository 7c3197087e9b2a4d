"""Random classifiers enclosed by ball arithmetic (Arb at 400 bits): is each answer of the oracle
within its bound of the exact one?

usage: python -m tests.selfcheck.classifier_balls [--nets N] [--seed N] [--start N]

The nets are those of `tests.selfcheck.classifiers`, with three rows at most. Draws whose exact
answers leave float64's range are left out, and for nnet's contract those in which a probability
rounds to 0: what nnet does there follows from rounding.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import flint
import numpy as np

from harness.core.contract import Array, Bounded, Contract
from harness.core.problem import Problem
from reference import Network, r_nnet
from reference.mathematics.equations import evaluate
from tests.selfcheck.ball import BallArithmetic
from tests.selfcheck.classifier_nets import draw_net

BITS, MOST_ROWS = 400, 3
LEAST_P = 1e-300  # a probability below may be 0 in nnet
LEAST_BALL = (
    flint.arb(2) ** -1075
)  # half of float64's smallest number: below, every implementation has 0


def shorten(problem: Problem) -> Problem:
    """Return the problem with its first rows only."""
    rows = slice(0, MOST_ROWS)
    return replace(
        problem,
        inputs=problem.inputs[:, rows],
        targets=problem.targets[:, rows],
        loss=problem.loss.of_rows(rows),
    )


def count_outside(exact: Any, bound: Bounded, draws: Array) -> tuple[int, int]:
    """Return how many numbers were compared in the marked draws, and how many are outside."""
    compared = outside = 0
    for draw in np.flatnonzero(draws):
        balls, values, errors = exact[draw], bound.value[draw], bound.error[draw]
        triples = zip(np.ravel(balls), np.ravel(values), np.ravel(errors), strict=True)
        for ball, value, error in triples:
            compared += 1
            allowed = LEAST_BALL if value == error == 0 else float(error)
            outside += not abs(ball - float(value)) <= allowed
    return compared, outside


def check(problem: Problem, contract: Contract) -> tuple[int, int]:
    """Return how many numbers of all quantities were compared, and how many are outside."""
    flint.ctx.prec = BITS
    with np.errstate(all="ignore"):
        bounds = problem.formulation.network.oracle(problem, contract)
    within = np.ones(problem.draws, dtype=bool)
    for bound in bounds.values():
        inside = abs(bound.value) + bound.error <= contract.largest
        within &= inside.reshape(problem.draws, -1).all(axis=1)
    if contract.log_lost is not None:
        within &= find_least(problem) > LEAST_P
    if not within.any():
        return 0, 0
    arithmetic = BallArithmetic(contract)
    flint.ctx.prec = BITS
    exact = evaluate(arithmetic, problem.part(within))
    compared = outside = 0
    for name, bound in bounds.items():
        part = Bounded(bound.value[within], bound.error[within])
        numbers, wrong = count_outside(exact[name], part, np.ones(len(part.value), dtype=bool))
        compared, outside = compared + numbers, outside + wrong
    return compared, outside


def find_least(problem: Problem) -> Array:
    """Return the least probability of each draw (D,), if it is a softmax of all outputs."""
    network = problem.formulation.network
    assert isinstance(network, Network)
    arguments, outputs = network.layers(problem)
    is_linear = set(network.head_outputs) == {"identity"}
    z = outputs if is_linear else arguments[-1]
    with np.errstate(under="ignore", over="ignore"):
        least: Array = np.exp(z.min(axis=(1, 2)) - z.max(axis=(1, 2)))
    return least


def main() -> int:
    """Run the audit; the exit code is 1 if a number was outside."""
    parser = argparse.ArgumentParser(description="classifiers in ball arithmetic")
    parser.add_argument("--nets", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=int, default=0, help="the number of the first net")
    given = parser.parse_args()
    totals = {"exact": [0, 0, 0], "nnet": [0, 0, 0]}
    for number in range(given.start, given.start + given.nets):
        problem = shorten(draw_net(given.seed, number).problem)
        for name, contract in (("exact", Contract()), ("nnet", r_nnet.contract())):
            compared, outside = check(problem, contract)
            for place, count in enumerate((compared > 0, compared, outside)):
                totals[name][place] += count
            if outside:
                print(f"net {number}, {name}: {outside} of {compared} numbers outside", flush=True)
    for name, (nets, compared, outside) in totals.items():
        print(f"{name}: {nets:,} nets, {compared:,} numbers enclosed at {BITS} bits, {outside} out")
    return int(any(total[2] for total in totals.values()))


if __name__ == "__main__":
    raise SystemExit(main())
