"""Bounds from end to end: how much the errors of all operations together may move a number, to
first order.

The error of a number is a sum over all operations: the derivative of the number by the result of
the operation, times the error of that result. One backward pass through the shadow (the same
operations in float64) gives all derivatives of a number, so the bound costs one pass for each
number. A number is a weighted sum of elements of tensors: autograd begins at the tensors, with the
weights as gradients.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from itertools import zip_longest
from operator import is_

import numpy as np
import torch
from torch import Tensor

from harness.rules.registry import Error, flatten_errors
from harness.shadow.batching import differentiate_rows
from harness.shadow.replay import Replay

MOST = 2**21  # derivatives that are held at once: 16 MiB, which caches hold in part
# a number: the sum of some tensors' elements, each tensor with the weights of its elements
Sum = Sequence[tuple[Tensor, Tensor]]


_is_none = partial(is_, None)


class Nodes:
    """The results of operations, repeated in float64, that carry an error; there are K scenarios of
    errors, such as one for each dtype.

    `errors` has for each scenario the errors of the results of every operation; None counts as 0.
    `factors` are one number for each operation, which multiplies its errors in the first scenario.
    `held` are numbers that no operation computed (inputs, constants), with their error in each
    scenario. `operations` has the operation's number for each node (a result); None for `held`
    numbers.
    """

    def __init__(
        self,
        replay: Replay,
        errors: Sequence[Sequence[Sequence[Error]]],
        factors: Sequence[float],
        held: Sequence[tuple[Tensor, Sequence[Error]]] = (),
    ) -> None:
        self.results: list[Tensor] = []
        self.operations: list[int | None] = []
        self.scenarios = len(errors)
        self._listed: list[Sequence[Error]] = []  # of each result, K errors
        self._factors: list[float] = []
        for operation, (results, factor) in enumerate(zip(replay.results, factors, strict=True)):
            for result, *listed in zip_longest(results, *[each[operation] for each in errors]):
                if result is None or not result.requires_grad:
                    continue
                if not all(map(_is_none, listed)):
                    self._add(result, operation, listed, factor)
        for numbers, scenario_errors in held:
            self._add(numbers, None, scenario_errors, 1.0)
        self._lengths = [result.numel() for result in self.results]

    def _add(
        self, result: Tensor, operation: int | None, errors: Sequence[Error], factor: float
    ) -> None:
        self.results.append(result)
        self.operations.append(operation)
        self._listed.append(errors)
        self._factors.append(factor)

    @cached_property
    def _all_errors(self) -> Tensor:
        """The errors of all nodes in turn, (numbers of all results, K)."""
        joined: dict[tuple[int, ...], Tensor] = {}  # scenarios may share all errors
        scenarios = list(zip(*self._listed, strict=True))
        keys = [tuple(map(id, errors)) for errors in scenarios]
        for key, errors in zip(keys, scenarios, strict=True):
            if key not in joined:
                joined[key] = flatten_errors(errors, self.results)
        columns = [joined[key] for key in keys]
        factors = torch.from_numpy(np.repeat(self._factors, self._lengths))
        columns[0] = columns[0] * factors.to(columns[0].device)
        return torch.stack(columns).T

    @cached_property
    def _errors(self) -> Sequence[Tensor]:
        """The errors of each node, (numbers of its result, K)."""
        return self._all_errors.split_with_sizes(self._lengths)

    def reach(self, sums: Sequence[Sum], apart: Sequence[int] = ()) -> tuple[Tensor, Tensor]:
        """Return the effect of all errors on N numbers, (N, K), and that of the errors of each node
        in `apart`, (N, nodes, K). Each number is a weighted sum of tensors.

        Autograd can differentiate the tensors by the nodes. An infinite error does not count if its
        derivative is 0.
        """
        whole = torch.zeros(len(sums), self.scenarios, dtype=torch.float64)
        parts = torch.zeros(len(sums), len(apart), self.scenarios, dtype=torch.float64)
        if not self.results:
            return whole, parts
        step = max(1, MOST // max(sum(self._lengths), 1))
        for start in range(0, len(sums), step):
            rows = slice(start, start + step)
            found = _differentiate(sums[rows], self.results)
            slopes = {
                node: slope.reshape(len(slope), -1)
                for node, slope in enumerate(found)
                if slope is not None
            }
            if slopes:
                whole[rows] = self._weigh_all(slopes).cpu()
            for place, node in enumerate(apart):
                if node in slopes:
                    parts[rows, place] = _weigh(slopes[node], self._errors[node]).cpu()
        return whole, parts

    @torch.inference_mode()
    def _weigh_all(self, slopes: Mapping[int, Tensor]) -> Tensor:
        """Return the effect of all errors on N numbers, (N, K).

        `slopes` has the derivatives of the numbers by the elements of each node, (N, elements).
        """
        if len(slopes) == len(self.results):
            errors = self._all_errors
        else:
            errors = torch.cat([self._errors[node] for node in slopes])
        reach = torch.cat(list(slopes.values()), 1).abs_() @ errors
        if math.isfinite(reach.sum().item()):
            return reach
        each = [_weigh(slope, self._errors[node]) for node, slope in slopes.items()]
        return torch.stack(each).sum(0)


def _weigh(slope: Tensor, errors: Tensor) -> Tensor:
    """Return, for each of N numbers and K scenarios (N, K), the sum of |derivative| times error
    over the elements of a node. An infinite error counts where the derivative is not 0, and an
    infinite derivative where the error is not 0: what is exact moves nothing.

    `slope` has the derivatives of the numbers by the elements, `errors` their errors in the
    scenarios.
    """
    sizes = abs(slope)
    reach = sizes @ errors
    if math.isfinite(reach.sum().item()):
        return reach
    sizes = sizes[:, :, None]
    each = torch.where((sizes == 0) | (errors == 0), 0.0, sizes * errors)
    return each.nan_to_num(nan=torch.inf, posinf=torch.inf).sum(1)


def _differentiate(sums: Sequence[Sum], results: Sequence[Tensor]) -> list[Tensor | None]:
    """Return the derivatives of N numbers by each result, (N, ...); None for a result on which no
    number depends.

    All numbers are differentiated in one backward pass, or one after the other if torch cannot
    batch an operation.
    """
    tensors, weights = _collect(sums)
    if not tensors:
        return []
    if len(sums) > 1:
        try:
            return differentiate_rows(tensors, weights, results)
        except RuntimeError:
            pass
    rows = []
    for row in zip(*weights, strict=True):
        # not grad(tensors, results, row), at which PyTorch imports sympy
        with torch.enable_grad():
            total = sum((each * weight).sum() for each, weight in zip(tensors, row, strict=True))
        rows.append(torch.autograd.grad(total, results, retain_graph=True, allow_unused=True))
    each_result = zip(*rows, strict=True)
    return [None if slopes[0] is None else torch.stack(slopes) for slopes in each_result]


def _collect(sums: Sequence[Sum]) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Return the tensors of N sums that autograd can differentiate, each once, and their weights in
    each sum, (N, ...).
    """
    found: dict[int, tuple[Tensor, Tensor]] = {}  # by the tensor's identity
    for row, terms in enumerate(sums):
        for tensor, weights in terms:
            if not tensor.requires_grad:
                continue
            if id(tensor) not in found:
                found[id(tensor)] = tensor, weights.new_zeros((len(sums), *tensor.shape))
            found[id(tensor)][1][row].add_(weights)
    return [tensor for tensor, _ in found.values()], [each for _, each in found.values()]


def draw_signs(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Return weights of 1 or -1 in the shape of a tensor, drawn at random."""
    signs = torch.randint(0, 2, tuple(tensor.shape), generator=generator, dtype=torch.float64)
    return signs.mul_(2).sub_(1).to(tensor.device)
