"""State that a model keeps in plain attributes of its modules, where torch does not list it, such
as running statistics that are no buffers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from harness.evaluating.built import Builder, cast_batch
from harness.evaluating.data import Batch
from harness.evaluating.evaluation import Question, call_before, evaluate
from harness.evaluating.state import plain_name, read_state, write_state
from harness.model.devices import held_in

TORCHS_OWN = frozenset(vars(torch.nn.Module())) | {"_flat_weights"}
HOLDERS = (list, tuple, dict)


@dataclass(frozen=True)
class Hidden:
    """Attributes that a call in train() changes: the names of `tensors`, which can become buffers,
    and of `others`, which cannot.
    """

    tensors: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


def find_hidden(builder: Builder, module: Any, dtype: str) -> tuple[Builder, Any, tuple[str, ...]]:
    """Return a builder and a module of this dtype whose hidden tensors are buffers, and the names
    of attributes that cannot be set.

    Only attributes are named on which outputs in eval() depend. The builder and module are the
    given ones if the model hides no state, or if it cannot be called.
    """
    batch = cast_batch(builder.batch, held_in(dtype), "cpu")
    built = read_state(module)
    try:
        hidden = _compare_attributes(module, batch)
    except Exception:  # a user's model may raise anything; its evaluation then says what
        hidden = Hidden()
    write_state(module, built)
    if hidden == Hidden():
        return builder, module, ()
    builder = replace(builder, hidden=hidden.tensors)
    acting = hidden.others and _act(builder.make(dtype), batch)
    return builder, builder.make(dtype), hidden.others if acting else ()


def _act(module: Any, batch: Batch) -> bool:
    """Do outputs in eval() change with a call in train(), although all parameters and buffers are
    reset?
    """
    built = read_state(module)
    question = Question(batch, "eval", by_inputs=False, by_parameters=False)
    try:
        before = evaluate(module, question)
        before = {name: tensor.detach().clone() for name, tensor in before.items()}
        call_before(module, Question(batch, "train"))
        write_state(module, built)
        after = evaluate(module, question)
    except Exception:  # a user's model may raise anything; its evaluation then says what
        return False
    return not _are_equal(before, {name: tensor.detach() for name, tensor in after.items()})


def _compare_attributes(module: Any, batch: Batch) -> Hidden:
    """Return the attributes of a module and its parts that a call in train() changes."""
    before = {name: _copy(value) for name, value in _list_attributes(module)}
    call_before(module, Question(batch, "train"))
    tensors: list[str] = []
    others: list[str] = []
    for name, value in _list_attributes(module):
        old = before.get(name)
        if not _are_equal(old, value):
            (tensors if _are_alike(old, value) else others).append(name)
    return Hidden(tuple(tensors), tuple(others))


def _are_alike(old: Any, new: Any) -> bool:
    """Are both tensors of real numbers, in one shape?

    A tensor that can be differentiated is an answer that the model keeps: no state of later calls.
    """
    if not (isinstance(old, Tensor) and isinstance(new, Tensor)) or new.requires_grad:
        return False
    return old.is_floating_point() and old.shape == new.shape


def _list_attributes(module: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names and values of tensors, numbers, lists and dicts among the attributes of a
    module and its parts, except for torch's own.
    """
    if isinstance(module, torch.jit.ScriptModule):
        return
    for prefix, part in module.named_modules():
        for name, value in list(vars(part).items()):
            if name not in TORCHS_OWN and isinstance(value, (Tensor, int, float, *HOLDERS)):
                yield plain_name(f"{prefix}.{name}" if prefix else name), value


def _copy(value: Any) -> Any:
    """Return a copy of a value as it is now, with copies of the tensors in lists and dicts."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {name: _copy(each) for name, each in value.items()}
    return [_copy(each) for each in value] if isinstance(value, list | tuple) else value


def _are_equal(old: Any, new: Any) -> bool:
    """Is a value the same as its earlier copy?"""
    if isinstance(old, Tensor) or isinstance(new, Tensor):
        both = isinstance(old, Tensor) and isinstance(new, Tensor) and old.shape == new.shape
        return both and torch.equal(old.nan_to_num(), new.detach().nan_to_num())
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_are_equal(old[name], new[name]) for name in old)
    if isinstance(old, list) and isinstance(new, list | tuple):
        return len(old) == len(new) and all(map(_are_equal, old, new))
    if isinstance(old, int | float) or isinstance(new, int | float):
        return bool(old == new)
    return True
