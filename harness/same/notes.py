"""Notes that help to find the cause of a difference between two models."""

from __future__ import annotations

from collections.abc import Sequence

from harness.core.finding import HintKind
from harness.evaluating.evaluation import GRADIENT
from harness.locating.settings import compare_settings
from harness.mapping.models import Models
from harness.matching.result import AS_BUILT
from harness.same.evidence import Evidence, Shown, count_answers
from harness.same.sentences import list_names
from harness.same.state_sentences import describe_statistics

Note = tuple[HintKind, str] | tuple[HintKind, str, str]  # the kind, a sentence, a line to write


def list_notes(models: Models, evidence: Evidence, failures: Sequence[Shown]) -> list[Note]:
    """Return notes that help to find the cause of a difference."""
    given, mapping = models.given, models.mapping
    notes: list[Note] = []
    for shown in failures:
        other = shown.result.swapped.get(shown.answer)
        if other is not None:
            cause = f"{shown.answer} is what {given.name_reference} gives as {other}"
            notes.append((HintKind.LIKELY, cause))
    notes += _describe_exchanged(models)
    lacking = [name for name in mapping.unused if name in models.reference.acting]
    if lacking:
        verb = "acts" if len(lacking) == 1 else "act"
        cause = (
            f"no parameter of {given.name} follows from {list_names(lacking)} of"
            f" {given.name_reference}, which {verb} there"
        )
        notes.append((HintKind.LIKELY, cause))
    if failures and all(shown.result.by_storing for shown in failures):
        cause = (
            "a few roundings to float32 of the numbers that both hold explain the difference: if"
            f" {given.name}'s are computed from {given.name_reference}'s, as for a folded norm,"
            " compute them in float64"
        )
        notes.append((HintKind.LIKELY, cause))
    notes += _list_statistics(models)
    notes += _describe_circumstances(evidence, failures)
    notes += _compare_settings(models, failures)
    if all(note[0] is not HintKind.LIKELY for note in notes):
        notes += next((shown.result.causes for shown in failures if shown.result.causes), ())
    differing = [shown.answer for shown in failures]
    frozen = [name for name in models.subject.tensors.frozen if GRADIENT + name in differing]
    if frozen:
        cause = f"{list_names(frozen)} of {given.name} is frozen: requires_grad is False"
        notes.append((HintKind.LIKELY, cause))
    same = [shown.answer for shown in evidence.judged()]
    agreeing = [name for name in same if name not in differing]
    if differing and agreeing:
        notes.append((HintKind.NOTE, f"what agrees: {count_answers(agreeing)}"))
    return [*notes, *_describe_map(models)]


def _describe_map(models: Models) -> list[Note]:
    """Return the map of parameters in short with its whole line, and the tensors that it leaves
    out.
    """
    given, mapping = models.given, models.mapping
    text = f"parameters {mapping.said}"
    if remarks := "; ".join(filter(None, [mapping.fallback, mapping.remark])):
        text += f" ({remarks})"
    notes: list[Note] = [(HintKind.NOTE, text, mapping.code if mapping.assumed else "")]
    zeros = [name for name in mapping.as_built if name in (mapping.parts or {})]
    built = [name for name in mapping.as_built if name not in zeros]
    for names, how in ((built, "as built"), (zeros, "0")):
        if names:
            cause = f"left out of the map, and {how} in {given.name}: {list_names(names)}"
            notes.append((HintKind.NOTE, cause))
    return notes


def _list_statistics(models: Models) -> list[tuple[HintKind, str]]:
    """Return the statistics of the reference that no buffer of the subject takes."""
    lacking = describe_statistics(models)
    return [(HintKind.LIKELY, lacking)] if lacking else []


def _describe_exchanged(models: Models) -> list[tuple[HintKind, str]]:
    """Return whether the outputs would agree by a map that contradicts the names of tensors."""
    exchanged = models.mapping.against_names
    return [(HintKind.LIKELY, exchanged)] if exchanged else []


def _compare_settings(models: Models, failures: Sequence[Shown]) -> list[tuple[HintKind, str]]:
    """Return the settings of layers in which the models differ.

    One is a likely cause if the first operation that differs runs in its layer.
    """
    given, modules = models.given, (models.subject.module, models.reference.module)
    first = [each for shown in failures for each in shown.result.first.get(shown.answer, ())]
    layers = [located.layer for located in first if not located.owner]
    return [
        (HintKind.LIKELY if setting.layer in layers else HintKind.NOTE, setting.said)
        for setting in compare_settings(*modules, given.name, given.name_reference)
    ]


def _describe_circumstances(
    evidence: Evidence, failures: Sequence[Shown]
) -> list[tuple[HintKind, str]]:
    """Return a note that names the random parameters with which the answers differ; none if they
    differ with all.
    """
    failing = [
        result
        for result in evidence.results
        if any(one.outcome == "differs" for one in result.compared)
    ]
    if not failures or len(failing) in (0, len(evidence.results)):
        return []
    agreeing = [result for result in evidence.results if result not in failing]
    if all(result.ask.before is not None for result in failing) and all(
        result.ask.before is None for result in agreeing
    ):
        sentence = "only after an earlier call on other data: something is kept between calls"
        return [(HintKind.LIKELY, sentence)]
    if all(result.ask.label == AS_BUILT for result in agreeing):
        sentence = (
            "as built they agree: something that is 0, or 1, as built acts in one of them only"
        )
        return [(HintKind.LIKELY, sentence)]
    return []
