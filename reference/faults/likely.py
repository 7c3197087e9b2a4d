"""Which planted fault explains what was observed."""

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize

from harness.arithmetic.plain import Plain
from harness.core.contract import Array, Contract
from harness.core.judge import outside as is_outside
from harness.core.problem import QUANTITIES, Problem
from harness.core.progress import Say, silent
from reference.faults.bounds import bounds
from reference.faults.catalogue import made_in
from reference.faults.kinds import Answers, Fault, solve
from reference.mathematics.equations import outputs
from reference.mathematics.tape import Tape

DETERMINED = 1e-6  # how nearly alike two fitted scalings may be
# Evaluations of a fit of scalings, for each number and one more. Fits that end well take 3 to 10
# where data were standardised, pixels divided or one factor was wrong, and 14 (the median) where
# factors lie between 1e-3 and 1e3.
PATIENCE = 50
MOST_SLOPES = 10_000_000  # of a fit of scalings: 80 MB
UNEXPLAINED = 1e-3  # of an observed difference: what a fault that is offered as likely may leave


class Offer(NamedTuple):
    """A mistake that explains what was observed: its name in the catalogue ("" for another
    scaling), and in words.
    """

    name: str
    words: str


def likely(
    problems: Sequence[Problem],
    observed: Sequence[Mapping[str, Array]],
    outside: str,
    contract: Contract,
    say: Say = silent,
) -> str:
    """The mistake that explains what was observed, in words; "" when none does. See `offered`."""
    offer = offered(problems, observed, outside, contract, say=say)
    return offer.words if offer else ""


@np.errstate(all="ignore")
def offered(
    problems: Sequence[Problem],
    observed: Sequence[Mapping[str, Array]],
    outside: str,
    contract: Contract,
    run: Callable[[Fault, Problem], Answers] = lambda fault, problem: fault.run(
        problem, Contract()
    ),
    say: Say = silent,
) -> Offer | None:
    """The mistake that explains what was observed where `outside` is the first quantity outside;
    None when none does.

    A fault explains a difference when the equations with it, which `run` solves, leave less than a
    thousandth of it or, in a stack, no more than an implementation of them may round under this
    contract: in `outside` and in all that the fault changes after it; and what came before, which
    is inside, must not tell against it. `say` is told how far the search is.
    """
    asked = _Asked(problems, observed, outside, contract)
    faults, found = made_in(problems[0].formulation.network), []
    for number, fault in enumerate(faults, 1):
        say(f"looking for a likely mistake, {number} of {len(faults)}")
        wrong = asked.survives(partial(run, fault), fault.across_draws)
        if wrong is not None and (left := asked.leaves(fault, wrong)) is not None:
            found.append((max(left.values()), left[outside], fault))
    if not found:
        words = _scaled(problems, observed, say) if outside == "forward" else ""
        return Offer("", words) if words else None
    _, left_over, fault = min(found, key=lambda each: each[0])
    return Offer(
        fault.name,
        f'{fault.words} (fault "{fault.name}", leaves {left_over:.1g} of the difference)',
    )


class _Asked:
    """What was observed, and what is right, in every stack; `outside` is the first quantity
    outside.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        observed: Sequence[Mapping[str, Array]],
        outside: str,
        contract: Contract,
    ) -> None:
        self.problems, self.observed, self.outside, self.contract = (
            problems,
            observed,
            outside,
            contract,
        )
        self.right = [_own(solve(problem, Contract()), problem) for problem in problems]
        self.apart = [
            _size(seen[outside] - right[outside])
            for seen, right in zip(observed, self.right, strict=True)
        ]
        stack = int(np.argmax(self.apart))
        apart = (observed[stack][outside] - self.right[stack][outside]).reshape(
            problems[stack].draws, -1
        )
        draw = int(np.argmax(np.linalg.norm(apart, axis=1)))
        self.first, self.seen = (
            problems[stack].part(slice(draw, draw + 1)),
            observed[stack][outside][draw : draw + 1],
        )

    def survives(
        self, run: Callable[[Problem], Answers], across_draws: bool
    ) -> list[Answers] | None:
        """A fault's answers, by `run`, where they leave little of what is outside in all stacks
        together; else None.

        The draw with the largest difference is looked at first, unless the fault may work across
        draws, and then the stack with the largest: most faults end there.
        """
        found: dict[int, Answers] = {}
        most, left = UNEXPLAINED * math.hypot(*self.apart), 0.0
        if (
            not across_draws
            and not _size(self.seen - _own(run(self.first), self.first)[self.outside]) < most
        ):
            return None
        for stack in np.argsort(self.apart)[::-1].tolist():
            found[stack] = _own(run(self.problems[stack]), self.problems[stack])
            left = math.hypot(
                left, _size(self.observed[stack][self.outside] - found[stack][self.outside])
            )
            if not left < most:  # true for NaN
                return None
        return [found[stack] for stack in range(len(found))]

    def leaves(self, fault: Fault, wrong: Sequence[Answers]) -> dict[str, float] | None:
        """The share that a fault leaves of what is outside, and of what follows; None where it does
        not explain it.
        """
        first, observed, right = QUANTITIES.index(self.outside), self.observed, self.right
        given = [name for name in QUANTITIES if all(name in seen for seen in observed)]
        left = {
            name: _apart(name, observed, wrong) / max(_apart(name, observed, right), 1e-300)
            for name in given
        }
        after = [
            name
            for name in given
            if QUANTITIES.index(name) > first and _apart(name, wrong, right) > 0
        ]
        if any(left[name] > 2 for name in given if QUANTITIES.index(name) < first):
            return None
        for stack, answers in enumerate(wrong):
            if not self._explained(stack, fault, answers, [self.outside, *after]):
                return None
        return {name: left[name] for name in (self.outside, *after)}

    def _explained(self, stack: int, fault: Fault, wrong: Answers, names: Sequence[str]) -> bool:
        """Does a fault leave as little of the differences in a stack as is asked, or only what may
        be rounding?

        Its bounds, which take several times as long as its answers, are computed where it comes to
        that.
        """
        seen, right = self.observed[stack], self.right[stack]
        sizes = {
            name: (_size(seen[name] - wrong[name]), _size(seen[name] - right[name]))
            for name in names
        }
        doubts = [name for name, (left, apart) in sizes.items() if not left <= UNEXPLAINED * apart]
        if not doubts:
            return True
        bound = bounds(fault, self.problems[stack], self.contract)
        return not any(
            is_outside(seen[name], bound[name], self.contract.largest) for name in doubts
        )


class _NoScaling(Exception):
    """A fit of scalings has taken more evaluations than one that ends well."""


def _scaled(problems: Sequence[Problem], observed: Sequence[Mapping[str, Array]], say: Say) -> str:
    """Other scales and shifts of the columns of inputs and outputs, where they explain what was
    observed, in words.

    They are fitted to one stack by least squares (Levenberg-Marquardt, from none) and must explain
    all. A fit that has not ended after PATIENCE evaluations for each number finds none; `say` is
    told how many it took so far.
    """
    network: Any = problems[0].formulation.network
    sides = ("inputs", "outputs")
    columns = [
        f"column {i} of the {side}" for side in sides for i in range(sum(getattr(network, side)))
    ]
    inputs = sum(network.inputs)

    def differences(numbers: Array, stacks: Iterable[int]) -> Array:
        scale, shift = numbers.reshape(2, -1)
        found = []
        for i in stacks:
            tape, read = (
                Tape(Plain(Contract()), *problems[i].inputs.shape[:2]),
                problems[i].inputs * scale[:inputs],
            )
            given = outputs(tape, network, problems[i].theta, read + shift[:inputs])[2].value
            found.append((given * scale[inputs:] + shift[inputs:] - observed[i]["forward"]).ravel())
        return np.concatenate(found)

    none, everywhere = np.repeat([1.0, 0.0], len(columns)), range(len(problems))
    one = next((i for i in everywhere if problems[i].kind == "random"), 0)
    apart = differences(none, everywhere)
    if not np.isfinite(apart).all() or observed[one]["forward"].size < 10 * len(none):
        return ""
    if observed[one]["forward"].size * len(none) > MOST_SLOPES:
        return ""
    most, tried = PATIENCE * (1 + len(none)), itertools.count(1)

    def tries(numbers: Array) -> Array:
        if (number := next(tried)) > most:
            raise _NoScaling
        say(f"looking for another scaling of inputs and outputs, evaluation {number:,} of {most:,}")
        return differences(numbers, [one])

    try:
        found = optimize.least_squares(tries, none, method="lm")
    except _NoScaling:
        return ""
    fit, sizes = found.x, np.linalg.svd(found.jac, compute_uv=False)
    if sizes[-1] < DETERMINED * sizes[0]:  # several scalings do the same: none of them is told
        return ""
    left = float(np.linalg.norm(differences(fit, everywhere)) / np.linalg.norm(apart))
    if not left < UNEXPLAINED:
        return ""
    numbers = sorted(
        zip(columns, *fit.reshape(2, -1), strict=True), key=lambda n: -max(abs(n[1] - 1), abs(n[2]))
    )
    largest = max(max(abs(scale - 1), abs(shift)) for _, scale, shift in numbers)
    digits = 5 if largest > 1e-4 else 12
    changed = [
        f"{column} enters as {scale:.{digits}g} x"
        + (f" {'+' if shift > 0 else '-'} {abs(shift):.3g}" if abs(shift) > largest / 1e4 else "")
        for column, scale, shift in numbers
        if max(abs(scale - 1), abs(shift)) > largest / 1e4
    ]
    more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
    return f"another scaling: {'; '.join(changed[:3])}{more} (leaves {left:.1g} of the difference)"


def _own(answers: Answers, problem: Problem) -> Answers:
    """The gradient by the subject's own parameters."""
    return {**answers, "gradient": problem.formulation.pull_back(answers["gradient"])}


def _size(array: Array) -> float:
    return float(np.linalg.norm(array))


def _apart(name: str, a: Iterable[Mapping[str, Array]], b: Iterable[Mapping[str, Array]]) -> float:
    """The size of the difference of a quantity over all stacks."""
    return math.hypot(*(_size(x[name] - y[name]) for x, y in zip(a, b, strict=True)))
