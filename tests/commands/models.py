"""Models as users write them, which the tests of `init` and `check` name on a command line."""

MODELS = """\
import torch
from torch import nn


class SineNet(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(1, 4), nn.Sigmoid(), nn.Linear(4, 1))


class Dual(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(5, 10), nn.Linear(3, 10, bias=False)
        self.one, self.two = nn.Linear(10, 4), nn.Linear(10, 2)

    def forward(self, x1, x2):
        h = torch.tanh(self.left(x1) + self.right(x2))
        return self.one(h), self.two(h)


class Deep(nn.Sequential):
    def __init__(self):
        first = nn.Linear(3, 8, bias=False)
        super().__init__(first, nn.Tanh(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2))


class Classes(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, 3), nn.Sigmoid(), nn.Linear(3, 3), nn.Softmax(dim=1))


class Gelu(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, 3), nn.GELU(), nn.Linear(3, 2))


class Convolution(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))


class Images(nn.Linear):
    def __init__(self):
        super().__init__(4, 6)

    def forward(self, x):
        return super().forward(x).reshape(-1, 2, 3)


class Square(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))


class Wide(nn.Module):
    def __init__(self, width, depth=3):
        super().__init__()


class Broken(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(torch.nothing, 2)


def make():
    return SineNet()


def function(weights, x):
    return x @ weights


built = SineNet()
"""
