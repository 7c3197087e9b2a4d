"""Looks at a built model: calls it with rows of numbers, and records what it runs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any

import torch

from harness.core.numpy_errors import users
from harness.evaluating.given import list_needed
from harness.looking.seen import Call, Seen
from harness.model.errors import WrongAnswer, raised
from harness.model.module import Heads
from harness.model.tensors import to_plain
from harness.shadow.watch import watch

ROWS = (3, 7)  # numbers of rows that are tried
MOST_CALLS = 300  # tries
MOST_WIDTH = 4096  # of an input
# what operations of torch are called as activations
ACTIVATIONS = {
    "aten::sigmoid": "logistic",
    "aten::log_sigmoid_forward": "logsigmoid",
    "aten::tanh": "tanh",
    "aten::relu": "relu",
    "aten::clamp_min": "relu",
    "aten::threshold": "relu",
    "aten::_softmax": "softmax",
    "aten::_log_softmax": "log_softmax",
    "aten::gelu": "gelu",
    "aten::elu": "elu",
    "aten::silu": "silu",
    "aten::softplus": "softplus",
    "aten::leaky_relu": "leaky_relu",
    "aten::hardtanh": "hardtanh",
}


def look_at(module: torch.nn.Module) -> Seen:
    """Return the facts about a module of real numbers: its parameters, inputs, outputs and
    activations.

    Its parameters do not change.
    """
    shapes = {}
    for name, parameter in module.named_parameters():
        shapes[name] = tuple(to_plain(parameter).shape)
    calls, why = _try_calls(module, shapes)
    activations: list[str] = []
    if calls:
        activations = _list_activations(module, calls[0].inputs)
    return Seen(shapes, calls, activations, why)


def _try_calls(
    module: torch.nn.Module, shapes: Mapping[str, tuple[int, ...]]
) -> tuple[list[Call], str]:
    """Return the ways in which a module can be called and, if there is none, the reason.

    `shapes` are those of its parameters, by name.
    """
    found: list[Call] = []
    refused = answered = ""
    with torch.random.fork_rng(devices=[]), torch.no_grad(), users():
        for widths in islice(_list_widths(module, shapes), MOST_CALLS):
            try:
                found.append(Call(widths, _try_call(module, widths)))
            except WrongAnswer as error:
                answered = raised(error)
            except Exception as error:  # a user's model may raise anything
                refused = f"it {raised(error)}"
    return found, "" if found else answered or refused


def _list_widths(
    module: torch.nn.Module, shapes: Mapping[str, tuple[int, ...]]
) -> Iterator[tuple[int, ...]]:
    """Yield the widths of groups of inputs (the number of columns of each) that fit the parameters'
    shapes.
    """
    sizes = {1}
    for shape in shapes.values():
        sizes.update(shape)
    candidates = sorted(size for size in sizes if 0 < size <= MOST_WIDTH)
    for groups in _count_groups(module.forward):
        yield from product(candidates, repeat=groups)


def _count_groups(forward: Callable[..., Any]) -> Sequence[int]:
    """Return the possible numbers of inputs of a forward method."""
    needed = len(list_needed(forward))
    if needed:
        return (needed,)
    kinds = [each.kind for each in inspect.signature(forward).parameters.values()]
    return (1, 2) if inspect.Parameter.VAR_POSITIONAL in kinds else (1,)


def _try_call(module: torch.nn.Module, widths: tuple[int, ...]) -> tuple[int, ...]:
    """Return the widths of the outputs for inputs with these numbers of columns.

    Raises WrongAnswer if the outputs are no rows of numbers, and the module's own errors.
    """
    kind = next((each.dtype for each in module.parameters()), torch.get_default_dtype())
    found: tuple[int, ...] = ()
    for rows in ROWS:
        inputs = [torch.rand(rows, width).to(kind) for width in widths]
        shapes = [tuple(head.shape) for head in Heads.of(module(*inputs), rows, (1,))]
        if not shapes or any(len(shape) != 2 or shape[0] != rows for shape in shapes):
            listed = " and ".join(map(str, shapes)) or "no tensor"
            raise WrongAnswer(f"its outputs for {rows} rows are {listed}, expected ({rows}, width)")
        found = tuple(width for _, width in shapes)
    return found


def _list_activations(module: torch.nn.Module, widths: tuple[int, ...]) -> list[str]:
    """Return the names of the activations that a call of a module runs, in their order.

    `widths` are the numbers of columns of its inputs.
    """
    kind = next((each.dtype for each in module.parameters()), torch.get_default_dtype())
    inputs = [torch.rand(ROWS[0], width).to(kind) for width in widths]

    def call() -> dict[str, torch.Tensor]:
        heads = Heads.of(module(*inputs), ROWS[0], (1,))
        return {f"output {number}": head for number, head in enumerate(heads)}

    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad(), users():
            operations = watch(call, module).run.operations
    except Exception:  # what cannot be recorded is not known
        return []
    names = [ACTIVATIONS.get(operation.functional, "") for operation in operations]
    return [name for name in names if name]
