"""Judges a subject's answers in other modes, in other layouts and after earlier calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from harness.calling.earlier import CONDITIONS
from harness.calling.modes import describe_modes
from harness.comparing.judge import draws_outside, outside
from harness.core.contract import Bounded
from harness.core.implementation import Missing, Observation
from harness.core.problem import QUANTITIES, Problem
from harness.core.verdict import Status
from harness.judging.cache import Cache
from harness.judging.case import Trial
from harness.model.module import Model
from harness.pytorch.asking import ask_subject
from harness.pytorch.subject import Subject

OTHER = {
    "forward": "gave other outputs",
    "loss": "gave another loss",
    "gradient": "gave another gradient",
    "input_gradient": "gave another gradient by its inputs",
}


class Wrong(NamedTuple):
    """A quantity with wrong answers in a mode, and the sentence that reports them."""

    quantity: str
    sentence: str


def check_modes(trial: Trial, cache: Cache, problem: Problem, observed: Observation) -> Observation:
    """Return a copy of the answers without wrong ones: wrong in another mode or memory layout, or
    after an earlier call.

    If a quantity is wrong, it is missing with the status FAIL, and so are the quantities that are
    computed after it.
    """
    contract = trial.contract
    wrong = None
    if observed.conditions and not contract.narrow:
        wrong = _check_conditions(trial, trial.subject, cache, problem, observed)
    wrong = wrong or _check_others(trial, cache, problem, observed)
    if wrong is None:
        return observed
    earlier = QUANTITIES[: QUANTITIES.index(wrong.quantity)]
    values = {name: observed.values[name] for name in earlier if name in observed.values}
    return replace(observed, values=values, missing=Missing(Status.FAIL, wrong.sentence))


def _check_others(
    trial: Trial, cache: Cache, problem: Problem, observed: Observation
) -> Wrong | None:
    """Return the first quantity that is outside its bounds in another mode; None if there is none.

    It is not judged if the usual answer is outside too, for example because the subject has another
    network or loss. Only outputs under no_grad and in eval() are judged even then.
    """
    if not observed.others:
        return None
    contract, model = trial.contract, cache.model(trial)
    always = () if model is None else describe_modes(model.call).values()
    for quantity in QUANTITIES:
        for when, answers in observed.others.items():
            if quantity not in answers:
                continue
            bound = cache.oracle(problem, contract)[quantity]
            if not outside(answers[quantity], bound, contract.largest):
                continue
            usual = observed.values[quantity]
            if when in always or not outside(usual, bound, contract.largest):
                return Wrong(quantity, f"{OTHER[quantity]} {when}")
    return None


def _check_conditions(
    trial: Trial, subject: Subject, cache: Cache, problem: Problem, observed: Observation
) -> Wrong | None:
    """Return the quantity that is wrong only under a condition (a memory layout, an earlier call);
    None if there is none.

    A quantity does not count if it is wrong without conditions too, in another draw or in a newly
    built model.
    """
    contract = subject.contract(trial.dtype)
    conditioned = set().union(*observed.conditions.values())
    bounds = cache.oracle(problem, contract) if observed.values else {}
    for quantity, answer in observed.values.items():
        bound = bounds[quantity]
        wrong = draws_outside(answer, bound, contract.largest)
        if not wrong.any():
            continue
        usual = [draw for draw in range(problem.draws) if draw not in conditioned]
        of_own_loss = contract.own_loss and quantity != "forward"
        if wrong[usual].any() or (of_own_loss and not usual):
            return None
        condition = _find_condition(trial, subject, problem, quantity, bound)
        draws = observed.conditions.get(condition, {})
        words = [when for draw, when in draws.items() if wrong[draw]]
        return Wrong(quantity, f"{OTHER[quantity]} {words[0]}") if words else None
    return None


def _find_condition(
    trial: Trial, subject: Subject, problem: Problem, quantity: str, bound: Bounded
) -> str:
    """Return the condition without which a model, built anew, gives right answers for a quantity.

    Conditions are left out one after the other. The result is "" if the model is right under all
    conditions, or wrong without any; this is asked first, since most wrong models are.
    """
    largest = subject.contract(trial.dtype).largest

    def is_wrong(without: Sequence[str]) -> bool:
        rerun = ask_without(trial, subject, problem, without).answer(quantity)
        return isinstance(rerun, Missing) or outside(rerun, bound, largest)

    if is_wrong(CONDITIONS):
        return ""
    for number, condition in enumerate(("", *CONDITIONS[:-1])):
        if not is_wrong(CONDITIONS[:number]):
            return condition
    return CONDITIONS[-1]


def ask_without(
    trial: Trial, subject: Subject, problem: Problem, without: Sequence[str]
) -> Observation:
    """Build the subject's model anew, and return its answers without the conditions in
    `without`.
    """

    def build() -> Model | Missing:
        return subject.live(problem.formulation, trial.dtype, trial.device)

    return ask_subject(subject, problem, trial.dtype, trial.device, build, without)
