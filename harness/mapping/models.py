"""Builds both models of a comparison, looks at each, and maps their parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch.nn.parameter import is_lazy

from harness.core.numpy_errors import users
from harness.evaluating.built import Builder, make_loss, set_mode
from harness.evaluating.constants import describe_constants, list_own_constants, list_stored
from harness.evaluating.data import Batch, make_batches
from harness.evaluating.draws import draw_state
from harness.evaluating.evaluation import GRADIENT, Question, name_arguments, survey
from harness.evaluating.given import CopyOf, Given
from harness.evaluating.outputs import order_as, pair_names
from harness.evaluating.side import NoModel, Side, look_at
from harness.evaluating.state import write_state
from harness.evaluating.using import list_used
from harness.mapping.finding import AS_BUILT, find_map
from harness.mapping.freedom import Free, find_free, find_twins
from harness.mapping.mapping import ParameterMap
from harness.mapping.pair import Pair
from harness.mapping.trying import Trier
from harness.model.devices import held_in

GIB = 2**30
COPIES = 12  # of all parameters of a model, in float64, while two are compared
BYTES = 100  # that a comparison takes for each number that a model computes, see DECISIONS.md


class TooLarge(NoModel):
    """Raised if comparing two models would take too much memory."""


@dataclass(frozen=True, eq=False)
class Models:
    """Two models and the map of their parameters.

    `given` has the arguments of the user, and `batches` the data. `names` maps names of the
    subject's outputs to those of the reference, for outputs with different names. `buffers` maps
    names of the subject's tensors to those of the equal tensors of the reference, if a call changes
    either. `free` are the subject's free parameters (without a source of their own in the
    reference, see `freedom`). `differing` names the subject's tensors whose numbers, in the model
    that the user gave, differ from the numbers that the map makes from the reference's own.
    """

    given: Given
    batches: Sequence[Batch]
    subject: Side
    reference: Side
    mapping: ParameterMap
    names: Mapping[str, str]
    buffers: Mapping[str, str]
    free: Sequence[Free]
    differing: tuple[str, ...]

    @cached_property
    def arguments(self) -> Sequence[str]:
        """The names of the arguments of both models: the reference's names, in its order."""
        return name_arguments(self.reference.module)

    @property
    def by_inputs(self) -> bool:
        """Can both models be differentiated by the inputs?"""
        return self.subject.by_inputs and self.reference.by_inputs

    def merges_in(self, mode: str) -> bool:
        """Does putting a model into a mode change tensors, so that gradients by them are others?"""
        return mode == "eval" and bool(self.subject.switched or self.reference.switched)


def prepare(given: Given) -> Models:
    """Build both models, evaluate each once, and map their parameters.

    Raises a ValueError or TypeError, with a sentence, if this fails.
    """
    batches = make_batches(given.data, given.targets, make_generator(0))
    build, build_reference = _limit(given, given.build), _limit(given, given.build_reference)
    reference = look_at(Builder(build_reference, given.name_reference, batches[0]), given)
    subject = look_at(Builder(build, given.name, batches[0]), given)
    _expect_small(given, subject, reference)
    mapping = _map(given, subject, reference)
    names = pair_outputs(subject, reference)
    buffers = pair_buffers(subject, reference, mapping)
    free = _list_free(given, subject, reference, mapping)
    differing = _list_differing(subject, reference, mapping) if given.hold else ()
    return Models(given, batches, subject, reference, mapping, names, buffers, free, differing)


def _limit(given: Given, build: Callable[[], Any]) -> Callable[[], Any]:
    """Return a version of `build` that raises TooLarge if the model has too many parameters."""

    def built() -> Any:
        module = build()
        if isinstance(module, torch.nn.Module) and not any(map(is_lazy, module.parameters())):
            numbers = sum(parameter.numel() for parameter in module.parameters())
            size = numbers * COPIES * 8 / GIB
            if size > given.memory:
                raise TooLarge(
                    f"a model of {numbers:,} parameters would take about {size:.1f} GiB to compare,"
                    f" and memory={given.memory:g} is the limit"
                )
        return module

    return built


def _expect_small(given: Given, subject: Side, reference: Side) -> None:
    """Raise TooLarge if the comparison would take more memory than the user allows."""
    numbers = subject.numbers + reference.numbers
    size = numbers * BYTES / GIB
    if size > given.memory:
        raise TooLarge(
            f"{given.name} and {given.name_reference} compute {numbers:,} numbers in an evaluation,"
            f" which would take about {size:.1f} GiB to compare, and memory={given.memory:g} is the"
            " limit: give fewer rows of data, or more memory"
        )


def make_generator(seed: int) -> torch.Generator:
    """Return a seeded random generator for data."""
    return torch.Generator().manual_seed(1 + seed)


def _map(given: Given, subject: Side, reference: Side) -> ParameterMap:
    """Return the map from the reference's parameters to the subject's, found by trying if
    necessary. Raises WrongMap.
    """
    preferred = ["eval", "train"]
    if subject.switched or reference.switched:  # eval() changes parameters, as LoRA merges them
        preferred.reverse()
    modes = [mode for mode in preferred if mode in subject.outputs and mode in reference.outputs]
    if not modes:
        raise NoModel("; ".join([*subject.errors.values(), *reference.errors.values()]))
    for side in (subject, reference):
        set_mode(side.module, modes[0])
    drawn = [*reference.tensors.drawn, *reference.moved]
    states = [draw_state(reference.built, drawn, seed) for seed in (21, 22)]
    pair = Pair(
        subject.tensors,
        reference.tensors,
        Trier(subject, reference, states),
        subject.acting,
        reference.acting,
        list_used(subject.module, subject.batch),
        list_used(reference.module, reference.batch),
        subject.moved,
        reference.moved,
        given.name,
        given.name_reference,
    )
    said = given.parameters
    theirs = reference.outputs[modes[0]]
    if order_as(subject.outputs[modes[0]], theirs) != theirs:  # no map makes them the same
        said = AS_BUILT
    try:
        return _keep_constants(find_map(pair, said), given, subject, reference)
    finally:
        for side in (subject, reference):
            write_state(side.module, side.built)


def _keep_constants(
    mapping: ParameterMap, given: Given, subject: Side, reference: Side
) -> ParameterMap:
    """Return the map without those constants of the reference for which the subject creates other
    numbers itself: these keep the subject's numbers.
    """
    if mapping.parts is None:
        return mapping
    constants = _list_constants(given, subject, reference)
    follow = mapping.convert(reference.built)
    differing = list_own_constants(constants, follow, subject.built, subject.builder)
    if not differing:
        return mapping
    return mapping.leave_out(
        differing, describe_constants(differing, mapping.parts[differing[0]].text)
    )


def _list_constants(given: Given, subject: Side, reference: Side) -> list[str]:
    """Return the subject's buffers that are constants: no call changes them, and the user does not
    map them.

    If a model is given as a module, buffers in its state_dict are no constants either.
    """
    said = given.parameters if isinstance(given.parameters, Mapping) else {}
    loaded = any(isinstance(each, CopyOf) for each in (given.build, given.build_reference))
    stored = list_stored(subject.module) if loaded else set()
    moved = {*subject.moved, *reference.moved, *stored, *said}
    return [name for name in subject.tensors.buffers if name not in moved]


def pair_outputs(subject: Side, reference: Side) -> dict[str, str]:
    """Return a dict from names of the subject's outputs to those of the reference's, for outputs
    with names that the reference lacks.
    """
    names: dict[str, str] = {}
    for mode, outputs in subject.outputs.items():
        names |= pair_names(list(outputs), list(reference.outputs.get(mode, ())))
    return names


def pair_buffers(subject: Side, reference: Side, mapping: ParameterMap) -> dict[str, str]:
    """Return a dict from names of the subject's tensors to names of the reference's.

    It has the buffers and parameters that the map makes equal, if a call changes either.
    """
    pairs: dict[str, str] = {}
    states = []
    for seed in (0, 1):
        generator = make_generator(seed)
        numbers = {
            name: torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
            for name, tensor in reference.built.items()
        }
        with users():
            states.append((mapping.convert(numbers), numbers))
    for own in subject.tensors.all:
        for source in reference.tensors.all:
            if own not in subject.moved and source not in reference.moved:
                continue
            if all(own in mine and torch.equal(mine[own], of[source]) for mine, of in states):
                pairs[own] = source
    return pairs


def _list_free(given: Given, subject: Side, reference: Side, mapping: ParameterMap) -> list[Free]:
    """Return the free parameters of the subject: those without a source of their own in the
    reference, see `freedom`.
    """
    gradients = []
    if set(mapping.as_built) & set(subject.acting):
        mode = next(iter(subject.outputs))
        loss = make_loss(given.loss, held_in(subject.dtype), "cpu")
        for seed in (31, 32):
            state = draw_state(reference.built, reference.tensors.drawn, seed)
            write_state(subject.module, {**subject.built, **mapping.convert(state)})
            question = Question(subject.batch, mode, loss=loss, by_inputs=subject.by_inputs)
            answers, _ = survey(subject.module, question)
            gradients.append(
                {
                    name.removeprefix(GRADIENT): slope
                    for name, slope in answers.items()
                    if name.startswith(GRADIENT)
                }
            )
        write_state(subject.module, subject.built)
    twins = find_twins(mapping, reference.built, subject.acting)
    if given.parameters is not None:
        twins = [replace(twin, said=True) for twin in twins]
    return [*find_free(mapping, subject.acting, gradients, subject.nearness), *twins]


def _list_differing(subject: Side, reference: Side, mapping: ParameterMap) -> tuple[str, ...]:
    """Return the names of the subject's tensors that differ from the numbers that the map makes
    from the reference's own.

    This decides no verdict, only a remark; differences of float32 rounding are ignored.
    """
    follow = mapping.convert(reference.built)
    differing = []
    for name, tensor in follow.items():
        own = subject.built[name]
        if own.shape == tensor.shape and not torch.allclose(own.double(), tensor.double(), 1e-6):
            differing.append(name)
    return tuple(differing)
