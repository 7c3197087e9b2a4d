"""One weight off by one unit in the last place, asked on exact probes alone: is it caught?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness import Contract
from harness.core.problem import QUANTITIES
from reference.faults.kinds import solve
from tests.selfcheck.corpus import Case, changed, outside
from tests.support import DTYPES


def one_ulp(some: Sequence[Case], most: int) -> dict[str, dict[str, Any]]:
    """For each dtype: weights tried, caught, and not counted since every answer stays the same:
    rounded away.

    Only weights of tensors that the probes see are tried, those with a gradient other than 0, at
    most so many a case.
    """
    found = {dtype: {"tried": 0, "caught": 0, "rounded_away": 0} for dtype in DTYPES}
    for number, case in enumerate(some):
        for problem in (problem for problem in case.problems if problem.kind == "exact"):
            for dtype, count in found.items():
                contract, layout = Contract(dtype), case.network.layout
                right = solve(problem, contract)
                seen = {
                    int(layout.owners[place])
                    for place in np.flatnonzero(right["gradient"].any(axis=0))
                }
                places = np.random.default_rng(number).permutation(layout.size)
                for place in [int(p) for p in places if int(layout.owners[p]) in seen][:most]:
                    own = problem.own.copy()
                    own[:, place] = np.nextafter(
                        own[:, place].astype(dtype), np.array(np.inf, dtype)
                    )
                    wrong = solve(replace(problem, own=own), contract)
                    if not changed([problem], [right], [wrong]):
                        count["rounded_away"] += 1
                        continue
                    count["tried"] += 1
                    count["caught"] += any(
                        outside([problem], [wrong], q, dtype) for q in QUANTITIES
                    )
    return found
