"""Counts the numbers inside one model that are numbers of another one too: which of several maps a
porter meant is seen where most of both models agrees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from harness.core.numpy_errors import users
from harness.evaluating.data import Batch
from harness.evaluating.using import list_arguments
from harness.model.devices import seed_torch

MOST = 2_000  # results of operations that are compared
NEAREST = 1e-6  # of a result's size


class _Sums(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes the count, sum and sum of squares of each result of an operation."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.rows: dict[tuple[float, float, float], None] = {}

    def __torch_dispatch__(
        self,
        called: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = called(*args, **(kwargs or {}))
        for tensor in list_arguments(result):
            if tensor.is_floating_point() and tensor.numel() > 1 and len(self.rows) < MOST:
                numbers = tensor.detach().double()
                row = float(numbers.numel()), float(numbers.sum()), float(numbers.square().sum())
                self.rows[row] = None
        return result


def list_sums(module: Any, batch: Batch) -> Tensor:
    """Return (results, 3): the count, sum and sum of squares of each result of an operation in a
    call, in float64. They do not depend on the order of a result's numbers.
    """
    sums = _Sums()
    with sums, torch.enable_grad(), torch.random.fork_rng(devices=[]), users():
        seed_torch(0)
        module(*batch.args, **batch.kwargs)
    rows = torch.tensor(list(sums.rows), dtype=torch.float64).reshape(-1, 3)
    return rows[torch.isfinite(rows).all(1)]


def count_common(mine: Tensor, theirs: Tensor, nearness: float = 0.0) -> int:
    """Return how many results of the reference (`theirs`) are among the subject's (`mine`), up to
    `nearness` of their size; both as `list_sums` gives them.
    """
    near = max(NEAREST, nearness)
    sizes = (theirs[:, 0] * theirs[:, 2]).sqrt()  # of a sum, by Cauchy and Schwarz
    same = theirs[:, None, 0] == mine[None, :, 0]
    same &= (theirs[:, None, 1] - mine[None, :, 1]).abs() <= near * sizes[:, None]
    same &= (theirs[:, None, 2] - mine[None, :, 2]).abs() <= near * theirs[:, None, 2]
    return int(same.any(1).sum())
