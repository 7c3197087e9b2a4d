"""The sentences on outputs that have other names or dtypes in both models."""

from __future__ import annotations

from harness.evaluating.given import Given
from harness.mapping.models import Models
from harness.matching.kinds import Held, find_kind
from harness.same.evidence import Evidence
from harness.same.sentences import list_names
from harness.shadow.local import name_dtype


def list_held(evidence: Evidence) -> list[Held]:
    """Return the outputs with other dtypes in both models, each once."""
    return list(dict.fromkeys(one for result in evidence.results for one in result.held))


def describe_kinds(given: Given, evidence: Evidence) -> str:
    """Return that an output holds another kind of numbers; "" if none does."""
    for one in list_held(evidence):
        if one.differs:
            return (
                f"{one.answer} is {name_dtype(one.mine)} in {given.name} and"
                f" {name_dtype(one.theirs)} in {given.name_reference}: {find_kind(one.mine)} are"
                f" not {find_kind(one.theirs)}"
            )
    return ""


def describe_dtypes(given: Given, evidence: Evidence) -> str:
    """Return a note on outputs of other dtypes; "" if there are none, or if the reference was asked
    in another dtype.
    """
    if given.reference_dtype:
        return ""
    return "; ".join(
        f"{one.answer} is {name_dtype(one.mine)} in {given.name} and {name_dtype(one.theirs)} in"
        f" {given.name_reference}"
        for one in list_held(evidence)
    )


def describe_paired(models: Models) -> str:
    """Return a note on outputs that are paired by their order; "" if all names agree."""
    pairs = [f"{mine} with {theirs}" for mine, theirs in models.names.items()]
    if not pairs:
        return ""
    return f"outputs of other names were compared in their order: {list_names(pairs)}"
