"""Diagnoses a failed trial: how far the answer is outside its bounds, in which tensors, in which
quantity first, on which side, and why.
"""

from collections.abc import Iterator
from dataclasses import replace
from math import log

from harness.comparing.judge import Judgement, budget
from harness.core.contract import NNET_CLIP, Contract
from harness.core.finding import (
    Finding,
    FirstOutside,
    Form,
    Hint,
    HintKind,
    Layers,
    Located,
    figure,
)
from harness.core.formulation import Formulation
from harness.core.problem import ORDER
from harness.core.verdict import Status, Verdict
from harness.diagnosis.accuracy import find_hint
from harness.diagnosis.batch import find_batch
from harness.diagnosis.declared import explain_contracts
from harness.diagnosis.first_operation import find_first_operations
from harness.diagnosis.ignored import find_ignored
from harness.diagnosis.narrower import find_narrower
from harness.foreign.computed import Computed
from harness.judging.comparison import Comparison, finding_of
from harness.judging.other_losses import find_loss, has_own_loss, spell_loss
from harness.judging.same_loss import exact_draws, have_another_loss
from harness.model.single_precision import find_single_precision
from harness.pytorch.mapping import Mapped
from harness.pytorch.parameters import Words, meaning, spell
from harness.text.python import called, quoted
from harness.waiting.progress import patient
from harness.words.naming import tensors

GRADIENTS = ("gradient", "input_gradient")  # neither is computed before the other
FLOAT32_SEEN = 2.0**-20  # what a number of float32 may change, a few operations on
BCE_BEYOND = 27.6  # the logit at which p (1 - p) is 1e-12, where BCELoss begins to lose its slope
LOST = 4.0  # times the allowed difference at least, where activations lose digits
NOT_KNOWN = (
    "its loss is none that was tried: weights of classes must be written; of a loss that Loss(...)"
    " does not have, as focal or hinge, write Case(..., checks=['forward']), or name a model with"
    " the same loss as the reference"
)
RELU_CONVENTIONS = {0.0: "relu", 1.0: "clamp(min=0)", 0.5: "torch.maximum"}


def locate(comparison: Comparison, judgement: Judgement, verdict: Verdict) -> Finding:
    """Return the finding (a failure as data) of a trial whose answer is outside its bounds.

    It says how far outside the answer is, where, on which side, and which quantity is outside first
    in order of computation. `judgement` is the result of the comparison, and `verdict` has its
    figures.
    """
    trial = comparison.trial
    finding = finding_of(verdict, trial, Form.OUTSIDE, comparison.quantity, judgement.factor)
    witness = finding.against.split()[0]
    return replace(
        finding,
        witness=witness,
        contract_reason=explain_contracts(comparison, witness),
        first_outside=_find_first_outside(
            comparison, judgement, _judge_earlier_quantities(comparison)
        ),
        blamed=judgement.outside,
    )


def diagnose(comparison: Comparison, judgement: Judgement, located: Finding) -> Finding:
    """Return a copy of the finding `located`, with likely causes and the first operations that
    differ.
    """
    seen, of, missing = comparison.stages()
    hints = [_find_other_convention(comparison, judgement.budget_used)]
    operations: tuple[Located, ...] = ()
    first_outside = located.first_outside
    if first_outside is not None and first_outside.quantity == comparison.quantity:
        first = hints[0] or _find_float32_tensors(comparison, judgement) or find_hint(comparison)
        first = first or _find_likely_fault(comparison, judgement) or find_ignored(comparison)
        first = first or find_narrower(comparison, judgement) or find_batch(comparison)
        hints = [first, *_list_parameter_hints(comparison)]
        hints.append(_find_other_loss(comparison, is_explained=any(hints)))
        operations = find_first_operations(comparison, judgement)
    return replace(
        located,
        layers=Layers(seen, of, missing) if of else None,
        ran=comparison.ran,
        losses=_explain_other_losses(comparison) if have_another_loss(comparison) else "",
        hints=tuple(hint for hint in hints if hint),
        first_operations=operations,
    )


def _find_other_loss(comparison: Comparison, is_explained: bool) -> Hint | None:
    """Return a hint with the Loss(...) by which the model computes its loss, if it is not the
    case's.

    If no Loss(...) fits, and `is_explained` is False (no hint explains the failure yet), return a
    hint on how to handle a loss that `Loss` does not know.
    """
    if comparison.quantity != "loss" or not has_own_loss(comparison):
        return None
    if loss := find_loss(comparison):
        write = f"probes(loss={spell_loss(loss)})"
        return Hint(HintKind.VANISHES, "the case has the model's loss", write)
    if is_explained or comparison.problems[0].loss.is_squares:
        return None
    return Hint(HintKind.NOTE, NOT_KNOWN)


def _judge_earlier_quantities(comparison: Comparison) -> dict[str, Judgement]:
    """Return the judgements of the quantities from which the trial's quantity is computed, by name,
    in order of computation.

    It ends with the first quantity that is outside its bounds. The gradient and the input gradient
    are not computed from each other.
    """
    found = {}
    for earlier in ORDER[: ORDER.index(comparison.quantity)]:
        if earlier in GRADIENTS and comparison.quantity in GRADIENTS:
            continue
        judged = comparison.judged(earlier)
        if isinstance(judged, Judgement):
            found[earlier] = judged
            if judged.status is Status.FAIL:
                break
    return found


def _find_first_outside(
    comparison: Comparison, judgement: Judgement, before: dict[str, Judgement]
) -> FirstOutside:
    """Return the first quantity outside its bounds, in order of computation.

    `before` has the judgements of the quantities that come earlier. For the trial's own quantity
    the result also has its tensors outside and inside, and the earlier quantities, which are all
    inside.
    """
    for earlier, judged in before.items():
        if judged.status is Status.FAIL:
            return FirstOutside(earlier, figure(judged.factor))
    names = tensors(comparison.problems[0], comparison.quantity)[0]
    outside = tuple(names[i] for i in judgement.tensors_outside)
    within = tuple(name for name in names if name not in outside)
    most = max((judged.budget_used for judged in before.values()), default=0.0)
    factor = figure(judgement.factor)
    return FirstOutside(comparison.quantity, factor, outside, within, tuple(before), figure(most))


def _explain_other_losses(comparison: Comparison) -> str:
    """Return a sentence on why two losses that are not the case's are not recognised as the same
    loss; "" if this does not apply.
    """
    names = comparison.trial.subject.name, comparison.trial.against
    count = sum(int(c.sum()) for c in exact_draws(comparison))
    both = f"neither {' nor '.join(names)} has the case's loss, and"
    if not count:
        return (
            f"{both} no draw has exact outputs, to tell whether both have the same: add"
            " probes(kinds=['exact'])"
        )
    return (
        f"{both} their losses are not the same to the last bit in the {count} draws whose outputs"
        " are exact; of losses with exp, log or roots that says nothing: choose checks=['forward'],"
        " or a Loss that the case can have"
    )


def _find_other_convention(comparison: Comparison, factor: float) -> Hint | None:
    """Return a hint if the failure vanishes under another convention of an activation, else None.

    The conventions are the derivative of ReLU at exactly 0, nnet's clip of the logistic, a loss
    that is computed from probabilities, and activations that lose digits. The hint has the line
    with which a user declares the convention. `factor` is the difference divided by the allowed
    one.
    """
    trial = comparison.trial
    promised = trial.contract
    activations = comparison.formulation.network.activations
    if "relu" in activations and comparison.quantity not in ("forward", "loss"):
        for value, written in RELU_CONVENTIONS.items():
            other = replace(promised, relu_at_zero=value)
            if value != promised.relu_at_zero and _passes(comparison, other):
                cause = f"the derivative of ReLU at exactly 0 is {value:g}, as {written} has it"
                write = _write_declaration(comparison, f"relu_at_zero={value:g}")
                return Hint(HintKind.VANISHES, cause, write)
    if "logistic" in activations:
        clip = NNET_CLIP if promised.logistic_clip is None else None
        if _passes(comparison, replace(promised, logistic_clip=clip)):
            return _make_clip_hint(comparison, clip)
    return _find_unfused_loss(comparison, promised) or (
        _find_lost_digits(comparison, promised) if factor > LOST else None
    )


def _find_unfused_loss(comparison: Comparison, promised: Contract) -> Hint | None:
    """Return a hint if the failure vanishes for a loss that is computed from probabilities, else
    None.

    The gradient of such a loss is lost where probabilities round to 0 or 1. `promised` is the
    arithmetic that the subject promises.
    """
    if comparison.problems[0].loss.is_squares or not promised.own_loss or promised.unfused_slope:
        return None
    if not _passes(comparison, promised.through_probabilities()):
        return None
    beyond = min(log(2) * promised.bits, BCE_BEYOND)
    cause = (
        f"its loss is computed from probabilities: beyond a logit of {beyond:.0f} they round to 0"
        f" or 1 in {promised.dtype}, and the loss and its gradient are lost; those of"
        " BCEWithLogitsLoss and CrossEntropyLoss are not"
    )
    return Hint(HintKind.VANISHES, cause, _write_declaration(comparison, "unfused_loss=True"))


def _find_lost_digits(comparison: Comparison, promised: Contract) -> Hint | None:
    """Return a hint if the failure vanishes when tanh and the logistic may be off by roundings of
    1, else None.

    Their relative error is then large where they are small. `promised` is the arithmetic that the
    subject promises.
    """
    network = comparison.formulation.network
    if promised.absolute_activations or not {"tanh", "logistic"} & set(network.activations):
        return None
    if not _passes(comparison, replace(promised, absolute_activations=True)):
        return None
    cause = (
        "its tanh or logistic loses digits where it is small, as tanh written as"
        " 2 sigmoid(2 z) - 1 does"
    )
    return Hint(
        HintKind.VANISHES, cause, _write_declaration(comparison, "absolute_activations=True")
    )


def _write_declaration(comparison: Comparison, words: str = "") -> str:
    """Return the code with which a user declares a property of the trial's subject, given as
    `words`.
    """
    subject = comparison.trial.subject
    kind = "Computed" if isinstance(subject, Computed) else "Subject"
    return f"{kind}({', '.join(filter(None, [called(subject.name), words]))})"


def _make_clip_hint(comparison: Comparison, clip: float | None) -> Hint:
    """Return a hint with the line that declares the logistic as clipped at |z| > `clip`; None means
    not clipped.
    """
    if clip is None:
        write = f"{_write_declaration(comparison)} without logistic_clip"
        return Hint(HintKind.VANISHES, "its logistic is not clipped", write)
    cause = f"its logistic is exactly 0 or 1 beyond |z| > {clip:g}, as R nnet's is"
    return Hint(HintKind.VANISHES, cause, _write_declaration(comparison, f"logistic_clip={clip:g}"))


def _passes(comparison: Comparison, contract: Contract) -> bool:
    """Is the quantity inside its bounds if the subject promises the arithmetic of this contract?"""
    judged = comparison.judged(comparison.quantity, contract)
    return isinstance(judged, Judgement) and judged.status is Status.PASS


def _find_float32_tensors(comparison: Comparison, judgement: Judgement) -> Hint | None:
    """Return a hint that names tensors of a float64 model with float32 numbers, else None.

    Also return None if the error is larger than rounding to float32 can explain.
    """
    trial = comparison.trial
    small = abs(judgement.actual - judgement.expected) <= FLOAT32_SEEN * max(
        abs(judgement.expected), 1.0
    )
    model = comparison.cache.model(trial) if trial.dtype == "float64" and small else None
    if not model or not (names := find_single_precision(model.call)):
        return None
    hold = "holds" if len(names) == 1 else "hold"
    cause = (
        f"{' and '.join(names)} {hold} numbers of float32, expected dtype=torch.float64 where they"
        " are made"
    )
    return Hint(HintKind.LIKELY, cause)


def _list_parameter_hints(comparison: Comparison) -> Iterator[Hint]:
    """Yield hints about the way in which the model's parameters are the network's.

    A hint names the biases that the model has left out. If there are none, a hint names another way
    to map its parameters to the network's, with which the failure vanishes.
    """
    subject, formulation = comparison.trial.subject, comparison.formulation
    if not isinstance(subject, Mapped) or comparison.quantity not in ("forward", "loss"):
        return
    left_out = [block.left_out for block in formulation.own.blocks if block.left_out]
    if left_out:
        zero = ", ".join(f"{quoted(name)}: 0" for name in left_out)
        write = _write_declaration(comparison, f"parameters={{{zero}}}")
        yield Hint(HintKind.NO_PARAMETER, " and ".join(left_out), write)
    elif meant := other_meaning(comparison):
        write = _write_declaration(comparison, f"parameters={meant}")
        yield Hint(HintKind.VANISHES, "its parameters mean this", write)


def other_meaning(comparison: Comparison) -> str:
    """Return another way to map the model's parameters to the network's, as Python code.

    All outputs are inside their bounds with it. It is "" if there is none.
    """
    subject = comparison.trial.subject
    if not isinstance(subject, Mapped) or comparison.quantity != "forward":
        return ""
    ways = subject.meanings(comparison.formulation.network)[1] or ()
    return next((spell(way) for way in ways if _vanishes(comparison, way)), "")


def _vanishes(comparison: Comparison, way: Words) -> bool:
    """Is every output inside its bounds if the model's parameters are mapped to the network's by
    `way`?

    Returns False if this is the map that the trial has used.
    """
    trial = comparison.trial
    for problem in comparison.problems:
        before, network = problem.formulation, problem.network
        other = Formulation.from_meaning(before.own, network, meaning(way, network), idle=True)
        if other.same_map(before):
            return False
        bound = network.oracle(replace(problem, formulation=other), trial.contract)["forward"]
        answer = comparison.subject(problem).values["forward"]
        if budget(answer - bound.value, bound.error).max() > 1:
            return False
    return True


def _find_likely_fault(comparison: Comparison, judgement: Judgement) -> Hint | None:
    """Return a hint with the known fault that explains the observed answers, else None.

    The answers are the subject's or, if the reference alone is outside its own bounds, the
    reference's.
    """
    trial, cache = comparison.trial, comparison.cache
    of_reference = judgement.outside == ("reference",)
    asked = comparison.reference if of_reference else comparison.subject
    observed = []
    for problem in comparison.problems:
        answers = asked(problem)
        values = dict(answers.values)
        if "gradient" in values and not answers.by_own:
            values["gradient"] = problem.formulation.pull_back(values["gradient"])
        observed.append(values)
    told = f"{trial.case.name}: {trial.subject.name}"
    contract = comparison.contracts[1 if of_reference else 0]
    network = comparison.formulation.network
    say = patient(lambda how: cache.say(f"{told}: {how}"))
    fault = network.likely(comparison.problems, observed, comparison.quantity, contract, say)
    if not fault:
        return None
    return Hint(HintKind.LIKELY, _say_of_reference(fault, trial.against) if of_reference else fault)


def _say_of_reference(fault: str, name: str) -> str:
    """Return the sentence on a fault for a fault of the reference, which is called `name`.

    It is compared with the case's equations, not with a reference.
    """
    return f"in the reference {name}: {fault.replace('the reference', 'the case')}"
