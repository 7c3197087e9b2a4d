"""Records the intermediate results of a PyTorch model: the result of every operation, forward and
backward.

They are recorded as columns with one number for each input row. A draw is one problem of a stack.
In shapes, D counts draws, R rows of inputs, and W recorded columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from harness.core.contract import Array


class Stages:
    """Records the intermediate results of a model with `rows` input rows.

    The model is called once for each draw, in the context `record()`.
    """

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._draws: list[list[Array]] = []

    @contextmanager
    def record(self) -> Iterator[None]:
        """Record the results of one draw."""
        columns: list[Array] = []
        with _make_recorder(self.rows, columns):
            yield
        self._draws.append(columns)

    def columns(self) -> Array | None:
        """Return the recorded columns of all draws (D, R, W).

        Return None if nothing was recorded, or if draws ran different operations.
        """
        if not self._draws or not self._draws[0]:
            return None
        shapes = _shapes(self._draws[0])
        if any(_shapes(draw) != shapes for draw in self._draws):
            return None
        return np.stack([np.concatenate(draw, axis=1) for draw in self._draws])


def _shapes(columns: Sequence[Array]) -> list[tuple[int, ...]]:
    return [part.shape for part in columns]


def _make_recorder(rows: int, columns: list[Array]) -> Any:
    """Return a context that copies the result of every operation to `columns` at once, before later
    operations can change it.
    """
    from torch.utils._python_dispatch import TorchDispatchMode

    def dispatch(mode: Any, called: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = called(*args, **(kwargs or {}))
        results = result if isinstance(result, tuple | list) else [result]
        for each in results:
            # an empty or a nested tensor, or one without data, is left out
            with suppress(Exception):
                columns.extend(_columns_of(each, rows))
        return result

    return type("Recorder", (TorchDispatchMode,), {"__torch_dispatch__": dispatch})()


def _columns_of(result: Any, rows: int) -> list[Array]:
    """Return the columns of a result in float64: of the result if its shape is (rows, W), of its
    transpose if its shape is (W, rows).

    A square result gives both; a result of any other shape gives none.
    """
    import torch

    if not result.is_floating_point() or result.layout is not torch.strided:
        return []
    numbers = result.detach().resolve_neg().double().cpu().numpy()
    while numbers.ndim > 2 and len(numbers) == 1:
        numbers = numbers[0]
    if numbers.ndim not in (1, 2):
        return []
    table = numbers.reshape(len(numbers), -1)
    return [side.copy() for side in (table, table.T) if len(side) == rows]
