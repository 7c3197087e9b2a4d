"""Lists further observations on one evaluation of two models: operations and outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from harness.core.finding import Located
from harness.locating.alike import are_equal
from harness.locating.located import locate, read_line, shorten_path
from harness.matching.compare import Compared
from harness.matching.respondent import Respondent
from harness.matching.result import Outside
from harness.shadow.functions import Function
from harness.shadow.recording import Operation
from harness.shadow.shadow import Shadow


def locate_first(
    subject: Shadow, reference: Shadow, operations: Sequence[Operation], owner: str
) -> list[Located]:
    """Return the first operations that explain a difference with their lines of source.

    `owner` is the reference's name. It is stored with operations that the reference has and the
    subject lacks. The line that called a function is stored if several lines called it.
    """
    theirs = set(map(id, reference.watched.run.operations))
    located = []
    for operation in operations:
        owned, side = (owner, reference) if id(operation) in theirs else ("", subject)
        callers = {one.caller for one in side.watched.run.operations if one.line == operation.line}
        caller = read_line(operation.caller)[0] if len(callers) > 1 else ""
        located.append(replace(locate(operation), owner=owned, caller=caller))
    return located


def find_leaving(subject: Shadow, reference: Shadow) -> str:
    """Return the first line of source at which numbers leave torch (as for NumPy) in one of the
    models; "" if there is none.
    """
    lines = [*subject.watched.run.read_numbers, *reference.watched.run.read_numbers]
    file, _, number = next(iter(lines), "").rpartition(":")
    return f"{shorten_path(file)}:{number}" if file else ""


def describe_function(call: Function) -> str:
    """Return the name of a user's own autograd function, with the line of its forward pass."""
    line = locate(call.operations[0]).line if call.operations else ""
    return f"{call.name} ({line})" if line else call.name


def list_outside(shadow: Shadow) -> list[Outside]:
    """Return the subject's operations whose results are outside their own rounding bounds, the
    worst first.
    """
    wrong = [one for one in shadow.checked if one.ruled and one.share > 1]
    wrong.sort(key=lambda one: -one.share)
    return [Outside(locate(one.operation), one.share) for one in wrong]


def list_unruled(subject: Shadow, reference: Shadow) -> list[Located]:
    """Return the operations for which no rounding bound is known, one of each kind."""
    by_name: dict[str, Located] = {}
    for one in (*subject.checked, *reference.checked):
        if not one.ruled:
            by_name.setdefault(one.operation.name, locate(one.operation))
    return list(by_name.values())


def find_swapped(
    subject: Shadow, reference: Shadow, compared: Sequence[Compared]
) -> dict[str, str]:
    """Return a dict from outputs of the subject that differ to other outputs of the reference that
    they equal, by name.
    """
    outputs = [one.answer for one in compared if one.answer.startswith("output")]
    swapped = {}
    for one in compared:
        if one.answer not in outputs or one.outcome not in ("differs", "shape"):
            continue
        if one.answer not in subject.watched.answers:
            continue
        mine = subject.read(one.answer).detach()
        for other in outputs:
            theirs = reference.read(other).detach()
            are_real = mine.is_floating_point() and theirs.is_floating_point()
            if other != one.answer and are_real and are_equal(mine, theirs):
                swapped[one.answer] = other
    return swapped


def describe_infinite(
    mine: Respondent, theirs: Respondent, ran: Mapping[str, Tensor], reference: Shadow
) -> dict[str, str]:
    """Return sentences by the name of each output that is not finite: how many of its elements are
    not, on both sides.
    """
    sentences = {}
    for name, tensor in ran.items():
        if name not in reference.watched.answers:
            continue
        lost = int((~torch.isfinite(tensor)).sum())
        of_reference = int((~torch.isfinite(reference.watched.observed(name))).sum())
        if lost or of_reference:
            sentences[name] = (
                f"{name} is not finite in {lost} of {tensor.numel()} numbers of"
                f" {mine.side.builder.name}, and in {of_reference} of {theirs.side.builder.name}"
            )
    return sentences
