"""The sentences on numbers that training changes in the reference, and that the model lacks."""

from __future__ import annotations

from harness.mapping.models import Models
from harness.same.sentences import list_names


def list_unfollowed(models: Models, real: bool) -> list[str]:
    """Return the tensors that calls of the reference change, and from which nothing in the subject
    follows: statistics (of `real` numbers), or counters.
    """
    side = models.reference
    return [
        name
        for name in models.mapping.unused
        if name in side.moved and side.built[name].is_floating_point() == real
    ]


def describe_statistics(models: Models) -> str:
    """Return that the subject keeps no statistics where the reference does; "" if it does."""
    given, names = models.given, list_unfollowed(models, real=True)
    if not names:
        return ""
    return (
        f"nothing in {given.name} follows from {list_names(names)} of {given.name_reference}, which"
        " training changes"
    )


def describe_counters(models: Models) -> str:
    """Return a note on counters of the reference that the subject lacks; "" if there are none."""
    given, names = models.given, list_unfollowed(models, real=False)
    if not names:
        return ""
    verb = "counts" if len(names) == 1 else "count"
    return (
        f"{list_names(names)} of {given.name_reference} {verb} calls in training, and nothing in"
        f" {given.name} does"
    )
