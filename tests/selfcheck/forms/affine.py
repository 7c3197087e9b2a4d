"""Forms of a layer x W' + b: x (R, I), W (O, I), b (O,) -> (R, O)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

Affine = Callable[[Tensor, Tensor, Tensor], Tensor]


def linear(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return F.linear(x, W, b)


def matmul(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return x @ W.T + b


def bias_first(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return b + x.matmul(W.t())


def addmm(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return torch.addmm(b, x, W.t())


def einsum(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return torch.einsum("ri,oi->ro", x, W) + b


def columns(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return (W @ x.T + b[:, None]).T


def bmm(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return torch.bmm(x[None], W.T[None])[0] + b


def baddbmm(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return torch.baddbmm(b.expand(1, len(x), -1), x.unsqueeze(0), W.mT.unsqueeze(0)).squeeze(0)


def tensordot(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return torch.tensordot(x, W, dims=([1], [1])) + b


def inner(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return torch.inner(x, W).add(b)


def broadcast(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return (x[:, None, :] * W).sum(-1) + b


def broadcast_the_other_way(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return torch.mul(x.unsqueeze(2), W.T.unsqueeze(0)).sum(dim=1) + b


def column_of_ones(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return torch.cat([x.new_ones(len(x), 1), x], 1) @ torch.cat([b[:, None], W], 1).T


def in_halves(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    parts = zip(x.chunk(2, 1), W.chunk(2, 1), strict=True)
    return sum((left @ right.T for left, right in parts), b)


def term_by_term(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    total = b.expand(len(x), -1)
    for k in range(x.shape[1]):
        total = total + x[:, k : k + 1] * W[:, k]
    return total


def unit_by_unit(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return torch.stack([x.mv(w) + c for w, c in zip(W, b, strict=True)], 1)


def row_by_row(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return torch.stack([torch.addmv(b, W, row) for row in x])


def rows_in_chunks(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return torch.cat([F.linear(part, W, b) for part in x.chunk(3)])


def vmap_over_rows(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return torch.vmap(lambda row: torch.mv(W, row) + b)(x)


def vmap_over_units(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return torch.vmap(lambda w, c: x @ w + c, out_dims=1)(W, b)


def convolution(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return F.conv1d(x[:, :, None], W[:, :, None], b)[:, :, 0]


def added_in_place(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    out = torch.mm(x, W.T)
    out += b
    return out


def filled_in(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    out = x.new_zeros(len(x), len(W))
    for unit in range(len(W)):
        out[:, unit] = (x * W[unit]).sum(1) + b[unit]
    return out


def units_backwards(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return F.linear(x, W.flip(0), b.flip(0)).flip(1)


def inputs_backwards(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return F.linear(x.flip(1), W.flip(1), b)


def even_and_odd(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return x[:, ::2] @ W[:, ::2].T + (x[:, 1::2] @ W[:, 1::2].T + b)


def in_double(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return F.linear(x.double(), W.double(), b.double()).to(x.dtype)


def recomputed(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return checkpoint(F.linear, x, W, b, use_reentrant=False)


def sparse_identity(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    places = torch.arange(len(W), device=W.device)
    ones = torch.ones(len(W), dtype=W.dtype, device=W.device)
    identity = torch.sparse_coo_tensor(torch.stack([places, places]), ones, check_invariants=True)
    return F.linear(x, torch.sparse.mm(identity, W), b)


def two_layers(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return F.linear(F.linear(x, W), torch.eye(len(W), dtype=W.dtype, device=W.device), b)


class _Function(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, W: Tensor, b: Tensor) -> Tensor:
        ctx.save_for_backward(x, W)
        return x @ W.T + b

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (g,), (x, W) = gradients, ctx.saved_tensors
        return g @ W, g.T @ x, g.sum(0)


def own_function(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return _Function.apply(x, W, b)


AFFINE: tuple[Affine, ...] = (
    linear,
    matmul,
    bias_first,
    addmm,
    einsum,
    columns,
    bmm,
    baddbmm,
    tensordot,
    inner,
    broadcast,
    broadcast_the_other_way,
    column_of_ones,
    in_halves,
    term_by_term,
    unit_by_unit,
    row_by_row,
    rows_in_chunks,
    vmap_over_rows,
    vmap_over_units,
    convolution,
    added_in_place,
    filled_in,
    units_backwards,
    inputs_backwards,
    even_and_odd,
    in_double,
    recomputed,
    sparse_identity,
    two_layers,
    own_function,
)
