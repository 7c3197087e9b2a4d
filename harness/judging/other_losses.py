"""Finds the Loss(...) that a model's own loss is, if it differs from the case's.

The model is evaluated at a few draws with targets that suit each kind of loss. Its loss and
gradients are compared with the bounds of some twenty losses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import product

from harness.calling.targets import suit_targets
from harness.comparing.judge import outside
from harness.core.implementation import Candidate, Missing, Observation
from harness.core.loss import REDUCTIONS, Error, Loss
from harness.core.problem import QUANTITIES, Problem
from harness.judging.comparison import Comparison

DRAWS = 3
# the errors of outputs that an activation gives, and whether these are logits
ERRORS_OF = {
    "identity": (("softmax", True), ("bce", True), ("squares", False), ("kl", True)),
    "softmax": (("softmax", False), ("kl", False), ("squares", False)),
    "logistic": (("bce", False), ("entropy", False), ("squares", False)),
}
SQUARES = ("squares", False)
SMOOTHINGS = (0.0, 0.1)


def describe_missing(comparison: Comparison, missing: Missing) -> Missing:
    """Return a missing answer with a longer reason, if the model's own loss raised the error.

    The reason then has the Loss(...) to write, if the case has another loss.
    """
    if not missing.of_subject or comparison.quantity != "loss" or not has_own_loss(comparison):
        return missing
    loss = find_loss(comparison)
    if loss is None:
        return missing
    return replace(
        missing, why=f"{missing.why}; it is judged with probes(loss={spell_loss(loss)}): write that"
    )


def has_own_loss(comparison: Comparison) -> bool:
    """Does the subject have a loss of its own?"""
    is_asked = isinstance(comparison.trial.subject, Candidate)
    return is_asked and comparison.contracts[0].own_loss


def find_loss(comparison: Comparison) -> Loss | None:
    """Return the Loss(...) under which the model's loss and gradients are inside their bounds, or
    None.

    Return None if they are inside under the case's own loss in random draws of ordinary size: then
    only draws of other sizes fail.
    """
    first = comparison.problems[0]
    alike = [problem for problem in comparison.problems if problem.kind == "random"] or [first]
    few = alike[0].part(slice(DRAWS))
    own = _ask(comparison, few)
    if own is not None and _fits(comparison, few, own):
        return None
    for question in _list_questions(few):
        answered = _ask(comparison, question)
        if answered is None:
            continue
        for loss in _list_losses(question):
            if loss != few.loss and _fits(comparison, replace(question, loss=loss), answered):
                return loss
    return None


def _list_questions(problem: Problem) -> Iterator[Problem]:
    """Yield copies of a problem, each with a loss of another kind and targets that suit it.

    The reduction of these losses is "sum".
    """
    heads = getattr(problem.network, "head_outputs", None)
    if heads is None:
        return
    known = [ERRORS_OF.get(name, ()) for name in heads]
    for number in range(max(map(len, known))):
        each = [errors[min(number, len(errors) - 1)] if errors else SQUARES for errors in known]
        try:
            yield from _ask_of(problem, *zip(*each, strict=True))
        except ValueError:  # a head of one output has no softmax
            continue


def _ask_of(
    problem: Problem, errors: tuple[Error, ...], logits: tuple[bool, ...]
) -> Iterator[Problem]:
    before, widths = problem.loss, problem.network.outputs
    kinds = [before.targets]
    if "softmax" in errors and before.targets == "classes":
        kinds = ["classes", "labels"]
    for kind in kinds:
        loss = Loss(
            error=errors[0] if len(set(errors)) == 1 else errors,
            from_logits=logits[0] if len(set(logits)) == 1 else logits,
            decay=before.decay,
            targets=kind,
        )
        loss.expect_heads(widths)
        targets = problem.targets
        if before.is_squares and not loss.is_squares:
            targets = suit_targets(loss, widths, targets)
        yield replace(problem, loss=loss, targets=targets)


def _list_losses(problem: Problem) -> Iterator[Loss]:
    """Yield losses with the error of a problem's loss, and other reductions, factors, smoothing and
    decay.
    """
    loss = problem.loss
    decays = [loss.decay]
    if loss.has_decay and loss.one_decay is not None:
        blocks = problem.network.layout.blocks
        of_weights = {each.name: loss.one_decay for each in blocks if each.role == "weight"}
        decays += [loss.one_decay / 2, of_weights, 0.0]
    smoothings = SMOOTHINGS if loss.error == "softmax" else SMOOTHINGS[:1]
    for decay, smoothing, factor, reduction in product(decays, smoothings, (1.0, 0.5), REDUCTIONS):
        yield replace(
            loss, reduction=reduction, factor=factor, label_smoothing=smoothing, decay=decay
        )


def _ask(comparison: Comparison, problem: Problem) -> Observation | None:
    """Return the model's answers to a problem, or None if the loss is missing."""
    trial = comparison.trial
    answered = comparison.cache.subject(trial.subject, problem, trial.dtype, trial.device)
    return None if isinstance(answered.answer("loss"), Missing) else answered


def _fits(comparison: Comparison, problem: Problem, answered: Observation) -> bool:
    """Are the answers `answered` inside the bounds that hold for the problem's loss?"""
    trial = comparison.trial
    contract = trial.contract
    bounds = problem.network.oracle(problem, contract)
    for quantity in QUANTITIES:
        answer = answered.answer(quantity)
        if not isinstance(answer, Missing) and outside(answer, bounds[quantity], contract.largest):
            return False
    return True


def spell_loss(loss: Loss) -> str:
    """Return a loss as Python code."""
    arguments = []
    for field in fields(loss):
        value = getattr(loss, field.name)
        if value == field.default:
            continue
        if field.name == "reduction":
            arguments.append(repr(value))
            continue
        if field.name == "decay" and isinstance(value, tuple):
            value = dict(value) if isinstance(value[0], tuple) else list(value)
        arguments.append(f"{field.name}={value!r}")
    return f"Loss({', '.join(arguments)})"
