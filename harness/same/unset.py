"""The sentence on state that cannot be set."""

from __future__ import annotations

from harness.mapping.models import Models
from harness.same.sentences import list_names


def describe_unset(models: Models) -> str:
    """Return why two models cannot be compared in eval(): one keeps state that cannot be set; "" if
    none does.
    """
    for side in (models.subject, models.reference):
        if side.unset:
            return (
                f"{side.builder.name} keeps {list_names(side.unset)} outside its buffers, and its"
                " outputs in eval() follow from that: it cannot be set to numbers, so nothing is"
                " known of states after training; register tensors with self.register_buffer"
            )
    return ""
