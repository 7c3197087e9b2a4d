"""Diagnoses a failed trial: how far outside, in which tensors, which quantity first, whose fault,
and by which cause.
"""

from collections.abc import Iterator
from dataclasses import replace

from harness.core.contract import NNET_CLIP, Contract
from harness.core.finding import Finding, FirstOutside, Form, Hint, HintKind, Layers, figure
from harness.core.formulation import Formulation
from harness.core.judge import Judgement, budget
from harness.core.naming import tensors
from harness.core.problem import ORDER, STEP
from harness.core.progress import patient
from harness.core.verdict import Status, Verdict
from harness.judging.comparison import Comparison, finding_of
from harness.judging.same_loss import are_no_squares, exact_draws
from harness.pytorch.parameters import Words, meaning, spell
from harness.pytorch.single_precision import find_single_precision
from harness.pytorch.subject import Subject
from harness.text.python import called, quoted

GRADIENTS = ("gradient", "input_gradient")  # neither is computed before the other
FLOAT32_SEEN = 2.0**-20  # what a number of float32 may change, a few operations on
RELU_CONVENTIONS = {0.0: "relu", 1.0: "clamp(min=0)", 0.5: "torch.maximum"}


def diagnose(asked: Comparison, judgement: Judgement, verdict: Verdict) -> Finding:
    """Return the finding (a failure as data) of a trial whose answer is outside its bounds.

    It says how far outside the answer is, where, on whose side, which quantity is outside first in
    order of computation, and which causes are likely.
    """
    trial, before = asked.trial, _before(asked)
    finding = finding_of(verdict, trial, Form.OUTSIDE, asked.quantity)
    seen, of, missing = asked.stages()
    hints = [_other_convention(asked)]
    if all(judged.status is not Status.FAIL for judged in before.values()):  # it begins here
        first = hints[0] or _in_float32(asked, judgement) or _likely(asked)
        hints = [first, *_of_its_parameters(asked)]
    return replace(
        finding,
        witness=finding.against.split()[0],
        first_outside=_first_outside(asked, judgement, before),
        layers=Layers(seen, of, missing) if of else None,
        ran=asked.ran,
        blamed=judgement.outside,
        losses=_other_losses(asked) if are_no_squares(asked) else "",
        hints=tuple(hint for hint in hints if hint),
    )


def _before(asked: Comparison) -> dict[str, Judgement]:
    """Judge the quantities that the trial's quantity is computed from, in order of computation.

    Stops at the first quantity that is outside its bounds. The gradient and the input gradient are
    not computed from each other.
    """
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


def _first_outside(
    asked: Comparison, judgement: Judgement, before: dict[str, Judgement]
) -> FirstOutside:
    """Return the first quantity outside its bounds, in order of computation.

    For the trial's own quantity the result also has its tensors outside and inside, and the earlier
    quantities, all of which are inside.
    """
    for earlier, judged in before.items():
        if judged.status is Status.FAIL:
            return FirstOutside(earlier, figure(judged.budget_used))
    names = tensors(asked.problems[0], asked.quantity)[0]
    outside = tuple(names[i] for i in judgement.tensors_outside)
    within = tuple(name for name in names if name not in outside)
    most = max((judged.budget_used for judged in before.values()), default=0.0)
    factor = figure(judgement.budget_used)
    return FirstOutside(asked.quantity, factor, outside, within, tuple(before), figure(most))


def _other_losses(asked: Comparison) -> str:
    """Return a sentence on why two losses, neither of them a sum of squares, are not taken for the
    same.
    """
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


def _other_convention(asked: Comparison) -> Hint | None:
    """Return a hint if the failure vanishes under another convention of an activation, else None.

    The conventions are the derivative of ReLU at exactly 0, and nnet's clip of the logistic. The
    hint has the line that a user writes to declare the convention.
    """
    name, promised = asked.trial.subject.name, asked.trial.subject.contract(asked.trial.dtype)
    activations = asked.problems[0].formulation.network.activations
    if "relu" in activations and asked.quantity not in ("forward", "loss"):
        for value, written in RELU_CONVENTIONS.items():
            other = replace(promised, relu_at_zero=value)
            if value != promised.relu_at_zero and _passes(asked, other):
                cause = f"the derivative of ReLU at exactly 0 is {value:g}, as {written} has it"
                write = f"Subject({called(name)}, relu_at_zero={value:g})"
                return Hint(HintKind.VANISHES, cause, write)
    if "logistic" in activations:
        clip = NNET_CLIP if promised.logistic_clip is None else None
        if _passes(asked, replace(promised, logistic_clip=clip)):
            return _other_clip(name, clip)
    return None


def _other_clip(name: str, clip: float | None) -> Hint:
    """Return a hint with the line that declares the logistic clipped at |z| > `clip`, or not
    clipped.
    """
    if clip is None:
        write = f"Subject({called(name)}) without logistic_clip"
        return Hint(HintKind.VANISHES, "its logistic is not clipped", write)
    cause = f"its logistic is exactly 0 or 1 beyond |z| > {clip:g}, as R nnet's is"
    return Hint(HintKind.VANISHES, cause, f"Subject({called(name)}, logistic_clip={clip:g})")


def _passes(asked: Comparison, contract: Contract) -> bool:
    """Return whether the quantity is inside its bounds if the subject promises this contract."""
    judged = asked.judged(asked.quantity, contract)
    return isinstance(judged, Judgement) and judged.status is Status.PASS


def _in_float32(asked: Comparison, judgement: Judgement) -> Hint | None:
    """Return a hint that names tensors of a float64 model which hold float32 numbers, else None.

    It is None too if the error is larger than rounding to float32 can explain.
    """
    trial = asked.trial
    small = abs(judgement.actual - judgement.expected) <= FLOAT32_SEEN * max(
        abs(judgement.expected), 1.0
    )
    model = asked.cache.model(trial) if trial.dtype == "float64" and small else None
    if not model or not (names := find_single_precision(model.call)):
        return None
    hold = "holds" if len(names) == 1 else "hold"
    cause = (
        f"{' and '.join(names)} {hold} numbers of float32, expected dtype=torch.float64 where they"
        " are made"
    )
    return Hint(HintKind.LIKELY, cause)


def _of_its_parameters(asked: Comparison) -> Iterator[Hint]:
    """Yield a hint about the meaning of the model's parameters.

    The hint names the biases that the model has left out or, if it has all, another meaning of its
    parameters under which the failure vanishes.
    """
    subject, formulation = asked.trial.subject, asked.problems[0].formulation
    if not isinstance(subject, Subject) or asked.quantity not in ("forward", "loss"):
        return
    left_out = [block.left_out for block in formulation.own.blocks if block.left_out]
    if left_out:
        zero = ", ".join(f"{quoted(name)}: 0" for name in left_out)
        write = f"Subject({called(subject.name)}, parameters={{{zero}}})"
        yield Hint(HintKind.NO_PARAMETER, " and ".join(left_out), write)
    elif meant := other_meaning(asked):
        write = f"Subject({called(subject.name)}, parameters={meant})"
        yield Hint(HintKind.VANISHES, "its parameters mean this", write)


def other_meaning(asked: Comparison) -> str:
    """Return another meaning of the parameters that puts every output inside its bounds, as a user
    writes it.

    It is "" if there is none.
    """
    subject = asked.trial.subject
    if not isinstance(subject, Subject) or asked.quantity != "forward":
        return ""
    ways = subject.meanings(asked.problems[0].formulation.network)[1] or ()
    return next((spell(way) for way in ways if _vanishes(asked, way)), "")


def _vanishes(asked: Comparison, way: Words) -> bool:
    """Return whether the meaning `way` puts every output inside its bounds and is a new one.

    A new meaning is another map of the parameters than the one that the trial has assumed.
    """
    trial = asked.trial
    for problem in asked.problems:
        before, network = problem.formulation, problem.formulation.network
        other = Formulation.from_meaning(before.own, network, meaning(way, network), idle=True)
        if other.same_map(before):
            return False
        bound = network.oracle(
            replace(problem, formulation=other), trial.subject.contract(trial.dtype)
        )["forward"]
        answer = asked.subject(problem).values["forward"]
        if budget(answer - bound.value, bound.error).max() > 1:
            return False
    return True


def _likely(asked: Comparison) -> Hint | None:
    """Return a hint with the known fault that explains the observed answers, else None."""
    trial, cache = asked.trial, asked.cache
    if asked.quantity == STEP:
        return None
    observed = [asked.subject(problem).values for problem in asked.problems]
    told, contract = f"{trial.case.name}: {trial.subject.name}", trial.subject.contract(trial.dtype)
    network = asked.problems[0].formulation.network
    say = patient(lambda how: cache.say(f"{told}: {how}"))
    fault = network.likely(asked.problems, observed, asked.quantity, contract, say)
    return Hint(HintKind.LIKELY, fault) if fault else None
