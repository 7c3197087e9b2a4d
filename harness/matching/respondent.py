"""One of two models during an evaluation: its parameters, its answers and its shadow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor

from harness.evaluating.built import (
    cast_batch,
    copy_module,
    make_loss,
    round_batch,
    set_mode,
    set_state,
)
from harness.evaluating.changed_inputs import find_writing
from harness.evaluating.data import Batch
from harness.evaluating.evaluation import (
    BUFFER,
    PARAMETER,
    Question,
    call_before,
    evaluate,
    survey,
    watch_evaluation,
)
from harness.evaluating.side import Side
from harness.evaluating.state import State, list_live, read_state, write_state
from harness.evaluating.survey import Drawn, describe_drawn, draw_otherwise, draw_the_same
from harness.evaluating.ways import INFERENCE, Way, evaluate_in_way
from harness.locating.located import read_line
from harness.mapping.models import Models
from harness.matching.fused import are_equal
from harness.model.devices import held_in
from harness.model.dropout import Dropout, Dropped
from harness.shadow.layers import Layers
from harness.shadow.shadow import Shadow
from harness.shadow.watch import Watched

SEEDS = 12  # so many are tried before random numbers are said to change no answer


@dataclass(frozen=True, eq=False)
class Ask:
    """The parameters and data with which both models are evaluated: the reference's tensors by
    name, and a batch.

    `draw` is 0 for the parameters as built, else the number of the set of random parameters. If
    there is a batch `before`, both models are first called on it with the parameters as built. It
    is `alone` if the models are evaluated nowhere else.
    """

    label: str
    state: State
    batch: Batch
    before: Batch | None = None
    seed: int = 0
    draw: int = 0
    alone: bool = False


@dataclass(frozen=True, eq=False)
class Setting:
    """The dtypes of both models, the device, and the mode of an evaluation."""

    dtype: str
    dtype_reference: str
    device: str
    mode: str

    @property
    def dtypes(self) -> tuple[str, str]:
        """The dtypes of the subject and of the reference, in which the parameters and data can be
        stored exactly.
        """
        return self.dtype, self.dtype_reference


class Respondent:
    """One of the two models during one evaluation."""

    def __init__(self, models: Models, side: Side, made: Any, dtype: str, setting: Setting) -> None:
        self.models, self.side, self.dtype, self.setting = models, side, dtype, setting
        self.device = setting.device
        self.module = copy_module(made, side.builder, dtype, self.device)
        self.state: State = {}
        self.start: State = {}
        self.stored: State = {}  # in train()
        self.switched: list[str] = []  # the names of tensors that eval() changes
        self.exact: State = {}
        self.drawn: list[Drawn] = []
        self.weights: dict[str, Tensor] = {}
        self.digest = ""
        self.dropout = True  # is it switched on?
        self.dropped: list[Dropped] = []
        self.written: list[str] = []  # the names of the inputs that it changes
        self.after: Sequence[str] = ()  # the inputs to read after the call

    def prepare(self, ask: Ask, state: State, built: State) -> None:
        """Set the tensors of the model to `state`. If `ask` has a batch `before`, the model with
        the tensors `built` is called on it first.

        Buffers that are not in `state` keep the values that this call left.
        """
        mode = self.setting.mode
        self.state = state
        set_state(self.module, {**self.side.built, **built}, mode)
        if ask.before is not None:
            call_before(self.module, self._question(ask, ask.before))
        set_state(self.module, state, "train")
        self.stored = read_state(self.module)
        self.switched = set_state(self.module, {}, mode)
        self.start = read_state(self.module)
        if self.switched:
            self._note_exact()

    def _note_exact(self) -> None:
        """Note the tensors that eval() has changed as it changes them in float64."""
        twin = self.side.builder.make("float64")
        set_state(twin, {**self.stored, **self.state}, self.setting.mode)
        exact = read_state(twin)
        self.exact = {name: exact[name] for name in self.switched}
        self.state = {**self.state, **self.exact}

    def _set(self) -> None:
        """Restore all tensors to their values before the evaluation."""
        write_state(self.module, self.start)

    def _question(self, ask: Ask, batch: Batch) -> Question:
        models, setting = self.models, self.setting
        kind = held_in(self.dtype)
        is_subject = self.side is models.subject
        buffers = {}
        for own, source in models.buffers.items():
            is_parameter = source in models.reference.tensors.parameters
            answer = (PARAMETER if is_parameter else BUFFER) + source
            buffers[own if is_subject else source] = answer
        return Question(
            cast_batch(round_batch(batch, setting.dtypes), kind, self.device),
            setting.mode,
            ask.seed,
            make_loss(models.given.loss, kind, self.device),
            models.names if is_subject else {},
            buffers,
            models.by_inputs,
            models.mapping.differentiable and not models.merges_in(setting.mode),
            self.weights,
            models.arguments,
            dropout=self.dropout,
            after=self.after,
        )

    def look(self, ask: Ask, seed: int | None = None) -> Mapping[str, Tensor]:
        """Evaluate the model once, and store the random numbers that it draws."""
        question = replace(self._question(ask, ask.batch), written=self.written)
        if seed is not None:
            question = replace(question, seed=seed)
        layers = Layers()
        with layers.follow(self.module), Dropout(layers.find) as dropouts:
            answers, surveyed = survey(self.module, question)
        self.drawn, self.dropped = surveyed.drawn, dropouts.dropped
        self.digest = digest_answers(answers) + surveyed.trace.hexdigest()
        self._set()
        return answers

    def find_writing(self, ask: Ask) -> str:
        """Return the user's line that first changes an input; "" if none is found."""
        try:
            return find_writing(self.module, self._question(ask, ask.batch))
        finally:
            self._set()

    def run(self, ask: Ask) -> Mapping[str, Tensor]:
        """Return the answers of a run without recording, by name."""
        answers = evaluate(self.module, self._question(ask, ask.batch))
        answers = {name: tensor.detach().clone() for name, tensor in answers.items()}
        self._set()
        return answers

    def run_in_way(self, ask: Ask, way: Way, usual: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the answers of a run in another way of calling, by name; see `evaluate_in_way`.

        Tensors that a module keeps in inference mode would be of no use afterwards, so a copy is
        called there.
        """
        question, module = self._question(ask, ask.batch), self.module
        if way.again and ask.before is not None:
            question = replace(question, between=self._question(ask, ask.before).batch)
        if way == INFERENCE:
            module = copy_module(module, self.side.builder, self.dtype, self.device)
            set_mode(module, self.setting.mode)
            write_state(module, self.start)
        try:
            answers = evaluate_in_way(module, question, way, usual)
            return {name: tensor.detach().clone() for name, tensor in answers.items()}
        finally:
            self._set()

    def shadow(self, ask: Ask) -> Shadow:
        """Return the recorded evaluation, repeated in float64 at the parameters before they are
        rounded to the model's dtype.
        """
        watched = watch_evaluation(self.module, self._question(ask, ask.batch))
        return Shadow(watched, self.dtype, self._list_exact(watched))

    def _list_exact(self, watched: Watched) -> dict[int, Tensor]:
        """Return the exact values of parameters that the module stores rounded, in float64.

        The keys are numbers of arrays in the recorded memory: indices of `watched.run.versions`.
        """
        live, _ = list_live(self.module)
        exact: dict[int, Tensor] = {}
        for name, exact_numbers in self.state.items():
            tensor = live[name]
            if not tensor.is_floating_point() or name in self.models.buffers:
                continue
            exact_numbers = exact_numbers.to(tensor.device)
            if torch.equal(tensor.detach().double(), exact_numbers):
                continue
            memory = tensor.untyped_storage().data_ptr()
            for number, version in enumerate(watched.run.versions):
                if version.numbers.untyped_storage().data_ptr() == memory:
                    whole = exact.get(number, version.numbers.double().clone())
                    whole.as_strided(
                        tensor.shape, tensor.stride(), int(tensor.storage_offset())
                    ).copy_(exact_numbers)
                    exact[number] = whole
                    break
        return exact


def digest_answers(answers: Mapping[str, Tensor]) -> str:
    """Return a digest of all numbers of some answers and of their names."""
    digest = sha256()
    for name, tensor in answers.items():
        numbers = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)
        digest.update(name.encode() + numbers.numpy().tobytes())
    return digest.hexdigest()


def compare_draws(mine: Respondent, theirs: Respondent, ask: Ask) -> tuple[str, str]:
    """Return two reasons: why two models that draw random numbers cannot be compared, and why their
    randomness certainly differs.

    Both are "" if the models draw the same numbers, or none.
    """
    if draw_the_same(mine.drawn, theirs.drawn):
        return "", ""
    both = mine, theirs
    names = [one.side.builder.name for one in both]
    drawn = [describe_drawn(one.drawn) for one in both]
    acts = [bool(one.drawn) and _acts(one, ask) for one in both]
    if not any(acts):
        return "", ""
    for one, (draws, other) in enumerate(((0, 1), (1, 0))):
        if acts[draws] and not acts[other]:
            return "", (
                f"{names[draws]} draws random numbers that change its answers"
                f" ({drawn[one]}{_say_line(both[one].drawn)}), and {names[other]} does not"
            )
    if draw_otherwise(mine.drawn, theirs.drawn):
        return "", (
            f"the two draw random numbers with other arguments: {names[0]} {drawn[0]}, {names[1]}"
            f" {drawn[1]}"
        )
    if drawn[0] == drawn[1]:
        return (
            f"both draw {drawn[0]}, and get other numbers under one seed: {tell_apart(*both)}; to"
            ' compare the rest set dropout to 0 in both, or write modes=["eval"]'
        ), ""
    why = (
        f"the two draw random numbers in another order, or of other shapes: {names[0]} {drawn[0]},"
        f" {names[1]} {drawn[1]}; under one seed they are not comparable"
    )
    counts = [sum(each.numbers.numel() for each in one.drawn) for one in both]
    if counts[0] != counts[1]:
        why += f"; one draws {counts[0]} numbers and the other {counts[1]}: is a dropout missing?"
    return why, ""


def _say_line(drawn: Sequence[Drawn]) -> str:
    """Return the first line that draws, as "; the first in net.py:12: source"; "" if none is
    known.
    """
    lines = [each.line for each in drawn if each.line]
    return f"; the first in {': '.join(read_line(lines[0]))}" if lines else ""


def tell_apart(mine: Respondent, theirs: Respondent) -> str:
    """Return the difference of two models that draw the same shapes from the same distributions."""
    pairs = list(zip(mine.drawn, theirs.drawn, strict=True))
    for number, (one, other) in enumerate(pairs, 1):
        strides = one.numbers.stride(), other.numbers.stride()
        if strides[0] != strides[1]:
            return f"draw {number} is laid out in memory with strides {strides[0]} and {strides[1]}"
    return "they are drawn in another order, or the seed is used up elsewhere"


def _acts(one: Respondent, ask: Ask) -> bool:
    """Do a model's answers depend on the random seed? A mask of a few rows may be the same under
    several seeds.
    """
    drawn, dropped = one.drawn, one.dropped
    first = one.look(ask, 0)
    acts = any(not are_equal(first, one.look(ask, seed)) for seed in range(1, SEEDS))
    one.drawn, one.dropped = drawn, dropped
    return acts
