"""The sentences on the dropout of two models that were judged with all dropout switched off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.core.finding import HintKind
from harness.core.verdict import Status
from harness.locating.located import read_line
from harness.mapping.models import Models
from harness.model.dropout import Dropped
from harness.same.evidence import Evidence


def describe_lacking(models: Models, evidence: Evidence) -> str:
    """Return the dropout that one of the models lacks; "" if it is not certain that one does."""
    given, dropping = models.given, evidence.dropping
    if dropping is None:
        return ""
    if dropping.lacking:
        return f"{given.name} lacks a dropout of {given.name_reference}: {_list(dropping.lacking)}"
    if dropping.more:
        return (
            f"{given.name} has a dropout that {given.name_reference} lacks: {_list(dropping.more)}"
        )
    return ""


def describe_unequal(models: Models, evidence: Evidence) -> tuple[Status, str] | None:
    """Return a status and a reason if two models have dropouts of other sizes."""
    given, dropping = models.given, evidence.dropping
    if dropping is None or dropping.is_equal:
        return None
    return Status.VACUOUS, (
        f"dropout decides on {_count(dropping.mine)} in {given.name}, and on"
        f" {_count(dropping.theirs)} in {given.name_reference}: with all dropout switched off they"
        " are the same function; whether the dropout is the same is not known"
    )


def describe_switched_off(evidence: Evidence) -> str:
    """Return the limit of a verdict on models that were judged with all dropout switched off; "" if
    they were not.
    """
    dropping = evidence.dropping
    if dropping is None:
        return ""
    return (
        "judged with all dropout switched off, since the two draw its random numbers in another"
        f" order or shape: dropout itself is not judged, but decides on {_count(dropping.mine)} in"
        " both"
    )


def list_dropout_notes(
    models: Models, evidence: Evidence, reason: str = ""
) -> list[tuple[HintKind, str]]:
    """Return a note on a failure with all dropout switched off; `reason` is its first line."""
    if evidence.dropping is None:
        return []
    lacking = describe_lacking(models, evidence)
    said = ["all dropout was switched off", *([lacking] if lacking not in ("", reason) else [])]
    return [(HintKind.NOTE, "; ".join(said))]


def _list(dropped: Sequence[Dropped]) -> str:
    """Return dropouts with their places, as "p = 0.1 on 24 numbers in d1 (net.py:9: ...)"."""
    texts = []
    for one in dropped:
        layer = f" in {one.layer}" if one.layer else ""
        line = ": ".join(filter(None, read_line(one.line))) if one.line else ""
        where = f"{layer} ({line})" if line else layer
        texts.append(f"p = {one.probability:.4g} on {one.numbers} numbers{where}")
    return " and ".join(texts)


def _count(counts: Mapping[float, int]) -> str:
    """Return the numbers on which dropout decides, as "24 numbers with p = 0.1"."""
    texts = [f"{number} numbers with p = {p:.4g}" for p, number in counts.items()]
    return " and ".join(texts) or "no numbers"
