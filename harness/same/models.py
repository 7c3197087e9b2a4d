"""Both models of a comparison, made ready: their data, outputs, parameters and what acts on
what.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from harness.evaluating.built import MODES, Builder, cast_batch, set_mode
from harness.evaluating.data import Batch, is_drawn, make_batches, shift_rows
from harness.evaluating.draws import draw_state
from harness.evaluating.evaluation import (
    BUFFER,
    GRADIENT,
    LOSS,
    Answers,
    Question,
    survey,
)
from harness.evaluating.evaluation import BY_INPUT as BY_INPUT
from harness.evaluating.state import State, list_tensors, read_state, write_state
from harness.mapping.finding import Pair, find_map
from harness.mapping.mapping import ParameterMap
from harness.mapping.trying import Trier
from harness.mapping.using import list_used
from harness.model.errors import raised
from harness.text.harmless import shown

GIB = 2**30
# bytes for each number that a model computes: as computed, in float64 twice, and three errors
BYTES = 8 + 16 + 24


class NoModel(ValueError):
    """The reason why models cannot be compared at all."""


@dataclass(frozen=True, eq=False)
class Given:
    """What a user has given to `same`."""

    build: Callable[[], Any]
    build_reference: Callable[[], Any]
    name: str
    name_reference: str
    data: Any
    targets: Any = None
    loss: Any = None
    parameters: Any = None
    draws: int = 2
    memory: float = 4.0  # GiB
    own_numbers: bool = False  # both are modules, which hold numbers of their own


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two models in float64.

    `outputs` are the shapes of its outputs by name and mode, `moved` the buffers that a call in
    train() changes, `acting` the parameters on which some output depends.
    """

    builder: Builder
    module: Any
    built: State
    outputs: Mapping[str, Mapping[str, Any]]
    moved: tuple[str, ...]
    acting: tuple[str, ...]
    numbers: int


@dataclass(frozen=True, eq=False)
class Models:
    """Two models and the map of their parameters."""

    given: Given
    batches: Sequence[Batch]
    subject: Side
    reference: Side
    mapping: ParameterMap
    names: Mapping[str, str]  # the reference's name of each of the subject's outputs
    buffers: Mapping[str, str]  # the reference's buffer of each of the subject's
    by_inputs: bool


def prepare(given: Given, modes: Sequence[str] = MODES) -> Models:
    """Build both models in float64 and find out how their parameters correspond.

    Raises a ValueError or TypeError, in a sentence, if this fails.
    """
    batches = make_batches(given.data, given.targets, torch.Generator().manual_seed(1))
    first = cast_batch(batches[0], torch.float64, "cpu")
    builders = (
        Builder(given.build, given.name, batches[0]),
        Builder(given.build_reference, given.name_reference, batches[0]),
    )
    by_inputs = True
    sides = []
    for builder in reversed(builders):
        side, takes = _look(builder, first, given, modes, by_inputs)
        by_inputs = by_inputs and takes
        sides.append(side)
    reference, subject = sides
    mapping = _map(given, subject, reference, first)
    return Models(
        given,
        batches,
        subject,
        reference,
        mapping,
        _pair_outputs(subject, reference, modes),
        _pair_buffers(subject, reference, mapping),
        by_inputs,
    )
