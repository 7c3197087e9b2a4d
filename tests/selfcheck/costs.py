"""What a case costs, and which share of it is the oracle, the subject and the judge."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

import numpy as np

from harness import Contract
from harness.core.problem import QUANTITIES
from tests.selfcheck import planted
from tests.selfcheck.corpus import Case
from tests.support import DTYPES, judged, oracle_of


def costs(some: Sequence[Case]) -> dict[str, float]:
    """Seconds a case and dtype, the median, and the medians of the three shares: a PyTorch module
    judged anew.
    """
    taken = np.array([_cost(case, dtype) for case in some for dtype in DTYPES])
    shares = np.median(taken / taken.sum(axis=1, keepdims=True), axis=0)
    named = dict(zip(("oracle", "subject", "judge"), shares, strict=True))
    seconds = float(np.median(taken.sum(axis=1)))
    return {"case": round(seconds, 4)} | {
        name: round(float(share), 3) for name, share in named.items()
    }


def _cost(case: Case, dtype: str) -> tuple[float, float, float]:
    """Seconds for the bounds of every quantity, for a port's answers, and for the verdicts."""
    problems, times = planted.asked(case), [perf_counter()]
    for problem in problems:
        oracle_of.__wrapped__(problem, Contract(dtype))
    times.append(perf_counter())
    answers = planted.answers(case, dtype)
    times.append(perf_counter())
    for problem in problems:
        oracle_of(problem, Contract(dtype))  # known: what follows is the judge alone
    start = perf_counter()
    for problem, answer in zip(problems, answers, strict=True):
        for quantity in QUANTITIES:
            judged(problem, dict(answer), quantity, dtype)
    return times[1] - times[0], times[2] - times[1], perf_counter() - start
