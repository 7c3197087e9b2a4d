"""The ways of calling a model in use, besides the usual one, with all gradients.

Torch's fast paths, an autograd Function that reads `ctx.needs_input_grad`, and code that reads
`requires_grad` may compute otherwise where fewer gradients are needed. A Function that stores its
input on the module finds that of the second call there if two calls come before backward().
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from harness.evaluating.evaluation import BY_INPUT, GRADIENT, Answers, Question, evaluate
from harness.evaluating.state import list_live, list_parameters


@dataclass(frozen=True)
class Way:
    """A way of calling a model, in words; `inputs` and `parameters` say which gradients it asks
    for.

    With `backward` the gradients are read from `.grad` after backward(). `frozen` names the
    parameters that need none. With `again` another call comes between the call and its backward().
    `parts` are simpler ways; the first that shows the same difference is named.
    """

    words: str
    inputs: bool = False
    parameters: bool = False
    backward: bool = False
    frozen: Literal["none", "all", "first half", "every second"] = "none"
    again: bool = False
    parts: tuple[Way, ...] = ()

    @property
    def needs_gradients(self) -> bool:
        """Does it ask for any gradient?"""
        return self.inputs or self.parameters


WITHOUT_GRADIENTS = Way("under torch.no_grad()")
INFERENCE = Way("under torch.inference_mode()")
IN_TRAINING = Way("in a training step (backward(), plain inputs)", parameters=True, backward=True)
CALLED_TWICE = replace(IN_TRAINING, words="if it is called once more before backward()", again=True)
BODY_FROZEN = replace(
    IN_TRAINING,
    words="in a training step if the first half of its parameters is frozen",
    frozen="first half",
)
SOME_FROZEN = replace(
    IN_TRAINING,
    words="in a training step if every second parameter is frozen",
    frozen="every second",
)
FROZEN = Way("with frozen parameters", inputs=True, frozen="all")


def list_ways(mode: str, number: int) -> list[Way]:
    """Return the ways of calling a model in a mode ("train" or "eval").

    Evaluation `number` 0 has the parameters as built, and 1 the first random ones. The ways with
    gradients are tried in these two only. Each of them costs an evaluation, so a training step asks
    two things at once: in 0 some parameters are frozen, in 1 the model is called again. The ways of
    1 include a training step of all parameters: ask them at a single point.
    """
    ways = [WITHOUT_GRADIENTS] if mode == "eval" else []
    if number > 1:
        return ways
    step = CALLED_TWICE
    if number == 0:
        step = BODY_FROZEN if mode == "train" else SOME_FROZEN
    elif ways:
        ways.append(INFERENCE)
    return [*ways, FROZEN, replace(step, parts=(IN_TRAINING, step))]


def evaluate_in_way(
    module: Any, question: Question, way: Way, usual: Mapping[str, Tensor]
) -> Answers:
    """Return the answers of a module that is called in a way, by name.

    `usual` has the answers to the same question in the usual way. Gradients that the way does not
    ask for are taken from there; a gradient that it asks for and that does not exist is 0.
    """
    asked = replace(
        question,
        by_inputs=question.by_inputs and way.inputs,
        by_parameters=question.by_parameters and way.parameters,
        needs_gradients=way.needs_gradients,
        by_backward=way.backward and _are_leaves(module),
    )
    if asked.by_backward:
        module.zero_grad()
    inference = torch.inference_mode() if way == INFERENCE else nullcontext()
    with _freeze(module, way) as frozen, inference:
        answers = evaluate(module, asked)
    unasked = {GRADIENT + name for name in frozen}
    for name, tensor in usual.items():
        wanted = (way.inputs and name.startswith(BY_INPUT)) or (
            way.parameters and name.startswith(GRADIENT) and name not in unasked
        )
        if name.startswith("gradient ") and name not in answers:
            answers[name] = torch.zeros_like(tensor) if wanted else tensor
    return answers


def _are_leaves(module: Any) -> bool:
    """Can backward() leave gradients in a module's parameters? It cannot in TorchScript's."""
    return all(each.is_leaf for each in module.parameters())


@contextmanager
def _freeze(module: Any, way: Way) -> Iterator[list[str]]:
    """Make the parameters of a module that a way freezes need no gradient in this context; yield
    their names.
    """
    live = list_live(module)[0] if _are_leaves(module) else {}
    names = list_parameters(module)
    free = [name for name, each in live.items() if name in names and each.requires_grad]
    chosen = {
        "none": [],
        "all": free,
        "first half": free[: len(free) // 2],
        "every second": free[1::2],
    }[way.frozen]
    for name in chosen:
        live[name].requires_grad_(False)
    try:
        yield chosen
    finally:
        for name in chosen:
            live[name].requires_grad_(True)
