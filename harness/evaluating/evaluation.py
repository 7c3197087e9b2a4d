"""One evaluation of a model: its outputs, its loss, its gradients and its buffers, by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from harness.core.numpy_errors import users
from harness.evaluating.built import set_mode
from harness.evaluating.data import Batch
from harness.evaluating.outputs import name_outputs
from harness.evaluating.state import list_live, list_parameters
from harness.evaluating.survey import Survey
from harness.model.devices import seed_torch
from harness.model.dropout import Dropout
from harness.model.errors import WrongAnswer, raised
from harness.model.late import uncompiled
from harness.model.losses import check_loss
from harness.shadow.watch import Watched, watch

LOSS = "loss"
GRADIENT = "gradient of "  # of a parameter
BY_INPUT = "gradient by "  # by an input
BUFFER, PARAMETER = "buffer ", "moved parameter "  # as a call leaves them
INPUT, AFTER = "input ", " after the call"  # around the name of an input that a model changes
Answers = dict[str, Tensor]
Loss = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Question:
    """How to evaluate a model: on a batch, in the mode "train" or "eval", under a seed.

    Without a `loss` the gradients are those of a random weighted sum of the outputs. `names`
    renames outputs, from their own name to the answer's. `buffers` does the same for buffers and
    parameters that are read after the call. `by_inputs` and `by_parameters` ask for gradients; with
    `needs_gradients` False the module is called under torch.no_grad(). With `by_backward` the
    gradients by parameters are those in `.grad` after backward(). `weights` stores the weights
    of each output, by name, from the first evaluation on. `arguments` names the arguments; by
    default they have the names in the module's forward. Without `dropout`, that of torch is off.
    `after` names inputs that are read after the call. `written` gets the names of the inputs that
    the call has changed; None if nobody asks. On a batch `between` the module is called once more
    before the gradients are computed; its answers are dropped.
    """

    batch: Batch
    mode: str
    seed: int = 0
    loss: Loss | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    buffers: Mapping[str, str] = field(default_factory=dict)
    by_inputs: bool = True
    by_parameters: bool = True
    weights: dict[str, Tensor] = field(default_factory=dict)
    arguments: Sequence[str] = ()
    needs_gradients: bool = True
    by_backward: bool = False
    dropout: bool = True
    after: Sequence[str] = ()
    written: list[str] | None = None
    between: Batch | None = None


def evaluate(module: Any, question: Question) -> Answers:
    """Return all answers of a module to a question, by name; it may run compiled code."""
    eager = nullcontext() if question.dropout else uncompiled()
    with _hold_mode_and_seed(module, question), eager:
        return _answer(module, question)


def survey(module: Any, question: Question) -> tuple[Answers, Survey]:
    """Return the answers of a module, and a survey: how many numbers were computed, and which are
    random.

    Compiled code does not run.
    """
    with _hold_mode_and_seed(module, question), uncompiled(), Survey() as surveyed:
        return _answer(module, question), surveyed


def watch_evaluation(module: Any, question: Question) -> Watched:
    """Evaluate a module, and return the record of its operations and answers; compiled code does
    not run.
    """
    with _hold_mode_and_seed(module, question), uncompiled(), _make_dense(module):
        return watch(lambda: _answer(module, question), module)


@contextmanager
def _make_dense(module: Any) -> Iterator[None]:
    """Let embeddings with sparse gradients compute dense ones in this context: the same numbers, in
    an array that can be followed.
    """
    kinds = torch.nn.Embedding, torch.nn.EmbeddingBag
    sparse = [part for part in module.modules() if isinstance(part, kinds) and part.sparse]
    for part in sparse:
        part.sparse = False
    try:
        yield
    finally:
        for part in sparse:
            part.sparse = True


@contextmanager
def _hold_mode_and_seed(module: Any, question: Question) -> Iterator[None]:
    """Put a module into the question's mode, and seed torch, in this context."""
    set_mode(module, question.mode)
    device = next((each.device for each in module.parameters()), torch.device("cpu"))
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        seed_torch(question.seed)
        yield


def call_before(module: Any, question: Question) -> None:
    """Call a module as a question describes, and drop its answers."""
    with _hold_mode_and_seed(module, question), users(), torch.enable_grad():
        batch = copy_batch(question.batch)
        module(*batch.args, **batch.kwargs)


def _answer(module: Any, question: Question) -> Answers:
    """Return the answers of a module, with its dropout switched off if the question says so."""
    with nullcontext() if question.dropout else Dropout(off=True):
        return _call(module, question)


def _call(module: Any, question: Question) -> Answers:
    """Call a module, and return its outputs, loss, gradients and buffers by name."""
    batch, inputs = _take_inputs(module, question)
    before = {} if question.written is None else _copy(name_inputs(module, question, batch))
    with torch.set_grad_enabled(question.needs_gradients), users():
        raw = module(*batch.args, **batch.kwargs)
        outputs = name_outputs(raw)
        loss = None if question.loss is None else ask_loss(question.loss, raw, batch)
    answers = {question.names.get(name, name): tensor for name, tensor in outputs.items()}
    if loss is not None:
        answers[LOSS] = loss
    if question.between is None:
        answers |= _differentiate(module, question, answers, inputs)
        answers |= _read_buffers(module, question)
    else:
        answers |= _copy(_read_buffers(module, question))
        call_before(module, replace(question, batch=question.between))
        answers |= _differentiate(module, question, answers, inputs)
    now = name_inputs(module, question, batch) if question.after or before else {}
    answers |= {INPUT + name + AFTER: now[name] for name in question.after if name in now}
    if question.written is not None:
        question.written[:] = [name for name, old in before.items() if _is_changed(old, now, name)]
    return answers


def _read_buffers(module: Any, question: Question) -> Answers:
    """Return the buffers and parameters that a question asks for, as they are now, by name."""
    live, _ = list_live(module)
    return {name: live[own].detach() for own, name in question.buffers.items()}


def ask_loss(loss: Loss, output: Any, batch: Batch) -> Tensor:
    """Return a user's loss of an output and the batch's targets.

    Raises WrongAnswer unless it is one real number, or if the loss raises anything.
    """
    arguments = (output,) if batch.targets is None else (output, batch.targets)
    try:
        value: Any = loss(*arguments)
    except Exception as error:  # a user's loss may raise anything
        called = "loss(output, targets)" if len(arguments) == 2 else "loss(output)"
        advice = (
            ""
            if len(arguments) == 2
            else "; with targets=... it is called as loss(output, targets)"
        )
        raise WrongAnswer(f"answered, and {called} {raised(error)}{advice}") from error
    checked: Tensor = check_loss(value)
    return checked


def copy_batch(batch: Batch) -> Batch:
    """Return a copy of the arguments of a call, since a model may write into them."""
    return Batch(batch.args, batch.kwargs).map(lambda tensor: tensor.detach().clone())


def _take_inputs(module: Any, question: Question) -> tuple[Batch, Answers]:
    """Return a copy of the question's batch, and its real inputs by name, if the question asks for
    gradients by them.
    """
    batch = copy_batch(question.batch)
    differentiable: Answers = {}
    if question.by_inputs:
        batch = batch.map(lambda each: each.requires_grad_(each.is_floating_point()))
        inputs = name_inputs(module, question, batch)
        differentiable = {name: each for name, each in inputs.items() if each.requires_grad}
    return Batch(batch.args, batch.kwargs, question.batch.targets), differentiable


def name_inputs(module: Any, question: Question, batch: Batch) -> Answers:
    """Return the tensors and numbers among the arguments of a call, by name."""
    inputs: Answers = {}
    names = question.arguments or name_arguments(module)
    for name, value in zip(names, batch.args, strict=False):
        inputs |= name_outputs(value, name)
    for name, value in batch.kwargs.items():
        inputs |= name_outputs(value, name)
    return inputs


def _copy(tensors: Answers) -> Answers:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _is_changed(old: Tensor, now: Answers, name: str) -> bool:
    """Is an input other than it was, or gone from its container?"""
    if name not in now or now[name].shape != old.shape:
        return True
    return not torch.equal(old.nan_to_num(), now[name].detach().nan_to_num())


def name_arguments(module: Any) -> list[str]:
    """Return names for a module's arguments: the names in its forward, then "input 3", "input 4",
    ...
    """
    try:
        written = getattr(module, "_orig_mod", module)  # inside what torch.compile returns
        parameters = list(inspect.signature(written.forward).parameters.values())
    except (TypeError, ValueError, AttributeError):
        parameters = []
    by_place = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    names = [each.name for each in parameters if each.kind in by_place]
    return [*names, *(f"input {place}" for place in range(len(names) + 1, 100))]


def _differentiate(module: Any, question: Question, answers: Answers, inputs: Answers) -> Answers:
    """Return the gradients of the loss, or of a weighted sum of the outputs, by name.

    `answers` has the outputs and the loss, `inputs` the inputs by which to differentiate. Gradients
    that do not exist are left out.
    """
    live, parameters = list_live(module)[0], list_parameters(module)
    tensors = {BY_INPUT + name: tensor for name, tensor in inputs.items()}
    for name, tensor in live.items():
        is_free = name in parameters and tensor.requires_grad
        if is_free and question.by_parameters:
            tensors[GRADIENT + name] = tensor
    ends = {name: each for name, each in answers.items() if each.requires_grad}
    if question.loss is not None:
        ends = {name: each for name, each in ends.items() if name == LOSS}
    if not ends or not tensors:
        return {}
    weights = None
    if question.loss is None:
        weights = [_get_weights(question, name, each) for name, each in ends.items()]
    asked = list(ends.values()), list(tensors.values()), weights
    slopes = call_backward(*asked) if question.by_backward else _call_grad(*asked)
    return {
        name: slope.to_dense() if slope.is_sparse else slope
        for name, slope in zip(tensors, slopes, strict=True)
        if slope is not None
    }


def _call_grad(
    ends: Sequence[Tensor], tensors: Sequence[Tensor], weights: Sequence[Tensor] | None
) -> Sequence[Tensor | None]:
    return torch.autograd.grad(ends, tensors, weights, allow_unused=True)


def call_backward(
    ends: Sequence[Tensor], tensors: Sequence[Tensor], weights: Sequence[Tensor] | None
) -> Sequence[Tensor | None]:
    """Return the tensors' `.grad` after backward() from a weighted sum of `ends`, and clear them.

    They include the gradients that were there before.
    """
    torch.autograd.backward(ends, weights)
    slopes = [each.grad for each in tensors]
    for tensor in tensors:
        tensor.grad = None
    return slopes


def _get_weights(question: Question, name: str, output: Tensor) -> Tensor:
    """Return the weights of an output's elements; they are drawn in the first evaluation."""
    if name not in question.weights:
        question.weights[name] = draw_weights(name, output)
    return question.weights[name]


def draw_weights(name: str, output: Tensor) -> Tensor:
    """Return weights of an output's elements that every dtype holds: eighths from 1/8 to 1, with
    signs. They are always the same for an output of this name and shape.
    """
    generator = np.random.default_rng(crc32(name.encode()))
    drawn = generator.integers(1, 9, output.shape) * generator.choice([-1, 1], output.shape)
    return torch.tensor(drawn / 8, dtype=output.dtype, device=output.device)
