"""Finds an operation of a float64 model that computes in a narrower dtype, such as float32."""

from __future__ import annotations

from dataclasses import replace

from harness.comparing.judge import Judgement
from harness.core.finding import Hint, HintKind
from harness.core.verdict import Status
from harness.judging.comparison import Comparison
from harness.words.wording import describe_operation


def find_narrower(comparison: Comparison, judgement: Judgement) -> Hint | None:
    """Return a hint with the first operation of a float64 model whose result has a narrower dtype.

    Return None if there is none, or if the error is larger than float32 rounding can explain.
    """
    model = comparison.cache.model(comparison.trial)
    if model is None or comparison.trial.dtype != "float64":
        return None
    in_float32 = replace(comparison.contracts[0], dtype="float32")
    judged = comparison.judged(comparison.quantity, in_float32)
    if not isinstance(judged, Judgement) or judged.status is not Status.PASS:
        return None
    import torch

    from harness.locating.located import CAST, locate

    problem, number = comparison.problems[judgement.stack], judgement.index[0]
    try:
        run = comparison.cache.shadow(model, problem, number).watched.run
    except Exception:  # whatever a model raises, it has raised before
        return None
    for operation in run.operations:
        for place in operation.results:
            if place is None:
                continue
            dtype = run.read(place).dtype
            if dtype in (torch.float32, torch.float16, torch.bfloat16):
                found = locate(operation)
                if operation.functional == CAST:
                    found = replace(found, operation="a conversion")
                where = describe_operation(found)
                name = str(dtype).removeprefix("torch.")
                cause = f"a float64 model computes in {name} inside, first in {where}"
                return Hint(HintKind.LIKELY, cause)
    return None
