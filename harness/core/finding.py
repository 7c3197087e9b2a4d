"""The reason why a trial failed, as data; the module `wording` turns it into sentences.

A trial compares a subject (the implementation under test) with a reference.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Who = Literal["subject", "reference"]
# JSON has no number that is not finite: such a one goes by its name, which float() reads.
Figure = float | Literal["nan", "inf", "-inf"]


def figure(number: float) -> Figure:
    """Return a number as JSON can hold it: infinity and NaN become "inf", "-inf" and "nan"."""
    if math.isnan(number):
        return "nan"
    if math.isinf(number):
        return "inf" if number > 0 else "-inf"
    return float(number)


class Form(StrEnum):
    """The ways in which a trial can fail.

    Each way needs some of a finding's fields; the others keep their defaults.
    """

    OUTSIDE = "outside"  # two answers differ by more than rounding
    UNANSWERED = "unanswered"  # a quantity was not answered: `reason`
    CLAIM = "claim"  # a trainer claims what its final weights do not give: `claim`
    NOT_ZERO = "not zero"  # the subject's contrast was claimed to be 0
    ZERO = "zero"  # the contrast of the case's equations was claimed to be other than 0
    SAME = "same"  # two answers were claimed to differ
    MODELS = "models"  # two models do not match: `reason`
    REASON = "reason"  # there are no figures: `reason`


class HintKind(StrEnum):
    """The ways in which a hint can help."""

    LIKELY = "likely"  # `cause` explains the difference
    VANISHES = "vanishes"  # the difference vanishes under the condition `cause`: `write` states it
    NOTE = "note"  # `cause` is a sentence that narrows the cause down
    NO_PARAMETER = "no parameter"  # the subject has none for `cause`: `write` names a constant


@dataclass(frozen=True)
class Hint:
    """A possible cause of a failure, and the code that a user may write to mend it."""

    kind: HintKind
    cause: str
    write: str = ""


@dataclass(frozen=True)
class FirstOutside:
    """The first quantity outside its bounds, in order of computation: forward, loss, gradient,
    input_gradient.

    If it comes before the quantity that the finding is about, only `factor` is filled: its
    difference divided by the allowed one. Else the other fields are filled. `tensors` names its
    tensors outside their bounds, and `within` its tensors inside. `inside` names the earlier
    quantities, which are all inside their bounds; `most` is the largest share of a bound that they
    use.
    """

    quantity: str
    factor: Figure | None = None
    tensors: tuple[str, ...] = ()
    within: tuple[str, ...] = ()
    inside: tuple[str, ...] = ()
    most: Figure = 0.0


@dataclass(frozen=True)
class Layers:
    """How many of a model's intermediate numbers were recognised when it was judged layer by layer.

    The network's equations compute `of` numbers for a row of data. `seen` of them were recognised
    among the model's own, within their bounds. `missing` names the first activation that was not.
    """

    seen: int
    of: int
    missing: str = ""


@dataclass(frozen=True)
class Located:
    """An operation of torch, the layer (module) that ran it, and the line that called it.

    `line` is a file and a number, as "net.py:12", and `source` the text of that line; both are ""
    if no line of the user's called it. `caller` is the user's line that called the function of that
    line, if several lines called it, else "". `backward` says that the operation belongs to the
    backward pass. `owner` is the name of the reference if only it has this operation, else "".
    """

    operation: str
    layer: str = ""
    line: str = ""
    source: str = ""
    backward: bool = False
    owner: str = ""
    caller: str = ""


@dataclass(frozen=True)
class Claim:
    """A trainer's claim about its final weights: a loss or a prediction.

    `says` is "claims a loss of" or "predicts"; `start` is the number of the training start that it
    belongs to.
    """

    trainer: str
    says: str
    start: int


@dataclass(frozen=True)
class Reach:
    """How far one cause of failures reaches: all trials that fail for it.

    `witnesses` are the titles of their references; `devices` and `dtypes` are theirs too. `checks`
    names the checks that fail besides the first one, and `right` the checks that pass in all of the
    subject's trials. `trials` counts the trials that follow from the first failure.
    """

    witnesses: tuple[str, ...]
    devices: tuple[str, ...]
    dtypes: tuple[str, ...]
    checks: tuple[str, ...] = ()
    right: tuple[str, ...] = ()
    trials: int = 0


@dataclass(frozen=True)
class Finding:
    """The reason why a trial failed against the reference whose title is `against`.

    `where` names the worst element. Its figures are `actual`, `expected` (given by `witness`) and
    `allowed`, the difference that would be allowed. `factor` is the difference divided by the
    allowed one. `contract_share` is the part of `allowed` that comes from different declarations in
    the two contracts (the arithmetic that each side promises); `contract_reason` names them.

    `blamed` names the sides (subject, reference) that are outside their own bounds. `of_reference`
    says that a missing answer is the reference's, not the subject's. `ran` says how a compiled
    model ran. `first_operations` are the first operations at which the subject's numbers differ
    from the reference's. `losses` is a sentence about two losses that are no sums of squares.
    `reach` is filled at the end of a run: it has the other trials of the same cause.

    `script` is the path of a script that fails in the same way, `python` the path of the Python
    that runs it, and `no_script` the reason if there is no script. `rerun` is the shell line that
    runs the trial again.
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
    contract_reason: str = ""
    witness: str = ""
    claim: Claim | None = None
    first_outside: FirstOutside | None = None
    layers: Layers | None = None
    ran: str = ""
    blamed: tuple[Who, ...] = ()
    of_reference: bool = False
    losses: str = ""
    hints: tuple[Hint, ...] = ()
    first_operations: tuple[Located, ...] = ()
    reach: Reach | None = None
    script: str = ""
    python: str = "python"
    no_script: str = ""
    rerun: str = ""
