"""Two models that draw the same shapes from the same distributions, and get other numbers."""

import torch
from torch import Tensor, nn

from harness.same.case import same
from tests.conftest import Approved
from tests.same.models import judge


class Noisy(nn.Module):
    """Noise on the output of a layer, which is no dropout that could be switched off."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def place(self, h: Tensor) -> Tensor:
        return h

    def forward(self, x: Tensor) -> Tensor:
        h = self.place(self.fc(x))
        return h * torch.rand_like(h)


class NoisyInColumns(Noisy):
    """The same, of numbers that stand in memory by columns."""

    def place(self, h: Tensor) -> Tensor:
        return h.T.contiguous().T


def tell(mine: type[nn.Module], theirs: type[nn.Module]) -> str:
    """Why the two are not comparable in train()."""
    case = same(mine, theirs, data=(3, 4), dtypes=["float64"], modes=["train"])
    return judge(case)["float64 same-function-train"].why


def test_what_differs_is_said(approved: Approved) -> None:
    """Both lists of draws are equal: their layout in memory is not."""
    approved(tell(NoisyInColumns, Noisy))
