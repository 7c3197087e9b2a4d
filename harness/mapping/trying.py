"""Tries maps of parameters: compares the outputs of both models in float64, at random
parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.core.numpy_errors import users
from harness.evaluating.data import Batch
from harness.evaluating.outputs import name_outputs
from harness.evaluating.state import State, write_state
from harness.mapping.mapping import ParameterMap

AGREE = 1e-8  # of the outputs' size: far from what rounding in float64 does, and from chance
NEAR = 1e-2


@dataclass(frozen=True, eq=False)
class Tried:
    """The reference's outputs at one choice of its parameters (`state`)."""

    state: State
    outputs: Sequence[Tensor]


class Trier:
    """Measures the difference between the outputs of the subject, with its parameters set by a map,
    and those of the reference.

    `calls` counts the evaluations.
    """

    def __init__(self, model: Any, reference: Any, batch: Batch, states: Sequence[State]) -> None:
        self.model, self.batch = model, batch
        self.calls = 0
        self.tried = []
        for state in states:
            write_state(reference, state)
            self.tried.append(Tried(state, list_outputs(reference, batch)))

    def measure(self, mapping: ParameterMap) -> float:
        """Return the largest difference of an output of both models, divided by the output's size;
        infinity if the model cannot be called.
        """
        largest = 0.0
        for tried in self.tried:
            self.calls += 1
            try:
                write_state(self.model, mapping.convert(tried.state))
                outputs = list_outputs(self.model, self.batch)
            except Exception:  # a user's model may raise anything
                return float("inf")
            largest = max(largest, measure_outputs(outputs, tried.outputs))
            if largest > NEAR:
                break
        return largest


def list_outputs(module: Any, batch: Batch) -> list[Tensor]:
    """Return those outputs of a module that are real numbers, in float64."""
    with torch.enable_grad(), torch.random.fork_rng(devices=[]), users():
        torch.manual_seed(0)
        outputs = name_outputs(module(*batch.args, **batch.kwargs))
    return [each.detach().double() for each in outputs.values() if each.is_floating_point()]


def measure_outputs(outputs: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """Return the largest difference of an output from the expected one, divided by the output's
    size; infinity if shapes differ.
    """
    if [each.shape for each in outputs] != [each.shape for each in expected]:
        return float("inf")
    largest = 0.0
    for mine, theirs in zip(outputs, expected, strict=True):
        if not theirs.numel() or torch.equal(mine, theirs):
            continue
        size = float(abs(theirs).max())
        difference = float(abs(mine - theirs).max())
        share = difference / size if size else float("inf")
        largest = max(largest, share if share == share else float("inf"))
    return largest
