"""The verdicts on two models: are they the same function, as well computed, with the same
precision?
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from harness.core.finding import Finding, Form, Hint, Located, figure
from harness.core.verdict import Status, Verdict
from harness.judging.case import Trial
from harness.judging.comparison import blank, failure, title_of
from harness.mapping.models import Models
from harness.matching.calling import Call
from harness.matching.compare import Compared, is_judged_as_run
from harness.matching.outcomes import WORSE_BITS
from harness.matching.result import Result
from harness.rules.precision import precision_of
from harness.same.call_sentences import describe_call, list_call_notes
from harness.same.dropout_sentences import (
    describe_lacking,
    describe_switched_off,
    describe_unequal,
    list_dropout_notes,
)
from harness.same.evidence import UNPAIRED, Evidence, Shown
from harness.same.input_sentences import describe_written, describe_written_theirs
from harness.same.narrow_sentences import describe_alike, describe_lost, describe_moved
from harness.same.notes import Note, list_notes
from harness.same.output_sentences import describe_dtypes, describe_kinds, describe_paired
from harness.same.precision_sentences import describe_run, describe_worse
from harness.same.sentences import (
    describe_backwards,
    describe_difference,
    describe_function,
    describe_limits,
    describe_outside,
    describe_shape,
    describe_unjudged,
    describe_unruled,
    describe_well_computed,
    describe_widening,
    name_element,
    name_place,
)
from harness.same.state_sentences import describe_counters, describe_statistics
from harness.same.switched_sentences import describe_switched
from harness.same.unseen import describe_constant, describe_settings
from harness.same.unset import describe_unset
from harness.words.wording import with_finding

FUNCTION, COMPUTED, PRECISION = QUESTIONS = ("same-function", "well-computed", "precision-kept")
LOST_BITS = 1.0  # more than in its own dtype: an operation loses precision
# where the first question has no answer, the others are not asked
NOT_JUDGED = (Status.VACUOUS, Status.UNDEFINED, Status.ABSENT)


@dataclass(frozen=True, eq=False)
class Judged:
    """A trial of two models, in a mode, with its evidence."""

    trial: Trial
    models: Models
    evidence: Evidence
    mode: str


def judge_models(
    trial: Trial, models: Models, evidence: Evidence, question: str, mode: str
) -> Verdict:
    """Return the verdict on `question`, one of QUESTIONS, in a mode ("train" or "eval")."""
    judged = Judged(trial, models, evidence, mode)
    if evidence.broken:
        return failure(trial, Status.BROKEN, evidence.broken)
    judges: dict[str, Callable[[Judged], Verdict]] = {
        FUNCTION: judge_function,
        COMPUTED: judge_computed,
        PRECISION: judge_precision,
    }
    if question != FUNCTION and (evidence.missing or evidence.random):
        return blank(trial, Status.ABSENT, evidence.random or f"no evidence: {evidence.missing}")
    if question != FUNCTION:
        function = judge_function(judged)
        if function.status in NOT_JUDGED:
            return blank(trial, function.status, function.why)
    return judges[question](judged)


def judge_function(judged: Judged) -> Verdict:
    """Return the verdict on whether both models are the same function of the same parameters."""
    trial, models, evidence = judged.trial, judged.models, judged.evidence
    if evidence.missing:
        return _fail(judged, evidence.missing)
    if evidence.random:
        return blank(trial, Status.ABSENT, evidence.random)
    if judged.mode == "eval" and (unset := describe_unset(models)):
        return blank(trial, Status.VACUOUS, unset)
    failures = evidence.failures()
    if failures:
        return _fail_function(judged, failures)
    if kinds := describe_kinds(models.given, evidence):
        return _fail(judged, kinds)
    if found := evidence.find_call():
        return _fail_call(judged, *found)
    if reason := _find_other_failure(judged):
        return _fail(judged, reason)
    if unjudged := describe_unjudged(models, evidence) or describe_unequal(models, evidence):
        status, reason = unjudged
        return blank(trial, status, reason)
    worst = max(evidence.judged(), key=lambda shown: shown.compared.factor)
    limits = [
        describe_switched_off(evidence),
        describe_switched(models, judged.mode),
        describe_written_theirs(models, evidence),
    ]
    function = describe_function(models, evidence, judged.mode, trial.dtype)
    verdict = blank(trial, Status.PASS, "; ".join(filter(None, [function, *limits])))
    return replace(
        verdict,
        budget_used=worst.compared.factor,
        where=name_element(worst),
        caveat="; ".join(filter(None, [*limits, *_list_caveats(judged)])),
    )


def _find_other_failure(judged: Judged) -> str:
    """Return why models fail whose answers agree; "" if they do not fail."""
    models, evidence = judged.models, judged.evidence
    return (
        describe_written(models, evidence)
        or describe_widening(models)
        or (describe_statistics(models) if judged.mode == "train" else "")
        or describe_lacking(models, evidence)
    )


def _list_caveats(judged: Judged) -> list[str]:
    """Return notes on a pass, as sentences; an empty one says nothing."""
    counters = describe_counters(judged.models) if judged.mode == "train" else ""
    return [
        describe_limits(judged.models, judged.trial.dtype),
        describe_paired(judged.models),
        describe_dtypes(judged.models.given, judged.evidence),
        counters,
        describe_constant(judged.models),
        describe_settings(judged.models),
    ]


def _fail_function(judged: Judged, failures: list[Shown]) -> Verdict:
    """Return the verdict on models with answers that differ."""
    models, evidence = judged.models, judged.evidence
    worst = find_worst(evidence) or failures[0]
    compared = worst.compared
    first = tuple(worst.result.first.get(compared.answer, ()))
    if compared.outcome in UNPAIRED:
        return _fail(judged, describe_shape(models, worst, judged.mode), first)
    if math.isnan(compared.actual):
        return _fail(judged, describe_difference(worst), first)
    notes = [*list_notes(models, evidence, failures), *list_dropout_notes(models, evidence)]
    return _fail_at(judged, describe_difference(worst), compared, name_element(worst), notes, first)


def _fail_call(judged: Judged, call: Call, result: Result) -> Verdict:
    """Return the verdict on models that differ only in a way of calling them."""
    models = judged.models
    sentence = describe_call(models, call, result)
    if call.said:
        return _fail(judged, sentence)
    where = name_place(call.answer, call.where, result.ask.label)
    return _fail_at(judged, sentence, call, where, list_call_notes(models, call))


def _fail_at(
    judged: Judged,
    reason: str,
    one: Compared | Call,
    where: str,
    notes: Sequence[Note],
    first: tuple[Located, ...] = (),
) -> Verdict:
    """Return a failing verdict with the figures of the element `where` of an answer.

    `first` are the first operations that differ.
    """
    finding = Finding(
        Form.MODELS,
        title_of(judged.trial),
        reason,
        one.answer,
        where,
        figure(one.actual),
        figure(one.expected),
        figure(one.allowed),
        figure(one.factor),
        witness=judged.models.given.name_reference,
        hints=_make_hints(notes),
        first_operations=first,
    )
    verdict = replace(
        blank(judged.trial, Status.FAIL, ""),
        budget_used=one.factor,
        where=where,
        actual=one.actual,
        expected=one.expected,
        allowed=one.allowed,
    )
    return with_finding(verdict, finding)


def find_worst(evidence: Evidence) -> Shown | None:
    """Return the answer that a failure shows: an answer with another shape or else the first answer
    that differs.
    """
    failures = evidence.failures()
    shapes = [each for each in failures if each.compared.outcome in UNPAIRED]
    return next(iter([*shapes, *failures]), None)


def _make_hints(notes: Sequence[Note]) -> tuple[Hint, ...]:
    return tuple(Hint(*note) for note in notes)


def _fail(judged: Judged, reason: str, operations: tuple[Located, ...] = ()) -> Verdict:
    """Return a failing verdict with a reason and no figures."""
    notes = [one for one in list_notes(judged.models, judged.evidence, []) if one[1] != reason]
    notes += list_dropout_notes(judged.models, judged.evidence, reason)
    finding = Finding(
        Form.MODELS,
        title_of(judged.trial),
        reason,
        hints=_make_hints(notes),
        first_operations=operations,
    )
    return with_finding(blank(judged.trial, Status.FAIL, ""), finding)


def judge_computed(judged: Judged) -> Verdict:
    """Return the verdict on whether the subject computes as well as its dtype allows."""
    trial, evidence = judged.trial, judged.evidence
    if outside := evidence.outside():
        return _fail(judged, describe_outside(*outside, trial.dtype))
    wrong = evidence.wrong_backwards()
    if wrong and not judged.models.given.own_backward:
        return _fail(judged, describe_backwards(wrong))
    if evidence.unruled():
        return blank(trial, Status.VACUOUS, describe_unruled(evidence))
    worst = evidence.worst_run()
    if worst is None:
        return blank(trial, Status.VACUOUS, "no answer has a bound to judge it by")
    if worst.compared.run_factor > 1 and is_judged_as_run(worst.compared):
        return _fail(judged, describe_run(worst, trial.subject.name, trial.dtype))
    sentence = describe_well_computed(evidence, trial.dtype)
    if wrong:
        sentence += (
            f"; a backward pass of its own is no derivative ({judged.models.given.own_backward})"
        )
    verdict = blank(trial, Status.PASS, sentence)
    return replace(verdict, budget_used=worst.compared.run_factor, where=worst.answer)


def judge_precision(judged: Judged) -> Verdict:
    """Return the verdict on whether the subject loses more digits than its dtype requires."""
    trial, evidence, given = judged.trial, judged.evidence, judged.models.given
    lost, found = evidence.find_lost(), evidence.find_worse()
    if lost is None:
        if evidence.unruled():
            return blank(trial, Status.VACUOUS, describe_unruled(evidence))
        return blank(trial, Status.VACUOUS, "no answer has a bound to judge it by")
    another = judge_function(judged).status is Status.FAIL  # its form may need other bits
    worse = found[0] if found and not another else 0.0
    reason = _explain_lost(judged, lost)
    if not reason and found and worse > WORSE_BITS:
        reason = describe_worse(worse, found[1], given.name_reference)
    share = max(lost[0] / LOST_BITS, worse / WORSE_BITS)
    if reason and given.precision_lost:
        why = f"precision is lost as declared: {reason} ({given.precision_lost})"
        caveat = f"Precision is lost as declared: {given.precision_lost}"
        return replace(blank(trial, Status.PASS, why), budget_used=min(share, 1.0), caveat=caveat)
    if reason:
        sentence = f'{reason}; if it is meant, write precision_lost="why"'
        return _fail(judged, sentence)
    if another:
        why = f"precision is not judged: it is another function than {given.name_reference}"
        return replace(blank(trial, Status.ABSENT, why), applicable=False)
    passed = f"no precision is lost: at most {lost[0]:.1f} bits by operations in a narrower dtype"
    if alike := evidence.find_alike(LOST_BITS, precision_of(trial.dtype).stored):
        passed = f"no more precision is lost: {describe_alike(given, alike)}"
    if found is None:
        passed += (
            f"; its form is not judged, since rounding in {trial.dtype} may change each answer of"
            f" {given.name_reference} by its size"
        )
    else:
        passed += f", and {worse:.1f} bits more than by the operations of {given.name_reference}"
    if given.precision_lost:
        passed += f"; declared was: {given.precision_lost}"
    return replace(blank(trial, Status.PASS, passed), budget_used=share)


def _explain_lost(judged: Judged, lost: tuple[float, Shown]) -> str:
    """Return why the subject loses digits in a narrower dtype that the reference does not lose: by
    its bounds (`lost`), or by the observed roundings; "" if it does not.
    """
    dtype, roundoff = judged.trial.dtype, precision_of(judged.trial.dtype).stored
    if lost[0] >= LOST_BITS:
        return describe_lost(*lost, dtype)
    moved = judged.evidence.find_moved(roundoff)
    return describe_moved(moved, dtype, roundoff) if moved else ""
