"""Which planted fault explains what was observed."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize

from harness.contract import Array, Contract
from harness.problem import QUANTITIES, Problem
from reference.arithmetic.plain import Plain
from reference.catalogue import made_in
from reference.equations import outputs
from reference.faults import Answers, Fault, solve
from reference.tape import Tape

DETERMINED = 1e-6  # how nearly alike two fitted scalings may be
UNEXPLAINED = 1e-3  # of an observed difference: what a fault that is offered as likely may leave
ROUNDED = 2.0**7  # units of roundoff of a stack's numbers: what is left of them, whatever explains the difference


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

    A fault explains a difference when the equations with it, which `run` solves, leave less than a thousandth of it or,
    in a stack, no more than rounding may: in `outside` and in all that the fault changes after it; and what came
    before, which is inside, must not tell against it.
    """
    first = QUANTITIES.index(outside)
    given = [name for name in QUANTITIES if all(name in seen for seen in observed)]
    right = [_own(solve(problem, Contract()), problem) for problem in problems]
    single = all(np.array_equal(seen[outside], np.float32(seen[outside])) for seen in observed)
    rounded = ROUNDED * Contract("float32" if single else "float64").roundoff
    found = []
    for fault in made_in(problems[0].formulation.network):
        wrong = list[Answers]()
        for problem, seen, sound in zip(problems, observed, right, strict=True):
            wrong.append(_own(run(fault, problem), problem))
            if not _explained(outside, seen, wrong[-1], sound, rounded):
                break
        else:
            left = {name: _apart(name, observed, wrong) / max(_apart(name, observed, right), 1e-300) for name in given}
            before = [name for name in given if QUANTITIES.index(name) < first]
            after = [name for name in given if QUANTITIES.index(name) > first and _apart(name, wrong, right) > 0]
            stacks = list(zip(observed, wrong, right, strict=True))
            explained = all(_explained(name, *stack, rounded) for name in after for stack in stacks)
            if explained and left[outside] < UNEXPLAINED and all(left[name] <= 2 for name in before):
                found.append((max(left[name] for name in (outside, *after)), fault))
    if not found:
        words = _scaled(problems, observed) if outside == "forward" else ""
        return Offer("", words) if words else None
    most, fault = min(found, key=lambda pair: pair[0])
    return Offer(fault.name, f'{fault.words} (fault "{fault.name}", leaves {most:.1g} of the difference)')


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
            tape, read = Tape(Plain(Contract()), *problems[i].inputs.shape[:2]), problems[i].inputs * scale[:inputs]
            given = outputs(tape, network, problems[i].theta, read + shift[:inputs])[2].value
            found.append((given * scale[inputs:] + shift[inputs:] - observed[i]["forward"]).ravel())
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


def _explained(
    name: str, seen: Mapping[str, Array], wrong: Mapping[str, Array], right: Mapping[str, Array], rounded: float
) -> bool:
    """Does a fault's answer in a stack leave as little of the difference as is asked, or no more than rounding may?"""
    left, apart = (float(np.linalg.norm(seen[name] - other[name])) for other in (wrong, right))
    return left < UNEXPLAINED * apart or left <= rounded * float(np.linalg.norm(right[name]))


def _own(answers: Answers, problem: Problem) -> Answers:
    """The gradient by the subject's own parameters."""
    return {**answers, "gradient": problem.formulation.pull_back(answers["gradient"])}


def _apart(name: str, a: Iterable[Mapping[str, Array]], b: Iterable[Mapping[str, Array]]) -> float:
    """The size of the difference of a quantity over all stacks."""
    return float(np.sqrt(sum(float(np.sum(np.square(x[name] - y[name]))) for x, y in zip(a, b, strict=True))))
