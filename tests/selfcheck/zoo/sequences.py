"""Embeddings and recurrent layers; sequences have the shape (batch, time, features)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.selfcheck.zoo.block import ANY, Block
from tests.selfcheck.zoo.dense import OFF

PADDING = 0  # the number of the token whose vector is not trained


class Embedding(Block):
    """A vector for each token; that of the padding token has no gradient."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(
        ("plain", "by_index", "by_one_hot", "by_gather"), ANY
    )
    faults: ClassVar[tuple[str, ...]] = ("next_token", "off", "without_padding")

    def __init__(self, tokens: int, width: int, padded: bool) -> None:
        super().__init__()
        self.padded = padded
        self.weight = nn.Parameter(torch.empty(tokens, width))

    def list_styles(self) -> Mapping[str, float]:
        return {"plain": ANY, "with_hidden_padding": ANY} if self.padded else self.styles

    def list_faults(self) -> tuple[str, ...]:
        return self.faults if self.padded else self.faults[:2]

    def plain(self, x: Tensor) -> Tensor:
        return F.embedding(x, self.weight, PADDING if self.padded else None)

    def with_hidden_padding(self, x: Tensor) -> Tensor:
        real = (x != PADDING)[..., None]
        found = F.embedding(x, self.weight)
        return torch.where(real, found, found.detach())

    def by_index(self, x: Tensor) -> Tensor:
        return self.weight[x]

    def by_one_hot(self, x: Tensor) -> Tensor:
        return F.one_hot(x, len(self.weight)).to(self.weight.dtype) @ self.weight

    def by_gather(self, x: Tensor) -> Tensor:
        return self.weight.index_select(0, x.flatten()).view(*x.shape, -1)

    def next_token(self, x: Tensor) -> Tensor:
        return F.embedding((x + 1) % len(self.weight), self.weight)

    def off(self, x: Tensor) -> Tensor:
        return self.plain(x) * OFF

    def without_padding(self, x: Tensor) -> Tensor:
        return F.embedding(x, self.weight)


class Position(Block):
    """Adds a trained vector for each time."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(("plain", "by_embedding"), ANY)
    faults: ClassVar[tuple[str, ...]] = ("one_later",)

    def __init__(self, times: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(times, width))

    def plain(self, x: Tensor) -> Tensor:
        return x + self.weight[: x.shape[1]]

    def by_embedding(self, x: Tensor) -> Tensor:
        return F.embedding(torch.arange(x.shape[1]), self.weight).unsqueeze(0) + x

    def one_later(self, x: Tensor) -> Tensor:
        return x + self.weight.roll(1, 0)[: x.shape[1]]


class Recurrent(Block):
    """One recurrent layer; weights and gates are those of torch's RNN, GRU or LSTM."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(
        ("plain", "by_cell", "by_hand", "time_first"), ANY
    )
    faults: ClassVar[tuple[str, ...]] = ("off", "backwards", "gates_swapped", "state_detached")
    gates: ClassVar[Mapping[str, int]] = {"rnn": 1, "gru": 3, "lstm": 4}

    def __init__(self, kind: str, inputs: int, width: int) -> None:
        super().__init__()
        self.kind, self.width = kind, width
        rows = self.gates[kind] * width
        self.weight_ih_l0 = nn.Parameter(torch.empty(rows, inputs))
        self.weight_hh_l0 = nn.Parameter(torch.empty(rows, width))
        self.bias_ih_l0 = nn.Parameter(torch.empty(rows))
        self.bias_hh_l0 = nn.Parameter(torch.empty(rows))

    def list_faults(self) -> tuple[str, ...]:
        return tuple(each for each in self.faults if self.kind != "rnn" or each != "gates_swapped")

    @property
    def weights(self) -> list[Tensor]:
        return [self.weight_ih_l0, self.weight_hh_l0, self.bias_ih_l0, self.bias_hh_l0]

    def plain(self, x: Tensor) -> Tensor:
        return self.run(x, self.weights, True)

    def run(self, x: Tensor, weights: list[Tensor], batch_first: bool) -> Tensor:
        rows = x.shape[0] if batch_first else x.shape[1]
        start = torch.zeros(1, rows, self.width, dtype=x.dtype)
        rest = (weights, True, 1, 0.0, self.training, False, batch_first)
        if self.kind == "lstm":
            return torch.lstm(x, [start, start], *rest)[0]
        if self.kind == "gru":
            return torch.gru(x, start, *rest)[0]
        return torch.rnn_tanh(x, start, *rest)[0]

    def time_first(self, x: Tensor) -> Tensor:
        return self.run(x.transpose(0, 1), self.weights, False).transpose(0, 1)

    def by_cell(self, x: Tensor) -> Tensor:
        h = torch.zeros(len(x), self.width, dtype=x.dtype)
        c, found = h, []
        for time in range(x.shape[1]):
            if self.kind == "lstm":
                h, c = torch.lstm_cell(x[:, time], [h, c], *self.weights)
            elif self.kind == "gru":
                h = torch.gru_cell(x[:, time], h, *self.weights)
            else:
                h = torch.rnn_tanh_cell(x[:, time], h, *self.weights)
            found.append(h)
        return torch.stack(found, 1)

    def by_hand(self, x: Tensor) -> Tensor:
        return self.step_by_step(x, self.weights)

    def step_by_step(self, x: Tensor, weights: list[Tensor], detached: bool = False) -> Tensor:
        """Return the states after all times, by the equations in torch's documentation."""
        w, u, b, d = weights
        all_inputs = x @ w.t() + b
        h = torch.zeros(len(x), self.width, dtype=x.dtype)
        c, found = h, []
        for given in all_inputs.unbind(1):
            own = h @ u.t() + d
            if self.kind == "lstm":
                i, f, g, o = (given + own).chunk(4, -1)
                c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
                h = torch.sigmoid(o) * torch.tanh(c)
            elif self.kind == "gru":
                (rx, zx, nx), (rh, zh, nh) = given.chunk(3, -1), own.chunk(3, -1)
                r, z = torch.sigmoid(rx + rh), torch.sigmoid(zx + zh)
                n = torch.tanh(nx + r * nh)
                h = (1 - z) * n + z * h
            else:
                h = torch.tanh(given + own)
            found.append(h)
            if detached:
                h, c = h.detach(), c.detach()
        return torch.stack(found, 1)

    def off(self, x: Tensor) -> Tensor:
        return self.run(x, [self.weights[0], self.weights[1] * OFF, *self.weights[2:]], True)

    def backwards(self, x: Tensor) -> Tensor:
        return self.plain(x.flip(1)).flip(1)

    def gates_swapped(self, x: Tensor) -> Tensor:
        return self.run(x, [each.roll(self.width, 0) for each in self.weights], True)

    def state_detached(self, x: Tensor) -> Tensor:
        return self.step_by_step(x, self.weights, detached=True)


class Take(Block):
    """One vector of a sequence: the last, or the mean of all."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(("plain", "other"), ANY)
    faults: ClassVar[tuple[str, ...]] = ("wrong_step",)

    def __init__(self, which: str) -> None:
        super().__init__()
        self.which = which

    def plain(self, x: Tensor) -> Tensor:
        return x[:, -1] if self.which == "last" else x.mean(1)

    def other(self, x: Tensor) -> Tensor:
        if self.which == "last":
            return x.select(1, x.shape[1] - 1)
        return x.sum(1) / x.shape[1]

    def wrong_step(self, x: Tensor) -> Tensor:
        return x[:, 0] if self.which == "last" else x[:, :-1].mean(1)
