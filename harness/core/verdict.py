"""The outcome of a trial, which compares a subject with a reference."""

from dataclasses import asdict, dataclass
from enum import StrEnum

from harness.core.finding import Finding

R = ("live", "recorded")  # the sources of what R itself computed, now or when it was recorded


class Status(StrEnum):
    """The outcome of a trial, from worst to best."""

    FAIL = "FAIL"  # differs by more than rounding, is not finite, or has the wrong shape
    BROKEN = "BROKEN"  # raised, died or passed its deadline
    KNOWN = "KNOWN"  # fails as its case or subject says that it does
    UNDEFINED = "UNDEFINED"  # the exact answer leaves the range of the dtype
    VACUOUS = "VACUOUS"  # the bound is too wide to judge by, or the tensor is never seen
    NOT_RUN = "NOT RUN"  # never started
    ABSENT = "ABSENT"  # this machine, or this reference, cannot give the answer
    PASS = "PASS"  # inside the derived bounds

    @property
    def fails(self) -> bool:
        """Does this status make the whole run fail?"""
        return self in (Status.FAIL, Status.BROKEN)

    @property
    def judges(self) -> bool:
        """Does this status come from a comparison of numbers, whether it passed or failed?"""
        return self.fails or self in (Status.KNOWN, Status.PASS)


@dataclass(frozen=True)
class Verdict:
    """One trial's outcome, with the figures of one element.

    It is the element that used most of its bound or, in a failure, the one with the largest
    difference for its tensor. `where` names it; `actual`, `expected` and `allowed` are its figures.
    `budget_used` is the largest share of an allowed difference that any element used (1 is the
    limit). `contract_share` is the part of `allowed` that comes from different declarations in the
    two contracts.

    `why` is the sentence that a person reads. For a failure, `wording` makes it from `finding`,
    which holds the same as data. `alone` is the path of a script that fails in the same way.
    `taken_as` names the network as which the subject was judged, and the restrictions of its
    parameters, if it has a network of its own. `known` says why a failure is expected, and `caveat`
    names the limits of the evidence. `follows` is the id of the first failure of the same cause in
    the case, "" for that first failure itself. `applicable` is False if the two can never be
    compared in this check: one of them has no such answer on any machine.
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
    alone: str = ""
    known: str = ""
    caveat: str = ""
    taken_as: str = ""
    follows: str = ""
    applicable: bool = True
    finding: Finding | None = None

    def record(self) -> dict[str, object]:
        """Return the verdict as a dict for JSON. Infinity and NaN become null; `why` still names
        them.
        """
        values = asdict(self).items()
        return {
            name: None if isinstance(value, float) and value - value != 0 else value
            for name, value in values
        }
