"""What the tests of the judge share: networks, and a verdict on numbers that no subject computed."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from harness.contract import Array, Bounded, Contract
from harness.formulation import Formulation
from harness.judge import Judgement, Side, judge
from harness.naming import tensors
from harness.problem import QUANTITIES, Problem
from harness.verdict import Status
from reference import Network, probes

ACTIVATIONS = [("relu", "relu"), ("logistic", "identity"), ("tanh", "identity"), ("logistic", "logistic")]
DTYPES = ("float64", "float32")


def dual(g: str, f: str) -> Network:
    """The seed's network, small enough to be quick."""
    return Network((4, 4), 4, (4, 4), g, f)


def asked(network: Network, seed: int = 0, draws: int = 30, rows: int = 3) -> list[Problem]:
    """All four kinds of probes in the network's own parameters."""
    return probes(seed, draws=draws, rows=rows)(Formulation.identity(network))


def judged(problem: Problem, answers: dict[str, Array], quantity: str, dtype: str) -> Judgement:
    """The answers of one implementation against the oracle's own values."""
    contract = Contract(dtype)
    bounds = oracle_of(problem, contract)[quantity]
    exact = Side(bounds.value, type(bounds)(bounds.value, np.zeros_like(bounds.error)))
    return judge([Side(answers[quantity], bounds)], [exact], [tensors(problem, quantity)[1]], contract.largest)


@lru_cache(maxsize=64)
def oracle_of(problem: Problem, contract: Contract) -> dict[str, Bounded]:
    return problem.formulation.network.oracle(problem, contract)


def first_outside(problems: list[Problem], answers: list[dict[str, Array]], dtype: str) -> str | None:
    """The first quantity, in order of computation, that is outside in any stack."""
    for quantity in QUANTITIES:
        for problem, answer in zip(problems, answers, strict=True):
            if judged(problem, answer, quantity, dtype).status is Status.FAIL:
                return quantity
    return None
