"""The ways in which a model is called in use, besides the one in which all gradients are asked for.

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


WITHOUT_GRADIENTS = Way("under torch.no_grad()")
IN_TRAINING = Way("with inputs that need no gradient", parameters=True)
FROZEN = Way("with frozen parameters", inputs=True)


def list_ways(mode: str, first: bool) -> list[Way]:
    """Return the ways in which a model in a mode ("train" or "eval") is called.

    Those with gradients are tried in the `first` evaluation only, since each of them costs one.
    """
    ways = [WITHOUT_GRADIENTS] if mode == "eval" else []
    return [*ways, IN_TRAINING, FROZEN] if first else ways


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
        needs_gradients=way.inputs or way.parameters,
    )
    with _freeze(module, frozen=not way.parameters and way.inputs):
        answers = evaluate(module, asked)
    for name, tensor in usual.items():
        wanted = (way.inputs and name.startswith(BY_INPUT)) or (
            way.parameters and name.startswith(GRADIENT)
        )
        if name.startswith("gradient ") and name not in answers:
            answers[name] = torch.zeros_like(tensor) if wanted else tensor
    return answers


@contextmanager
def _freeze(module: Any, frozen: bool) -> Iterator[None]:
    """Make all parameters of a module need no gradient in this context, if `frozen` says so."""
    leaves = [each for each in module.parameters() if each.is_leaf]  # TorchScript has others
    free = [each for each in leaves if frozen and each.requires_grad]
    for parameter in free:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in free:
            parameter.requires_grad_(True)
