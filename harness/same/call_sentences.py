"""The sentences on models whose answers differ only in another way of calling them."""

from __future__ import annotations

from harness.core.finding import HintKind
from harness.mapping.models import Models
from harness.matching.calling import Call
from harness.matching.result import Result
from harness.words.naming import format_factor


def describe_call(models: Models, call: Call, result: Result) -> str:
    """Return the first line of a failure in which models differ in a way of calling."""
    given = models.given
    if call.said:
        return (
            f"{given.name} {call.said}, {call.way.words}; {given.name_reference} {call.other}"
            f" ({result.ask.label})"
        )
    factor = format_factor(call.factor)
    return (
        f"{call.answer} differs {call.way.words}, by {factor} times the {call.dtype} rounding bound"
        " of its operations; called with all gradients, the models agree"
    )


def list_call_notes(models: Models, call: Call) -> list[tuple[HintKind, str]]:
    """Return notes that help to find why models differ in a way of calling."""
    if call.said:
        return []
    names = models.given.name, models.given.name_reference
    notes = []
    for name, here, usual in zip(names, (call.actual, call.expected), call.usual, strict=True):
        if abs(here - usual) > abs(call.actual - call.expected) / 4:
            sentence = (
                f"{name} gives {here:.6g} {call.way.words}, and {usual:.6g} with all gradients"
            )
            notes.append((HintKind.NOTE, sentence))
    if call.is_fused:
        cause = (
            "a fast path of torch: it skips what a subclass of nn.TransformerEncoderLayer or"
            " nn.MultiheadAttention overrides, and padded positions;"
            " torch.backends.mha.set_fastpath_enabled(False) switches it off"
        )
        notes.insert(0, (HintKind.LIKELY, cause))
    return notes
