"""Models that are the same, nearly the same, or not: what users would write."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.core.verdict import Verdict
from harness.judging.cache import Cache
from harness.judging.case import Case
from harness.running.trial import run

DATA = (7, 5)


def judge(case: Case) -> dict[str, Verdict]:
    """The verdicts of a case, by dtype and check."""
    cache = Cache(case)
    return {f"{trial.dtype} {trial.check}": run(trial, cache) for trial in case.trials()}


class Plain(nn.Module):
    """Three layers; one bias is 0 as built."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.o = nn.Linear(5, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        nn.init.zeros_(self.b.bias)

    def hidden(self, x: Tensor) -> Tensor:
        return torch.tanh(self.b(torch.tanh(self.a(x))))

    def forward(self, x: Tensor) -> Any:
        return self.o(self.hidden(x))


class NoBias(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.b = nn.Linear(8, 8, bias=False)


class Scaled(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return self.o(self.hidden(x) * (1 + 1e-9))


class Turned(Plain):
    """Its output is the transpose of an array in memory."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).T


class TurnedScaled(Turned):
    """Off in one factor."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 1.000001


class FarNorm(Plain):
    """A norm after the last layer, of numbers far from 0."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.layer_norm(1e4 + super().forward(x), (3,))


class Dropped(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.o(self.drop(self.hidden(self.drop(x))))


class DroppedLess(Dropped):
    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.3)


class DroppedByFunction(Plain):
    def forward(self, x: Tensor) -> Tensor:
        x = F.dropout(x, 0.5, self.training)
        return self.o(F.dropout(self.hidden(x), 0.5, self.training))


class MaskedByHand(Plain):
    """Draws the masks of both dropouts itself, the last one first."""

    def forward(self, x: Tensor) -> Tensor:
        last = (torch.rand(len(x), 8) > 0.5).to(x.dtype) * 2
        first = (torch.rand(x.shape) > 0.5).to(x.dtype) * 2
        return self.o(self.hidden(x * first) * last)


class MaskedByHandOnce(MaskedByHand):
    """Draws one of them only."""

    def forward(self, x: Tensor) -> Tensor:
        return self.o(self.hidden(x * (torch.rand(x.shape) > 0.5).to(x.dtype) * 2))


class DroppedAlways(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return self.o(F.dropout(self.hidden(F.dropout(x, 0.5)), 0.5))


class Tied(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Linear(8, 8)
        self.c.weight = self.b.weight

    def hidden(self, x: Tensor) -> Tensor:
        return torch.tanh(self.c(super().hidden(x)))


class Untied(Tied):
    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Linear(8, 8)


class Pair(Plain):
    def forward(self, x: Tensor) -> Any:
        y = super().forward(x)
        return y[:, :1] * 1, y[:, 1:2] * 1


class PairSwapped(Pair):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x)[::-1]


class PairByName(Plain):
    def forward(self, x: Tensor) -> Any:
        y = super().forward(x)
        return {"first": y[:, :1] * 1, "second": y[:, 1:2] * 1}


class IdleHead(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 2)


class Cached(Plain):
    """Gives its first answer again and again."""

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "kept"):
            self.kept = super().forward(x).detach()
        return super().forward(x) * 0 + self.kept


class NotANumber(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * float("nan")


class Constant(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return torch.full((4,), 0.5, dtype=x.dtype)


class Labels(Plain):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).argmax(-1)


class ExtraMatrix(Plain):
    """A matrix that is 0 as built, as low-rank adapters have."""

    def __init__(self) -> None:
        super().__init__()
        self.extra = nn.Parameter(torch.zeros(8, 8))

    def hidden(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.a(x))
        return torch.tanh(self.b(h) + h @ self.extra)


class ExtraBias(Plain):
    """A second bias, which only acts in a sum with the first."""

    def __init__(self) -> None:
        super().__init__()
        self.extra = nn.Parameter(torch.zeros(1, 8))

    def hidden(self, x: Tensor) -> Tensor:
        return torch.tanh(self.b(torch.tanh(self.a(x))) + self.extra)


class Frozen(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.b.weight.requires_grad_(False)


class Detached(Plain):
    def hidden(self, x: Tensor) -> Tensor:
        return torch.tanh(self.b(torch.tanh(self.a(x)).detach()))


class Cast(Plain):
    def hidden(self, x: Tensor) -> Tensor:
        return super().hidden(x).float().to(x.dtype)


class Cancelling(Plain):
    """Adds a large number and takes it off again."""

    def hidden(self, x: Tensor) -> Tensor:
        return (super().hidden(x) + 1000.0) - 1000.0


class Noise(nn.Module):
    """Returns squares of small numbers that are differences of numbers of 1e9."""

    large = 1e9

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.ones(5))

    def forward(self, x: Tensor) -> Tensor:
        return ((x + self.shift + self.large) - self.large) ** 2


class Noisy(Noise):
    """The same from numbers of 1e10."""

    large = 1e10


class Renamed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3)]
        self.net = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Any:
        return self.net(x)


class RenamedScaled(Renamed):
    def forward(self, x: Tensor) -> Any:
        return self.net(x) * (1 + 1e-9)


class OtherOrder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.out, self.second, self.first = nn.Linear(8, 3), nn.Linear(8, 8), nn.Linear(5, 8)

    def forward(self, x: Tensor) -> Any:
        return self.out(torch.tanh(self.second(torch.tanh(self.first(x)))))


class Folded(nn.Module):
    """Each bias is the first row of a matrix."""

    def __init__(self) -> None:
        super().__init__()
        shapes = [(6, 8), (9, 8), (9, 3)]
        self.w1, self.w2, self.w3 = (nn.Parameter(torch.randn(shape)) for shape in shapes)

    def forward(self, x: Tensor) -> Any:
        one = x.new_ones(len(x), 1)
        h = torch.tanh(torch.cat([one, x], 1) @ self.w1)
        h = torch.tanh(torch.cat([one, h], 1) @ self.w2)
        return torch.cat([one, h], 1) @ self.w3


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(5, 10), nn.Linear(3, 10)
        self.head1, self.head2 = nn.Linear(10, 4), nn.Linear(10, 2)

    def forward(self, a: Tensor, b: Tensor) -> Any:
        h = torch.tanh(self.left(a) + self.right(b))
        return self.head1(h), self.head2(h)


class OneInput(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.heads = nn.Linear(8, 10), nn.Linear(10, 6)

    def forward(self, a: Tensor, b: Tensor) -> Any:
        h = torch.tanh(self.hidden(torch.cat([a, b], 1)))
        return torch.split(self.heads(h), [4, 2], 1)


class WrongWiring(nn.Module):
    """The names of Plain, and its two square layers in the other order."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.o = (
            nn.Linear(5, 8),
            nn.Linear(8, 8),
            nn.Linear(8, 8),
            nn.Linear(8, 3),
        )

    def forward(self, x: Tensor) -> Any:
        return self.o(torch.tanh(self.c(torch.tanh(self.b(torch.tanh(self.a(x)))))))


class WrongWiringExchanged(WrongWiring):
    def forward(self, x: Tensor) -> Any:
        return self.o(torch.tanh(self.b(torch.tanh(self.c(torch.tanh(self.a(x)))))))


class Normed(Plain):
    """Batch norm, after a layer whose bias it takes off again."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(8)

    def hidden(self, x: Tensor) -> Tensor:
        return torch.tanh(self.norm(self.b(torch.tanh(self.a(x)))))


class NormedAlways(Normed):
    """Normalises by the batch in eval() too."""

    def hidden(self, x: Tensor) -> Tensor:
        norm = self.norm
        if self.training:
            return super().hidden(x)
        z = self.b(torch.tanh(self.a(x)))
        return torch.tanh(F.batch_norm(z, None, None, norm.weight, norm.bias, training=True))


class NormedSlowly(Normed):
    """Its running statistics follow at another rate."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(8, momentum=0.2)


class Counting(Plain):
    """Multiplies by how often it has been called, which is 1 at first."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Any:
        self.calls += 1
        return super().forward(x) * self.calls


class OneInputRelu(OneInput):
    """Another activation behind joined matrices: no map makes it right."""

    def forward(self, a: Tensor, b: Tensor) -> Any:
        h = torch.relu(self.hidden(torch.cat([a, b], 1)))
        return torch.split(self.heads(h), [4, 2], 1)


class Through(torch.autograd.Function):
    """A sine, with a slope of its own."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return torch.sin(x)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        return slope * 1.5


class OwnBackward(Plain):
    """A hand-written backward pass that is no derivative."""

    def forward(self, x: Tensor) -> Any:
        return self.o(Through.apply(self.hidden(x)))
