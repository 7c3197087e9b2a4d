"""The networks with which the sine was to be learnt, as their authors wrote them."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def by_hand(x: Tensor, w1: Tensor, w2: Tensor) -> Tensor:
    """S4: matrices by hand, no bias, ReLU as clamp(min=0)."""
    return x.mm(w1).clamp(min=0).mm(w2)


def by_hand_with_biases(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    """S5: the same with the two biases as vectors of their own."""
    return (x.mm(w1) + b1).clamp(min=0).mm(w2) + b2


def by_hand_with_ones(x: Tensor, w1: Tensor, w2: Tensor) -> Tensor:
    """S5: the same with each bias as the first row of a matrix, on a column of ones."""
    ones = x.new_ones(len(x), 1)
    h = torch.cat([ones, x], dim=1).mm(w1).clamp(min=0)
    return torch.cat([ones, h], dim=1).mm(w2)


def by_hand_tanh(x: Tensor, w1: Tensor, w2: Tensor) -> Tensor:
    """S4 with tanh in place of ReLU."""
    return x.mm(w1).tanh().mm(w2)


def by_hand_tanh_with_biases(x: Tensor, w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    """S4 with tanh and the two biases."""
    return (x.mm(w1) + b1).tanh().mm(w2) + b2


class TanhSine(nn.Module):
    """S6: two Linear layers and tanh."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(1, 4)
        self.output = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(torch.tanh(self.hidden(x)))


class LogisticSine(nn.Sequential):
    """S1's network, as somebody who ports it from R would write it."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(1, 4), nn.Sigmoid(), nn.Linear(4, 1))


class LinearWithExtraBias(nn.Linear):
    """S7: a Linear layer with a second bias vector, (1, out) and zero at the start, added to its
    output.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True, extra: bool = True) -> None:
        super().__init__(inputs, outputs, bias=bias)
        self.extra = nn.Parameter(torch.zeros(1, outputs)) if extra else None

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        return y if self.extra is None else y + self.extra


class ExtraBiasSine(nn.Module):
    """S7's network: tanh between two layers whose biases can both be switched."""

    def __init__(self, bias: bool = True, extra: bool = True) -> None:
        super().__init__()
        self.hidden = LinearWithExtraBias(1, 4, bias, extra)
        self.output = LinearWithExtraBias(4, 1, bias, extra)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(torch.tanh(self.hidden(x)))
