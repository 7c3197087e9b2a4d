"""Judges the results of training: compares each trainer's claims with its final weights."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from harness.comparing.evidence import TOO_WIDE
from harness.comparing.judge import Side, judge
from harness.core.contract import Bounded
from harness.core.finding import Claim, Finding, Form
from harness.core.implementation import Missing, Observation
from harness.core.numpy_errors import users
from harness.core.problem import Problem
from harness.core.verdict import Status, Verdict
from harness.fits.circumstances import describe_penalties
from harness.fits.comparison import compare_fits
from harness.fits.ends import get_bounds_at_end, train
from harness.judging.cache import Cache
from harness.judging.case import Trial
from harness.judging.comparison import (
    blank,
    failure,
    finding_of,
    measured_verdict,
    missing,
    title_of,
)
from harness.judging.store import Key
from harness.model.errors import raised, words_of
from harness.training.trainer import Ended
from harness.words.naming import describe_used
from harness.words.wording import with_finding

CLAIMS = "Fits: claimed losses, predictions = their weights'?"


@dataclass(frozen=True)
class PredictionProblem(Key[Problem]):
    """Cache key for the problem of predicting with a trainer's trained networks."""

    ended: Ended


@dataclass(frozen=True)
class PredictionAnswers(Key[Observation]):
    """Cache key for the predictions of a trainer's own implementation."""

    ended: Ended


def end_verdict(trial: Trial, cache: Cache) -> Verdict:
    """Train both sides of a trial, and return the verdict of its `final` or `fit` check."""
    sides: list[Ended] = []
    for trainer, device in ((trial.subject, trial.device), (trial.reference, "cpu")):
        if why := trainer.cannot_answer(trial.case.network, trial.check, trial.dtype, device):
            return blank(trial, Status.ABSENT, why)
        try:
            ended = train(cache, trainer, trial.dtype, device)
        except (ValueError, TypeError) as error:
            return failure(trial, Status.BROKEN, words_of(error))
        except Exception as error:  # whatever a user's data or start raises
            return failure(trial, Status.BROKEN, f"its data or its start {raised(error)}")
        if isinstance(ended, Missing):
            return missing(trial, replace(ended, why=f"{trainer.title()} {ended.why}"), trial.check)
        if trial.check == "final" and (why := _silent(ended, cache)):
            return failure(trial, Status.FAIL, why)
        if ended.fitted.end is None:
            lost = (
                f"{trainer.title()}: from every start the loss or the weights are"
                f" {ended.fitted.ended[0]}"
            )
            return failure(trial, Status.FAIL, lost)
        sides.append(ended)
    mine, theirs = sides
    if trial.check == "final":
        verdict = _final(trial, cache, sides)
    else:
        verdict = compare_fits(trial, cache, mine, theirs)
    caveats = [verdict.caveat, describe_penalties(sides, cache.population)]
    return replace(verdict, caveat="; ".join(filter(None, caveats)))


class _Claim(NamedTuple):
    """A trainer's claim about its final weights: losses or predictions.

    `who` is the trainer's title, and `what` is "claims a loss of" or "predicts". `side` has the
    claimed numbers, and the values of the network's equations with their bounds.
    """

    who: str
    what: str
    side: Side


def _final(trial: Trial, cache: Cache, sides: list[Ended]) -> Verdict:
    """Return the verdict of a `final` check.

    The losses and predictions that each trainer claims are compared with those of the network's
    equations at its final weights. The subject's losses are also compared with the stated floor.
    """
    claims: list[_Claim] = []
    for ended in sides:
        who, predicted = ended.trainer.title(), predictions(cache, ended)
        if isinstance(predicted, Missing):
            return missing(trial, replace(predicted, why=f"{who} {predicted.why}"), trial.check)
        claims.append(_Claim(who, "claims a loss of", _bound_claims(ended, cache)))
        claims.append(_Claim(who, "predicts", predicted))
    sides_of_claims, exact, owners = [], [], []
    for number, (_, _, side) in enumerate(claims):
        value = side.oracle.value
        sides_of_claims.append(side)
        exact.append(Side(value, Bounded(value, 0 * side.oracle.error)))
        owners.append(np.full(side.answer.shape[1:], number))
    largest = trial.contract.largest
    judged = judge(sides_of_claims, exact, owners, largest, every_draw=True)
    who, what, _ = claims[judged.stack]
    claim = Claim(who, what, judged.index[0])
    where = f"{who} {what} (start {claim.start})"
    verdict = replace(measured_verdict(trial, judged, where), question=CLAIMS, expect="equal")
    if below := _below_floor(sides[0], cache):
        finding = Finding(Form.REASON, title_of(trial), below)
        return with_finding(replace(verdict, status=Status.FAIL), finding)
    if judged.status is Status.FAIL:
        finding = finding_of(verdict, trial, Form.CLAIM, trial.check, judged.factor)
        return with_finding(verdict, replace(finding, claim=claim))
    if judged.status is Status.PASS:
        why = describe_used(judged.budget_used, trial.dtype)
    else:
        why = (
            f"what {who} {what} is too near to 0, or too large, to be judged by rounding: choose"
            " other data"
        )
    return replace(verdict, why=why)


def _bound_claims(ended: Ended, cache: Cache) -> Side:
    """Return the losses (D,) that a trainer claims, and the exact losses at its final weights with
    bounds.

    D is the number of starts that ended finite. A trainer with a `comparison_offset` does not
    notice a small change of its weights, and may have made one after it computed its last loss. The
    bounds then also allow the slope of the loss times this change. The curvature adds a term of the
    order of the change's square, which is far below the rounding of the loss and left out.
    """
    bounds = get_bounds_at_end(cache, ended)
    loss, slope = bounds["loss"], bounds["gradient"]
    if not ended.trainer.comparison_offset:
        return Side(ended.fitted.claimed, loss)
    moved = np.spacing(ended.trainer.comparison_offset + abs(ended.end.own))
    allowed = np.sum((abs(slope.value) + slope.error) * moved, axis=1)
    return Side(ended.fitted.claimed, Bounded(loss.value, loss.error + allowed))


def predictions(cache: Cache, ended: Ended) -> Side | Missing:
    """Return a trainer's predictions with its final weights, and those of the equations with
    bounds.

    They are for the inputs that the case's `Population` names: its marks and its grid. The
    trainer's own implementation predicts. If it has none, return the reason.
    """
    trainer, dtype = ended.trainer, ended.dtype
    problem = cache.get_or_make(
        PredictionProblem(ended), lambda: cache.population.prediction_problem(ended.end, dtype)
    )
    answers = cache.get_or_make(
        PredictionAnswers(ended), lambda: trainer.answers(problem, dtype, ended.device)
    )
    outputs = answers.answer("forward")
    if isinstance(outputs, Missing):
        return outputs
    return Side(outputs, cache.oracle(problem, trainer.contract(dtype))["forward"])


def _silent(ended: Ended, cache: Cache) -> str:
    """Return a sentence if a trainer claims no finite loss although its final weights have an
    ordinary one, else "".

    A loss is ordinary if its bound is narrow and it is inside the dtype's range.
    """
    if ended.fitted.silent is None:
        return ""
    contract = ended.trainer.contract(ended.dtype)
    loss = cache.oracle(ended.fitted.silent, contract)["loss"]
    plain = (loss.error <= TOO_WIDE * abs(loss.value)) & (
        abs(loss.value) + loss.error <= contract.largest
    )
    gives = f"its final weights give {loss.value[int(np.argmax(plain))]:.9g}"
    return f"{ended.trainer.title()} claims no finite loss where {gives}" if plain.any() else ""


def _below_floor(ended: Ended, cache: Cache) -> str:
    """Return a sentence if a loss is below the floor that a user has stated for all losses, else
    "".

    No fit can be below a correct floor. So the floor is wrong, or the network or data are not as
    stated.
    """
    if ended.trainer.floor is None:
        return ""
    with users():
        floor = ended.trainer.floor(ended.end.inputs, ended.end.targets)
    loss = get_bounds_at_end(cache, ended)["loss"]
    under = loss.value + loss.error < floor.value - floor.error
    worst = int(np.argmax(under))
    below = (
        f"{loss.value[worst]:.9g}, below the floor of {floor.value[worst]:.9g} that was stated"
        " for it"
    )
    sentence = (
        f"{ended.trainer.title()} ends at a loss of {below}: the floor, or the network, is not what"
        " it is said to be"
    )
    return sentence if under.any() else ""
