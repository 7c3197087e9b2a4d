"""Correct implementations of a network, as different people write them: PyTorch, NumPy, R nnet.

Each answers a problem, whose parameters are the network's own, with every quantity that it
computes: forward (D, R, O), loss (D,), gradient (D, T), input_gradient (D, R, I). They differ in
the order of their sums, in what they fuse, and in how gradients come about; none of them shares a
line with the equations that the oracle evaluates, but NumPy's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from harness import Contract, Problem
from harness.arithmetic.plain import Plain, Values
from reference import r_nnet
from reference.faults.kinds import Answers, solve

Style = Callable[[Problem, str], Answers]

ACTS: dict[str, Callable[[Any], Any]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "logistic": torch.sigmoid,
    "identity": lambda z: z,
}


def _logistic(z: Any) -> Any:
    """By exp of what is not positive only."""
    e = torch.exp(torch.where(z >= 0, -z, z))
    return torch.where(z >= 0, 1 / (1 + e), e / (1 + e))


OTHER_ACTS = {**ACTS, "relu": lambda z: torch.where(z > 0, z, 0.0), "logistic": _logistic}


# A layer x W' + b of every draw: x (D, R, k), W (D, n, k), b (D, n).


def fused(x: Any, W: Any, b: Any) -> Any:
    return torch.baddbmm(b[:, None], x, W.transpose(1, 2))


def multiplied(x: Any, W: Any, b: Any) -> Any:
    return x @ W.mT + b[:, None]


def summed(x: Any, W: Any, b: Any) -> Any:
    return torch.einsum("drk,dnk->drn", x, W) + b[:, None]


def elementwise(x: Any, W: Any, b: Any) -> Any:
    return (x[:, :, None] * W[:, None]).sum(-1) + b[:, None]


def reversed_terms(x: Any, W: Any, b: Any) -> Any:
    return torch.baddbmm(b[:, None], x.flip(-1), W.flip(-1).mT)


def one_by_one(x: Any, W: Any, b: Any) -> Any:
    """From the bias on, a term after the other."""
    total = b[:, None].expand(-1, x.shape[1], -1)
    for k in range(x.shape[-1]):
        total = total + x[:, :, k : k + 1] * W[:, None, :, k]
    return total


def column_of_ones(x: Any, W: Any, b: Any) -> Any:
    ones = torch.ones_like(x[..., :1])
    return torch.cat([ones, x], -1) @ torch.cat([b[..., None], W], -1).mT


def row_by_row(x: Any, W: Any, b: Any) -> Any:
    return torch.cat([multiplied(row, W, b) for row in x.split(1, dim=1)], dim=1)


LAYERS = (
    fused,
    multiplied,
    summed,
    elementwise,
    reversed_terms,
    one_by_one,
    column_of_ones,
    row_by_row,
)


def in_torch(
    layer: Callable[..., Any],
    acts: dict[str, Callable[[Any], Any]] = ACTS,
    device: str = "cpu",
    apart: bool = False,
) -> Style:
    """By this layer, gradients by autograd, on a device; skip connections as a layer of their own,
    if they are `apart`.
    """

    def answers(problem: Problem, dtype: str) -> Answers:
        network: Any = problem.formulation.network
        kind = getattr(torch, dtype)
        theta = torch.tensor(problem.theta, dtype=kind, device=device, requires_grad=True)
        x = torch.tensor(problem.inputs, dtype=kind, device=device, requires_grad=True)
        t = torch.tensor(problem.targets, dtype=kind, device=device)
        padded = torch.cat([theta, theta.new_zeros(len(theta), 1)], 1)
        parts: dict[Any, list[Tensor]] = defaultdict(list)
        for block in network.layout.blocks:
            skips = block.layer == 2 and block.group is not None
            part = padded[:, torch.as_tensor(block.places)]
            parts[block.layer, "skip" if skips else block.role, block.head].append(part)
        biases = torch.cat([parts[2, "bias", head][0] for head in range(len(network.outputs))], 1)
        past = []  # all inputs of each output
        for head in range(len(network.outputs)):
            past += [torch.cat(each, -1) for each in [parts[2, "skip", head]] if each]
        if not network.hidden:
            o = layer(x, torch.cat(past, 1), biases)
        else:
            into, bias = torch.cat(parts[1, "weight", None], -1), parts[1, "bias", None][0]
            h = acts[network.activation](layer(x, into, bias))
            out = torch.cat(
                [parts[2, "weight", head][0] for head in range(len(network.outputs))], 1
            )
            if past and apart:
                o = layer(h, out, biases) + layer(x, torch.cat(past, 1), 0 * biases)
            elif past:
                o = layer(torch.cat([h, x], -1), torch.cat([out, torch.cat(past, 1)], -1), biases)
            else:
                o = layer(h, out, biases)
        o = acts[network.output](o)
        shares = torch.tensor(problem.shares, dtype=kind, device=device)
        loss = (((o - t) ** 2) * shares).sum((1, 2))
        if problem.loss.has_decay:
            decays = torch.tensor(np.array(problem.decays), dtype=kind, device=device)
            loss = loss + (decays * theta**2).sum(1)
        by_theta, by_x = torch.autograd.grad(loss.sum(), (theta, x))
        found = {"forward": o, "loss": loss, "gradient": by_theta, "input_gradient": by_x}
        return {name: value.detach().double().cpu().numpy() for name, value in found.items()}

    return answers


# Sums of NumPy in other orders: a (D, n, k), b (D, k, m).


class InSequence(Plain):
    """Term after term."""

    def dot(self, a: Values, b: Values, extra: int = 0, plus: Values | None = None) -> Values:
        total = np.zeros((*a.shape[:-1], b.shape[-1]), a.dtype) if plus is None else plus
        for k in range(a.shape[-1]):
            total = total + a[..., k, None] * b[..., None, k, :]
        return total


class Pairwise(Plain):
    """By NumPy's pairwise summation."""

    def dot(self, a: Values, b: Values, extra: int = 0, plus: Values | None = None) -> Values:
        total = (a[..., None, :] * b.swapaxes(-1, -2)[..., None, :, :]).sum(-1)
        return total if plus is None else plus + total


class Backwards(Plain):
    """From the last term to the first."""

    def dot(self, a: Values, b: Values, extra: int = 0, plus: Values | None = None) -> Values:
        return super().dot(a[..., ::-1], b[..., ::-1, :], extra, plus)


class Halves(Plain):
    """Two halves of the terms, then their sum, as threads of a BLAS do."""

    def dot(self, a: Values, b: Values, extra: int = 0, plus: Values | None = None) -> Values:
        half = a.shape[-1] // 2
        if not half:
            return super().dot(a, b, extra, plus)
        return super().dot(a[..., :half], b[..., :half, :]) + super().dot(
            a[..., half:], b[..., half:, :], 0, plus
        )


def in_numpy(arithmetic: Callable[[Contract], Plain]) -> Style:
    """The equations in an arithmetic with sums of its own."""
    return lambda problem, dtype: solve(problem, Contract(dtype), arithmetic)


def in_r(problem: Problem, dtype: str) -> Answers:
    """R nnet, in double."""
    return dict(r_nnet.observe(problem).values)


def torch_styles(device: str = "cpu") -> dict[str, Style]:
    """All styles in PyTorch, on a device."""
    styles = {f"torch {layer.__name__}": in_torch(layer, device=device) for layer in LAYERS}
    styles["torch skip apart"] = in_torch(multiplied, device=device, apart=True)
    styles["torch other activations"] = in_torch(multiplied, OTHER_ACTS, device)
    return styles


STYLES: dict[str, Style] = {
    **torch_styles(),
    **{
        f"numpy {kind.__name__}": in_numpy(kind)
        for kind in (InSequence, Pairwise, Backwards, Halves)
    },
}


def in_threads(count: int, style: Style) -> Style:
    """Sums shared among this many threads, of torch's and of every BLAS; afterwards there are as
    many as before.
    """

    def answers(problem: Problem, dtype: str) -> Answers:
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        try:
            with threadpool_limits(count):
                return style(problem, dtype)
        finally:
            torch.set_num_threads(before)

    return answers


WIDE_STYLES: dict[str, Style] = {  # for networks wide enough that threads have something to share
    f"{name}, {count} thread{'s'[: count - 1]}": in_threads(count, style)
    for name, style in (
        ("torch fused", in_torch(fused)),
        ("torch multiplied", in_torch(multiplied)),
        ("numpy Plain", in_numpy(Plain)),
    )
    for count in (1, 2)
}
