"""Why a trial failed, as data; `wording` makes its sentences."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Who = Literal["subject", "reference"]
# JSON has no number that is not finite: such a one goes by its name, which float() reads.
Figure = float | Literal["nan", "inf", "-inf"]


def figure(number: float) -> Figure:
    """A number as JSON can hold it."""
    if math.isnan(number):
        return "nan"
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    return float(number)


class Form(StrEnum):
    """In which way a trial fails; a finding of each form has the fields that its form needs."""

    OUTSIDE = "outside"  # two answers differ by more than rounding
    UNANSWERED = "unanswered"  # a quantity was not answered: `reason`
    CLAIM = "claim"  # a trainer claims what its final weights do not give: `claim`
    NOT_ZERO = "not zero"  # the subject's contrast was claimed to be 0
    ZERO = "zero"  # the contrast of the case's equations was claimed to be other than 0
    SAME = "same"  # two answers were claimed to differ
    REASON = "reason"  # there are no figures: `reason`


class HintKind(StrEnum):
    """In which way a hint helps."""

    LIKELY = "likely"  # `cause` explains the difference
    VANISHES = "vanishes"  # the difference vanishes under the condition `cause`: `write` states it
    NO_PARAMETER = "no parameter"  # the subject has none for `cause`: `write` names a constant


@dataclass(frozen=True)
class Hint:
    """How a failure may have come about, and what its user may write to mend it."""

    kind: HintKind
    cause: str
    write: str = ""


@dataclass(frozen=True)
class FirstOutside:
    """The first quantity outside its bounds, in order of computation.

    An earlier quantity than the finding's has its `factor` only. The finding's own quantity has the
    names of its tensors outside and within, and the earlier quantities, all of which are inside,
    with the largest share `most` of a bound that they use.
    """

    quantity: str
    factor: Figure | None = None
    tensors: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    most: Figure = 0.0


@dataclass(frozen=True)
class Layers:
    """How many numbers of a row were seen on the subject's way, of how many, and the first
    activation that was not seen.
    """

    seen: int
    of: int
    missing: str = ""


@dataclass(frozen=True)
class Claim:
    """What a trainer says of its final weights (`claims a loss of`, `predicts`), at which start."""

    trainer: str
    says: str
    start: int


@dataclass(frozen=True)
class Finding:
    """Why a trial failed against the reference whose title is `against`.

    `actual`, `expected` (which `witness` gave) and `allowed` are of the worst element, `where`;
    `factor` is how many times the allowed difference it differs by, `contract_share` the part of
    `allowed` that the two contracts declare. `blamed` are the sides that are outside their own
    bounds. `ran` says how a compiled model ran, `losses` what holds of two losses that are no sum
    of squares. `script` is the path of a script that fails in the same way, `no_script` why there
    is none, `rerun` the line that runs the trial again.
    """

    form: Form
    against: str
    reason: str = ""
    quantity: str = ""
    where: str | None = None
    actual: Figure | None = None
    expected: Figure | None = None
    allowed: Figure | None = None
    factor: Figure | None = None
    contract_share: Figure = 0.0
    witness: str = ""
    claim: Claim | None = None
    first_outside: FirstOutside | None = None
    layers: Layers | None = None
    ran: str = ""
    blamed: tuple[Who, ...] = ()
    losses: str = ""
    hints: tuple[Hint, ...] = ()
    script: str = ""
    no_script: str = ""
    rerun: str = ""
