"""Finds where a model has a dtype written in, as torch.zeros(3) has float32, if it does not run in
another.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode

from harness.evaluating.given import Given
from harness.evaluating.side import Side, build_side, call_in_modes
from harness.evaluating.using import list_arguments
from harness.locating.located import read_line
from harness.model.devices import held_in
from harness.shadow.layers import find_line


class Strangers(TorchFunctionMode):
    """Follows the tensors of real numbers in a run that have another dtype than the model.

    `written` is the dtype of the tensor at which the run failed. `line` is the user's line that
    made it, or else the first line that used it. If no operation failed, they are those of the last
    such tensor. Both are "" if there is none.
    """

    def __init__(self, dtype: str) -> None:
        super().__init__()
        self.written = self.line = ""
        self._kind = held_in(dtype)
        self._known: dict[int, tuple[Tensor, str]] = {}  # by identity, with the line

    def __torch_function__(
        self, called: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        line = find_line(sys._getframe(1))
        if not line:  # the harness calls it
            return called(*args, **(kwargs or {}))
        given = [each for each in list_arguments((args, kwargs)) if self._is_stranger(each)]
        for each in given:
            self._note(each, line)
        try:
            results = called(*args, **(kwargs or {}))
        except Exception:
            for each in given[:1]:
                self._blame(each)
            raise
        for each in list_arguments(results):
            if self._is_stranger(each):
                self._note(each, self._known[id(given[0])][1] if given else line)
        return results

    def _is_stranger(self, tensor: Tensor) -> bool:
        return tensor.is_floating_point() and tensor.dtype is not self._kind

    def _note(self, tensor: Tensor, line: str) -> None:
        if id(tensor) not in self._known:
            self._known[id(tensor)] = tensor, line
            self._blame(tensor)

    def _blame(self, tensor: Tensor) -> None:
        self.written = str(tensor.dtype).removeprefix("torch.")
        self.line = self._known[id(tensor)][1]


def describe_refusals(asked: Sequence[tuple[Side, str]], given: Given, mode: str) -> str:
    """Return why models do not run in a mode in dtypes, though they run in others; "" if they run,
    or run in none.

    `asked` has each model with the dtype.
    """
    refusals = [_describe_refusal(side, given, dtype, mode) for side, dtype in asked]
    return "; ".join(filter(None, refusals))


def _describe_refusal(side: Side, given: Given, dtype: str, mode: str) -> str:
    if dtype == side.dtype or mode not in side.outputs:
        return ""
    with Strangers(dtype) as strangers:
        built = build_side(side.builder, dtype)
        strangers.written = strangers.line = ""
        error = call_in_modes(built, given, [mode]).errors.get(mode)
    if not error:
        return ""
    name = side.builder.name
    if not strangers.written:
        return f"{name} runs in {side.dtype} and not in {dtype}: {error}"
    where = ": ".join(filter(None, read_line(strangers.line)))
    return (
        f"{name} runs in {side.dtype} and not in {dtype}: {strangers.written} is written in it"
        f" ({where})"
    )
