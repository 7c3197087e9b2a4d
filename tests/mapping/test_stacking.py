"""A loop over layers that became one product: stacks of tensors are found, both ways."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.mapping.test_mapping import find


class Loop(nn.Module):
    """A list of layers."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Linear(5, 8)
        self.experts = nn.ModuleList(nn.Linear(8, 3) for _ in range(4))

    def forward(self, x: Tensor) -> Any:
        h = torch.tanh(self.trunk(x))
        return torch.stack([expert(h) for expert in self.experts], dim=1)


class Einsum(nn.Module):
    """One tensor for all layers, transposed."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Linear(5, 8)
        self.weight = nn.Parameter(torch.randn(4, 8, 3))
        self.bias = nn.Parameter(torch.randn(4, 3))

    def forward(self, x: Tensor) -> Any:
        h = torch.tanh(self.trunk(x))
        return torch.einsum("bi,eio->beo", h, self.weight) + self.bias


class StackedLast(Einsum):
    """The layers stand side by side on the last axis."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 8, 4))
        self.bias = nn.Parameter(torch.randn(3, 4))

    def forward(self, x: Tensor) -> Any:
        h = torch.tanh(self.trunk(x))
        return (torch.einsum("bi,oie->boe", h, self.weight) + self.bias).mT


class TwoLayers(nn.Module):
    """Experts of two layers each, whose tensors alternate."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 2)) for _ in range(3)
        )

    def forward(self, x: Tensor) -> Any:
        return torch.stack([expert(x) for expert in self.experts])


class TwoProducts(nn.Module):
    """The same as two products."""

    def __init__(self) -> None:
        super().__init__()
        self.w1, self.b1 = nn.Parameter(torch.randn(3, 5, 6)), nn.Parameter(torch.randn(3, 1, 6))
        self.w2, self.b2 = nn.Parameter(torch.randn(3, 6, 2)), nn.Parameter(torch.randn(3, 2))

    def forward(self, x: Tensor) -> Any:
        return torch.tanh(x @ self.w1 + self.b1) @ self.w2 + self.b2[:, None]


STACKS = {
    (Einsum, Loop): ("weight = stack(experts.0.weight.T, ", "bias = stack(experts.0.bias, "),
    (Loop, Einsum): ("experts.1.weight = weight[1].T", "experts.3.bias = bias[3]"),
    (StackedLast, Loop): ("weight = stack(experts.0.weight, ", " along 2", " along 1"),
    (Loop, StackedLast): ("experts.1.weight = weight[:, :, 1]", "experts.3.bias = bias[:, 3]"),
    (TwoProducts, TwoLayers): ("w2 = stack(experts.0.2.weight.T, experts.1.2.weight.T, ",),
}


@pytest.mark.parametrize("pair", STACKS)
def test_a_stack_is_found(pair: Any) -> None:
    """Its expression is said, and its code makes the same tensors."""
    mapping = find(*pair, data=(4, 5)).mapping
    assert not mapping.remark
    for said in STACKS[pair]:
        assert said in mapping.text
    state = {name: each.double() for name, each in pair[1]().state_dict().items()}
    function = eval(mapping.code.removeprefix("parameters="), {"torch": torch})
    made, again = mapping.convert(state), function(state)
    assert all(torch.equal(made[name], again[name]) for name in made)
