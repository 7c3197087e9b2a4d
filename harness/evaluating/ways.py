"""The ways of calling a model in use, besides the usual one, with all gradients.

Torch's fast paths, an autograd Function that reads `ctx.needs_input_grad`, and code that reads
`requires_grad` may compute otherwise where fewer gradients are needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from harness.evaluating.evaluation import BY_INPUT, GRADIENT, Answers, Question, evaluate


@dataclass(frozen=True)
class Way:
    """A way of calling a model, in words; `inputs` and `parameters` say which gradients it asks
    for.
    """

    words: str
    inputs: bool = False
    parameters: bool = False

    @property
    def needs_gradients(self) -> bool:
        """Does it ask for any gradient?"""
        return self.inputs or self.parameters


WITHOUT_GRADIENTS = Way("under torch.no_grad()")
IN_TRAINING = Way("in a training step (backward(), plain inputs)", parameters=True)
FROZEN = Way("with frozen parameters", inputs=True)


def list_ways(mode: str, number: int) -> list[Way]:
    """Return the ways of calling a model in a mode ("train" or "eval").

    Evaluation `number` 0 has the parameters as built, and 1 the first random ones. The ways with
    gradients are tried in these two only. Each of them costs an evaluation.
    """
    ways = [WITHOUT_GRADIENTS] if mode == "eval" else []
    return [*ways, IN_TRAINING, FROZEN] if number <= 1 else ways


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
        by_backward=way == IN_TRAINING and _are_leaves(module),
    )
    if asked.by_backward:
        module.zero_grad()
    with _freeze(module, frozen=way == FROZEN):
        answers = evaluate(module, asked)
    for name, tensor in usual.items():
        wanted = (way.inputs and name.startswith(BY_INPUT)) or (
            way.parameters and name.startswith(GRADIENT)
        )
        if name.startswith("gradient ") and name not in answers:
            answers[name] = torch.zeros_like(tensor) if wanted else tensor
    return answers


def _are_leaves(module: Any) -> bool:
    """Can backward() leave gradients in a module's parameters? It cannot in TorchScript's."""
    return all(each.is_leaf for each in module.parameters())


@contextmanager
def _freeze(module: Any, frozen: bool) -> Iterator[None]:
    """Make all parameters of a module need no gradient in this context, if `frozen` says so."""
    frozen = frozen and _are_leaves(module)
    free = [each for each in module.parameters() if frozen and each.requires_grad]
    for parameter in free:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in free:
            parameter.requires_grad_(True)
