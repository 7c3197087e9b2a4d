"""An implementation's answers, and the interface of a reference."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from harness.core.contract import Array, Contract
from harness.core.formulation import Family
from harness.core.problem import Problem
from harness.core.verdict import Status


@dataclass(frozen=True)
class Missing:
    """Why an answer is missing: a status (BROKEN, ABSENT or FAIL), a reason, and whether the
    subject owed it.
    """

    status: Status
    why: str
    of_subject: bool = False


@dataclass(frozen=True, eq=False)
class Observation:
    """Answers by quantity, float64: forward (D, R, O), loss (D,), gradient (D, T or P),
    input_gradient (D, R, I).

    The gradient is by theta (D, T), or, with `by_own`, by the own parameters of the problem's
    formulation (D, P). `missing` is why other answers are missing. `seen` (D, R, W) are
    intermediate numbers, a column for each number of a row. `others` are outputs (D, R, O) that
    differ from these in some bit, by when they were given. `ran` says how a model ran that
    torch.compile is meant to compile: compiled, compiled in part, or eager.
    """

    values: Mapping[str, Array]
    missing: Missing | None = None
    by_own: bool = False
    seen: Array | None = None
    others: Mapping[str, Array] = field(default_factory=dict)
    ran: str = ""

    def answer(self, quantity: str) -> Array | Missing:
        if quantity in self.values:
            return self.values[quantity]
        return self.missing or Missing(Status.BROKEN, f"gave no {quantity}")


class Reference(Protocol):
    """A reference, which answers the same problems as a subject: `r_nnet`, `numpy_net`, or a
    user's own.
    """

    @property
    def name(self) -> str: ...

    @property
    def source(self) -> str:
        """ "live" when R answers, "recorded" when it did, "stated" where no bound is derived,
        "computed" otherwise.
        """

    def title(self) -> str:
        """Name and version, as a failure shows it."""

    def cannot_answer(self, network: Family, quantity: str) -> str | None:
        """Why this reference cannot judge that, or None when it can."""

    def contract(self) -> Contract: ...

    def as_evaluated(self, problem: Problem) -> Problem:
        """The problem as the network that this reference really evaluates."""

    def observe(self, problem: Problem) -> Observation:
        """Return its answers at `problem.theta`, with gradients by theta unless `by_own`."""
