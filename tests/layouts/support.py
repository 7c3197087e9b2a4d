"""Finds a map between two models, judges them, and evaluates the line that a sentence gives."""

from typing import Any

import torch

from harness.core.verdict import Verdict
from harness.evaluating.given import Given
from harness.mapping.mapping import ParameterMap
from harness.mapping.models import prepare
from harness.same.case import same
from tests.same.models import judge

LINE = "if it is meant, write parameters="
MOST_TRIED = 1_000  # evaluations of a model, of which a common map needs fewer


def find(model: Any, reference: Any, data: Any, parameters: Any = None) -> ParameterMap:
    """The map of the parameters of two models."""
    return prepare(Given(model, reference, "Mine", "Theirs", data, parameters=parameters)).mapping


def expect_found(model: Any, reference: Any, data: Any) -> str:
    """Fail unless a map is found whose written line makes the same tensors; return its words."""
    mapping = find(model, reference, data)
    assert mapping.assumed
    assert not mapping.fallback
    assert not mapping.against_names
    state = {name: each.double() for name, each in reference().state_dict().items()}
    made, again = mapping.convert(state), read_line(mapping.code)(state)
    assert all(torch.equal(made[name], again[name]) for name in made)
    return "; ".join(filter(None, [mapping.text, mapping.remark]))


def read_line(line: str) -> Any:
    """The value of an argument `parameters=...` as a user pastes it."""
    return eval(line.strip().removeprefix("parameters="), {"torch": torch})


def judge_eval(model: Any, reference: Any, data: Any, parameters: Any = None) -> Verdict:
    """The verdict on whether two models are the same function, in eval() and float64."""
    case = same(
        model,
        reference,
        data=data,
        dtypes=["float64"],
        modes=["eval"],
        parameters=parameters,
        draws=1,
    )
    return judge(case)["float64 same-function-eval"]


def read_advice(why: str) -> Any:
    """The argument that the likely cause of a failure gives as a line to copy."""
    line = why.partition(LINE)[2].partition("\n")[0]
    assert line, f"no line to copy in: {why}"
    return read_line(line)
