"""What the tests of the judge share: networks, and a verdict on numbers that no subject
computed.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from harness.comparing.judge import Judgement, Side, budget, judge
from harness.core.contract import Array, Bounded, Contract
from harness.core.formulation import Formulation
from harness.core.problem import Problem
from harness.words.naming import tensors
from reference import Network, probes

ACTIVATIONS = [
    ("relu", "relu"),
    ("logistic", "identity"),
    ("tanh", "identity"),
    ("logistic", "logistic"),
]
DTYPES = ("float64", "float32")
HELD = ("float64", "float32", "bfloat16", "float16")  # dtypes of torch that have a contract


def dual(g: str, f: str) -> Network:
    """The seed's network, small enough to be quick."""
    return Network((4, 4), 4, (4, 4), g, f)


def asked(network: Network, seed: int = 0, draws: int = 30, rows: int = 3) -> list[Problem]:
    """All four kinds of probes in the network's own parameters."""
    return probes(seed, draws=draws, rows=rows)(Formulation.identity(network))


def used(answer: Array, bound: Bounded, largest: float) -> Array:
    """The share of its bound that each draw uses (D,), 0 where the exact answer leaves the range:
    it is UNDEFINED.
    """
    flat = (len(answer), -1)
    inside = (abs(bound.value) + bound.error).reshape(flat).max(axis=1) <= largest
    return np.where(
        inside, budget(answer - bound.value, bound.error).reshape(flat).max(axis=1), 0.0
    )


def judged(problem: Problem, answers: dict[str, Array], quantity: str, dtype: str) -> Judgement:
    """The answers of one implementation against the oracle's own values."""
    contract = Contract(dtype)
    bounds = oracle_of(problem, contract)[quantity]
    exact = Side(bounds.value, type(bounds)(bounds.value, np.zeros_like(bounds.error)))
    return judge(
        [Side(answers[quantity], bounds)],
        [exact],
        [tensors(problem, quantity)[1]],
        contract.largest,
    )


@lru_cache(maxsize=256)  # the stacks of all networks of a file, in both dtypes
def oracle_of(problem: Problem, contract: Contract) -> dict[str, Bounded]:
    return problem.formulation.network.oracle(problem, contract)
