"""Searches for a planted fault that explains observed answers.

A stack is one problem with all its draws; the right answers come from the equations without a
mistake.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from harness.comparing.judge import outside as is_outside
from harness.core.contract import Array, Contract
from harness.core.formulation import Family
from harness.core.problem import QUANTITIES, STEP, Problem
from harness.waiting.progress import Pace, Say, silent
from reference.explaining.carried import find_accumulated
from reference.explaining.loss_parts import find_losses, list_kinds
from reference.explaining.orders import find_orders
from reference.explaining.penalty import find_penalty
from reference.explaining.row_weights import find_row_weights
from reference.explaining.scaling import UNEXPLAINED, describe_left, describe_scaling
from reference.explaining.stacks import Stack
from reference.explaining.steps import likely_step
from reference.faults.bounds import bounds
from reference.faults.kinds import Answers, Fault, solve
from reference.mistakes.catalogue import made_in

SAME = 2.0**10  # roundings of a difference: faults that leave less explain it equally well
LITTLE = 1e-4  # of the size of a draw's answers, which rounding may be without counting less


class Offer(NamedTuple):
    """A mistake that explains observed answers.

    `name` is its name in the catalogue, or "" for another scaling; `words` is a description.
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
    """Return in words the mistake that explains observed answers; "" if there is none.

    `outside` is the first quantity (outputs, loss, ...) outside its bounds, see `offered`. For a
    step of an optimiser, other mistakes are tried.
    """
    if outside == STEP:
        return likely_step(problems, observed, contract)
    offer = offered(problems, observed, outside, contract, say=say)
    return offer.words if offer else ""


def as_computed(contract: Contract) -> Contract:
    """Return the contract with which the answers of mistakes are computed: float64, but with the
    limits on logarithms that `contract` declares.

    A contract states how an implementation computes: its dtype, and such limits.
    """
    return Contract(
        from_probabilities=contract.from_probabilities,
        log_floor=contract.log_floor,
        log_least=contract.log_least,
        log_lost=contract.log_lost,
    )


@np.errstate(all="ignore")
def offered(
    problems: Sequence[Problem],
    observed: Sequence[Mapping[str, Array]],
    outside: str,
    contract: Contract,
    run: Callable[[Fault, Problem], Answers] | None = None,
    say: Say = silent,
) -> Offer | None:
    """Return the mistake that explains observed answers; None if there is none.

    `outside` is the first quantity outside its bounds. `run` solves the equations with a fault (a
    mistake). The fault explains the difference between observed and right answers if its answers
    are much nearer to the observed ones: less than a thousandth of that difference away or, in a
    stack, no further than rounding under this contract. This must hold for `outside` and for all
    later quantities that the fault changes. Earlier quantities are inside their bounds; the fault
    must not spoil them. `say` gets progress messages.
    """
    search = _Search(problems, observed, outside, contract)
    plain = as_computed(contract)
    solve_with = run or (lambda fault, problem: fault.run(problem, plain))
    losses = {problem.loss for problem in problems}
    known = made_in(problems[0].network, losses)
    faults = [fault for fault in (*known, *search.propose()) if search.is_early(fault)]
    found, pace = [], Pace(len(faults))
    for number, fault in enumerate(faults, 1):
        time_left = pace.describe_left(number - 1)
        say(f"looking for a likely mistake, {number} of {len(faults)}{time_left}")
        wrong = search.solve_if_near(partial(solve_with, fault), fault.across_draws)
        if wrong is None:
            continue
        left = search.unexplained(fault, wrong)
        if left is not None:
            found.append((max(left.values()), left[outside], fault))
    if not found:
        if outside != "forward":
            return None
        weights = [scales["forward"] for scales in search.scales]
        words = describe_scaling(problems, observed, weights, contract.roundoff, say)
        return Offer("", words) if words else None
    rounding = SAME * contract.roundoff
    # the first of those that explain it equally well
    _, left_over, fault = min(found, key=lambda each: max(each[0], rounding))
    words = _describe_fault(fault, problems[0].network)
    return Offer(fault.name, f"{words} ({describe_left(left_over)})")


def _describe_fault(fault: Fault, network: Family) -> str:
    """Return a fault (a mistake in the equations) in words. If the network has one head (an output
    tensor), the words do not call it the first.
    """
    if len(network.outputs) > 1:
        return fault.words
    words = fault.words.replace("first head's", "outputs'")
    return words.replace("of the first head", "of the outputs")


class _Search:
    """The observed and the right answers of every stack (a problem with all its draws); `outside`
    is the first quantity outside its bounds.
    """

    def __init__(
        self,
        problems: Sequence[Problem],
        observed: Sequence[Mapping[str, Array]],
        outside: str,
        contract: Contract,
    ) -> None:
        self.problems, self.observed = problems, observed
        self.outside, self.contract = outside, contract
        self.right = [
            _take_own_gradient(solve(problem, as_computed(contract)), problem)
            for problem in problems
        ]
        self.scales = [
            _find_scales(right, problem, contract)
            for right, problem in zip(self.right, problems, strict=True)
        ]
        by_draw = [
            abs(_apart(scales[outside], seen[outside], right[outside])).reshape(problem.draws, -1)
            for problem, scales, seen, right in zip(
                problems, self.scales, observed, self.right, strict=True
            )
        ]
        self._leave_out_lost_draws()
        self.apart = [_norm(apart) for apart in by_draw]
        stack = int(np.argmax(self.apart))
        draw = int(np.argmax(np.linalg.norm(by_draw[stack], axis=1)))
        self.worst_draw = problems[stack].part(slice(draw, draw + 1))
        self.seen_there = observed[stack][outside][draw : draw + 1]
        self.scale_there = self.scales[stack][outside][draw : draw + 1]

    def _leave_out_lost_draws(self) -> None:
        """Ignore, in draws (problems of a stack) whose observed loss is not finite, the quantities
        that are computed after `outside`.
        """
        for seen, scales in zip(self.observed, self.scales, strict=True):
            if "loss" not in seen or self.outside == "loss":
                continue
            lost = ~np.isfinite(seen["loss"])
            for name in QUANTITIES[QUANTITIES.index(self.outside) + 1 :]:
                scales[name][lost] = 0.0

    def propose(self) -> Iterator[Fault]:
        """Yield faults (mistakes in the equations) that are constructed from the observed
        answers.
        """
        stacks = list(map(Stack, self.problems, self.observed, self.right))
        if self.outside == "forward":
            yield from find_orders(stacks)
        elif self.outside == "loss":
            yield from find_losses(stacks)
        elif self.problems[0].recipe is not None:
            yield from find_accumulated(self.problems[0])
            if "loss" not in self.observed[0]:
                yield from list_kinds(self.problems[0])
            yield from find_penalty(stacks[0])
            yield from find_row_weights(stacks[0])

    def is_early(self, fault: Fault) -> bool:
        """May a fault (a mistake in the equations) already change the first quantity outside its
        bounds?
        """
        return QUANTITIES.index(fault.spoils) <= QUANTITIES.index(self.outside)

    def solve_if_near(
        self, run: Callable[[Problem], Answers], across_draws: bool
    ) -> list[Answers] | None:
        """Return the answers that a mistake gives, computed by `run` for each stack of problems, if
        its quantity `outside` is near the observed one; else None.

        They are near if they leave little of the difference between observed and right answers over
        all stacks. Most faults are ruled out early: at the draw with the largest difference or, if
        the fault may work across draws, at the stack with the largest difference.
        """
        found: dict[int, Answers] = {}
        most, left = UNEXPLAINED * math.hypot(*self.apart), 0.0
        if not across_draws:
            wrong = _take_own_gradient(run(self.worst_draw), self.worst_draw)
            apart = _apart(self.scale_there, self.seen_there, wrong[self.outside])
            if not _norm(apart) < most:
                return None
        for stack in np.argsort(self.apart)[::-1].tolist():
            found[stack] = _take_own_gradient(run(self.problems[stack]), self.problems[stack])
            left = math.hypot(left, self._apart_in(stack, self.outside, found[stack]))
            if not left < most:  # true for NaN
                return None
        return [found[stack] for stack in range(len(found))]

    def unexplained(self, fault: Fault, wrong: Sequence[Answers]) -> dict[str, float] | None:
        """Return the share of the difference from the right answers that remains unexplained by a
        fault (a mistake), by quantity; None if it does not explain the difference.

        `wrong` are the fault's answers for each stack of problems. The quantities are `outside` and
        the later ones that the fault changes.
        """
        first, observed = QUANTITIES.index(self.outside), self.observed
        left: dict[str, float] = {}
        for position, name in enumerate(QUANTITIES):
            if not all(name in seen for seen in observed):
                continue
            share = self._apart(name, wrong) / max(self._apart(name, self.right), 1e-300)
            if position < first and share > 2:
                return None
            if position == first or (position > first and _differ(name, wrong, self.right)):
                left[name] = share
        for stack, answers in enumerate(wrong):
            if not self._explains(stack, fault, answers, list(left)):
                return None
        return left

    def _apart(self, name: str, answers: Sequence[Mapping[str, Array]]) -> float:
        """Return the size (Euclidean norm) of the difference between the observed answers and
        `answers` for the quantity `name`, over all stacks.

        The difference in each draw is relative to the draw's right answers.
        """
        return math.hypot(
            *(self._apart_in(stack, name, each) for stack, each in enumerate(answers))
        )

    def _apart_in(self, stack: int, name: str, answers: Mapping[str, Array]) -> float:
        """Return the same as `_apart`, for the stack of problems with this number."""
        return _norm(_apart(self.scales[stack][name], self.observed[stack][name], answers[name]))

    def _explains(self, stack: int, fault: Fault, wrong: Answers, names: Sequence[str]) -> bool:
        """Do the answers `wrong` of a fault (a mistake) agree with the observed ones in a stack of
        problems, up to a small share of the difference from the right ones, or up to rounding?

        Rounding bounds are computed only if the share is not small, since they take several times
        as long as answers.
        """
        seen = self.observed[stack]
        doubts = []
        for name in names:
            left = self._apart_in(stack, name, wrong)
            apart = self._apart_in(stack, name, self.right[stack])
            if not left <= UNEXPLAINED * apart:  # true for NaN
                doubts.append(name)
        if not doubts:
            return True
        bound = bounds(fault, self.problems[stack], self.contract)
        largest = self.contract.largest
        return not any(is_outside(seen[name], bound[name], largest) for name in doubts)


def _take_own_gradient(answers: Answers, problem: Problem) -> Answers:
    """Return a copy of the answers in which the gradient is by the subject's own parameters (D, P),
    instead of by theta (D, T).

    D counts draws, P the model's own parameters, and T the network's parameters (theta).
    """
    return {**answers, "gradient": problem.formulation.pull_back(answers["gradient"])}


def _find_scales(right: Answers, problem: Problem, contract: Contract) -> dict[str, Array]:
    """Return for each quantity a factor (D, 1, ...) that scales the largest right answer of each
    draw to 1.

    So draws of small numbers count as much as draws of large ones. The factor is smaller if
    rounding may be as large as a share of that answer, and 0 for draws whose right answers have no
    bound: these do not count. D counts draws (single problems).
    """
    bounds = problem.network.oracle(problem, contract)
    scales = {}
    for name, answers in right.items():
        axes = tuple(range(1, answers.ndim))
        error = bounds[name].error
        largest, most = abs(answers), error
        if axes:
            largest = largest.max(axis=axes, keepdims=True)
            most = error.max(axis=axes, keepdims=True)
        size = largest + most / LITTLE
        scale = 1 / np.where(size > 0, size, 1.0)
        scales[name] = np.where(np.isfinite(size), scale, 0.0)
    return scales


def _apart(scale: Array, a: Array, b: Array) -> Array:
    """Return a - b (D, ...) times a factor (D, 1, ...); 0 where both are the same infinity, and
    where the factor is 0.

    D counts draws (single problems).
    """
    return np.where((scale == 0) | (a == b), 0.0, scale * (a - b))


def _norm(array: Array) -> float:
    return float(np.linalg.norm(array))


def _differ(name: str, a: Iterable[Mapping[str, Array]], b: Iterable[Mapping[str, Array]]) -> bool:
    """Do the answers `a` and `b`, given for each stack of problems, differ anywhere in the quantity
    `name`?
    """
    return any((x[name] != y[name]).any() for x, y in zip(a, b, strict=True))
