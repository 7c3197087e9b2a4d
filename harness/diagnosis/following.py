"""Finds failures that follow from an earlier one of their case, so that one mistake is reported
once.

Two failures have one cause if the same side is wrong, and the same quantity is the first wrong one
in order of computation; `second_mistake` finds exceptions.
"""

import re
from dataclasses import dataclass, field, replace

from harness.core.finding import Finding, Form, HintKind
from harness.core.problem import ORDER
from harness.core.verdict import Verdict
from harness.diagnosis.second_mistake import describe_second_mistake
from harness.judging.cache import Cache
from harness.judging.case import Trial
from harness.judging.comparison import Comparison
from harness.judging.store import Key
from harness.words.wording import follow, headline

Cause = tuple[str, ...]


@dataclass(frozen=True)
class First:
    """The first failure of a cause."""

    trial: Trial
    verdict: Verdict


@dataclass
class Failures:
    """The failures of a case so far: the first of each cause, and of each cause in a dtype on a
    device.

    The keys of `firsts` are causes, with and without the dtype and the device.
    """

    firsts: dict[Cause, First] = field(default_factory=dict)

    def note(self, trial: Trial, verdict: Verdict) -> None:
        """Store a failure that follows from no other one."""
        if verdict.finding is None or trial.known:
            return
        cause, first = identify_cause(verdict, verdict.finding), First(trial, verdict)
        self.firsts.setdefault(cause, first)
        self.firsts.setdefault((*cause, trial.dtype, trial.device), first)

    def find(self, trial: Trial, verdict: Verdict, finding: Finding) -> First | None:
        """Return the first failure with the same cause as this one, else None.

        A failure with the same dtype and device is preferred.
        """
        if trial.known:
            return None
        cause = identify_cause(verdict, finding)
        return self.firsts.get((*cause, trial.dtype, trial.device)) or self.firsts.get(cause)


@dataclass(frozen=True)
class EarlierFailures(Key[Failures]):
    """Cache key for the failures of the case; nothing is stored if every failure is to be reported
    in full.
    """


def identify_cause(verdict: Verdict, finding: Finding) -> Cause:
    """Return a key for the cause of a failure in its case. A wrong reference is one cause for all
    subjects.
    """
    who: Cause = (verdict.subject,)
    if finding.blamed == ("reference",) or finding.of_reference:
        who = ("", verdict.reference)
    elif "reference" in finding.blamed:
        who = (verdict.subject, verdict.reference)
    if finding.first_outside is not None:
        return (*who, finding.form, finding.first_outside.quantity)
    likely = [hint.cause for hint in finding.hints if hint.kind is HintKind.LIKELY]
    if likely:
        return (*who, "likely", re.sub(r" \([^()]*\)$", "", likely[0]))
    if finding.form is Form.MODELS and finding.quantity:
        operations = [f"{each.operation} {each.line}" for each in finding.first_operations]
        return (*who, finding.form, finding.quantity, *operations)
    if finding.reason:
        return (*who, finding.form, verdict.status, _without_setting(verdict, finding.reason))
    return (*who, finding.form, finding.quantity)


def _without_setting(verdict: Verdict, reason: str) -> str:
    """Return a reason without the names of the trial's parts, which differ from trial to trial."""
    for name in (verdict.dtype, verdict.device, *reversed(ORDER)):
        reason = reason.replace(name, "")
    return reason


def find_cause(trial: Trial, cache: Cache, verdict: Verdict) -> Verdict:
    """Return the verdict of a trial, with a note if it follows from an earlier failure.

    A failure without numbers follows from an earlier one with the same cause. Any other failure is
    stored as the first of its cause.
    """
    failures, finding = cache.get(EarlierFailures()), verdict.finding
    if failures is None or finding is None or not verdict.status.fails or verdict.follows:
        return verdict
    if finding.first_outside is None and (first := failures.find(trial, verdict, finding)):
        return _follow(verdict, finding, first.verdict)
    failures.note(trial, verdict)
    return verdict


def follow_measured(comparison: Comparison, verdict: Verdict, finding: Finding) -> Verdict | str:
    """Return the verdict of a failed trial, with a note if it follows from an earlier failure of
    its case.

    If it has a cause of its own, return instead the reason why it does not follow, in words: "" if
    no earlier failure has the same cause.
    """
    failures, trial = comparison.cache.get(EarlierFailures()), comparison.trial
    first = failures.find(trial, verdict, finding) if failures else None
    if first is None:
        return ""
    if second := describe_second_mistake(comparison, first.trial):
        return second
    return _follow(verdict, finding, first.verdict)


def _follow(verdict: Verdict, finding: Finding, first: Verdict) -> Verdict:
    return follow(replace(verdict, finding=finding), first.id, headline(first))
