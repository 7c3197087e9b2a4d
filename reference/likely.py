"""Which planted fault explains what was observed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from harness.contract import Array, Contract
from harness.problem import QUANTITIES, Problem
from reference.faults import Answers, made_in, solve

UNEXPLAINED = 1e-3  # of an observed difference: what a fault that is offered as likely may leave


@np.errstate(all="ignore")
def likely(problems: Sequence[Problem], observed: Sequence[Mapping[str, Array]], outside: str) -> str:
    """The planted fault that explains what was observed from the quantity `outside` on, in words; "" when none does.

    A fault explains a difference when the equations with it leave less than a thousandth of it.
    """
    network = problems[0].formulation.network
    asked = [name for name in QUANTITIES[QUANTITIES.index(outside) :] if all(name in seen for seen in observed)]
    right = [_own(solve(problem, Contract()), problem) for problem in problems]
    found = []
    for fault in made_in(network):
        wrong = [_own(fault.run(problem, Contract()), problem) for problem in problems]
        changed = [name for name in asked if name == outside or _apart(name, wrong, right) > 0]
        left = max(_apart(name, observed, wrong) / max(_apart(name, observed, right), 1e-300) for name in changed)
        if left < UNEXPLAINED:
            found.append((left, fault))
    if not found:
        return ""
    left, fault = min(found, key=lambda pair: pair[0])
    return f'{fault.words} (fault "{fault.name}", leaves {left:.1g} of the difference)'


def _own(answers: Answers, problem: Problem) -> Answers:
    """The gradient by the subject's own parameters."""
    return {**answers, "gradient": problem.formulation.pull_back(answers["gradient"])}


def _apart(name: str, a: Iterable[Mapping[str, Array]], b: Iterable[Mapping[str, Array]]) -> float:
    """The size of the difference of a quantity over all stacks."""
    return float(np.sqrt(sum(float(np.sum(np.square(x[name] - y[name]))) for x, y in zip(a, b, strict=True))))
