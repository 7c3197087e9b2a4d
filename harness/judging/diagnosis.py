"""A failure in sentences: how far outside, where, in what order, whose fault, and how it may have
come about.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from harness.core.contract import NNET_CLIP, Contract
from harness.core.formulation import Formulation
from harness.core.judge import Judgement, budget
from harness.core.naming import distinct_digits, format_factor, tensors, title
from harness.core.problem import ORDER, STEP
from harness.core.progress import patient
from harness.core.python_text import called, quoted
from harness.core.verdict import Status, Verdict
from harness.judging.comparison import Comparison, heading
from harness.judging.same_loss import are_no_squares, exact_draws
from harness.pytorch.parameters import Words, meaning, spelled
from harness.pytorch.subject import Subject

GRADIENTS = ("gradient", "input_gradient")  # neither is computed before the other
FLOAT32_SEEN = 2.0**-20  # what a number of float32 may change, a few operations on
RELU_CONVENTIONS = {0.0: "relu", 1.0: "clamp(min=0)", 0.5: "torch.maximum"}


def explained(asked: Comparison, judgement: Judgement, verdict: Verdict) -> str:
    """The sentences of a failure, one a line."""
    trial, before = asked.trial, _before(asked)
    got, wanted = distinct_digits(judgement.actual, judgement.expected)
    who, share = trial.reference.title().split()[0], judgement.contract_share
    found, of, missed = asked.stages()
    what = "its earlier layers have rounded" if of else "the contracts declare"
    declared = f", of which {share:.2g} is what {what}" if share > judgement.allowed / 2 else ""
    lines = [
        heading(trial),
        f"{title(asked.quantity)} {_size(judgement, trial.dtype)}",
        (
            f"  worst at {verdict.where}: got {got}, {who} says {wanted}, allowed"
            f" ±{judgement.allowed:.2g}{declared}"
        ),
        f"  first outside, in order of computation: {_first_outside(asked, judgement, before)}",
    ]
    layers = (
        f"  layer by layer, {found} of {of} numbers were seen on its way; the first that was not:"
        f" {missed}"
    )
    lines += [layers] if missed else []
    lines += [f"  it ran {asked.ran}"] if asked.ran else []
    if judgement.outside:
        both = {"subject": trial.subject.name, "reference": trial.reference.title()}
        outside = " and ".join(both[one] for one in judgement.outside.split(" and "))
        stated = judgement.outside == "reference" and trial.reference.source == "stated"
        by = "what it states" if stated else "the derivation of its own bounds"
        lines.append(f"  by {by}, {outside} is the one outside")
    if are_no_squares(asked):
        lines.append(f"  {_other_losses(asked)}")
    hints = [_other_convention(asked)]
    if all(judged.status is not Status.FAIL for judged in before.values()):  # it begins here
        hints = [
            hints[0] or _in_float32(asked, judgement) or _likely(asked),
            *_of_its_parameters(asked),
        ]
    return "\n".join([*lines, *(f"  {hint}" for hint in hints if hint)])


def explained_by_slopes(asked: Comparison, judgement: Judgement, verdict: Verdict, by: str) -> str:
    """The sentences of a gradient that is outside although both sides have the same loss, which is
    not the case's.
    """
    got, wanted = distinct_digits(judgement.actual, judgement.expected)
    lines = [
        heading(asked.trial),
        f"{title(asked.quantity)} {_size(judgement, asked.trial.dtype)}",
        (
            f"  worst at {verdict.where}: got {got}, expected {wanted}, allowed"
            f" ±{judgement.allowed:.2g}"
        ),
        f"  {by}",
    ]
    return "\n".join(lines)


def _size(judgement: Judgement, dtype: str) -> str:
    if not np.isfinite([judgement.actual, judgement.expected]).all():
        return f"is not finite where {dtype} should be"
    if not np.isfinite(judgement.budget_used):
        return (
            "is outside its rounding: it must be equal here, since nothing on the way to it rounds"
        )
    return (
        f"is outside its rounding: {format_factor(judgement.budget_used)} times what {dtype}"
        " may differ by"
    )


def _before(asked: Comparison) -> dict[str, Judgement]:
    """The earlier quantities, from which this one follows, up to the first that is outside."""
    found = {}
    for earlier in ORDER[: ORDER.index(asked.quantity)]:
        if earlier in GRADIENTS and asked.quantity in GRADIENTS:
            continue
        judged = asked.judged(earlier)
        if isinstance(judged, Judgement):
            found[earlier] = judged
            if judged.status is Status.FAIL:
                break
    return found


def _first_outside(asked: Comparison, judgement: Judgement, before: dict[str, Judgement]) -> str:
    """The first quantity outside, its tensors, and what before it is inside."""
    for earlier, judged in before.items():
        if judged.status is Status.FAIL:
            return f"{earlier} (budget used {format_factor(judged.budget_used)})"
    names = tensors(asked.problems[0], asked.quantity)[0]
    outside = [names[i] for i in judgement.tensors_outside]
    within = [name for name in names if name not in outside]
    first = "" if asked.quantity in ("forward", "loss") else f"{title(asked.quantity)} of "
    first += ", ".join(outside) + (f", not of {', '.join(within)}" if within else "")
    if not before:
        return first
    verb, most = (
        "is" if len(before) == 1 else "are",
        max(judged.budget_used for judged in before.values()),
    )
    return f"{first}; {' and '.join(before)} {verb} inside (budget used {most:.2g})"


def _other_losses(asked: Comparison) -> str:
    """Why two losses that are both no sum of squares are not taken for the same."""
    names, count = (
        (asked.trial.subject.name, asked.trial.reference.name),
        sum(int(c.sum()) for c in exact_draws(asked)),
    )
    both = f"neither {' nor '.join(names)} has the case's sum of squares as its loss, and"
    if not count:
        return (
            f"{both} no draw has exact outputs, to tell whether both have the same: add"
            " probes(kinds=['exact'])"
        )
    return (
        f"{both} their losses are not the same to the last bit in the {count} draws whose outputs"
        " are exact"
    )


def _other_convention(asked: Comparison) -> str:
    """The line to write where the failure vanishes under another derivative of ReLU at exactly 0,
    or nnet's clip.
    """
    name, promised = asked.trial.subject.name, asked.trial.subject.contract(asked.trial.dtype)
    activations = asked.problems[0].formulation.network.activations
    if "relu" in activations and asked.quantity not in ("forward", "loss"):
        for value, written in RELU_CONVENTIONS.items():
            if value != promised.relu_at_zero and _passes(
                asked, replace(promised, relu_at_zero=value)
            ):
                return (
                    f"it vanishes if the derivative of ReLU at exactly 0 is {value:g}, as {written}"
                    f" has it: write Subject({called(name)}, relu_at_zero={value:g})"
                )
    if "logistic" in activations:
        clip = NNET_CLIP if promised.logistic_clip is None else None
        if _passes(asked, replace(promised, logistic_clip=clip)):
            return (
                f"it vanishes if its logistic is exactly 0 or 1 beyond |z| > {NNET_CLIP:g}, as R"
                f" nnet's is: write Subject({called(name)}, logistic_clip={NNET_CLIP:g})"
                if clip
                else (
                    f"it vanishes if its logistic is not clipped: write Subject({called(name)})"
                    " without logistic_clip"
                )
            )
    return ""


def _passes(asked: Comparison, contract: Contract) -> bool:
    """Is the quantity inside if the subject promises this?"""
    judged = asked.judged(asked.quantity, contract)
    return isinstance(judged, Judgement) and judged.status is Status.PASS


def _in_float32(asked: Comparison, judgement: Judgement) -> str:
    """What of a float64 model holds numbers of float32, where no more than that may be wrong."""
    trial = asked.trial
    small = abs(judgement.actual - judgement.expected) <= FLOAT32_SEEN * max(
        abs(judgement.expected), 1.0
    )
    model = asked.cache.model(trial) if trial.dtype == "float64" and small else None
    if not model or not (names := model.in_float32()):
        return ""
    hold = "holds" if len(names) == 1 else "hold"
    return (
        f"likely: {' and '.join(names)} {hold} numbers of float32, expected dtype=torch.float64"
        " where they are made"
    )


def _of_its_parameters(asked: Comparison) -> Iterator[str]:
    """A bias that the model has left out, or another meaning of its parameters that explains it."""
    subject, formulation = asked.trial.subject, asked.problems[0].formulation
    if not isinstance(subject, Subject) or asked.quantity not in ("forward", "loss"):
        return
    left_out = [block.left_out for block in formulation.own.blocks if block.left_out]
    if left_out:
        zero = ", ".join(f"{quoted(name)}: 0" for name in left_out)
        yield (
            f"{subject.name} has no parameter for {' and '.join(left_out)}: if a constant is meant,"
            f" 0 say, write Subject({called(subject.name)}, parameters={{{zero}}})"
        )
    elif meant := other_meaning(asked):
        yield (
            f"it vanishes if its parameters mean this: write Subject({called(subject.name)},"
            f" parameters={meant})"
        )


def other_meaning(asked: Comparison) -> str:
    """What the parameters would have to mean for every output to be inside, as its user writes it;
    "" for nothing.
    """
    subject = asked.trial.subject
    if not isinstance(subject, Subject) or asked.quantity != "forward":
        return ""
    ways = subject.meanings(asked.problems[0].formulation.network)[1] or ()
    return next((spelled(way) for way in ways if _vanishes(asked, way)), "")


def _vanishes(asked: Comparison, way: Words) -> bool:
    """Is every output of every stack inside where the parameters mean this, and did they not mean
    it before?
    """
    trial, cache = asked.trial, asked.cache
    for problem in asked.problems:
        before, network = problem.formulation, problem.formulation.network
        other = Formulation.from_meaning(before.own, network, meaning(way, network), idle=True)
        if other.same_map(before):
            return False
        bound = network.oracle(
            replace(problem, formulation=other), trial.subject.contract(trial.dtype)
        )["forward"]
        answer = cache.subject(trial.subject, problem, trial.dtype, trial.device).values["forward"]
        if budget(answer - bound.value, bound.error).max() > 1:
            return False
    return True


def _likely(asked: Comparison) -> str:
    """The known fault that explains what was observed."""
    trial, cache = asked.trial, asked.cache
    if asked.quantity == STEP:
        return ""
    observed = [
        cache.subject(trial.subject, p, trial.dtype, trial.device).values for p in asked.problems
    ]
    told, contract = f"{trial.case.name}: {trial.subject.name}", trial.subject.contract(trial.dtype)
    network = asked.problems[0].formulation.network
    say = patient(lambda how: cache.say(f"{told}: {how}"))
    fault = network.likely(asked.problems, observed, asked.quantity, contract, say)
    return f"likely: {fault}" if fault else ""
