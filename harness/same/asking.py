"""Asks both models the same questions in a dtype on a device, and compares what they compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from harness.core.finding import Located
from harness.evaluating.built import cast_batch, copy_module
from harness.evaluating.data import Batch, is_drawn, make_batches, shift_rows
from harness.evaluating.draws import draw_state
from harness.evaluating.evaluation import (
    Question,
    call_before,
    evaluate,
    survey,
    watch_evaluation,
)
from harness.evaluating.state import State, list_live, read_state, write_state
from harness.evaluating.survey import Drawn, describe_drawn, draw_the_same
from harness.model.devices import held_in
from harness.model.errors import raised
from harness.same.compare import Compared, compare, find_first
from harness.same.models import Models, Side, make_generator, make_loss
from harness.shadow.located import locate
from harness.shadow.shadow import Shadow
from harness.shadow.watch import Watched

AS_BUILT = "as built"


@dataclass(frozen=True, eq=False)
class Ask:
    """What both models are asked: a draw of the reference's parameters, and a batch.

    Before it, both are called on `before` with the parameters as built, if there is such a batch.
    """

    label: str
    state: State
    batch: Batch
    before: Batch | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Outside:
    """An operation of the subject outside its own bound, and the share of it that it uses."""

    operation: Located
    share: float


@dataclass(frozen=True, eq=False)
class Asked:
    """What came of a question, in the reference's parameters.

    `first` has the operations at which each answer that differs leaves the reference's numbers.
    `outside` are operations outside their local bounds, `unruled` those without a rule. `swapped`
    says of an output which other output of the reference it is. `random` says why the models cannot
    be compared by their random numbers, `missing` why the subject's randomness is another;
    `broken` why one of them has no answers.
    """

    ask: Ask
    compared: Sequence[Compared] = ()
    first: Mapping[str, Sequence[Located]] = field(default_factory=dict)
    outside: Sequence[Outside] = ()
    unruled: Sequence[Located] = ()
    swapped: Mapping[str, str] = field(default_factory=dict)
    random: str = ""
    missing: str = ""
    broken: str = ""
    draws: int = 0


def list_asks(models: Models) -> list[Ask]:
    """Return the questions: the parameters as built, then drawn ones, on all batches."""
    given, batches = models.given, list(models.batches)
    if len(batches) == 1 and is_drawn(given.data):
        for number in range(given.draws):
            more = make_batches(given.data, given.targets, make_generator(1 + number))
            batches.append(more[0])
    shifted = shift_rows(batches[0]) if len(batches) == 1 else None
    if shifted is not None:
        batches.append(shifted)
    reference = models.reference
    names = [*reference.tensors.parameters, *reference.moved]
    asks = [Ask(AS_BUILT, reference.built, batches[0])]
    draws = given.draws if models.mapping.moves else 0
    for number in range(1, max(draws + 1, len(batches))):
        label, state = AS_BUILT, reference.built
        if draws:
            draw = (number - 1) % draws + 1
            label = f"drawn {draw}"
            state = draw_state(reference.built, names, 100 + draw)
        before = batches[(number - 1) % len(batches)] if number % 2 else None
        asks.append(Ask(label, state, batches[number % len(batches)], before, number))
    return asks


@dataclass(frozen=True, eq=False)
class Setting:
    """The dtype of both models, the device, and the mode in which they are asked."""

    dtype: str
    dtype_reference: str
    device: str
    mode: str


class Asker:
    """Asks both models in a setting."""

    def __init__(self, models: Models, setting: Setting) -> None:
        self.models, self.setting = models, setting
        self.made = models.subject.builder.make(setting.dtype, setting.device)
        self.made_reference = models.reference.builder.make(setting.dtype_reference, setting.device)

    def ask(self, ask: Ask) -> Asked:
        """Return what came of a question; an error of a model is part of it."""
        models, setting = self.models, self.setting
        theirs = _Respondent(self, models.reference, self.made_reference, setting.dtype_reference)
        mine = _Respondent(self, models.subject, self.made, setting.dtype)
        try:
            theirs.prepare(ask, ask.state, models.reference.built)
            stored = theirs.state = read_state(theirs.module)
            built = models.mapping.convert(models.reference.built)
            mine.prepare(ask, models.mapping.convert(stored), built)
        except Exception as error:  # a user's model may raise anything
            return Asked(ask, broken=f"{models.given.name} {raised(error)}")
        for one in (theirs, mine):
            try:
                one.look(ask)
            except Exception as error:
                return Asked(ask, broken=f"{one.side.builder.name} {raised(error)}")
        random, missing = _compare_draws(mine, theirs, ask)
        if random or missing:
            return Asked(ask, random=random, missing=missing)
        return self._compare(ask, mine, theirs, stored)

    def _compare(self, ask: Ask, mine: _Respondent, theirs: _Respondent, stored: State) -> Asked:
        """Compare the evaluations of both."""
        try:
            ran = mine.run(ask)
            subject, reference = mine.shadow(ask), theirs.shadow(ask)
        except Exception as error:
            return Asked(ask, broken=f"its operations cannot be followed: it {raised(error)}")
        carry = self.models.mapping.at(stored)
        generator = torch.Generator().manual_seed(ask.seed)
        compared = compare(subject, reference, carry, generator, ran)
        first = {}
        for one in compared:
            if one.outcome == "differs":
                first[one.answer] = [locate(each) for each in find_first(subject, reference, one)]
        return Asked(
            ask,
            compared,
            first,
            _list_outside(subject),
            _list_unruled(subject, reference),
            _find_swapped(subject, reference, compared),
            draws=len(mine.drawn),
        )


class _Respondent:
    """One of the two models while it is asked one question."""

    def __init__(self, asker: Asker, side: Side, made: Any, dtype: str) -> None:
        self.asker, self.side, self.dtype = asker, side, dtype
        self.device = asker.setting.device
        self.module = copy_module(made, side.builder, dtype, self.device)
        self.state: State = {}
        self.drawn: list[Drawn] = []
        self.weights: dict[str, Tensor] = {}

    def prepare(self, ask: Ask, state: State, built: State) -> None:
        """Set the parameters; first call the model as built, if the question says so."""
        self.state = state
        if ask.before is not None:
            write_state(self.module, built)
            call_before(self.module, self._question(ask, ask.before))
        self._set()

    def _set(self) -> None:
        """Set all numbers: those of the state, the others as they were built."""
        write_state(self.module, {**self.side.built, **self.state})

    def _question(self, ask: Ask, batch: Batch) -> Question:
        models, setting = self.asker.models, self.asker.setting
        kind = held_in(self.dtype)
        is_subject = self.side is models.subject
        buffers = {}
        if setting.mode == "train":
            for own, source in models.buffers.items():
                buffers[own if is_subject else source] = source
        return Question(
            cast_batch(batch, kind, self.device),
            setting.mode,
            ask.seed,
            make_loss(models.given.loss, kind, self.device),
            models.names if is_subject else {},
            buffers,
            models.by_inputs,
            models.mapping.differentiable,
            self.weights,
        )

    def look(self, ask: Ask, seed: int | None = None) -> Mapping[str, Tensor]:
        """Evaluate the model once, and keep the random numbers that it draws."""
        question = self._question(ask, ask.batch)
        if seed is not None:
            question = Question(**{**vars(question), "seed": seed})
        answers, found = survey(self.module, question)
        self.drawn = found.drawn
        self._set()
        return answers

    def run(self, ask: Ask) -> Mapping[str, Tensor]:
        """Return the answers as the model gives them when nobody watches."""
        answers = evaluate(self.module, self._question(ask, ask.batch))
        answers = {name: tensor.detach().clone() for name, tensor in answers.items()}
        self._set()
        return answers

    def shadow(self, ask: Ask) -> Shadow:
        """Return the shadow of a watched evaluation, at the parameters before they are rounded."""
        watched = watch_evaluation(self.module, self._question(ask, ask.batch))
        return Shadow(watched, self.dtype, self._list_exact(watched))

    def _list_exact(self, watched: Watched) -> dict[int, Tensor]:
        """Return the exact parameters that the module could only hold rounded, by version."""
        live, _ = list_live(self.module)
        exact: dict[int, Tensor] = {}
        for name, wanted in self.state.items():
            tensor = live[name]
            if not tensor.is_floating_point() or name in self.asker.models.buffers:
                continue
            wanted = wanted.to(tensor.device)
            if torch.equal(tensor.detach().double(), wanted):
                continue
            memory = tensor.untyped_storage().data_ptr()
            for number, version in enumerate(watched.run.versions):
                if version.numbers.untyped_storage().data_ptr() == memory:
                    flat = exact.get(number, version.numbers.double().clone())
                    flat.as_strided(
                        tensor.shape, tensor.stride(), int(tensor.storage_offset())
                    ).copy_(wanted)
                    exact[number] = flat
                    break
        return exact


def _compare_draws(mine: _Respondent, theirs: _Respondent, ask: Ask) -> tuple[str, str]:
    """Return why two models that draw random numbers cannot be compared, and why their randomness
    is certainly another; "" if they draw the same numbers, or none.
    """
    if draw_the_same(mine.drawn, theirs.drawn):
        return "", ""
    both = mine, theirs
    names = [one.side.builder.name for one in both]
    said = [describe_drawn(one.drawn) for one in both]
    acts = [bool(one.drawn) and _acts(one, ask) for one in both]
    if not any(acts):
        return "", ""
    for one, (draws, other) in enumerate(((0, 1), (1, 0))):
        if acts[draws] and not acts[other]:
            return "", (
                f"{names[draws]} draws random numbers that change its answers ({said[one]}), and"
                f" {names[other]} does not"
            )
    return (
        f"the two draw random numbers in another order, or of other shapes: {names[0]} {said[0]},"
        f" {names[1]} {said[1]}; under one seed they are not comparable"
    ), ""


def _acts(one: _Respondent, ask: Ask) -> bool:
    """Do a model's answers depend on the seed?"""
    drawn = one.drawn
    first, second = one.look(ask, 1), one.look(ask, 2)
    one.drawn = drawn
    return any(
        name not in second or not torch.equal(tensor.nan_to_num(), second[name].nan_to_num())
        for name, tensor in first.items()
    )


def _list_outside(shadow: Shadow) -> list[Outside]:
    """Return the operations outside their local bounds, the worst first."""
    wrong = [one for one in shadow.checked if one.ruled and one.share > 1]
    wrong.sort(key=lambda one: -one.share)
    return [Outside(locate(one.operation), one.share) for one in wrong]


def _list_unruled(subject: Shadow, reference: Shadow) -> list[Located]:
    """Return the operations without a rule, one of each kind."""
    found: dict[str, Located] = {}
    for one in (*subject.checked, *reference.checked):
        if not one.ruled:
            found.setdefault(one.operation.name, locate(one.operation))
    return list(found.values())


def _find_swapped(
    subject: Shadow, reference: Shadow, compared: Sequence[Compared]
) -> dict[str, str]:
    """Return for outputs that differ the other output of the reference that they are equal to."""
    outputs = [one.answer for one in compared if one.answer.startswith("output")]
    swapped = {}
    for one in compared:
        if one.answer not in outputs or one.outcome not in ("differs", "shape"):
            continue
        if one.answer not in subject.watched.answers:
            continue
        mine = subject.read(one.answer).detach()
        for other in outputs:
            theirs = reference.read(other).detach()
            if other != one.answer and _are_near(mine, theirs):
                swapped[one.answer] = other
    return swapped


def _are_near(one: Tensor, other: Tensor) -> bool:
    """Are two tensors equal, but for what float64 rounds?"""
    if one.shape != other.shape or not (one.is_floating_point() and other.is_floating_point()):
        return False
    return torch.allclose(one, other, rtol=1e-9, atol=1e-12)
