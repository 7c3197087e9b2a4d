"""Looks at one of two models of a comparison: its tensors, its outputs, and the parameters that
act on them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from harness.evaluating.built import Builder, cast_batch, make_loss, set_state
from harness.evaluating.data import Batch
from harness.evaluating.draws import draw_state
from harness.evaluating.evaluation import (
    BUFFER,
    BY_INPUT,
    GRADIENT,
    INPUT,
    LOSS,
    PARAMETER,
    Question,
    call_before,
    survey,
)
from harness.evaluating.given import COMPARABLE, Given
from harness.evaluating.hidden import find_hidden
from harness.evaluating.state import (
    State,
    Tensors,
    list_changed,
    list_live,
    list_tensors,
    read_state,
)
from harness.model.devices import held_in
from harness.model.errors import raised
from harness.rules.precision import precision_of

# in errors of torch for inputs that need gradients: it writes into them, or NumPy reads them
NO_SLOPES = ("leaf", "call numpy() on")
REENTRANT = "When use_reentrant=True"  # begins torch's error where gradients are asked by name
Shapes = Mapping[str, tuple[int, ...]]


class NoModel(ValueError):
    """Raised with the reason why two models cannot be compared."""


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two models, on the CPU, in a dtype in which it runs: float64 if possible.

    `built` are its tensors by name as it was built, in float64. `outputs` has the shapes of its
    outputs by name, for each mode ("train" or "eval"); `errors` says for a mode why the model
    cannot be called. `moved` names the buffers and parameters that a call changes, `switched` the
    tensors that train() and eval() themselves change, and `acting` the parameters that some output
    depends on. `numbers` counts the numbers that one evaluation
    computes. `by_inputs` says whether it can be differentiated by its inputs.
    `unset` names attributes that cannot be set, although a call in train() changes them and outputs
    in eval() follow from them.
    """

    builder: Builder
    module: Any
    built: State
    tensors: Tensors
    outputs: dict[str, Shapes] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    moved: list[str] = field(default_factory=list)
    switched: list[str] = field(default_factory=list)
    acting: list[str] = field(default_factory=list)
    numbers: int = 0
    by_inputs: bool = True
    dtype: str = "float64"
    unset: tuple[str, ...] = ()

    @property
    def batch(self) -> Batch:
        """The first batch of the data, in the model's dtype."""
        return cast_batch(self.builder.batch, held_in(self.dtype), "cpu")

    @property
    def nearness(self) -> float:
        """The relative difference up to which numbers of the model count as equal in the search for
        a map: half the digits of its dtype. Rounding differs by less, chance by more.
        """
        return math.sqrt(precision_of(self.dtype).stored)


def look_at(builder: Builder, given: Given) -> Side:
    """Build a model and examine its evaluations: in float64, else in the first dtype in which it
    can be called in all modes, or in more than in float64. Raises NoModel if it cannot be built, or
    not be called.
    """
    sides: list[Side] = []
    for dtype in COMPARABLE:
        sides.append(call_in_modes(build_side(builder, dtype), given, given.modes))
        if not sides[-1].errors:
            break
    best = max(sides, key=lambda side: len(side.outputs))  # the first of equals
    if not best.outputs:
        raise NoModel(next(iter(best.errors.values())))
    return best


def build_side(builder: Builder, dtype: str) -> Side:
    """Build a model in a dtype. Raises NotBuilt."""
    module = builder.make("float64")
    built = read_state(module)
    if dtype != "float64":
        module = builder.make(dtype)
    builder, module, unset = find_hidden(builder, module, dtype)
    if builder.hidden:
        built = read_state(builder.make("float64"))
    return Side(builder, module, built, list_tensors(module), dtype=dtype, unset=unset)


def call_in_modes(side: Side, given: Given, modes: Sequence[str]) -> Side:
    """Evaluate a model in some modes, and return its side with the observations added."""
    for mode in modes:
        try:
            side = _look_in_mode(side, given, mode)
        except Exception as error:  # a user's model may raise anything
            side.errors[mode] = f"{side.builder.name} {_describe(error, given.data)}"
    if "train" not in modes and side.tensors.buffers:
        _note_moved(side)
    set_state(side.module, side.built, "train")
    return side


def _describe(error: Exception, data: Any) -> str:
    """Return an error of a model as the rest of a sentence, with advice if it is a known one."""
    if isinstance(error, RuntimeError) and str(error).startswith(REENTRANT):
        return (
            "has a reentrant checkpoint, which gives gradients to backward() alone: write"
            " checkpoint(..., use_reentrant=False), which computes the same"
        )
    if isinstance(error, TypeError) and isinstance(data, list):
        return f"{raised(error)} (a list is several batches; several arguments are a tuple)"
    return raised(error)


def _look_in_mode(side: Side, given: Given, mode: str) -> Side:
    """Evaluate a model once in a mode ("train" or "eval"), and return its side with the
    observations added.
    """
    loss = make_loss(given.loss, held_in(side.dtype), "cpu")
    names = side.tensors.drawn
    for name in set_state(side.module, draw_state(side.built, names, 11), mode):
        if name not in side.switched:
            side.switched.append(name)
    before = {name: tensor.clone() for name, tensor in list_live(side.module)[0].items()}
    question = Question(side.batch, mode, loss=loss, by_inputs=side.by_inputs)
    try:
        answers, surveyed = survey(side.module, question)
    except RuntimeError as error:
        if not side.by_inputs or not any(said in str(error) for said in NO_SLOPES):
            raise
        return _look_in_mode(replace(side, by_inputs=False), given, mode)
    side.outputs[mode] = {
        name: tuple(tensor.shape) for name, tensor in answers.items() if is_output(name)
    }
    for name in side.tensors.all:
        slope = answers.get(GRADIENT + name)
        if slope is not None and bool((slope != 0).any()) and name not in side.acting:
            side.acting.append(name)
    _compare_moved(side, before)
    return replace(side, numbers=max(side.numbers, surveyed.numbers))


def _compare_moved(side: Side, before: State) -> None:
    """Note the tensors of a model that a call has changed; `before` are their earlier numbers."""
    side.moved.extend(list_changed(before, list_live(side.module)[0]))


def _note_moved(side: Side) -> None:
    """Call a model in train(), which is not asked, and note the buffers that this changes."""
    set_state(side.module, side.built, "train")
    with suppress(Exception):  # a user's model may raise anything
        call_before(side.module, Question(side.batch, "train"))
        _compare_moved(side, side.built)


def is_output(name: str) -> bool:
    """Is this the name of an output of the model (not of a gradient or tensor)?"""
    others = GRADIENT, BY_INPUT, BUFFER, PARAMETER, INPUT
    return name != LOSS and not name.startswith(others)
