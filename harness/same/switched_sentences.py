"""The sentence on models whose tensors are changed by eval() itself."""

from __future__ import annotations

from harness.mapping.models import Models
from harness.same.sentences import list_names


def describe_switched(models: Models, mode: str) -> str:
    """Return why gradients by parameters are not judged in a mode; "" if they are."""
    if not models.merges_in(mode):
        return ""
    sides = [side for side in (models.subject, models.reference) if side.switched]
    texts = [f"{list_names(side.switched)} of {side.builder.name}" for side in sides]
    return (
        f"gradients by parameters are not judged in {mode}(), which changes {' and '.join(texts)}"
    )
