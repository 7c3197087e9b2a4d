"""All sentences of findings."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from harness.core.finding import (
    Figure,
    Finding,
    FirstOutside,
    Form,
    Hint,
    HintKind,
    Located,
    Reach,
)
from harness.core.verdict import Verdict
from harness.text.harmless import one_line
from harness.text.shell import path_word, shell_line
from harness.words.naming import distinct_digits, format_factor, format_share, list_names, title

FIRST = "first operation that differs"
COMPLETELY = " (explains the difference completely)"
MOST_TENSORS = 2  # that a headline names
MOST_OPERATIONS = 3  # that a sentence names


def with_finding(verdict: Verdict, finding: Finding) -> Verdict:
    """Return the verdict with a finding, and with the finding's sentences as `why`."""
    found = replace(verdict, finding=finding)
    lines = [heading(found, finding.against), *_sentences(found, finding)]
    return replace(found, why="\n".join(lines))


def heading(verdict: Verdict, against: str) -> str:
    """Return the first line of a failure, which names the trial that failed and the reference
    `against` which it was judged.
    """
    where = f"({verdict.device}, {verdict.dtype})"
    reach = verdict.finding.reach if verdict.finding else None
    if reach is not None:
        where = f"({' and '.join(reach.devices)}, {' and '.join(reach.dtypes)})"
        against = list_names(reach.witnesses)
    return one_line(f"{verdict.case}: {verdict.subject} {where} against {against}")


def headline(verdict: Verdict) -> str:
    """Return the result of a verdict in one line."""
    if verdict.finding is None:
        return verdict.why
    return _HEADLINES[verdict.finding.form](verdict, verdict.finding).partition("\n")[0].strip()


def blame(verdict: Verdict) -> str:
    """Return a sentence that names which of subject and reference are outside their own rounding
    bounds; "" if none is.
    """
    finding = verdict.finding
    if finding is None or not finding.blamed:
        return ""
    names = {"subject": verdict.subject, "reference": finding.against}
    outside = " and ".join(names[side] for side in finding.blamed)
    if len(finding.blamed) > 1:
        return f"{outside} are both wrong"
    stated = finding.blamed == ("reference",) and verdict.source == "stated"
    by_itself = ", by the error that it states" if stated else ""
    return f"{outside} is the wrong one{by_itself}"


def describe_reason(verdict: Verdict) -> str:
    """Return the likely cause of a failure and its headline, in one line.

    The cause comes first, since programs cut this line off.
    """
    parts: list[str] = []
    for hint in verdict.finding.hints if verdict.finding else ():
        if hint.kind is HintKind.LIKELY and not parts:
            parts.append(hint.cause.removesuffix(COMPLETELY))
    return one_line("; ".join([*parts, headline(verdict)]))


def follow(verdict: Verdict, first: str, reason: str) -> Verdict:
    """Return a copy of a verdict that says that its failure has the same cause as an earlier one.

    `first` is the id of the earlier failure, and `reason` says what failed there.
    """
    return replace(verdict, follows=first, why=one_line(f"follows from {first}: {reason}"))


def describe_reach(reach: Reach) -> str:
    """Return in words which other trials fail for the same cause, and which checks pass."""
    trials = f"{reach.trials} more trial{'s' if reach.trials > 1 else ''}"
    others = list_names([title(check) for check in reach.checks])
    said = f"the same cause fails {trials}"
    if others:
        said += f", also of {others}"
    if reach.right:
        said += f"; right: {list_names([title(check) for check in reach.right])}"
    return said


def hint_sentence(verdict: Verdict, hint: Hint) -> str:
    """Return a hint as a sentence."""
    if hint.kind is HintKind.LIKELY:
        return f"likely: {hint.cause}"
    if hint.kind is HintKind.NOTE:
        return hint.cause
    if hint.kind is HintKind.VANISHES:
        return f"it vanishes if {hint.cause}: write {hint.write}"
    none = f"{verdict.subject} has no parameter for {hint.cause}"
    return f"{none}: if a constant is meant, 0 say, write {hint.write}"


def _sentences(verdict: Verdict, finding: Finding) -> Iterator[str]:
    """Yield all lines of a failure after its heading."""
    yield _HEADLINES[finding.form](verdict, finding)
    for hint in finding.hints:
        if hint.kind is HintKind.LIKELY:
            yield f"  {hint_sentence(verdict, hint)}"
    if finding.form in (Form.OUTSIDE, Form.MODELS):
        for line in _details(verdict, finding):
            yield f"  {line}"
    elif finding.form in (Form.NOT_ZERO, Form.ZERO):
        yield f"  at {finding.where}"
    if finding.reach is not None and finding.reach.trials:
        yield f"  {describe_reach(finding.reach)}"
    for line in _reproduction(finding):
        yield f"  {line}"


def _details(verdict: Verdict, finding: Finding) -> Iterator[str]:
    """Yield the lines of a failure on answers that differ by more than rounding."""
    if finding.actual is not None:
        yield _worst(finding)
    if finding.first_outside:
        first = _first_outside(finding.quantity, finding.first_outside)
        yield f"first wrong quantity: {first}"
    layers = finding.layers
    if layers and layers.missing:
        yield (
            f"layer by layer, {layers.seen} of {layers.of} numbers were seen on its way; the first"
            f" that was not: {layers.missing}"
        )
    if finding.ran:
        yield f"it ran {finding.ran}"
    if "subject" in finding.blamed:
        yield blame(verdict)
    if finding.losses:
        yield finding.losses
    if finding.first_operations:
        every = dict.fromkeys(describe_operation(each) for each in finding.first_operations)
        named = list(every)[:MOST_OPERATIONS]
        more = len(every) - len(named)
        further = f", and {more} more" if more else ""
        owner = finding.first_operations[0].owner
        first = f"first operation of {owner} without a counterpart" if owner else FIRST
        yield f"{first}: {'; '.join(named)}{further}"
    for hint in finding.hints:
        if hint.kind is not HintKind.LIKELY:
            yield hint_sentence(verdict, hint)


def describe_operation(found: Located) -> str:
    """Return an operation in words: "tanh in hidden (net.py:12: h = torch.tanh(z))"."""
    where = f" in {found.layer}" if found.layer else ""
    backward = ", on the way back" if found.backward else ""
    called = f", called in {found.caller}" if found.caller else ""
    line = f" ({found.line}: {found.source}{called})" if found.source else ""
    return f"{found.operation}{where}{backward}{line}"


def _reproduction(finding: Finding) -> Iterator[str]:
    """Yield the lines of a failure that say how to reproduce it."""
    if finding.script:
        yield f"reproduce: {shell_line(path_word(finding.python), path_word(finding.script))}"
    elif finding.no_script:
        yield f"reproduce: {finding.no_script}"
    if finding.rerun:
        yield f"rerun: {finding.rerun}"


def _outside(verdict: Verdict, finding: Finding) -> str:
    """Return the headline of answers that differ; it begins with the reference if that is the wrong
    one.
    """
    said = _describe_difference(verdict, finding)
    return f"{blame(verdict)}: {said}" if finding.blamed == ("reference",) else said


def _describe_difference(verdict: Verdict, finding: Finding) -> str:
    what = _quantity_outside(finding)
    if not _are_finite(finding):
        return f"{what} is not finite where {verdict.dtype} should be"
    factor = _number(finding.factor)
    if not math.isfinite(factor):
        return f"{what} differs where it must be equal, since nothing on the way to it rounds"
    return f"{what} differs by {format_factor(factor)} times its {verdict.dtype} rounding bound"


def _quantity_outside(finding: Finding) -> str:
    """Return the name of the finding's quantity; if only some of its tensors are outside their
    bounds, with their names.
    """
    what, first = title(finding.quantity), finding.first_outside
    if first is None or not first.within or not first.tensors:
        return what
    if finding.quantity in ("forward", "loss"):
        return what
    named = list(first.tensors[:MOST_TENSORS])
    if len(first.tensors) > MOST_TENSORS:
        named[1:] = [f"{len(first.tensors) - 1} others"]
    return f"{what} of {' and '.join(named)}"


def _worst(finding: Finding) -> str:
    got, wanted = distinct_digits(_number(finding.actual), _number(finding.expected))
    expected = f"{finding.witness} says" if finding.witness else "expected"
    allowed, declared = _number(finding.allowed), _number(finding.contract_share)
    sentence = f"worst at {finding.where}: got {got}, {expected} {wanted}, allowed ±{allowed:.2g}"
    if not declared > allowed / 2:
        return sentence
    why = finding.contract_reason or "their contracts differ"
    if finding.layers is not None:
        why = "its earlier layers have rounded"
    return f"{sentence}, {declared:.2g} of it because {why}"


def _first_outside(quantity: str, first: FirstOutside) -> str:
    if first.quantity != quantity:
        return f"{title(first.quantity)} ({format_factor(_number(first.factor))} times its bound)"
    told = "" if quantity in ("forward", "loss") else f"{title(quantity)} of "
    told += ", ".join(first.tensors)
    if first.within:
        told += f", not of {', '.join(first.within)}"
    if first.inside:
        verb = "is" if len(first.inside) == 1 else "are"
        most = f"(worst {format_share(_number(first.most))} of the bound)"
        told += f"; {' and '.join(first.inside)} {verb} right {most}"
    return told


def _unanswered(verdict: Verdict, finding: Finding) -> str:
    return f"{title(finding.quantity)} was not answered: {finding.reason}"


def _claim(verdict: Verdict, finding: Finding) -> str:
    if finding.claim is None:  # of a file that a person wrote
        return finding.reason
    claim, actual = finding.claim, _number(finding.actual)
    expected, allowed = _number(finding.expected), _number(finding.allowed)
    gives = f"its final weights give {expected:.9g}, allowed ±{allowed:.2g}"
    return f"{claim.trainer} {claim.says} {actual:.9g}, {gives} (start {claim.start})"


def _not_zero(verdict: Verdict, finding: Finding) -> str:
    actual, allowed = _number(finding.actual), _number(finding.allowed)
    is_now = f"and is {actual:.5g}, allowed ±{allowed:.2g}"
    return f"{finding.quantity} was claimed to be 0 for {verdict.subject}, {is_now}"


def _zero(verdict: Verdict, finding: Finding) -> str:
    return (
        f"{finding.quantity} was claimed to be other than 0 for the equations, and is nowhere"
        " beyond the bounds"
    )


def _same(verdict: Verdict, finding: Finding) -> str:
    if _are_finite(finding):
        share, allowed = _number(finding.factor), _number(finding.allowed)
        nearest = f"the nearest is {finding.where}, {share:.2g} of the allowed ±{allowed:.2g}"
    else:
        nearest = f"{finding.where} is not finite, which is no counterexample"
    return f"{finding.quantity} was claimed to differ, and no counterexample was found: {nearest}"


def _reason(verdict: Verdict, finding: Finding) -> str:
    return finding.reason


_HEADLINES: dict[Form, Callable[[Verdict, Finding], str]] = {
    Form.OUTSIDE: _outside,
    Form.UNANSWERED: _unanswered,
    Form.CLAIM: _claim,
    Form.NOT_ZERO: _not_zero,
    Form.ZERO: _zero,
    Form.SAME: _same,
    Form.MODELS: _reason,
    Form.REASON: _reason,
}


def _are_finite(finding: Finding) -> bool:
    return all(math.isfinite(_number(each)) for each in (finding.actual, finding.expected))


def _number(given: Figure | None) -> float:
    """Return a figure as a number; NaN if there is none."""
    return math.nan if given is None else float(given)
