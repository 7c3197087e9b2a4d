"""What is offered as likely, counted: the mistake that was planted, another one, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harness import Contract, Problem
from harness.core.contract import Array
from reference.explaining.likely import offered
from reference.faults.changes import ChangeOfBlocks, Named, change_block
from reference.faults.kinds import (
    Answer,
    Answers,
    Data,
    Fault,
    Hidden,
    Misread,
    Slope,
    solve,
)
from reference.mistakes.catalogue import FAULTS, SIZES
from tests.selfcheck.corpus import Case, Stack, first_outside

# of the largest number of a stack: what may differ by rounding
ALIKE = {"float64": 2.0**-40, "float32": 2.0**-16}
BY_NAME = {fault.name: fault for fault in FAULTS}
# solves anew whatever was answered; is less than offers leave
NOT_SECOND = ("last_row_dropped", "answers_in_float32")


@dataclass
class Offers:
    """How many offers were made, how many of these were wrong, and how often there was none;
    `strangers` of them.
    """

    made: int = 0
    wrong: int = 0
    none: int = 0
    strangers: dict[str, int] = field(default_factory=lambda: {"tried": 0, "made": 0, "wrong": 0})
    solved: dict[tuple[str, str], Answers] = field(default_factory=dict, repr=False)

    def forget(self) -> None:
        """What was solved for a case that is done with."""
        self.solved.clear()

    def ask(
        self,
        problems: Sequence[Problem],
        observed: Sequence[Stack],
        outside: str,
        planted: Fault,
        dtype: str,
    ) -> None:
        """What is offered for answers under a fault whose first quantity outside is this."""
        offer = offered(problems, observed, outside, Contract(dtype), self.solve)
        if offer is None:
            self.none += 1
            return
        self.made += 1
        self.wrong += not self.same(offer.name, planted, problems, dtype)

    def same(self, name: str, planted: Fault, problems: Sequence[Problem], dtype: str) -> bool:
        """Is what is offered the planted fault, or one that gives the same answers to these
        problems?
        """
        if not name:  # another scaling of inputs or outputs
            return isinstance(planted, Data) and planted.part == "inputs"
        if name == planted.name:
            return True
        pairs = ((self.solve(BY_NAME[name], p), self.solve(planted, p)) for p in problems)
        return all(_alike(a[quantity], b[quantity], dtype) for a, b in pairs for quantity in a)

    def solve(self, fault: Fault, problem: Problem) -> Answers:
        """The equations with a fault of the catalogue, solved once."""
        if BY_NAME.get(fault.name) != fault:
            return fault.run(problem, Contract())
        key = fault.name, problem.key
        if key not in self.solved:
            self.solved[key] = fault.run(problem, Contract())
        return self.solved[key]

    def ask_strangers(self, case: Case, dtype: str, seed: int, count: int) -> None:
        """What is offered for mistakes that are not in the catalogue, so many of each sort."""
        before = replace(self)
        for stranger in strangers(case, seed, count):
            with np.errstate(all="ignore"):
                observed = [
                    held(stranger.run(problem, Contract(dtype)), dtype) for problem in case.problems
                ]
            outside, _ = first_outside(case.problems, observed, dtype)
            if outside:
                self.strangers["tried"] += 1
                self.ask(case.problems, observed, outside, stranger, dtype)
        self.strangers["made"] += self.made - before.made
        self.strangers["wrong"] += self.wrong - before.wrong

    def record(self) -> dict[str, Any]:
        """As the file holds it."""
        return {
            "made": self.made,
            "wrong": self.wrong,
            "none": self.none,
            "strangers": self.strangers,
        }


def held(answers: Answers, dtype: str) -> Answers:
    """As the dtype holds them: what it rounds away is no fault."""
    with np.errstate(over="ignore"):
        return {quantity: Contract(dtype).rounded(answer) for quantity, answer in answers.items()}


def _alike(a: Array, b: Array, dtype: str) -> bool:
    return bool((abs(a - b) <= ALIKE[dtype] * abs(b).max()).all())


def is_asked(size: float | None) -> bool:
    """Is a fault of this size asked for? The catalogue has few sizes; the others are offered to
    nobody.
    """
    return size is None or size in SIZES


class Both(Fault):
    """Two mistakes at once: `change` takes a problem and a contract."""

    def run(self, problem: Problem, contract: Contract) -> Answers:
        answers: Answers = self.change(problem, contract)
        return answers


def strangers(case: Case, seed: int, count: int) -> Iterator[Fault]:
    """Mistakes that are not in the catalogue: two at once, blocks mixed at random, answers with
    noise.
    """
    rng = np.random.default_rng(seed)
    known = [fault for fault in FAULTS if fault.size is None and fault.fits(case.network)]
    first = [
        fault
        for fault in known
        if isinstance(fault, Misread | Hidden | Data) and fault.spoils == "forward"
    ]
    last = [
        fault
        for fault in known
        if isinstance(fault, Slope | Answer) and fault.name not in NOT_SECOND
    ]
    for number in range(count):
        a, b = (some[int(rng.integers(len(some)))] for some in (first, last))
        yield Both(f"{a.name}+{b.name}", "two at once", _then(a, b))
        block = str(rng.choice([block.name for block in case.network.layout.blocks]))
        yield Misread(f"mixed_{number}", f"{block} mixed", _mixed(block, int(rng.integers(2**31))))
        quantities = [("forward", "loss", "gradient", "input_gradient"), ("gradient",)][number % 2]
        yield Both(
            f"noise_{number}",
            "noise",
            _noise(quantities, 10.0 ** -int(rng.integers(1, 6)), int(rng.integers(2**31))),
        )


def _then(first: Fault, last: Any) -> Callable[[Problem, Contract], Answers]:
    """The last mistake made with what the first gave."""

    def run(problem: Problem, contract: Contract) -> Answers:
        answers = first.run(problem, contract)
        if isinstance(last, Slope):
            return {
                **answers,
                "gradient": last.changed(problem.formulation.network.layout, answers["gradient"]),
            }
        changed: Answers = last.change(answers, problem)
        return changed

    return run


def _mixed(block: str, seed: int) -> ChangeOfBlocks:
    """A block whose entries are random combinations of its entries, and a constant."""

    def mix(w: Array) -> Array:
        rng = np.random.default_rng([seed, w.size])
        mixed = rng.standard_normal((w.size, w.size)) @ w.ravel() + rng.standard_normal(w.size)
        return mixed.reshape(w.shape)

    return change_block(Named(block), mix)


def _noise(
    quantities: Sequence[str], size: float, seed: int
) -> Callable[[Problem, Contract], Answers]:
    """Every number off by a random share of itself."""

    def run(problem: Problem, contract: Contract) -> Answers:
        rng = np.random.default_rng(seed)
        answers = solve(problem, contract)
        return {
            name: value * (1 + size * rng.standard_normal(value.shape))
            if name in quantities
            else value
            for name, value in answers.items()
        }

    return run
