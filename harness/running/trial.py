"""From a trial to its verdict: evaluates both sides, judges their answers, and describes the
result.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

from harness.claims.contrast import contrast_verdict
from harness.claims.difference import difference_verdict
from harness.claims.taken_as import describe_taken
from harness.comparing.judge import Judgement
from harness.core.changed import changed
from harness.core.finding import Form, Hint, HintKind
from harness.core.formulation import Formulation
from harness.core.implementation import Missing
from harness.core.numpy_errors import ours
from harness.core.problem import ORDER, Problem
from harness.core.verdict import Status, Verdict
from harness.diagnosis.another_way import judge_by_operations
from harness.diagnosis.diagnose import diagnose, locate
from harness.diagnosis.following import find_cause, follow_measured
from harness.fits.verdicts import end_verdict
from harness.judging.cache import Cache
from harness.judging.case import ENDS, Trial
from harness.judging.comparison import (
    Comparison,
    blank,
    failure,
    finding_of,
    measured_verdict,
    missing,
)
from harness.judging.other_losses import describe_missing
from harness.judging.same_loss import same_loss
from harness.judging.store import Key
from harness.model.compiled import limited
from harness.model.devices import lacking
from harness.model.errors import raised, words_of
from harness.model.settings import hold_settings
from harness.reproduce.models import reproduce_models
from harness.reproduce.script import reproduce
from harness.same.case import SameModels
from harness.text.shell import find_python
from harness.training.as_network import describe_sums
from harness.training.trained import Trained
from harness.words.naming import describe_used, format_factor, tensors, title
from harness.words.wording import follow, with_finding

HERE = Path()  # the working folder


@dataclass(frozen=True)
class FirstTrial(Key[str]):
    """Cache key for the id of the first trial that failed because the problems of its case cannot
    be made.

    `said` is the message of the error.
    """

    said: str


@dataclass(frozen=True)
class TakenAs(Key[str]):
    """Cache key for the words that describe as which network a subject was judged."""

    formulation: Formulation


@ours()
def run(
    trial: Trial, cache: Cache, again: str = "", folder: Path | None = None, start: Path = HERE
) -> Verdict:
    """Return the verdict of a trial.

    `again` is the command line that runs the trial again; it becomes the last line of a failure.
    For a failure, a script that fails in the same way is written into `folder`, if there is one; a
    relative `folder` is relative to `start`. If a trial fails whose subject is known to fail, its
    verdict is KNOWN. While the trial runs, torch has the settings of the time when the case was
    made.
    """
    with hold_settings(trial.case.settings), limited():
        return _run(trial, cache, again, folder, start)


def _run(trial: Trial, cache: Cache, again: str, folder: Path | None, start: Path) -> Verdict:
    started = perf_counter()
    verdict = find_cause(trial, cache, _verdict(trial, cache))
    if verdict.status is Status.FAIL and trial.known:
        verdict = replace(verdict, status=Status.KNOWN, known=trial.known)
    seconds = perf_counter() - started
    cache.timing.seconds += seconds
    finding, script = verdict.finding, ""
    if verdict.follows:
        return changed(verdict, seconds=seconds)
    if finding is not None and verdict.status is Status.FAIL and folder:
        write = reproduce_models if isinstance(trial.case.judge, SameModels) else reproduce
        script, no_script = write(trial, cache, folder, start)
        python = find_python(start)
        finding = replace(finding, script=script, no_script=no_script, python=python)
    if finding is not None and verdict.status.fails:
        verdict = with_finding(verdict, replace(finding, rerun=again))
    return changed(verdict, alone=script, seconds=seconds)


def _verdict(trial: Trial, cache: Cache) -> Verdict:
    if lack := lacking(trial.device):
        return blank(trial, Status.NOT_RUN, lack)
    if trial.case.judge is not None:
        return trial.case.judge.judge(trial, cache)
    return end_verdict(trial, cache) if trial.check in ENDS else _compare(trial, cache)


def _compare(trial: Trial, cache: Cache) -> Verdict:
    """Return the verdict of a trial that compares a quantity, or that claims a difference.

    The verdict names the network as which the subject was judged, with restrictions of its
    parameters.
    """
    quantity = trial.check if trial.check in ORDER else "forward"
    if absent := _explain_absence(trial, quantity):
        return blank(trial, Status.ABSENT, absent)
    try:
        problems = cache.stacks(trial)
    except Exception as error:  # whatever a user's maker of problems raises
        plain = issubclass(type(error), ValueError | TypeError)
        said = words_of(error) if plain else f"its problems {raised(error)}"
        first = cache.get_or_make(FirstTrial(said), lambda: trial.id)
        verdict = failure(trial, Status.BROKEN, said)
        return verdict if first == trial.id else follow(verdict, first, said)
    verdict = _judge(trial, cache, problems, quantity)
    formulation, network = problems[0].formulation, trial.case.network
    key = TakenAs(formulation)
    taken = cache.get_or_make(key, lambda: describe_taken(formulation, network))
    if not taken:
        return verdict
    why = f"{verdict.why}; {taken}" if verdict.status is Status.PASS else verdict.why
    return changed(verdict, why=why, taken_as=taken)


def _judge(trial: Trial, cache: Cache, problems: Sequence[Problem], quantity: str) -> Verdict:
    """Return the verdict of a trial, from the answers of both sides to `problems`."""
    if trial.case.contrast:
        return contrast_verdict(trial, cache, problems, trial.case.contrast)
    comparison = Comparison(trial, cache, problems, quantity)
    judgement = comparison.judged(quantity)
    if isinstance(judgement, Missing):
        return missing(trial, describe_missing(comparison, judgement), quantity)
    where = comparison.where(judgement.index, judgement.stack)
    caveat = _describe_caveat(trial, problems)
    verdict = measured_verdict(trial, judgement, where, caveat)
    if trial.case.expect == "differs":
        return difference_verdict(comparison, judgement, verdict)
    if judgement.status is Status.FAIL:
        if same := same_loss(comparison):
            return _make_same_loss_verdict(comparison, *same)
        return _judge_failure(comparison, judgement, verdict)
    return changed(verdict, why=_write_sentence(comparison, judgement))


def _judge_failure(comparison: Comparison, judgement: Judgement, verdict: Verdict) -> Verdict:
    """Return the verdict on a subject whose answers are outside the rounding bounds of the
    network's equations; `judgement` shows this.

    It may still pass, if other operations that compute the same function explain its answers.
    """
    second = judge_by_operations(comparison)
    if second.judgement is not None:
        return _make_another_way_verdict(comparison, judgement, second.judgement)
    located = locate(comparison, judgement, verdict)
    following = follow_measured(comparison, verdict, located)
    if isinstance(following, Verdict):
        return following
    finding = diagnose(comparison, judgement, located)
    limits = verdict.caveat if isinstance(comparison.trial.subject, Trained) else ""
    notes = [Hint(HintKind.NOTE, why) for why in (second.why, following, limits) if why]
    return with_finding(verdict, replace(finding, hints=(*finding.hints, *notes)))


def _describe_caveat(trial: Trial, problems: Sequence[Problem]) -> str:
    """Return the limits of what a verdict on these problems proves, in words; "" if there are none.

    If some of a model's parameters only act as a sum, nothing is proved about the single ones.
    """
    said = [problem.caveat for problem in problems if problem.caveat]
    if said or isinstance(trial.subject, Trained):
        return "".join(said[:1])
    return describe_sums(trial.subject.name, problems[0].formulation)


def _explain_absence(trial: Trial, quantity: str) -> str:
    """Return why the reference or the subject has no answer in a trial; "" if both have one.

    A subject that computes in another dtype than the trial's has none.
    """
    subject, reference, dtype = trial.subject, trial.reference, trial.dtype
    own = subject.network or trial.case.network
    reasons = [reference.cannot_answer(own, quantity, dtype, "cpu")]
    if trial.case.contrast:
        reasons.append(reference.cannot_answer(trial.case.network, quantity, dtype, "cpu"))
    reasons.append(subject.cannot_answer(own, quantity, dtype, trial.device))
    if (computed_in := subject.contract(dtype).dtype) != dtype:
        reasons.append(f"{subject.name} computes in {computed_in}")
    return next(filter(None, reasons), "")


def _make_same_loss_verdict(
    comparison: Comparison, judgement: Judgement | None, by: str
) -> Verdict:
    """Return the verdict if the subject and the reference compute the same loss, but not the loss
    of the case.

    `by` says in words how they were compared; `judgement` is None if this was impossible.
    """
    if judgement is None:
        return blank(comparison.trial, Status.VACUOUS, by)
    verdict = measured_verdict(
        comparison.trial, judgement, comparison.where(judgement.index, judgement.stack)
    )
    if judgement.status is Status.FAIL:
        finding = finding_of(
            verdict, comparison.trial, Form.OUTSIDE, comparison.quantity, judgement.factor
        )
        return with_finding(verdict, replace(finding, losses=by))
    return replace(verdict, why=f"{_write_sentence(comparison, judgement)}; {by}")


def _make_another_way_verdict(
    comparison: Comparison, first: Judgement, second: Judgement
) -> Verdict:
    """Return the verdict on a subject that computes the same function as the network, by other
    operations.

    `first` is the judgement by the bounds of the network's own operations, which it exceeds; the
    verdict says by how much. `second` is the judgement by the bounds of its own operations.
    """
    where = comparison.where(second.index, second.stack)
    verdict = measured_verdict(comparison.trial, second, where)
    outside = comparison.where(first.index, first.stack)
    factor = format_factor(first.budget_used)
    caveat = (
        f"{comparison.trial.subject.name} computes the same function another way: it is judged by"
        " its own operations"
    )
    why = (
        f"{_write_sentence(comparison, second)}; same function, computed another way:"
        f" {title(comparison.quantity)} differs by {factor} times the rounding bound of the"
        f" network's own operations at {outside}"
    )
    return replace(verdict, why=why, caveat=caveat)


def _write_sentence(comparison: Comparison, judgement: Judgement) -> str:
    """Return the sentence that describes a trial that did not fail."""
    dtype, names = comparison.trial.dtype, tensors(comparison.problems[0], comparison.quantity)[0]
    if judgement.status is Status.UNDEFINED:
        return (
            f"the exact {title(comparison.quantity)} leaves the range of {dtype}: use smaller data"
        )
    if judgement.status is Status.PASS:
        return _describe_pass(comparison, judgement)
    unseen = ", ".join(names[i] for i in judgement.unseen)
    wide = ", ".join(names[i] for i in judgement.too_wide)
    reasons = []
    if unseen:
        verb = "are" if "," in unseen else "is"
        reasons.append(
            f"{unseen} {verb} never other than 0 (not seen): choose other data or parameters"
        )
    if wide:
        reasons.append(f"the bound of {wide} exceeds a tenth of its largest value in every draw")
    return "; ".join(reasons)


def _describe_pass(comparison: Comparison, judgement: Judgement) -> str:
    """Return in words how much of the rounding bound was used, how much was judged layer by layer,
    and whether the model was compiled.
    """
    used = describe_used(judgement.budget_used, comparison.trial.dtype)
    if comparison.trial.reference.source == "stated":
        used += ", widened by the error that its reference states"
    found, of, _ = comparison.stages()
    if of:
        seen = "all" if found == of else f"{found} of {of}"
        used += f", layer by layer ({seen} of its numbers seen)"
    if judgement.undefined:
        draws = sum(problem.draws for problem in comparison.problems)
        left_out = f"{judgement.undefined} of {draws} draws are not judged"
        used += f"; {left_out}: their answers are infinite or undefined"
    if comparison.ran:
        used += f"; it ran {comparison.ran}"
    return used
