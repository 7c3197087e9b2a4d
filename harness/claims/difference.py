"""The verdict on the claim that a subject and a reference differ at the same parameters."""

from dataclasses import dataclass, replace

import numpy as np

from harness.claims.arrangement import Arrangement, find_arrangement
from harness.claims.example import describe_example
from harness.claims.own_bounds import (
    find_reference_outside,
    find_subject_outside,
    real_contract,
)
from harness.comparing.judge import Judgement
from harness.core.finding import Finding, Form
from harness.core.implementation import Candidate
from harness.core.verdict import Status, Verdict
from harness.diagnosis.diagnose import other_meaning
from harness.judging.comparison import Comparison, finding_of, title_of
from harness.judging.store import Key
from harness.words.wording import with_finding

NOT_ASKED = "other parameters were not asked"


@dataclass(frozen=True)
class Arranged(Key[Arrangement]):
    """Cache key for the result of `find_arrangement` for a subject in a dtype on a device."""

    subject: str
    dtype: str
    device: str


def difference_verdict(comparison: Comparison, judgement: Judgement, verdict: Verdict) -> Verdict:
    """Return the verdict on the claim that subject and reference differ, made from `verdict`.

    It passes with a counterexample: two finite answers further apart than both bounds allow. The
    reference must be inside its own bounds everywhere. The difference must not vanish if the
    subject's parameters are mapped to the network's in another way, and the subject must not be
    constant.
    """
    trial, title = comparison.trial, title_of(comparison.trial)
    if outside := find_reference_outside(comparison):
        reason = f"the difference comes from {title}, which is outside its own bounds: {outside}"
        return _fail(comparison, verdict, reason)
    if not _is_counterexample(judgement):
        finding = finding_of(verdict, trial, Form.SAME, comparison.quantity)
        return with_finding(replace(verdict, status=Status.FAIL), finding)
    why = describe_example(comparison, judgement)
    outside = find_subject_outside(comparison)
    if not outside:
        hidden = _describe_undeclared(comparison)
        why += f"; {trial.subject.name} is the network, {title} does not declare {hidden}"
        return replace(verdict, status=Status.PASS, why=why)
    if not isinstance(trial.subject, Candidate) or comparison.quantity != "forward":
        return replace(verdict, status=Status.PASS, why=why)
    reason, remark = _find_objection(comparison, outside)
    if reason:
        return _fail(comparison, verdict, reason)
    return replace(verdict, status=Status.PASS, why=f"{why}{remark}; {NOT_ASKED}")


def _is_counterexample(judgement: Judgement) -> bool:
    """Are the two answers shown finite, and further apart than both bounds allow?"""
    finite = np.isfinite([judgement.actual, judgement.expected]).all()
    return bool(finite and abs(judgement.actual - judgement.expected) > judgement.allowed)


def _describe_undeclared(comparison: Comparison) -> str:
    """Return, in words, the promises by which the reference really computes but which it does not
    declare; "" if there are none.
    """
    reference, dtype = comparison.trial.reference, comparison.trial.dtype
    declared = reference.contract(dtype).sentence()
    parts = real_contract(reference, dtype).sentence().split(", ")
    hidden = [part for part in parts if part not in declared]
    return ", ".join(hidden)


def _fail(comparison: Comparison, verdict: Verdict, reason: str) -> Verdict:
    finding = Finding(Form.REASON, title_of(comparison.trial), reason)
    return with_finding(replace(verdict, status=Status.FAIL), finding)


def _find_objection(comparison: Comparison, outside: str) -> tuple[str, str]:
    """Return a pair of texts: why the subject's difference from the network does not count, and a
    remark on a difference that counts; at least one is "".

    `outside` says where the subject is outside the bounds of the network.
    """
    trial, cache = comparison.trial, comparison.cache
    subject, network = trial.subject, comparison.formulation.network
    if network is not trial.case.network:
        sentence = f"{subject.name} is not the network of its own that it is said to be"
        return f"{sentence}, {network.sentence()}: {outside}", ""
    coarse = replace(trial.contract, absolute_activations=True)
    judged = comparison.judged(comparison.quantity, coarse)
    if isinstance(judged, Judgement) and judged.budget_used <= 1:
        return "it differs only by digits that its tanh or logistic loses where it is small", ""
    if meaning := other_meaning(comparison):
        return f"it does not differ if its parameters mean this: parameters={meaning}", ""
    key = Arranged(subject.name, trial.dtype, trial.device)
    arrangement = cache.get_or_make(key, lambda: find_arrangement(comparison))
    if arrangement.constant:
        return f"{arrangement.constant}, which is no counterexample: {outside}", ""
    if arrangement.order:
        return f"it does not differ if its parameters are taken otherwise: {arrangement.order}", ""
    return "", arrangement.remark
