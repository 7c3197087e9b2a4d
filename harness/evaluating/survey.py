"""Surveys one evaluation: how many numbers it computes, and which it draws at random."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from hashlib import sha256
from types import FrameType
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from harness.model.late import import_dynamo_late
from harness.shadow.layers import find_line, find_owner

UNREAD = ("aten::empty", "aten::empty_like", "aten::new_empty", "aten::empty_strided")


class Drawn(NamedTuple):
    """One call of an operation that draws random numbers.

    `name` is the operation, `numbers` are a copy of its result, and `given` the numbers among its
    arguments, such as a probability. `on_the_way_back` says that the backward pass draws them, as
    it does to compute a checkpoint again. `line` is the user's line that draws, as "net.py:12".
    """

    name: str
    numbers: Tensor
    given: tuple[float, ...] = ()
    on_the_way_back: bool = False
    line: str = ""

    def describe(self) -> str:
        """Return the operation and the shape of its numbers, as "bernoulli (32, 8)"."""
        name = self.name.removeprefix("aten::").rstrip("_")
        arguments = f" with {', '.join(f'{each:.4g}' for each in self.given)}" if self.given else ""
        return f"{name} {tuple(self.numbers.shape)}{arguments}"

    @property
    def kind(self) -> tuple[str, tuple[int, ...], tuple[float, ...]]:
        """The operation, the shape of its result, and the numbers among its arguments.

        A number p is replaced by the smaller one of p and 1 - p, since a mask may mark either
        outcome.
        """
        arguments = tuple(round(min(each, 1 - each), 12) for each in self.given)
        return self.name, tuple(self.numbers.shape), arguments


@import_dynamo_late
class Survey(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the numbers that operations compute, and stores the random ones, in order.

    `trace` is a digest of the operations and of the Python numbers among their arguments.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.numbers = 0
        self.drawn: list[Drawn] = []
        self.trace = sha256()

    def __torch_dispatch__(
        self, called: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        results = called(*args, **(kwargs or {}))
        listed = results if isinstance(results, tuple | list) else (results,)
        tensors = [each for each in listed if isinstance(each, Tensor)]
        self.numbers += sum(tensor.numel() for tensor in tensors)
        name = called._schema.name
        self.trace.update(f"{name}{list_plain((args, kwargs))}".encode())
        if torch.Tag.nondeterministic_seeded in called.tags and tensors and name not in UNREAD:
            numbers = tuple(float(each) for each in args if type(each) in (int, float))
            back = torch._C._current_graph_task_id() != -1
            self.drawn.append(
                Drawn(name, tensors[-1].detach().clone(), numbers, back, _find_line())
            )
        return results


def _find_line() -> str:
    """Return the user's innermost line, though modes of the harness stand between."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and find_owner(frame.f_code.co_filename) == "harness":
        frame = frame.f_back
    return find_line(frame)


def list_plain(given: Any) -> list[Any]:
    """Return the numbers, booleans and texts in nested arguments of an operation."""
    if isinstance(given, dict):
        return list_plain(list(given.items()))
    if isinstance(given, tuple | list):
        return [each for one in given for each in list_plain(one)]
    return [given] if isinstance(given, bool | int | float | str) else []


def draw_the_same(mine: Sequence[Drawn], theirs: Sequence[Drawn]) -> bool:
    """Did two evaluations draw the same random numbers in the same order?

    If only one of them draws on the way back, its forward pass is compared: other numbers there
    change its gradients.
    """
    if {each.on_the_way_back for each in mine} != {each.on_the_way_back for each in theirs}:
        mine, theirs = _list_forward(mine), _list_forward(theirs)
    if len(mine) != len(theirs):
        return False
    for one, other in zip(mine, theirs, strict=True):
        if one.numbers.shape != other.numbers.shape:
            return False
        if not torch.equal(one.numbers.double(), other.numbers.double()):
            return False
    return True


def _list_forward(drawn: Sequence[Drawn]) -> list[Drawn]:
    return [each for each in drawn if not each.on_the_way_back]


def draw_otherwise(mine: Sequence[Drawn], theirs: Sequence[Drawn]) -> bool:
    """Did two evaluations draw the same shapes in the same order, but from different
    distributions?
    """
    kinds, others = [each.kind for each in mine], [each.kind for each in theirs]
    return [each[:2] for each in kinds] == [each[:2] for each in others] and kinds != others


def describe_drawn(drawn: Sequence[Drawn], most: int = 4) -> str:
    """Return the random draws of an evaluation in words: "bernoulli (32, 8) and bernoulli (32, 4)".

    Only the first `most` are listed, then the number of others.
    """
    if not drawn:
        return "nothing"
    texts = [each.describe() for each in drawn[:most]]
    if len(drawn) > most:
        texts.append(f"{len(drawn) - most} more")
    return " and ".join(texts)
