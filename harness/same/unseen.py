"""Notes on a pass: inputs that are constant, and settings that have no effect on the data."""

from __future__ import annotations

from torch import Tensor

from harness.evaluating.evaluation import Question, name_inputs
from harness.locating.settings import list_unseen
from harness.mapping.models import Models
from harness.same.sentences import list_names


def describe_constant(models: Models) -> str:
    """Return which inputs hold one number only, in all batches; "" if none does."""
    module = models.reference.module
    numbers: dict[str, set[float | None]] = {}
    for batch in models.batches:
        for name, tensor in name_inputs(module, Question(batch, "eval"), batch).items():
            numbers.setdefault(name, set()).add(_find_only(tensor))
    constant = [name for name, found in numbers.items() if len(found) == 1 and None not in found]
    if not constant:
        return ""
    verb = "hold one number" if len(constant) > 1 else "holds one number"
    return f"{list_names(constant)} {verb} only in these data: other numbers are not judged"


def _find_only(tensor: Tensor) -> float | None:
    """Return the number that all elements of a tensor are; None if there are others, or if it is a
    single number, as a time is.
    """
    first = tensor.flatten()[:1]
    return float(first) if tensor.numel() > 1 and bool((tensor == first).all()) else None


def describe_settings(models: Models) -> str:
    """Return which settings of layers differ, though the models agree; "" if none does."""
    both = models.subject.module, models.reference.module
    sentences = list_unseen(*both, models.given.name_reference)
    return f"{'; '.join(sentences)}: these data do not show it" if sentences else ""
