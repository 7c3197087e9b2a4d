"""Tries maps of parameters: compares the outputs of both models at random parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.core.numpy_errors import users
from harness.evaluating.data import Batch
from harness.evaluating.evaluation import copy_batch
from harness.evaluating.outputs import name_outputs, order_as
from harness.evaluating.side import Side
from harness.evaluating.state import State, write_state
from harness.evaluating.using import list_arguments
from harness.mapping.mapping import ParameterMap
from harness.model.devices import seed_torch
from harness.plausible.inside import count_common, list_sums

NEAR = 1e-2
FAR = 1e300  # the difference of an output that is not finite: the model can be called


@dataclass(frozen=True, eq=False)
class Tried:
    """The reference's outputs at one choice of its parameters (`state`)."""

    state: State
    outputs: Mapping[str, Tensor]


class Trier:
    """Measures the difference between the outputs of the subject, with its parameters set by a map,
    and those of the reference.

    `agree` is the difference, of the outputs' size, up to which they agree. `calls` counts the
    evaluations.
    """

    def __init__(self, subject: Side, reference: Side, states: Sequence[State]) -> None:
        self.model, self.batch = subject.module, subject.batch
        self.reference = reference
        self.agree = max(subject.nearness, reference.nearness)
        self.calls = 0
        self.tried = []
        for state in states:
            write_state(reference.module, state)
            outputs = list_outputs(reference.module, reference.batch)
            self.tried.append(Tried(state, outputs))

    @property
    def has_data(self) -> bool:
        """Is any real number of the data not 0? True if there are none."""
        given = list(list_arguments((self.batch.args, self.batch.kwargs)))
        real = [each for each in given if each.is_floating_point()]
        return len(real) < len(given) or not real or any(bool(each.any()) for each in real)

    def count_inside(self, mapping: ParameterMap) -> int:
        """Return how many results of operations inside the reference the subject computes too, with
        the first choice of parameters; -1 if a model cannot be called.
        """
        state = self.tried[0].state
        self.calls += 1
        try:
            write_state(self.reference.module, state)
            theirs = list_sums(self.reference.module, self.reference.batch)
            write_state(self.model, mapping.convert(state))
            return count_common(list_sums(self.model, self.batch), theirs, self.agree)
        except Exception:  # a user's model may raise anything
            return -1

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
            if largest > max(NEAR, self.agree):
                break
        return largest


def list_outputs(module: Any, batch: Batch) -> dict[str, Tensor]:
    """Return those outputs of a module that are real numbers, in float64, by name."""
    with torch.enable_grad(), torch.random.fork_rng(devices=[]), users():
        seed_torch(0)
        batch = copy_batch(batch)
        outputs = name_outputs(module(*batch.args, **batch.kwargs))
    real = {name: each for name, each in outputs.items() if each.is_floating_point()}
    return {name: each.detach().double() for name, each in real.items()}


def measure_outputs(outputs: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    """Return the largest difference of an output from the expected one, divided by the output's
    size; infinity if shapes differ, and FAR if numbers are not finite.
    """
    both = [[*order_as(outputs, expected).values()], [*expected.values()]]
    shapes = [[each.shape for each in tensors] for tensors in both]
    if shapes[0] != shapes[1]:
        return float("inf")
    largest = 0.0
    for mine, theirs in zip(*both, strict=True):
        if not theirs.numel() or torch.equal(mine, theirs):
            continue
        size = float(abs(theirs).max())
        difference = float(abs(mine - theirs).max())
        share = difference / size if size else FAR
        largest = max(largest, share if share < FAR else FAR)
    return largest
