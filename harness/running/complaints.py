"""The reasons why a run fails although none of its trials fails."""

from collections import Counter
from collections.abc import Sequence

from harness.core.report import grouped
from harness.core.verdict import Status, Verdict
from harness.judging.case import Trial
from harness.model.devices import lacking
from harness.reporting.answers import count_checks
from harness.running.findings import Findings
from harness.text.harmless import printable

OF_TWO_MODELS = "same-function"  # the checks of a case in which the reference always answers
NAMED = 3  # cases without evidence that are named, before the rest is counted


def make_complaints(found: Findings, is_whole: bool) -> list[str]:
    """Return a sentence for each reason, other than a failed trial, why the run fails.

    `is_whole` says whether pytest has run all chosen tests.
    """
    lines = [
        f"{where}: the case {case} was not collected: give it a name of its own, test_... ="
        " verify(...), or call verify inside a test"
        for where, case in found.uncollected
    ]
    if without := find_cases_without_evidence(found):
        by_advice = grouped(without, lambda test: advise(_get_verdicts(found, test)))
        for advice, tests in by_advice.items():
            each = "it" if len(tests) == 1 else "each"
            lines.append(
                f"{_enumerate(tests)}: nothing could be checked, which counts as a failure;"
                f" {advice.format(each)}"
            )
    elif is_whole and found.chosen and not _has_evidence(list(found.verdicts.values())):
        checks = "the check that was chosen" if found.chosen == 1 else f"{found.chosen} checks"
        lines.append(f"nothing could be checked in {checks}, which counts as a failure")
    return lines + _describe_mended(found)


def advise(verdicts: Sequence[Verdict]) -> str:
    """Return advice on trials that could not be judged: the reference is seldom the reason.
    {} stands for the case.
    """
    if any(verdict.status is Status.UNDEFINED for verdict in verdicts):
        return "the numbers are not finite, or leave the dtype: give {} other data or parameters"
    if any(verdict.status is Status.VACUOUS for verdict in verdicts):
        return "the reasons stand above: give {} other data, or a dtype that rounds less"
    if any(verdict.status is Status.ABSENT and not verdict.applicable for verdict in verdicts):
        return "the reasons stand above: give {} other dtypes or modes, or mend the model"
    is_missing = bool(verdicts) and all(lacking(verdict.device) for verdict in verdicts)
    if is_missing or any(verdict.check.startswith(OF_TWO_MODELS) for verdict in verdicts):
        return "the reason stands above: run {} where that is there, or choose other devices"
    return "give {} a reference that can answer"


def find_cases_without_evidence(found: Findings) -> list[str]:
    """Return the tests whose trials have all run although none could be judged. Such a run does not
    pass.
    """
    without = []
    for test, case in found.cases.items():
        verdicts = _get_verdicts(found, test)
        is_asked = case.trials or any(name.startswith(f"{test}[") for name in found.never)
        if is_asked and len(verdicts) == case.trials and not _has_evidence(verdicts):
            without.append(test)
    return without


def describe_impossible(trials: Sequence[Trial]) -> str:
    """Return the reason why no trial of a case can be judged on any machine, with advice."""
    case = trials[0].case
    reasons = Counter(trial.impossible.partition(";")[0] for trial in trials)
    lines = [f"nothing can be checked in {case.name}, which counts as a failure"]
    for reason, count in reasons.most_common():
        lines.append(f"  {reason} ({count_checks(count)})")
    lines.append("  add a reference that can answer: references=[..., numpy_net]")
    return printable("\n".join(lines))


def describe_known_alone(found: Findings) -> list[str]:
    """Return a sentence for each case in which no trial passes and some subjects are known to
    fail.
    """
    sentences = []
    for test in found.cases:
        verdicts = _get_verdicts(found, test)
        known = [verdict.known for verdict in verdicts if verdict.status is Status.KNOWN]
        if known and not any(verdict.status is Status.PASS for verdict in verdicts):
            sentences.append(f"{test}: no trial passed, and its failures are known ({known[0]})")
    return sentences


def _describe_mended(found: Findings) -> list[str]:
    """Return a sentence for each subject that was known to fail and now passes in all of its
    trials.
    """
    sentences = []
    for (test, subject), known in found.known.items():
        verdicts = [verdict for verdict in _get_verdicts(found, test) if verdict.subject == subject]
        still_fails = any(verdict.status is Status.KNOWN for verdict in verdicts)
        if len(verdicts) == known.trials and not still_fails:
            sentences.append(
                f"{test}: {subject} was known to fail ({known.why}), and passes now: remove known="
            )
    return sentences


def _get_verdicts(found: Findings, test: str) -> list[Verdict]:
    return [verdict for name, verdict in found.verdicts.items() if name.startswith(f"{test}[")]


def _has_evidence(verdicts: Sequence[Verdict]) -> bool:
    return any(verdict.status.judges for verdict in verdicts)


def _enumerate(tests: Sequence[str]) -> str:
    """Return a text with the names of the first NAMED tests, and the number of the others."""
    named = ", ".join(tests[:NAMED])
    if len(tests) > NAMED:
        named += f" and {len(tests) - NAMED} more"
    return named
