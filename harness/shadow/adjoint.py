"""Bounds from end to end: how much the errors of all operations together may move a number, to
first order.

The error of a number is a sum over all operations: the derivative of the number by the result of
the operation, times the error of that result. One backward pass through the shadow (the same
operations in float64) gives all derivatives of a number, so the bound costs one pass for each
number. A number is a weighted sum of elements of tensors: autograd begins at the tensors, with the
weights as gradients.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.rules.registry import Error
from harness.shadow.replay import Replay

MOST = 2**21  # derivatives that are held at once: 16 MiB, which caches hold in part
# a number: the sum of some tensors' elements, each tensor with the weights of its elements
Sum = Sequence[tuple[Tensor, Tensor]]


class Nodes:
    """The results of operations, repeated in float64, that carry an error; there are K scenarios of
    errors, such as one for each dtype.

    `errors` has for each scenario the errors of the results of every operation; None counts as 0.
    `held` are numbers that no operation computed (inputs, constants), with their error in each
    scenario. `operations` has the operation's number for each node (a result); None for `held`
    numbers.
    """

    def __init__(
        self,
        replay: Replay,
        errors: Sequence[Sequence[Sequence[Error]]],
        held: Sequence[tuple[Tensor, Sequence[Error]]] = (),
    ) -> None:
        self.results: list[Tensor] = []
        self.operations: list[int | None] = []
        self.errors: list[Tensor] = []  # (numbers of the result, K)
        self.scenarios = len(errors)
        for operation, results in enumerate(replay.results):
            scenarios = [each[operation] for each in errors]
            for place, result in enumerate(results):
                listed = [each[place] if place < len(each) else None for each in scenarios]
                if result is None or not result.requires_grad or all(e is None for e in listed):
                    continue
                self.results.append(result)
                self.operations.append(operation)
                self.errors.append(torch.stack([_flat(each, result) for each in listed], 1))
        for numbers, scenario_errors in held:
            self.results.append(numbers)
            self.operations.append(None)
            self.errors.append(torch.stack([_flat(each, numbers) for each in scenario_errors], 1))

    def reach(self, sums: Sequence[Sum]) -> Tensor:
        """Return the effect of each node's error on N numbers (weighted sums of tensors), as an
        array (N, nodes, K); a node is a result of an operation.

        Autograd can differentiate the tensors by the nodes. An infinite error does not count if its
        derivative is 0.
        """
        reach = torch.zeros(len(sums), len(self.results), self.scenarios, dtype=torch.float64)
        acting = [row for row, terms in enumerate(sums) if any(t.requires_grad for t, _ in terms)]
        if not acting or not self.results:
            return reach
        numel = sum(result.numel() for result in self.results)
        step = max(1, MOST // max(numel, 1))
        for start in range(0, len(acting), step):
            rows = acting[start : start + step]
            slopes = _differentiate([sums[row] for row in rows], self.results)
            reach[rows] = _weigh_all(slopes, self.errors, len(rows)).cpu()
        return reach


def _flat(error: Error, result: Tensor) -> Tensor:
    if error is None:
        return torch.zeros_like(result, requires_grad=False).reshape(-1)
    return (error if error.shape == result.shape else error.expand(result.shape)).reshape(-1)


def _weigh_all(slopes: Sequence[Tensor | None], errors: Sequence[Tensor], numbers: int) -> Tensor:
    """Return, for each of N numbers, results and K scenarios (N, results, K), the sum of
    |derivative| times error over the elements of an operation's result.

    `slopes` has the derivatives of the numbers by each result, and `errors` the result's errors in
    the scenarios.
    """
    nothing = torch.zeros_like(errors[0][0]).expand(numbers, -1)
    flat = [None if slope is None else slope.reshape(numbers, -1) for slope in slopes]
    effects = [
        nothing if each is None else abs(each) @ error
        for each, error in zip(flat, errors, strict=True)
    ]
    reach = torch.stack(effects, 1)
    if not bool(torch.isfinite(reach).all()):
        for node, each in enumerate(flat):
            if each is not None and not bool(torch.isfinite(reach[:, node]).all()):
                reach[:, node] = _weigh_infinite(abs(each), errors[node])
    return reach


def _weigh_infinite(sizes: Tensor, errors: Tensor) -> Tensor:
    """Return the same for one result with infinite errors: they count where the derivative is not
    0. `sizes` are the absolute values of the derivatives.
    """
    each = torch.where(sizes[:, :, None] == 0, 0.0, sizes[:, :, None] * errors)
    return each.nan_to_num(nan=torch.inf, posinf=torch.inf).sum(1)


def _differentiate(sums: Sequence[Sum], results: Sequence[Tensor]) -> list[Tensor | None]:
    """Return the derivatives of N numbers by each result, (N, ...); None for a result on which no
    number depends.

    All numbers are differentiated in one backward pass, or one after the other if torch cannot
    batch an operation.
    """
    tensors, weights = _collect(sums)
    if len(sums) > 1:
        try:
            return list(
                torch.autograd.grad(
                    tensors,
                    results,
                    weights,
                    retain_graph=True,
                    allow_unused=True,
                    is_grads_batched=True,
                )
            )
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
            found[id(tensor)][1][row] += weights
    tensors, together = zip(*found.values(), strict=True)
    return tensors, together


def draw_signs(tensor: Tensor, generator: torch.Generator) -> Tensor:
    """Return weights of 1 or -1 in the shape of a tensor, drawn at random."""
    signs = torch.randint(0, 2, tuple(tensor.shape), generator=generator, dtype=torch.float64)
    return (signs * 2 - 1).to(tensor.device)
