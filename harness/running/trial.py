"""From one trial to its verdict: observe both, judge, and say what came of it."""

from dataclasses import replace
from pathlib import Path
from time import perf_counter

import numpy as np

from harness.core.implementation import Missing
from harness.core.judge import Judgement
from harness.core.naming import distinct_digits, tensors, title
from harness.core.numpy_errors import ours
from harness.core.problem import ORDER
from harness.core.verdict import Status, Verdict
from harness.judging.cache import Cache
from harness.judging.case import ENDS, Trial
from harness.judging.comparison import Comparison, blank, heading, measured, missing
from harness.judging.contrast import contrasted
from harness.judging.diagnosis import explained, explained_by_slopes, other_meaning
from harness.judging.fitting import ended
from harness.judging.same_loss import same_loss
from harness.pytorch.compiled import limited
from harness.pytorch.devices import lacking
from harness.pytorch.errors import raised, words_of
from harness.pytorch.settings import hold_settings
from harness.reproduce.script import HERE, reproduce


@ours()
def run(
    trial: Trial, cache: Cache, again: str = "", folder: Path | None = None, start: Path = HERE
) -> Verdict:
    """The verdict of a trial; `again` is the line that runs it again, for a failure's last line.

    A script that fails in the same way is written into `folder`, which is told from the folder
    `start`. A trial that is known to fail is KNOWN where it does. Torch is told what the case's
    file has told it.
    """
    with hold_settings(trial.case.settings), limited():
        return _run(trial, cache, again, folder, start)


def _run(trial: Trial, cache: Cache, again: str, folder: Path | None, start: Path) -> Verdict:
    started = perf_counter()
    verdict = _verdict(trial, cache)
    if verdict.status is Status.FAIL and trial.known:
        verdict = replace(verdict, status=Status.KNOWN, known=trial.known)
    seconds = perf_counter() - started
    cache.seconds += seconds
    lines, script = [verdict.why], ""
    if verdict.status is Status.FAIL and folder:
        script, said = reproduce(trial, cache, folder, start)
        lines += [said] if said else []
    lines += [f"again: {again}"] if verdict.status.fails and again else []
    return replace(verdict, why="\n  ".join(lines), alone=script, seconds=seconds)


def _verdict(trial: Trial, cache: Cache) -> Verdict:
    if lack := lacking(trial.device):
        return blank(trial, Status.NOT_RUN, lack)
    if trial.check in ENDS:
        return ended(trial, cache)
    quantity = trial.check if trial.check in ORDER else "forward"
    if absent := _absent(trial, quantity):
        return blank(trial, Status.ABSENT, absent)
    try:
        problems = cache.stacks(trial)
    except Exception as error:  # whatever a user's maker of problems raises
        plain = issubclass(type(error), ValueError | TypeError)
        said = words_of(error) if plain else f"its problems {raised(error)}"
        first = cache.get_or_make(("said", said), lambda: trial.id)
        return blank(
            trial,
            Status.BROKEN,
            f"{heading(trial)}\n{said if first == trial.id else f'as {first} says'}",
        )
    if trial.case.contrast:
        return contrasted(trial, cache, problems, trial.case.contrast)
    asked = Comparison(trial, cache, problems, quantity)
    judgement = asked.judged(quantity)
    if isinstance(judgement, Missing):
        return missing(trial, judgement, quantity)
    verdict = measured(trial, judgement, asked.where(judgement.index, judgement.stack))
    verdict = replace(
        verdict, caveat=next((problem.caveat for problem in problems if problem.caveat), "")
    )
    if trial.case.expect == "differs":
        return _differs(asked, judgement, verdict)
    if judgement.status is Status.FAIL:
        if same := same_loss(asked):
            return _of_same_loss(asked, *same)
        return replace(verdict, why=explained(asked, judgement, verdict))
    return replace(verdict, why=_sentence(asked, judgement))


def _absent(trial: Trial, quantity: str) -> str:
    """Why the reference cannot answer for the networks of a trial; "" where it can."""
    networks = [trial.subject.network or trial.case.network]
    if trial.case.contrast:
        networks.append(trial.case.network)
    reasons = (trial.reference.cannot_answer(network, quantity) for network in networks)
    return next(filter(None, reasons), "")


def _of_same_loss(asked: Comparison, judgement: Judgement | None, by: str) -> Verdict:
    """The verdict where both sides have the same loss, which is not the case's."""
    if judgement is None:
        return blank(asked.trial, Status.VACUOUS, by)
    verdict = measured(asked.trial, judgement, asked.where(judgement.index, judgement.stack))
    if judgement.status is Status.FAIL:
        return replace(verdict, why=explained_by_slopes(asked, judgement, verdict, by))
    return replace(verdict, why=f"{_sentence(asked, judgement)}; {by}")


def _sentence(asked: Comparison, judgement: Judgement) -> str:
    """What is said of a trial that did not fail."""
    dtype, names = asked.trial.dtype, tensors(asked.problems[0], asked.quantity)[0]
    if judgement.status is Status.UNDEFINED:
        return f"the exact {title(asked.quantity)} leaves the range of {dtype}: use smaller data"
    if judgement.status is Status.PASS:
        stated = " and its reference states" if asked.trial.reference.source == "stated" else ""
        found, of, _ = asked.stages()
        layers = (
            f", layer by layer ({'all' if found == of else f'{found} of {of}'} of its numbers seen)"
            if of
            else ""
        )
        ran = f"; it ran {asked.ran}" if asked.ran else ""
        return (
            f"inside: {judgement.budget_used:.2g} of what {dtype} may differ"
            f" by{stated}{layers}{ran}"
        )
    unseen, wide = (
        ", ".join(names[i] for i in which) for which in (judgement.unseen, judgement.too_wide)
    )
    verb = "are" if "," in unseen else "is"
    reasons = (
        [f"{unseen} {verb} never other than 0 (not seen): choose other data or parameters"]
        if unseen
        else []
    )
    reasons += (
        [f"the bound of {wide} exceeds a tenth of its largest value in every draw"] if wide else []
    )
    return "; ".join(reasons)


def _differs(asked: Comparison, judgement: Judgement, verdict: Verdict) -> Verdict:
    """A claimed difference passes with a counterexample: two finite numbers further apart than both
    bounds.
    """
    trial, allowed = asked.trial, judgement.allowed
    if judgement.budget_used > 1 and np.isfinite([judgement.actual, judgement.expected]).all():
        if meant := other_meaning(asked):
            why = (
                f"{heading(trial)}\nit does not differ if its parameters mean this:"
                f" parameters={meant}"
            )
            return replace(verdict, status=Status.FAIL, why=why)
        got, wanted = distinct_digits(judgement.actual, judgement.expected)
        why = (
            f"{verdict.where}: {trial.subject.name} gives {got}, {trial.reference.title()} {wanted}"
            f" at the same parameters (allowed ±{allowed:.1e})"
        )
        return replace(verdict, status=Status.PASS, why=why)
    nearest = (
        f"the nearest is {verdict.where}, {judgement.budget_used:.2g} of the allowed ±{allowed:.2g}"
    )
    if not np.isfinite([judgement.actual, judgement.expected]).all():
        nearest = f"{verdict.where} is not finite, which is no counterexample"
    why = (
        f"{heading(trial)}\n{asked.quantity} was claimed to differ, and no counterexample was"
        f" found: {nearest}"
    )
    return replace(verdict, status=Status.FAIL, why=why)
