"""Kernels of TensorFlow, Keras and Flax: found in both directions; mistakes in them fail."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.core.verdict import Status
from tests.layouts.support import expect_found, judge_eval, read_advice


def draw(*shape: int) -> nn.Parameter:
    """A parameter of a shape."""
    return nn.Parameter(torch.randn(shape) * 0.3)


class Hwio(nn.Module):
    """Kernels as (height, width, inputs, outputs), a depthwise one, and a dense one."""

    def __init__(self) -> None:
        super().__init__()
        self.k1, self.c1 = draw(3, 3, 2, 4), draw(4)
        self.dw, self.dc = draw(3, 3, 4, 2), draw(8)
        self.pw, self.pc = draw(1, 1, 8, 3), draw(3)
        self.d, self.e = draw(3, 5), draw(5)

    def forward(self, x: Tensor) -> Any:
        x = torch.relu(F.conv2d(x, self.k1.permute(3, 2, 0, 1), self.c1))
        depthwise = self.dw.permute(2, 3, 0, 1).reshape(8, 1, 3, 3)
        x = F.conv2d(x, depthwise, self.dc, groups=4)
        x = torch.relu(F.conv2d(x, self.pw.permute(3, 2, 0, 1), self.pc))
        return x.mean((2, 3)) @ self.d + self.e


class Oihw(nn.Module):
    """The same by torch's layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 8, 3, groups=4)
        self.conv3, self.fc = nn.Conv2d(8, 3, 1), nn.Linear(3, 5)

    def first(self, x: Tensor) -> Any:
        return self.conv1(x)

    def second(self, x: Tensor) -> Any:
        return self.conv2(x)

    def forward(self, x: Tensor) -> Any:
        x = self.second(torch.relu(self.first(x)))
        return self.fc(torch.relu(self.conv3(x)).mean((2, 3)))


class HwioSquare(nn.Module):
    """Kernels whose shapes fit both layouts."""

    def __init__(self) -> None:
        super().__init__()
        self.k1, self.c1, self.k2, self.c2 = draw(3, 3, 3, 3), draw(3), draw(3, 3, 3, 3), draw(3)

    def forward(self, x: Tensor) -> Any:
        x = torch.tanh(F.conv2d(x, self.k1.permute(3, 2, 0, 1), self.c1))
        return F.conv2d(x, self.k2.permute(3, 2, 0, 1), self.c2)


class OihwSquare(nn.Module):
    """The same by torch's layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)

    def forward(self, x: Tensor) -> Any:
        return self.conv2(torch.tanh(self.conv1(x)))


class HwioEven(HwioSquare):
    """As many inputs as outputs: (3, 3, 5, 5) may be turned in two ways."""

    def __init__(self) -> None:
        super().__init__()
        self.k1, self.c1, self.k2, self.c2 = draw(3, 3, 5, 5), draw(5), draw(3, 3, 5, 5), draw(5)


class OihwEven(OihwSquare):
    """The same by torch's layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(5, 5, 3), nn.Conv2d(5, 5, 3)


class Wio(nn.Module):
    """A kernel over one axis, (width, inputs, outputs), under Keras' names."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel, self.bias = draw(3, 4, 6), draw(6)
        self.kernel2, self.bias2 = draw(6, 2), draw(2)

    def forward(self, x: Tensor) -> Any:
        x = torch.tanh(F.conv1d(x, self.kernel.permute(2, 1, 0), self.bias))
        return x.mean(2) @ self.kernel2 + self.bias2


class Oiw(nn.Module):
    """The same by torch's layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv1d(4, 6, 3), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Any:
        return self.fc(torch.tanh(self.conv(x)).mean(2))


class PointAsDense(nn.Module):
    """A kernel of size 1 as a linear layer over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 6)

    def forward(self, x: Tensor) -> Any:
        return self.fc(x.permute(0, 2, 3, 1))


class Point(nn.Module):
    """The same as a convolution with a kernel of TensorFlow."""

    def __init__(self) -> None:
        super().__init__()
        self.k, self.c = draw(1, 1, 4, 6), draw(6)

    def forward(self, x: Tensor) -> Any:
        return F.conv2d(x, self.k.permute(3, 2, 0, 1), self.c).permute(0, 2, 3, 1)


class Dense(nn.Module):
    """Dense weights as (inputs, outputs)."""

    def __init__(self) -> None:
        super().__init__()
        self.w1, self.b1, self.w2, self.b2 = draw(5, 8), draw(8), draw(8, 8), draw(8)
        self.w3, self.b3 = draw(8, 3), draw(3)

    def forward(self, x: Tensor) -> Any:
        h = torch.tanh(x @ self.w1 + self.b1)
        return torch.tanh(h @ self.w2 + self.b2) @ self.w3 + self.b3


class Layers(nn.Module):
    """The same by torch's layers."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(5, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def hidden(self, x: Tensor) -> Any:
        return torch.tanh(self.b(torch.tanh(self.a(x))))

    def forward(self, x: Tensor) -> Any:
        return self.c(self.hidden(x))


IMAGE, EVEN, LINE, ROWS = (2, 2, 8, 8), (2, 5, 8, 8), (2, 4, 7), (7, 5)
PORTS = [
    (Oihw, Hwio, IMAGE),
    (OihwSquare, HwioSquare, (2, 3, 8, 8)),
    (OihwEven, HwioEven, EVEN),
    (Oiw, Wio, LINE),
    (PointAsDense, Point, (2, 4, 3, 3)),
    (Layers, Dense, ROWS),
]


@pytest.mark.parametrize(("model", "reference", "data"), PORTS)
def test_kernels_are_turned_both_ways(model: Any, reference: Any, data: Any) -> None:
    """From the other framework's layout to torch's, and back."""
    expect_found(model, reference, data)
    expect_found(reference, model, data)


def test_the_turned_kernels_are_said() -> None:
    """By expressions that a user can read."""
    said = expect_found(Oihw, Hwio, IMAGE)
    assert "conv1.weight = k1.permute(3, 2, 0, 1)" in said
    assert "conv2.weight = dw.permute(2, 3, 0, 1).reshape(8, 1, 3, 3)" in said
    assert "fc.weight = d.T" in said


class HeightForWidth(Oihw):
    """A mistake: a kernel whose height and width are exchanged."""

    def first(self, x: Tensor) -> Any:
        return F.conv2d(x, self.conv1.weight.mT, self.conv1.bias)


class MultiplierFirst(Oihw):
    """A mistake: the depthwise kernels of another channel."""

    def second(self, x: Tensor) -> Any:
        kernel = self.conv2.weight.view(2, 4, 1, 3, 3).transpose(0, 1).reshape(8, 1, 3, 3)
        return F.conv2d(x, kernel, self.conv2.bias, groups=4)


class Untransposed(Layers):
    """A mistake: the square matrix is not transposed, though the others are."""

    def hidden(self, x: Tensor) -> Any:
        return torch.tanh(torch.tanh(self.a(x)) @ self.b.weight + self.b.bias)


class BiasesExchanged(Layers):
    """A mistake: two layers have each other's bias."""

    def hidden(self, x: Tensor) -> Any:
        h = torch.tanh(F.linear(x, self.a.weight, self.b.bias))
        return torch.tanh(F.linear(h, self.b.weight, self.a.bias))


@pytest.mark.parametrize("model", [HeightForWidth, MultiplierFirst])
def test_a_kernel_of_other_axes_fails(model: Any) -> None:
    """No map excuses it."""
    assert judge_eval(model, Hwio, IMAGE).status is Status.FAIL


NAMED = {Untransposed: "b.weight = w2", BiasesExchanged: "a.bias = b2 beside a.weight = w1.T"}


@pytest.mark.parametrize("model", NAMED)
def test_a_mistake_that_a_map_could_excuse_fails_and_is_named(model: Any) -> None:
    """The line that would excuse it is given, and does."""
    found = judge_eval(model, Dense, ROWS)
    assert found.status is Status.FAIL
    assert f"exchanges tensors against their names: with {NAMED[model]}" in found.why
    meant = read_advice(found.why)
    assert judge_eval(model, Dense, ROWS, meant).status is Status.PASS
