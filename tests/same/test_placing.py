"""The first operation that differs belongs to the wrong layer, though it makes no new number."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.same.compare import ByName, compare
from harness.same.placing import find_first
from harness.shadow.shadow import Shadow
from harness.shadow.watch import watch


class Part(nn.Module):
    """A layer that computes by a function."""

    def __init__(self, compute: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.compute = compute

    def forward(self, x: Tensor) -> Tensor:
        return self.compute(x)


RIGHT: list[tuple[str, Callable[[Tensor], Tensor]]] = [
    ("residual", lambda x: x + 0.5 * torch.tanh(x)),
    ("turn", lambda x: x.view(-1, 2, 3).transpose(1, 2).reshape(-1, 6)),
    ("scale", lambda x: x * 3),
    ("sum", lambda x: x.square().sum() / 12),
]
WRONG: dict[str, Callable[[Tensor], Tensor]] = {
    "residual": lambda x: 0.5 * torch.tanh(x),
    "turn": lambda x: x.clone(),
    "scale": lambda x: x,
    "sum": lambda x: x.square().sum(),
}


class Net(nn.Module):
    """Four parts and two layers with weights, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        for name, compute in RIGHT:
            setattr(self, name, Part(compute))
        self.first, self.last = nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        turned = self.turn(self.residual(torch.tanh(self.first(x))))
        return self.sum(self.last(self.scale(turned)))


@pytest.mark.parametrize("name", WRONG)
def test_a_part_that_makes_no_new_number_is_named(name: str) -> None:
    """An addend left out, another order, a factor left out, a sum for a mean."""
    torch.manual_seed(0)
    right = Net()
    wrong = copy.deepcopy(right)
    getattr(wrong, name).compute = WRONG[name]
    x = torch.randn(3, 6)
    shadows = [
        Shadow(watch(lambda net=net: {"output": net(x)}, net), "float32") for net in (wrong, right)
    ]
    (compared,) = compare(*shadows, ByName(), torch.Generator().manual_seed(0))
    assert compared.outcome == "differs"
    assert find_first(*shadows, compared)[0].layer == name


class InPlace(nn.Linear):
    """Adds its bias in place."""

    def forward(self, x: Tensor) -> Tensor:
        z = x @ self.weight.T
        z += self.bias
        return z


def test_what_is_completed_in_place_is_not_named() -> None:
    """A product to which its layer adds a bias in place is no difference; a wrong factor is."""
    torch.manual_seed(0)
    right, wrong = Net(), Net()
    wrong.last = InPlace(6, 4)
    wrong.load_state_dict(right.state_dict())
    wrong.sum.compute = lambda x: (1.000001 * x).square().sum() / 12
    x = torch.randn(3, 6)
    shadows = [
        Shadow(watch(lambda net=net: {"output": net(x)}, net), "float32") for net in (wrong, right)
    ]
    (compared,) = compare(*shadows, ByName(), torch.Generator().manual_seed(0))
    assert [operation.name for operation in find_first(*shadows, compared)] == ["aten::mul"]


def test_what_a_norm_does_not_pass_on_is_not_named() -> None:
    """A fused norm also returns the mean and the deviation; another formula of the norm does not
    compute these numbers, and is no difference.
    """
    torch.manual_seed(0)
    right, wrong = Net(), Net()
    wrong.load_state_dict(right.state_dict())
    right.residual.compute = lambda x: (
        (x - x.mean(-1, keepdim=True)) / (x.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    )
    wrong.residual.compute = lambda x: nn.functional.layer_norm(x, (6,))
    wrong.turn.compute = lambda x: RIGHT[1][1](1.000001 * x)
    x = torch.randn(3, 6)
    shadows = [
        Shadow(watch(lambda net=net: {"output": net(x)}, net), "float32") for net in (wrong, right)
    ]
    (compared,) = compare(*shadows, ByName(), torch.Generator().manual_seed(0))
    assert [operation.name for operation in find_first(*shadows, compared)] == ["aten::mul"]
