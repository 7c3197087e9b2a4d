"""Judges a `fit` check: does the subject end as well as the reference, as its case claims?"""

from dataclasses import replace

from harness.core.verdict import Status, Verdict
from harness.fits.circumstances import describe_effort, describe_penalties
from harness.fits.decisions import Decision, Sides, decide_by_losses, decide_by_shares
from harness.fits.ends import get_losses_at_start
from harness.fits.equivalence import LEVEL
from harness.fits.losses import Losses
from harness.fits.starts import Begun, compare_starts, group_by_data, has_same_data
from harness.judging.cache import Cache
from harness.judging.case import Trial
from harness.judging.comparison import blank, failure
from harness.training.trainer import Ended, Population


def compare_fits(trial: Trial, cache: Cache, mine: Ended, theirs: Ended) -> Verdict:
    """Return the verdict of a `fit` check: does training end as well as the case claims?

    `mine` are the fits of the subject, `theirs` those of the reference.
    """
    population = cache.population
    names = mine.trainer.title(), theirs.trainer.title()
    who = f"{names[0]} and {names[1]}"
    if not has_same_data(mine.start, theirs.start):
        why = f"{who} were given other data, expected data(D) to begin alike however many there are"
        return failure(trial, Status.BROKEN, why)
    begun = compare_starts(mine, theirs)
    if population.quality is None and not begun.shared:
        why = (
            f"{who} began at other parameters, expected the same starts where losses are compared:"
            " start=starts.uniform() for both, or a quality, whose shares need no shared starts"
        )
        return failure(trial, Status.BROKEN, why)
    losses = []
    for ended, numbers in ((mine, begun.mine), (theirs, begun.theirs)):
        every = Losses(ended.losses, ended.errors, get_losses_at_start(cache, ended))
        losses.append(every.take(numbers))
    sides = Sides(names, (losses[0], losses[1]), begun.shared)
    if begun.shared:
        sides = sides._replace(sets=group_by_data(mine.start, begun.mine))
    if population.quality is None:
        decision = decide_by_losses(sides, population)
    else:
        decision = decide_by_shares(sides, population, population.quality)
    if isinstance(decision, str):
        return blank(trial, Status.VACUOUS, decision)
    if repeated := _describe_repeated(begun, mine, theirs):
        decision = decision._replace(why=f"{decision.why}; {repeated}")
    if effort := describe_effort([mine, theirs]):
        decision = decision._replace(why=f"{decision.why}; {effort}")
    mine.compared.append(decision.why)
    verdict = _make_verdict(trial, decision, describe_penalties([mine, theirs], population))
    if verdict.status is Status.PASS and trial.case.expect == "equal":
        return replace(verdict, caveat=_describe_proof(population))
    return verdict


def _describe_proof(population: Population) -> str:
    """Return a sentence on the evidence that a confirmed claim gives."""
    margin = f"{population.margin:.0%}"
    if population.quality is None:
        proved = (
            f"losses are typically within a factor of {population.ratio:g}, and the shares of"
            f" starts that end higher and lower differ by less than {margin}"
        )
    else:
        proved = (
            f"the shares of starts that end at most at {population.quality:g} differ by less than"
            f" {margin}"
        )
    return f"Shown from starts like these, on these data: {proved}; not that the fits are the same"


def _describe_repeated(begun: Begun, mine: Ended, theirs: Ended) -> str:
    """Return a sentence if starts were repeated, and are counted only once; else ""."""
    of = min(mine.start.draws, theirs.start.draws) if begun.shared else mine.start.draws
    if len(begun.mine) == of and (begun.shared or len(begun.theirs) == theirs.start.draws):
        return ""
    distinct = min(len(begun.mine), len(begun.theirs))
    return f"a start counts once, with its data, however often it is taken: {distinct} differ"


def _make_verdict(trial: Trial, found: Decision, penalties: str) -> Verdict:
    status = _decide(trial.case.expect, found)
    budget = found.p / LEVEL if trial.case.expect == "equal" else None
    if status is not Status.FAIL:
        return replace(blank(trial, status, found.why), budget_used=budget)
    reason = f"{trial.subject.title()} {_contradict(trial.case.expect, found)}: {found.why}"
    if penalties:
        reason += f"; {penalties}"
    return replace(failure(trial, status, reason), budget_used=budget)


def _contradict(expect: str, decision: Decision) -> str:
    """Return a part of a sentence: the claim, and the result that contradicts it.

    `expect` is the claim, "equal" or "differs".
    """
    if expect == "differs":
        return "was claimed not to fit as well, and " + ("does" if decision.same else "fits better")
    if decision.worse:
        return "was claimed to fit as well, and does not"
    return "was claimed to fit alike, and fits better"


def _decide(expect: str, decision: Decision) -> Status:
    """Return the status of a claim about two trainers; `expect` is the claim, "equal" or
    "differs".
    """
    holds, fails = decision.same, decision.other
    if expect == "differs":
        holds = decision.worse and not decision.same
        fails = decision.same or (decision.other and not decision.worse)
    if holds:
        return Status.PASS
    return Status.FAIL if fails else Status.VACUOUS
