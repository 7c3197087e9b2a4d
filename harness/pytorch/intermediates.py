"""What a PyTorch model computes on its way: every result of an operation, forward and backward, row
by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from harness.core.contract import Array


class Stages:
    """The columns, one number a row, of what is computed while `watched()`."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self._draws: list[list[Any]] = []

    @contextmanager
    def watched(self) -> Iterator[None]:
        """One draw."""
        columns: list[Any] = []
        with _seeing(self.rows, columns):
            yield
        self._draws.append(columns)

    def seen(self) -> Array | None:
        """Of all draws (D, R, W), or None where there is nothing, or other operations from draw to
        draw.
        """
        if not self._draws or any(_shapes(draw) != _shapes(self._draws[0]) for draw in self._draws):
            return None
        return (
            np.stack([np.concatenate(draw, axis=1) for draw in self._draws])
            if self._draws[0]
            else None
        )


def _shapes(columns: Sequence[Array]) -> list[tuple[int, ...]]:
    return [part.shape for part in columns]


def _seeing(rows: int, columns: list[Any]) -> Any:
    """Every tensor of `rows` rows, or columns, that an operation of PyTorch gives, as it is when it
    is given.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    def see(mode: Any, called: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = called(*args, **(kwargs or {}))
        for one in given if isinstance(given, tuple | list) else [given]:
            # nested, empty, without data: what is not seen keeps its bound
            with suppress(Exception):
                if one.is_floating_point() and one.layout is torch.strided:
                    numbers = one.detach().resolve_neg().double().cpu().numpy()
                    while numbers.ndim > 2 and len(numbers) == 1:
                        numbers = numbers[0]
                    sides = [numbers.reshape(len(numbers), -1)] if numbers.ndim in (1, 2) else []
                    columns.extend(
                        side.copy()
                        for side in (*sides, *(side.T for side in sides))
                        if len(side) == rows
                    )
        return given

    return type("Seeing", (TorchDispatchMode,), {"__torch_dispatch__": see})()
