"""Which planted fault explains what was observed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize

from harness.contract import Array, Contract
from harness.problem import QUANTITIES, Problem
from reference.catalogue import made_in
from reference.faults import Answers, Fault, solve

DETERMINED = 1e-6  # how nearly alike two fitted scalings may be
UNEXPLAINED = 1e-3  # of an observed difference: what a fault that is offered as likely may leave


class Offer(NamedTuple):
    """A mistake that explains what was observed: its name in the catalogue ("" for another scaling), and in words."""

    name: str
    words: str


def likely(problems: Sequence[Problem], observed: Sequence[Mapping[str, Array]], outside: str) -> str:
    """The mistake that explains what was observed, in words; "" when none does. See `offered`."""
    offer = offered(problems, observed, outside)
    return offer.words if offer else ""


@np.errstate(all="ignore")
def offered(
    problems: Sequence[Problem],
    observed: Sequence[Mapping[str, Array]],
    outside: str,
    run: Callable[[Fault, Problem], Answers] = lambda fault, problem: fault.run(problem, Contract()),
) -> Offer | None:
    """The mistake that explains what was observed where `outside` is the first quantity outside; None when none does.

    A fault explains a difference when the equations with it, which `run` solves, leave less than a thousandth of it, in
    `outside` and in all that the fault changes after it; and what came before, which is inside, must not tell against
    it.
    """
    first = QUANTITIES.index(outside)
    before, after = (
        [q for q in some if all(q in o for o in observed)] for some in (QUANTITIES[:first], QUANTITIES[first:])
    )
    right = [_own(solve(problem, Contract()), problem) for problem in problems]
    most = (UNEXPLAINED * _apart(outside, observed, right)) ** 2
    found = []
    for fault in made_in(problems[0].formulation.network):
        wrong, left = list[Answers](), 0.0
        for problem, seen in zip(problems, observed, strict=True):
            wrong.append(_own(run(fault, problem), problem))
            left += float(np.sum(np.square(seen[outside] - wrong[-1][outside])))
            if not left <= most:  # what this stack leaves, the others do not take away
                break
        else:
            if any(_apart(name, observed, wrong) > 2 * _apart(name, observed, right) for name in before):
                continue
            changed = [name for name in after if name == outside or _apart(name, wrong, right) > 0]
            worst = max(_apart(name, observed, wrong) / max(_apart(name, observed, right), 1e-300) for name in changed)
            if worst < UNEXPLAINED:
                found.append((worst, fault))
    if not found:
        words = _scaled(problems, observed) if outside == "forward" else ""
        return Offer("", words) if words else None
    left, fault = min(found, key=lambda pair: pair[0])
    return Offer(fault.name, f'{fault.words} (fault "{fault.name}", leaves {left:.1g} of the difference)')


def _scaled(problems: Sequence[Problem], observed: Sequence[Mapping[str, Array]]) -> str:
    """Other scales and shifts of the columns of inputs and outputs, where they explain what was observed, in words.

    They are fitted to one stack by least squares (Levenberg-Marquardt, from none) and must explain all.
    """
    network: Any = problems[0].formulation.network
    sides = ("inputs", "outputs")
    columns = [f"column {i} of the {side}" for side in sides for i in range(sum(getattr(network, side)))]
    inputs = sum(network.inputs)

    def differences(numbers: Array, stacks: Iterable[int]) -> Array:
        scale, shift = numbers.reshape(2, -1)
        found = []
        for i in stacks:
            read = replace(problems[i], inputs=problems[i].inputs * scale[:inputs] + shift[:inputs])
            given = solve(read, Contract())["forward"] * scale[inputs:] + shift[inputs:]
            found.append((given - observed[i]["forward"]).ravel())
        return np.concatenate(found)

    none, everywhere = np.repeat([1.0, 0.0], len(columns)), range(len(problems))
    one = next((i for i in everywhere if problems[i].kind == "random"), 0)
    apart = differences(none, everywhere)
    if not np.isfinite(apart).all() or observed[one]["forward"].size < 10 * len(none):
        return ""
    found = optimize.least_squares(differences, none, args=([one],), method="lm")
    fit, sizes = found.x, np.linalg.svd(found.jac, compute_uv=False)
    if sizes[-1] < DETERMINED * sizes[0]:  # several scalings do the same: none of them is told
        return ""
    left = float(np.linalg.norm(differences(fit, everywhere)) / np.linalg.norm(apart))
    if not left < UNEXPLAINED:
        return ""
    numbers = sorted(zip(columns, *fit.reshape(2, -1), strict=True), key=lambda n: -max(abs(n[1] - 1), abs(n[2])))
    most = max(max(abs(scale - 1), abs(shift)) for _, scale, shift in numbers)
    digits = 5 if most > 1e-4 else 12
    changed = [
        f"{column} enters as {scale:.{digits}g} x"
        + (f" {'+' if shift > 0 else '-'} {abs(shift):.3g}" if abs(shift) > most / 1e4 else "")
        for column, scale, shift in numbers
        if max(abs(scale - 1), abs(shift)) > most / 1e4
    ]
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return f"another scaling: {'; '.join(changed[:3])}{more} (leaves {left:.1g} of the difference)"


def _own(answers: Answers, problem: Problem) -> Answers:
    """The gradient by the subject's own parameters."""
    return {**answers, "gradient": problem.formulation.pull_back(answers["gradient"])}


def _apart(name: str, a: Iterable[Mapping[str, Array]], b: Iterable[Mapping[str, Array]]) -> float:
    """The size of the difference of a quantity over all stacks."""
    return float(np.sqrt(sum(float(np.sum(np.square(x[name] - y[name]))) for x, y in zip(a, b, strict=True))))
