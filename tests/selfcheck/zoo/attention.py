"""Attention, by hand and by torch, and the layers of a transformer's encoder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.selfcheck.zoo.block import ANY, Block
from tests.selfcheck.zoo.dense import OFF
from tests.selfcheck.zoo.norms import EPS


class Attention(Block):
    """Attention of a sequence to itself with some heads; causal if `causal`."""

    styles: ClassVar[Mapping[str, float]] = {
        "plain": ANY,
        "by_torch": ANY,
        "by_hand": ANY,
        "head_by_head": ANY,
        "by_einsum": ANY,
        "scaled_first": ANY,
        "with_added_mask": ANY,
        "with_large_mask": ANY,
        "by_module_function": ANY,
    }
    faults: ClassVar[tuple[str, ...]] = (
        "not_scaled",
        "scale_off",
        "heads_swapped",
        "over_queries",
        "mask_off_by_one",
        "without_mask",
        "keys_for_values",
    )

    def __init__(self, width: int, heads: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_weight = nn.Parameter(torch.empty(width, width))
        self.out_bias = nn.Parameter(torch.empty(width))

    def list_faults(self) -> tuple[str, ...]:
        excluded = set()
        if self.heads == 1:
            excluded.add("heads_swapped")
        if not self.causal:
            excluded |= {"mask_off_by_one", "without_mask"}
        if self.in_proj_weight.shape[1] == self.heads:
            excluded.add("not_scaled")
        return tuple(fault for fault in self.faults if fault not in excluded)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values, each (batch, heads, time, width of a head)."""
        q, k, v = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
        return self.split(q), self.split(k), self.split(v)

    def split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def finish(self, heads: Tensor) -> Tensor:
        return F.linear(heads.transpose(1, 2).flatten(2), self.out_weight, self.out_bias)

    def mask(self, x: Tensor, diagonal: int = 1) -> Tensor:
        """Return True where a time may not be seen; nothing is hidden if this is not causal."""
        times = x.shape[1]
        hidden = torch.ones(times, times, dtype=torch.bool).triu(diagonal)
        return hidden if self.causal else torch.zeros_like(hidden)

    def attend(self, scores: Tensor, v: Tensor, hidden: Tensor) -> Tensor:
        return torch.softmax(scores.masked_fill(hidden, -math.inf), -1) @ v

    def plain(self, x: Tensor) -> Tensor:
        return self.finish(F.scaled_dot_product_attention(*self.project(x), is_causal=self.causal))

    def by_torch(self, x: Tensor) -> Tensor:
        seen = ~self.mask(x)
        return self.finish(F.scaled_dot_product_attention(*self.project(x), attn_mask=seen))

    def by_hand(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x)
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        return self.finish(self.attend(scores, v, self.mask(x)))

    def head_by_head(self, x: Tensor) -> Tensor:
        q, k, v = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
        made = []
        for a, b, c in zip(*(each.chunk(self.heads, -1) for each in (q, k, v)), strict=True):
            scores = torch.bmm(a, b.mT) * a.shape[-1] ** -0.5
            made.append(self.attend(scores, c, self.mask(x)))
        return F.linear(torch.cat(made, -1), self.out_weight, self.out_bias)

    def by_einsum(self, x: Tensor) -> Tensor:
        each = self.in_proj_weight.view(3, self.heads, -1, x.shape[-1])
        bias = self.in_proj_bias.view(3, 1, self.heads, 1, -1)
        q, k, v = torch.einsum("bti,nhdi->nbhtd", x, each) + bias
        scores = torch.einsum("bhqd,bhkd->bhqk", q, k) / q.shape[-1] ** 0.5
        shares = torch.where(self.mask(x), -math.inf, scores).softmax(-1)
        out = self.out_weight.view(-1, self.heads, v.shape[-1])
        return torch.einsum("bhqk,bhkd,ohd->bqo", shares, v, out) + self.out_bias

    def scaled_first(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x)
        scores = (q * (1 / math.sqrt(q.shape[-1]))) @ k.mT
        return self.finish(self.attend(scores, v, self.mask(x)))

    def with_added_mask(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x)
        added = torch.zeros(self.mask(x).shape, dtype=x.dtype)
        added = added.masked_fill(self.mask(x), -math.inf)
        scores = q @ k.mT / math.sqrt(q.shape[-1]) + added
        shares = torch.exp(scores - scores.amax(-1, keepdim=True).detach())
        return self.finish(shares / shares.sum(-1, keepdim=True) @ v)

    def with_large_mask(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x)
        scores = q @ k.mT / math.sqrt(q.shape[-1])
        lowest = torch.finfo(x.dtype).min
        return self.finish(scores.masked_fill(self.mask(x), lowest).softmax(-1) @ v)

    def by_module_function(self, x: Tensor) -> Tensor:
        moved = x.transpose(0, 1)
        found, _ = F.multi_head_attention_forward(
            moved,
            moved,
            moved,
            x.shape[-1],
            self.heads,
            self.in_proj_weight,
            self.in_proj_bias,
            None,
            None,
            False,
            0.0,
            self.out_weight,
            self.out_bias,
            training=self.training,
            need_weights=False,
            attn_mask=self.mask(x) if self.causal else None,
        )
        return found.transpose(0, 1)

    # ---------------------------------------------------------------- wrong

    def attend_wrongly(self, x: Tensor, scale: float, hidden: Tensor, axis: int = -1) -> Tensor:
        q, k, v = self.project(x)
        scores = (q @ k.mT * scale / math.sqrt(q.shape[-1])).masked_fill(hidden, -1e4)
        return self.finish(torch.softmax(scores, axis) @ v)

    def not_scaled(self, x: Tensor) -> Tensor:
        width = x.shape[-1] // self.heads
        return self.attend_wrongly(x, math.sqrt(width), self.mask(x))

    def scale_off(self, x: Tensor) -> Tensor:
        return self.attend_wrongly(x, OFF, self.mask(x))

    def over_queries(self, x: Tensor) -> Tensor:
        return self.attend_wrongly(x, 1.0, self.mask(x), -2)

    def mask_off_by_one(self, x: Tensor) -> Tensor:
        return self.attend_wrongly(x, 1.0, self.mask(x, 2))

    def without_mask(self, x: Tensor) -> Tensor:
        return self.attend_wrongly(x, 1.0, torch.zeros_like(self.mask(x)))

    def heads_swapped(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x)
        return self.finish(F.scaled_dot_product_attention(q, k, v, is_causal=self.causal).flip(1))

    def keys_for_values(self, x: Tensor) -> Tensor:
        q, k, v = self.project(x)
        return self.finish(F.scaled_dot_product_attention(q, v, k, is_causal=self.causal))


class Encoder(Block):
    """torch's layer of an encoder, in evaluation or training without dropout."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(("plain", "by_hand", "time_first"), ANY)
    faults: ClassVar[tuple[str, ...]] = ("norm_on_the_other_side", "without_residual")

    def __init__(self, width: int, heads: int, hidden: int, kind: str, first: bool) -> None:
        super().__init__()
        self.kind, self.first, self.heads = kind, first, heads
        self.layer = nn.TransformerEncoderLayer(
            width, heads, hidden, 0.0, kind, batch_first=True, norm_first=first
        )

    def plain(self, x: Tensor) -> Tensor:
        return self.layer(x)

    def time_first(self, x: Tensor) -> Tensor:
        return torch.cat([self.layer(row[None]) for row in x])

    def norm(self, norm: nn.LayerNorm, x: Tensor) -> Tensor:
        away = x - x.mean(-1, keepdim=True)
        scale = torch.sqrt((away * away).mean(-1, keepdim=True) + EPS)
        return away / scale * norm.weight + norm.bias

    def attend(self, x: Tensor) -> Tensor:
        part = self.layer.self_attn
        each = F.linear(x, part.in_proj_weight, part.in_proj_bias)
        q, k, v = each.view(*x.shape[:2], 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        shares = torch.softmax(q @ k.mT / math.sqrt(q.shape[-1]), -1)
        joined = (shares @ v).transpose(1, 2).flatten(2)
        return joined @ part.out_proj.weight.t() + part.out_proj.bias

    def feed(self, x: Tensor) -> Tensor:
        act = F.relu if self.kind == "relu" else F.gelu
        hidden = act(x @ self.layer.linear1.weight.t() + self.layer.linear1.bias)
        return hidden @ self.layer.linear2.weight.t() + self.layer.linear2.bias

    def by_hand(self, x: Tensor) -> Tensor:
        return self.evaluate(x, self.first, True)

    def evaluate(self, x: Tensor, first: bool, residual: bool) -> Tensor:
        one, two = self.layer.norm1, self.layer.norm2
        if first:
            x = x + self.attend(self.norm(one, x))
            return residual * x + self.feed(self.norm(two, x))
        x = self.norm(one, x + self.attend(x))
        return self.norm(two, residual * x + self.feed(x))

    def norm_on_the_other_side(self, x: Tensor) -> Tensor:
        return self.evaluate(x, not self.first, True)

    def without_residual(self, x: Tensor) -> Tensor:
        return self.evaluate(x, self.first, False)
