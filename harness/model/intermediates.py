"""Records the intermediate results of a PyTorch model: the result of every operation, forward and
backward.

They are recorded as columns with one number for each input row. A draw is one problem of a stack.
In shapes, D counts draws, R rows of inputs, and W recorded columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from harness.core.contract import Array
from harness.model.late import import_dynamo_late

# operations that may take rows apart, or put those of several tensors or axes together
APART = [
    "as_strided",
    "cat",
    "gather",
    "index",
    "index_select",
    "select",
    "slice",
    "split",
    "split_with_sizes",
    "unbind",
    "unfold",
]
RESHAPED = ["_unsafe_view", "view"]  # a loss makes a vector of all numbers: this is allowed
MANY = 16  # rows: so many numbers are not near those of another column by chance


class Stages:
    """Records the intermediate results of a model with `rows` input rows.

    The model is called once for each draw (one problem of a stack), in the context `record()`.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._draws: list[list[Array]] = []
        self._apart = False
        self._in_loss = False

    @contextmanager
    def record(self) -> Iterator[None]:
        """Record the results of one draw (one problem of a stack)."""
        columns: list[Array] = []
        self._in_loss = False
        with _make_recorder(self.rows, columns, self._take_apart):
            yield
        self._draws.append(columns)

    def end_model(self) -> None:
        """Note that the model has returned its outputs: the operations after this call belong to
        the loss and the gradients.

        A loss may process rows separately. A model may not: `columns` then returns None.
        """
        self._in_loss = True

    def _take_apart(self) -> None:
        if not (self._in_loss and self.rows >= MANY):
            self._apart = True

    def columns(self) -> Array | None:
        """Return the recorded columns of all draws (D, R, W).

        Return None if nothing was recorded, if draws ran different operations, or if the model
        computes only some rows at a time. In the last case its numbers are in no column of R
        numbers, and another column that is near one of them by chance would be mistaken for it. D
        counts draws (single problems), R rows of inputs and W recorded columns.
        """
        if self._apart or not self._draws or not self._draws[0]:
            return None
        shapes = _shapes(self._draws[0])
        if any(_shapes(draw) != shapes for draw in self._draws):
            return None
        return np.stack([np.concatenate(draw, axis=1) for draw in self._draws])


def _shapes(columns: Sequence[Array]) -> list[tuple[int, ...]]:
    return [part.shape for part in columns]


def _make_recorder(rows: int, columns: list[Array], take_apart: Callable[[], None]) -> Any:
    """Return a context that copies the result of every operation to `columns` at once, before later
    operations can change it.

    It calls `take_apart` at an operation whose results no longer have all `rows` rows.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    def dispatch(mode: Any, called: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = called(*args, **(kwargs or {}))
        results = _listed(result)
        with suppress(Exception):
            if _lose_rows(called.overloadpacket.__name__, _listed(args[0]), results, rows):
                take_apart()
        for each in results:
            # an empty or a nested tensor, or one without data, is left out
            with suppress(Exception):
                columns.extend(_columns_of(each, rows))
        return result

    recorder = type("Recorder", (TorchDispatchMode,), {"__torch_dispatch__": dispatch})
    return import_dynamo_late(recorder)()


def _listed(given: Any) -> Sequence[Any]:
    return given if isinstance(given, tuple | list) else [given]


def _lose_rows(name: str, given: Sequence[Any], results: Sequence[Any], rows: int) -> bool:
    """Does a tensor in `given` have an axis of length `rows`, while none of `results` has one?
    `name` is the operation's name.
    """
    if name not in [*APART, *RESHAPED]:
        return False
    if not any(each.is_floating_point() and rows in each.shape for each in given):
        return False
    for each in results:
        vector = each.ndim < 2 and (rows == 1 or name in RESHAPED)
        if each.numel() and not vector and rows not in each.shape:
            return True
    return False


def _columns_of(result: Any, rows: int) -> list[Array]:
    """Return the numbers of a result in float64, as columns: one array (rows, W) for each axis of
    length `rows`.

    If there is one row, all such axes give the same columns, and the first is taken. A single
    number and a vector are taken as a column. W counts recorded columns.
    """
    import torch

    if not result.is_floating_point() or result.layout is not torch.strided:
        return []
    numbers = result.detach().resolve_neg().double().cpu().numpy()
    if numbers.ndim < 2:
        numbers = numbers.reshape(-1, 1)
    axes = [axis for axis, length in enumerate(numbers.shape) if length == rows]
    if rows == 1:
        axes = axes[:1]
    return [np.moveaxis(numbers, axis, 0).reshape(rows, -1).copy() for axis in axes]
