"""The sentences on two models: the comparison, its precision, and the differences."""

from __future__ import annotations

import math
from collections.abc import Sequence

from harness.core.verdict import Status
from harness.evaluating.evaluation import BY_INPUT
from harness.evaluating.given import BY_DEFAULT
from harness.evaluating.side import is_output
from harness.mapping.fallback import list_shapes
from harness.mapping.models import Models
from harness.matching.result import Outside, Result
from harness.same.evidence import Evidence, Shown, count_answers
from harness.words.naming import describe_used, format_factor, format_share
from harness.words.wording import describe_operation

NARROW = ("bfloat16", "float16")
NOT_PROVED = "other data and the steps of an optimiser are not judged"
MOST_NAMED = 6


def name_element(shown: Shown) -> str:
    """Return the name of an element of an answer, with the number of the random parameters:
    "output[3, 2] (drawn 1)".
    """
    return name_place(shown.answer, shown.compared.where, shown.result.ask.label)


def name_place(answer: str, where: Sequence[int], label: str) -> str:
    """Return the name of the element `where` of an answer; `label` names the parameters."""
    index = ", ".join(map(str, where))
    return f"{answer}{f'[{index}]' if index else ''} ({label})"


def list_names(names: Sequence[str]) -> str:
    """Return at most MOST_NAMED names as one text."""
    listed = list(names[:MOST_NAMED])
    if len(names) > MOST_NAMED:
        listed.append(f"{len(names) - MOST_NAMED} more")
    return " and ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)


def describe_function(models: Models, evidence: Evidence, mode: str, dtype: str) -> str:
    """Return the sentence on models that are the same function, in a mode and a dtype."""
    judged = evidence.judged()
    factor = max(shown.compared.factor for shown in judged)
    resolution = max(shown.compared.resolution for shown in judged)
    labels = dict.fromkeys(result.ask.label for result in evidence.results)
    answers = count_answers([shown.answer for shown in judged])
    used = describe_used(factor, "float64")
    if not factor:
        used = "to the last bit of float64"
    sentence = (
        f"the same function in {mode}(): {answers} agree in {len(evidence.results)} draws"
        f" ({', '.join(labels)}), {used}; resolution {resolution:.1g}; parameters"
        f" {models.mapping.text}"
    )
    if models.mapping.assumed and "..." not in models.mapping.code:
        sentence += f"; to say so yourself: {models.mapping.code}"
    if dtype in NARROW:
        sentence += (
            f"; the numbers of both models and the data were rounded to {dtype} first: what that"
            " loses is not judged"
        )
    if any(result.rounded for result in evidence.results):
        sentence += "; constants that one of them holds rounded may be off by that rounding"
    if any(result.draws for result in evidence.results):
        sentence += "; random numbers repeat under one seed"
    if left_out := _describe_left_out(models, evidence):
        sentence += f"; not judged: {left_out}"
    return f"{sentence}; {NOT_PROVED}"


def _describe_left_out(models: Models, evidence: Evidence) -> str:
    """Return the answers and parameters that were not judged, as a sentence."""
    parts = []
    for name, outcome in evidence.unjudged().items():
        reason = "0 everywhere" if outcome == "not seen" else "0 but for rounding"
        parts.append(f"{name} ({reason})")
    for side in (models.reference, models.subject):
        idle = [name for name in side.tensors.parameters if name not in side.acting]
        if idle:
            verb = "acts" if len(idle) == 1 else "act"
            parts.append(f"{list_names(idle)} of {side.builder.name}, which {verb} on no output")
    if not models.mapping.differentiable:
        parts.append("gradients by parameters, since the map of parameters has no derivative")
    if not models.by_inputs:
        parts.append("gradients by inputs, since a model writes into them or gives them to NumPy")
    return "; ".join(parts)


def describe_limits(models: Models, dtype: str) -> str:
    """Return the notes on the parameters, and on the dtype of the trial, as a sentence; "" if there
    are none.
    """
    mapping, given = models.mapping, models.given
    sentences = []
    if mapping.assumed:
        sentences.append(f"The parameters were {mapping.said}")
    if mapping.remark:
        sentences.append(mapping.remark)
    sentences += _describe_narrow(models, dtype)
    sums = [name for name, part in (mapping.parts or {}).items() if part.adds]
    if sums:
        verb = "is a sum" if len(sums) == 1 else "are sums"
        sentences.append(f"{list_names(sums)} {verb}: a step of training moves both terms")
    for free in models.free:
        if free.merged:
            sentences.append(
                f"{free.name} follows from nothing in {given.name_reference} and acts only in a sum"
                f" with {free.merged}: training moves that sum twice"
            )
        elif free.twin == free.name:
            sentences.append(
                f"numbers of {free.name} are equal, or constant, that {given.name} can move"
            )
        elif free.said:
            whose = f"as {free.twin}" if free.twin else "as you say"
            sentences.append(f"{free.name} can move on its own in {given.name}: it is held {whose}")
    if models.differing:
        sentences.append(
            f"the numbers that {given.name} holds itself are others ({list_names(models.differing)}"
            f"): both were judged with those of {given.name_reference}"
        )
    return "; ".join(sentences)


def _describe_narrow(models: Models, dtype: str) -> list[str]:
    """Return a sentence for each model that is built in a narrower dtype than it was judged in."""
    return [
        f"{side.builder.name} is built in {narrow}, and by default {' and '.join(BY_DEFAULT)} are"
        f' judged: to judge it as built write dtypes=["{narrow}"]'
        for side in (models.subject, models.reference)
        for narrow in side.builder.narrow
        if narrow != dtype and not models.given.dtypes_named
    ]


def describe_widening(models: Models) -> str:
    """Return why the subject can compute functions that the reference cannot; "" if it cannot."""
    given = models.given
    wide = [free for free in models.free if free.widens]
    if not wide:
        return ""
    twins = [free for free in wide if free.twin]
    if twins:
        one = twins[0]
        return (
            f"{one.name} and {one.twin} are one tensor in {given.name_reference} and two in"
            f" {given.name}: training moves them apart; if it is meant, say so with parameters="
        )
    names = [free.name for free in wide]
    verb = "acts and follows" if len(names) == 1 else "act and follow"
    return (
        f"{list_names(names)} {verb} from nothing in {given.name_reference}: {given.name} is the"
        f" same function only as built; if it is meant, write"
        f' parameters={{"{names[0]}": 0.0}} or another constant'
    )


def describe_unjudged(models: Models, evidence: Evidence) -> tuple[Status, str] | None:
    """Return a status and a reason if some answer was never judged, or if no answer proves
    anything.
    """
    unjudged = evidence.unjudged()
    judged = evidence.judged()
    if left := evidence.find_left():
        return Status.VACUOUS, (
            f"{left.answer} differs by no more than what its dtype may lose, and numbers leave"
            f" torch in {left.result.left}: what NumPy, Python or another thread computes of them"
            " has no bounds"
        )
    if any(outcome == "no rule" for outcome in unjudged.values()):
        return Status.VACUOUS, describe_unruled(evidence)
    lost = [name for name, outcome in unjudged.items() if outcome == "not finite"]
    if lost:
        return Status.UNDEFINED, f"{list_names(lost)}: not finite in both models: use other data"
    outputs = [shown for shown in judged if is_output(shown.answer)]
    zero = evidence.zeros()
    wide = [
        name for name, outcome in unjudged.items() if outcome == "too wide" and name not in zero
    ]
    if wide:
        return (
            Status.VACUOUS,
            f"the bound of {list_names(wide)} exceeds a tenth of its size in every draw",
        )
    if outputs and all(math.isnan(shown.compared.actual) for shown in outputs):
        names = list_names([shown.answer for shown in outputs])
        return (
            Status.VACUOUS,
            f"only whole numbers come out ({names}), which are equal: a small difference before"
            " them would not show; give the numbers before them, such as logits",
        )
    if not outputs:
        return Status.VACUOUS, "no output is ever other than 0: choose other data"
    moved = any(shown.answer.startswith(BY_INPUT) for shown in judged)
    if not moved and not models.reference.acting and not models.subject.acting:
        return (
            Status.VACUOUS,
            "no output depends on parameters or inputs: two constants are equal",
        )
    return None


def describe_unruled(evidence: Evidence) -> str:
    """Return a sentence on operations for which no rounding bound is known."""
    names = [describe_operation(each) for each in evidence.unruled()]
    verb = "has" if len(names) == 1 else "have"
    return f"{list_names(names)} {verb} no rule of rounding yet, so nothing is said of what follows"


def describe_difference(shown: Shown) -> str:
    """Return the first line of a failure in which an answer differs."""
    compared = shown.compared
    if compared.outcome == "not finite":
        return shown.result.not_finite.get(shown.answer, f"{shown.answer} is not finite")
    if math.isnan(compared.actual):
        return f"{shown.answer} differs: its whole numbers are not equal"
    if math.isinf(compared.factor):
        return f"{shown.answer} differs, where rounding explains nothing"
    factor = format_factor(compared.factor)
    headline = f"{shown.answer} differs by {factor} times its float64 rounding bound"
    bits = count_bits(compared.actual, compared.expected)
    return f"{headline}; the first {bits} bits agree" if bits > 1 else headline


def count_bits(actual: float, expected: float) -> int:
    """Return the number of leading bits in which two numbers agree."""
    size = max(abs(actual), abs(expected))
    difference = abs(actual - expected)
    if not size or not difference or not math.isfinite(difference / size):
        return 0
    return max(0, math.floor(-math.log2(difference / size)))


def describe_shape(models: Models, shown: Shown, mode: str) -> str:
    """Return the first line of a failure in which answers do not correspond, for example because
    their shapes differ.
    """
    given = models.given
    if is_output(shown.answer):
        mine = list_shapes(models.subject.outputs.get(mode, {}))
        theirs = list_shapes(models.reference.outputs.get(mode, {}))
        return f"{given.name} gives {mine}, {given.name_reference} {theirs}"
    if shown.compared.outcome == "only here":
        return (
            f"{given.name} has a {shown.answer}, and {given.name_reference} has none: it is frozen,"
            " detached or a buffer there"
        )
    return f"{given.name} has no {shown.answer}: something is detached, or not used"


def describe_outside(outside: Outside, result: Result, dtype: str) -> str:
    """Return the first line of a failure in which an operation is outside its own rounding
    bound.
    """
    operation = describe_operation(outside.operation)
    if math.isinf(outside.share):
        return (
            f"{operation} gave other numbers than it computes from its inputs, beyond all rounding:"
            f" was its memory written from outside torch? ({result.ask.label})"
        )
    factor = format_factor(outside.share)
    return f"{operation} errs by {factor} times its {dtype} rounding bound ({result.ask.label})"


def describe_well_computed(evidence: Evidence, dtype: str) -> str:
    """Return the sentence on a model that computes as well as its dtype allows."""
    worst = evidence.worst_run()
    assert worst is not None
    share, size = worst.compared.run_factor, worst.compared.run_resolution
    fused = max(result.fused for result in evidence.results)
    if fused:
        return (
            f"its fused kernels (attention, recurrent layers) err by {format_factor(fused)} times"
            f" the {dtype} rounding bound of their steps; with torch's unfused kernels"
            f" {worst.answer} used at most {format_share(share)} of it ({size:.1g} of its size)"
        )
    if dtype == "float64":
        return (
            "float64's operations are taken as audited, not checked (their shadow repeats them); as"
            f" it ran, {worst.answer} used at most {format_share(share)} of its rounding bound"
            f" ({size:.1g} of its size)"
        )
    return (
        f"every operation is within its own bound in {dtype}, and from end to end"
        f" {worst.answer} used at most {format_share(share)} of its rounding bound ({size:.1g} of"
        " its size)"
    )


def describe_backwards(names: Sequence[str]) -> str:
    """Return the first line of a failure in which autograd functions, of these names, have a wrong
    backward pass.
    """
    return (
        f"the backward pass of {list_names(names)} is not the derivative of its forward pass; if it"
        ' is meant, write own_backward="why"'
    )
