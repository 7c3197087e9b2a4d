"""What a trial came to."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """A status is its sentence: what happened and what follows. Listed from worst to best."""

    FAIL = "FAIL"
    BROKEN = "BROKEN"
    UNDEFINED = "UNDEFINED"
    VACUOUS = "VACUOUS"
    NOT_RUN = "NOT RUN"
    ABSENT = "ABSENT"
    PASS = "PASS"

    @property
    def meaning(self) -> str:
        return MEANINGS[self]

    @property
    def fails(self) -> bool:
        """Does this end the run with a failure?"""
        return self in (Status.FAIL, Status.BROKEN)


MEANINGS = {
    Status.FAIL: "differs by more than rounding, or is not finite, or has the wrong shape",
    Status.BROKEN: "it raised, died or passed its deadline",
    Status.UNDEFINED: "the exact answer leaves the range of the dtype",
    Status.VACUOUS: "the bound is too wide to judge by, or the tensor is never seen",
    Status.NOT_RUN: "it was never started",
    Status.ABSENT: "this machine, or this reference, cannot give the answer",
    Status.PASS: "inside the derived bounds",
}


class Skipped(Exception):
    """A trial that gives no evidence, and why: ABSENT, VACUOUS, UNDEFINED or NOT RUN."""


@dataclass(frozen=True)
class Verdict:
    """One trial's outcome; `budget_used` is the largest share of an allowed difference that was used (1 is the limit).

    `where`, `actual`, `expected` and `allowed` are of the worst element; `contract_share` is the part of `allowed` that
    comes from what the two contracts declare differently. `why` is the sentence a person reads.
    """

    id: str
    case: str
    subject: str
    reference: str
    source: str
    check: str
    device: str
    dtype: str
    status: Status
    budget_used: float | None = None
    where: str | None = None
    actual: float | None = None
    expected: float | None = None
    allowed: float | None = None
    contract_share: float | None = None
    why: str = ""
    seconds: float = 0.0
    question: str = ""
    expect: str = "equal"

    def record(self) -> dict[str, Any]:
        """The verdict as JSON holds it; numbers that JSON lacks (infinity, NaN) become strings."""
        return {
            name: repr(value) if isinstance(value, float) and value - value != 0 else value
            for name, value in asdict(self).items()
        }
