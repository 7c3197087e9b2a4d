"""Replaces recorded operations by equivalent ones that can be repeated.

An operation on a list of tensors (_foreach) becomes one operation for each of them. Dropout with a
mask of its own becomes a product with the mask that it has drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from harness.shadow.run import Operation

FOREACH = "aten::_foreach_"
NAMES = {"norm": "linalg_vector_norm"}
OVERLOADS = {"": "default", "List": "Tensor", "ScalarList": "Scalar"}
VALUED = ("addcmul", "addcdiv")  # their last argument is a keyword of the operation on one tensor


def rewrite(noted: Operation) -> Sequence[Operation]:
    """Return the operations to record in place of `noted`; most operations are recorded
    unchanged.
    """
    if noted.name.startswith(FOREACH):
        return _split(noted)
    return [_multiply_by_mask(noted) if noted.name == "aten::native_dropout" else noted]


def _split(noted: Operation) -> Sequence[Operation]:
    """Return an operation on a single tensor for each element of an operation on lists."""
    name = noted.name.removeprefix(FOREACH).removesuffix("_")
    called = _find_single(name, noted.called._schema.overload_name)
    single = []
    for number, result in enumerate(noted.results):
        args = [_take(argument, number) for argument in noted.args]
        kwargs = {key: _take(value, number) for key, value in noted.kwargs.items()}
        if name in VALUED and len(args) > 3:
            kwargs["value"] = args.pop()
        single.append(
            replace(noted, called=called, args=tuple(args), kwargs=kwargs, results=(result,))
        )
    return single


def _find_single(name: str, overload: str) -> Any:
    """Return the torch operation on one tensor, such as add for _foreach_add."""
    packet = getattr(torch.ops.aten, NAMES.get(name, name))
    single = OVERLOADS.get(overload, overload)
    for each in (single, f"Tensor_{single}", "default", "Tensor"):
        if each in packet.overloads():
            return getattr(packet, each)
    return packet.default


def _take(argument: Any, number: int) -> Any:
    """Return the element at position `number` of a list; any other argument unchanged."""
    return argument[number] if type(argument) in (tuple, list) else argument


def _multiply_by_mask(noted: Operation) -> Operation:
    """Return a dropout as the product of its input, the mask that it has drawn, and the scale."""
    share, trains = noted.args[1], noted.args[2]
    scale = 1.0
    if trains is not False:
        scale = 0.0 if share == 1 else 1 / (1 - share)
    called = torch.ops.aten.native_dropout_backward.default
    output, mask = noted.results
    return replace(
        noted, called=called, args=(noted.args[0], mask, scale), kwargs={}, results=(output,)
    )
