"""Norms under Keras' names: scale, shift and statistics are found; exchanged ones fail."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.core.verdict import Status
from tests.layouts.support import expect_found, judge_eval, read_advice

ROWS = (7, 5)


class KerasNorm(nn.Module):
    """A batch norm with Keras' names."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(8)), nn.Parameter(torch.zeros(8))
        self.register_buffer("moving_mean", torch.zeros(8))
        self.register_buffer("moving_variance", torch.ones(8))

    def forward(self, x: Tensor) -> Any:
        statistics = self.moving_mean, self.moving_variance
        return F.batch_norm(x, *statistics, self.gamma, self.beta, self.training)


class Keras(nn.Module):
    """Dense weights as (inputs, outputs), with norms behind them."""

    def __init__(self) -> None:
        super().__init__()
        shapes = {"d1": (5, 8), "b1": (8,), "d2": (8, 8), "b2": (8,)}
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.randn(shape) * 0.3))
        self.bn, self.bn2 = KerasNorm(), KerasNorm()

    def forward(self, x: Tensor) -> Any:
        h = torch.tanh(self.bn(x @ self.d1 + self.b1))
        return self.bn2(h @ self.d2 + self.b2)


class Torchs(nn.Module):
    """The same by torch's layers."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.norm1 = nn.Linear(5, 8), nn.BatchNorm1d(8)
        self.fc2, self.norm2 = nn.Linear(8, 8), nn.BatchNorm1d(8)

    def first(self, x: Tensor) -> Any:
        return self.norm1(self.fc1(x))

    def forward(self, x: Tensor) -> Any:
        return self.norm2(self.fc2(torch.tanh(self.first(x))))


def test_statistics_are_found_by_keras_names() -> None:
    """In both directions."""
    expect_found(Torchs, Keras, ROWS)
    expect_found(Keras, Torchs, ROWS)


class ShiftForScale(Torchs):
    """A mistake: a norm takes its shift for its scale."""

    def first(self, x: Tensor) -> Any:
        norm = self.norm1
        statistics = norm.running_mean, norm.running_var
        return F.batch_norm(self.fc1(x), *statistics, norm.bias, norm.weight, self.training)


class VarianceForMean(Torchs):
    """A mistake: a norm takes its variance for its mean."""

    def first(self, x: Tensor) -> Any:
        norm = self.norm1
        statistics = norm.running_var, norm.running_mean.abs()
        return F.batch_norm(self.fc1(x), *statistics, norm.weight, norm.bias, self.training)


class BiasesExchanged(Torchs):
    """A mistake: two layers have each other's bias."""

    def forward(self, x: Tensor) -> Any:
        h = torch.tanh(self.norm1(F.linear(x, self.fc1.weight, self.fc2.bias)))
        return self.norm2(F.linear(h, self.fc2.weight, self.fc1.bias))


NAMED = {
    ShiftForScale: "norm1.weight = bn.beta, norm1.bias = bn.gamma",
    BiasesExchanged: "fc2.bias = b1 beside fc2.weight = d2.T",
}


@pytest.mark.parametrize("model", NAMED)
def test_what_a_norm_or_layer_takes_for_another_is_named(model: Any) -> None:
    """The line that would excuse it is given, and does."""
    found = judge_eval(model, Keras, ROWS)
    assert found.status is Status.FAIL
    assert NAMED[model] in found.why
    assert judge_eval(model, Keras, ROWS, read_advice(found.why)).status is Status.PASS


def test_exchanged_statistics_fail() -> None:
    """Buffers are paired by their names alone, not by trying."""
    assert judge_eval(VarianceForMean, Keras, ROWS).status is Status.FAIL
