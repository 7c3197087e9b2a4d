"""LSTMs and GRUs as frameworks and books write them, right and wrong."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

INPUTS, UNITS = 4, 6
DATA = (2, 3, INPUTS)


def draw(*shape: int) -> nn.Parameter:
    """A parameter of a shape."""
    return nn.Parameter(torch.randn(shape) * 0.3)


class Torchs(nn.Module):
    """torch's LSTM."""

    kind: Any = nn.LSTM

    def __init__(self) -> None:
        super().__init__()
        self.rnn = self.kind(INPUTS, UNITS, batch_first=True)

    def forward(self, x: Tensor) -> Any:
        return self.rnn(x)[0]


class TorchsGru(Torchs):
    kind = nn.GRU


class Steps(nn.Module):
    """An LSTM written step by step. `order` is that of its gates."""

    order = "ifgo"

    def gates(self, x: Tensor, h: Tensor) -> dict[str, Tensor]:
        return dict(zip(self.order, self.fused(x, h).chunk(4, -1), strict=True))

    def fused(self, x: Tensor, h: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Any:
        h = x.new_zeros(len(x), UNITS)
        c, found = h, []
        for row in x.unbind(1):
            gate = self.gates(row, h)
            i, f, o = (torch.sigmoid(gate[name]) for name in "ifo")
            c = f * c + i * torch.tanh(gate["g"])
            h = o * torch.tanh(c)
            found.append(h)
        return torch.stack(found, 1)


class Keras(Steps):
    """Keras' names: weights as (inputs, all gates), one bias."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel, self.bias = draw(INPUTS, 4 * UNITS), draw(4 * UNITS)
        self.recurrent_kernel = draw(UNITS, 4 * UNITS)

    def fused(self, x: Tensor, h: Tensor) -> Tensor:
        return x @ self.kernel + h @ self.recurrent_kernel + self.bias


def keras(order: str) -> Any:
    """Keras with its gates in another order."""
    return type(f"Keras_{order}", (Keras,), {"order": order})


class Own(Steps):
    """torch's names."""

    def __init__(self) -> None:
        super().__init__()
        self.weight_ih, self.bias_ih = draw(4 * UNITS, INPUTS), draw(4 * UNITS)
        self.weight_hh, self.bias_hh = draw(4 * UNITS, UNITS), draw(4 * UNITS)

    def fused(self, x: Tensor, h: Tensor) -> Tensor:
        inputs = F.linear(x, self.weight_ih, self.bias_ih)
        return inputs + F.linear(h, self.weight_hh, self.bias_hh)


class OwnOtherOrder(Own):
    """A mistake: the last two gates are exchanged."""

    order = "ifog"


class ByGate(Steps):
    """Layers for each gate, one for the input and one for the state."""

    roles: ClassVar = {"i": "i", "f": "f", "g": "c", "o": "o"}  # which layer is taken for a gate

    def __init__(self) -> None:
        super().__init__()
        for name in "fico":
            setattr(self, f"W_{name}", nn.Linear(INPUTS, UNITS))
            setattr(self, f"U_{name}", nn.Linear(UNITS, UNITS, bias=False))

    def gates(self, x: Tensor, h: Tensor) -> dict[str, Tensor]:
        return {
            gate: getattr(self, f"W_{name}")(x) + getattr(self, f"U_{name}")(h)
            for gate, name in self.roles.items()
        }


class ByGateWrong(ByGate):
    """A mistake: the forget gate is taken for the input gate."""

    roles: ClassVar = {"i": "f", "f": "i", "g": "c", "o": "o"}


class ByWord(Steps):
    """Books' form: a layer for each gate on input and state together."""

    roles: ClassVar = {"i": "input", "f": "forget", "g": "cell", "o": "output"}

    def __init__(self) -> None:
        super().__init__()
        for name in ("forget", "input", "output", "cell"):
            setattr(self, f"{name}_gate", nn.Linear(INPUTS + UNITS, UNITS))

    def gates(self, x: Tensor, h: Tensor) -> dict[str, Tensor]:
        both = torch.cat([x, h], -1)
        return {gate: getattr(self, f"{name}_gate")(both) for gate, name in self.roles.items()}


class ByWordWrong(ByWord):
    """A mistake: the output gate is taken for the forget gate."""

    roles: ClassVar = {"i": "input", "f": "output", "g": "cell", "o": "forget"}


class GruSteps(nn.Module):
    """A GRU step by step. `order` is that of its gates."""

    order = "rzn"

    def __init__(self) -> None:
        super().__init__()
        self.wi, self.wh = nn.Linear(INPUTS, 3 * UNITS), nn.Linear(UNITS, 3 * UNITS)

    def fused(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return self.wi(x), self.wh(h)

    def forward(self, x: Tensor) -> Any:
        h = x.new_zeros(len(x), UNITS)
        found = []
        for row in x.unbind(1):
            both = self.fused(row, h)
            given, own = (dict(zip(self.order, each.chunk(3, -1), strict=True)) for each in both)
            r, z = (torch.sigmoid(given[name] + own[name]) for name in "rz")
            n = torch.tanh(given["n"] + r * own["n"])
            h = (1 - z) * n + z * h
            found.append(h)
        return torch.stack(found, 1)


class GruWrong(GruSteps):
    """A mistake: reset and update are exchanged."""

    order = "zrn"


class KerasGru(GruSteps):
    """Keras' names and order, with reset_after=True: one tensor for both biases."""

    order = "zrn"

    def __init__(self) -> None:
        super().__init__()
        del self.wi, self.wh
        self.kernel, self.recurrent_kernel = draw(INPUTS, 3 * UNITS), draw(UNITS, 3 * UNITS)
        self.bias = draw(2, 3 * UNITS)

    def fused(self, x: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return x @ self.kernel + self.bias[0], h @ self.recurrent_kernel + self.bias[1]
