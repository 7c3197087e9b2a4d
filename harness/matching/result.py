"""The result of evaluating both models once: the comparisons of their answers, and explanations of
their differences.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.core.finding import Located
from harness.locating.causes import Cause
from harness.matching.calling import Call
from harness.matching.compare import Compared
from harness.matching.dropping import Dropping
from harness.matching.kinds import Held
from harness.matching.respondent import Ask

AS_BUILT = "as built"


@dataclass(frozen=True, eq=False)
class Outside:
    """An operation of the subject whose result is outside its own rounding bound. `share` is its
    error divided by the bound.
    """

    operation: Located
    share: float


@dataclass(frozen=True)
class Written:
    """The inputs into which a model writes, by name, and the first line that does so ("" if none
    is found).
    """

    names: Sequence[str]
    line: str


@dataclass(frozen=True, eq=False)
class Result:
    """The result of evaluating both models with the same parameters and data (`ask`).

    `compared` are the comparisons of their answers.

    `first` has, by the name of each answer that differs, the first operations of the subject whose
    results the reference does not compute. `outside` are operations outside their own rounding
    bounds; `unruled` are operations for which no bound is known. `swapped` maps the name of an
    output to that of another output of the reference, which it equals. `random` is the reason why
    random numbers prevent a comparison, `missing` the reason why the subject's randomness certainly
    differs, and `broken` the reason why a model has no answers. `not_finite` has a sentence by the
    name of each answer that is not finite on some side. `digest` is a digest of all answers and
    operations. `backwards` are the subject's own autograd functions whose backward pass is not the
    derivative of their forward pass. `left` is the line of source at which numbers leave torch, as
    for NumPy. `endless` is the subject's first operation that made finite numbers infinite or NaN,
    and would not in float64. `causes` are likely causes of the first difference. `calls` are other
    ways of calling both models in which their answers differ, as under torch.no_grad().
    `dropping` compares the dropouts of both models if all dropout was switched off. `written` and
    `written_theirs` are the inputs into which only the subject, or only the reference, writes.
    `by_storing` says that numbers which both models hold in float32 explain all that differs.
    """

    ask: Ask
    compared: Sequence[Compared] = ()
    first: Mapping[str, Sequence[Located]] = field(default_factory=dict)
    outside: Sequence[Outside] = ()
    unruled: Sequence[Located] = ()
    swapped: Mapping[str, str] = field(default_factory=dict)
    random: str = ""
    missing: str = ""
    broken: str = ""
    draws: int = 0
    not_finite: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""
    backwards: Sequence[str] = ()
    rounded: bool = False  # are constants allowed to be rounded?
    fused: float = 0.0  # how many times a fused kernel is outside what its steps may lose
    left: str = ""
    endless: Located | None = None
    causes: Sequence[Cause] = ()
    calls: Sequence[Call] = ()
    dropping: Dropping | None = None
    written: Written | None = None
    written_theirs: Written | None = None
    held: Sequence[Held] = ()
    by_storing: bool = False
