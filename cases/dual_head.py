"""The network with two inputs and two heads, in every formulation that the question and its answers
propose.

    h = g(W1 x1 + V1 x2 + b)      o1 = f(W2 h + b_w)      o2 = f(V2 h + b_v)

Each is written as its author would write it today; g and f are arguments.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Activation = Callable[[Tensor], Tensor]


def like_linear(rows: int, columns: int) -> nn.Parameter:
    """A weight with the start values of nn.Linear."""
    return nn.Parameter(nn.Linear(columns, rows).weight.detach().clone())


class ParallelInputs(nn.Module):
    """D1, the equations themselves: W1 and V1 are two parameters of one layer."""

    def __init__(
        self,
        inputs: tuple[int, int],
        hidden: int,
        outputs: tuple[int, int],
        g: Activation,
        f: Activation,
    ):
        super().__init__()
        self.W1 = like_linear(hidden, inputs[0])
        self.V1 = like_linear(hidden, inputs[1])
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.W2 = nn.Linear(hidden, outputs[0])
        self.V2 = nn.Linear(hidden, outputs[1])
        self.g, self.f = g, f

    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        h = self.g(x1 @ self.W1.T + x2 @ self.V1.T + self.bias)
        return self.f(self.W2(h)), self.f(self.V2(h))


class PartialConcat(nn.Module):
    """D2, the first input through a Linear, then concatenated with the second input as it is."""

    def __init__(
        self,
        inputs: tuple[int, int],
        hidden: int,
        outputs: tuple[int, int],
        g: Activation,
        f: Activation,
    ):
        super().__init__()
        self.first = nn.Linear(inputs[0], hidden - inputs[1])
        self.W2 = nn.Linear(hidden, outputs[0])
        self.V2 = nn.Linear(hidden, outputs[1])
        self.g, self.f = g, f

    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        h = self.g(torch.cat([self.first(x1), x2], dim=1))
        return self.f(self.W2(h)), self.f(self.V2(h))


class BlockDiagonal(nn.Module):
    """D3 as written: C = [[W1, 0], [0, V1]] on [x1; x2], its zeros restored by `clamp_` after every
    optimiser step.
    """

    def __init__(
        self,
        inputs: tuple[int, int],
        hidden: int,
        outputs: tuple[int, int],
        g: Activation,
        f: Activation,
    ):
        super().__init__()
        units = self.units(hidden)
        self.C = nn.Parameter(
            torch.block_diag(like_linear(hidden, inputs[0]), like_linear(hidden, inputs[1]))
        )
        self.register_buffer("free", self.C.detach() != 0)
        self.bias = nn.Parameter(torch.zeros(units))
        self.W2 = nn.Linear(units, outputs[0])
        self.V2 = nn.Linear(units, outputs[1])
        self.g, self.f = g, f

    @staticmethod
    def units(hidden: int) -> int:
        return 2 * hidden

    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        h = self.g(self.intermediate(torch.cat([x1, x2], dim=1)))
        return self.f(self.W2(h)), self.f(self.V2(h))

    def intermediate(self, a: Tensor) -> Tensor:
        return a @ self.C.T + self.bias

    @torch.no_grad()
    def clamp_(self) -> None:
        self.C *= self.free


class BlockDiagonalSummed(BlockDiagonal):
    """D3 with the halves of C [x1; x2] added before the activation."""

    @staticmethod
    def units(hidden: int) -> int:
        return hidden

    def intermediate(self, a: Tensor) -> Tensor:
        top, bottom = (a @ self.C.T).chunk(2, dim=1)
        return top + bottom + self.bias


class SparseBlocks(nn.Module):
    """D4 as written: the same C as a sparse tensor, so that only its free entries are
    parameters.
    """

    def __init__(
        self,
        inputs: tuple[int, int],
        hidden: int,
        outputs: tuple[int, int],
        g: Activation,
        f: Activation,
    ):
        super().__init__()
        units = self.units(hidden)
        C = torch.block_diag(
            like_linear(hidden, inputs[0]), like_linear(hidden, inputs[1])
        ).detach()
        self.register_buffer("places", C.nonzero().T)
        self.shape = C.shape
        self.values = nn.Parameter(C[tuple(self.places)])
        self.bias = nn.Parameter(torch.zeros(units))
        self.W2 = nn.Linear(units, outputs[0])
        self.V2 = nn.Linear(units, outputs[1])
        self.g, self.f = g, f

    @staticmethod
    def units(hidden: int) -> int:
        return 2 * hidden

    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        C = torch.sparse_coo_tensor(
            self.places, self.values, self.shape, is_coalesced=True, check_invariants=False
        )
        h = self.g(self.intermediate(torch.sparse.mm(C, torch.cat([x1, x2], dim=1).T).T))
        return self.f(self.W2(h)), self.f(self.V2(h))

    def intermediate(self, Ca: Tensor) -> Tensor:
        return Ca + self.bias


class SparseBlocksSummed(SparseBlocks):
    """D4 with the halves of C [x1; x2] added before the activation."""

    @staticmethod
    def units(hidden: int) -> int:
        return hidden

    def intermediate(self, Ca: Tensor) -> Tensor:
        top, bottom = Ca.chunk(2, dim=1)
        return top + bottom + self.bias


class StackedHeads(nn.Module):
    """D5, both heads as one linear map [W2; V2] whose outputs are split."""

    def __init__(
        self,
        inputs: tuple[int, int],
        hidden: int,
        outputs: tuple[int, int],
        g: Activation,
        f: Activation,
    ):
        super().__init__()
        self.W1 = like_linear(hidden, inputs[0])
        self.V1 = like_linear(hidden, inputs[1])
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.heads = nn.Linear(hidden, sum(outputs))
        self.widths = list(outputs)
        self.g, self.f = g, f

    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, ...]:
        h = self.g(x1 @ self.W1.T + x2 @ self.V1.T + self.bias)
        return tuple(self.f(self.heads(h)).split(self.widths, dim=1))


class SideBySideHeads(nn.Module):
    """D5 read side by side: [W2 V2] on [h; h] adds the heads up; on h alone it is a shape error."""

    def __init__(
        self,
        inputs: tuple[int, int],
        hidden: int,
        outputs: tuple[int, int],
        g: Activation,
        f: Activation,
        doubled: bool = True,
    ):
        super().__init__()
        self.W1 = like_linear(hidden, inputs[0])
        self.V1 = like_linear(hidden, inputs[1])
        self.b = nn.Parameter(torch.zeros(hidden))
        self.W2 = like_linear(outputs[0], hidden)
        self.b_w = nn.Parameter(torch.zeros(outputs[0]))
        self.V2 = like_linear(outputs[1], hidden)
        self.b_v = nn.Parameter(torch.zeros(outputs[1]))
        self.g, self.f, self.doubled = g, f, doubled

    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        h = self.g(x1 @ self.W1.T + x2 @ self.V1.T + self.b)
        beside = torch.cat([self.W2, self.V2], dim=1)
        both = (torch.cat([h, h], dim=1) if self.doubled else h) @ beside.T
        return self.f(both + self.b_w), self.f(both + self.b_v)


class ConcatenatedInputs(nn.Module):
    """D6, which the asker rules out: one Linear on [x1, x2]."""

    def __init__(
        self,
        inputs: tuple[int, int],
        hidden: int,
        outputs: tuple[int, int],
        g: Activation,
        f: Activation,
    ):
        super().__init__()
        self.hidden = nn.Linear(sum(inputs), hidden)
        self.W2 = nn.Linear(hidden, outputs[0])
        self.V2 = nn.Linear(hidden, outputs[1])
        self.g, self.f = g, f

    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        h = self.g(self.hidden(torch.cat([x1, x2], dim=1)))
        return self.f(self.W2(h)), self.f(self.V2(h))


class SeparateNetworks(nn.Module):
    """D7, which the asker rules out too: two networks, one an input."""

    def __init__(
        self,
        inputs: tuple[int, int],
        hidden: int,
        outputs: tuple[int, int],
        g: Activation,
        f: Activation,
    ):
        super().__init__()
        self.hidden1 = nn.Linear(inputs[0], hidden)
        self.hidden2 = nn.Linear(inputs[1], hidden)
        self.head1 = nn.Linear(hidden, outputs[0])
        self.head2 = nn.Linear(hidden, outputs[1])
        self.g, self.f = g, f

    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        return self.f(self.head1(self.g(self.hidden1(x1)))), self.f(
            self.head2(self.g(self.hidden2(x2)))
        )
