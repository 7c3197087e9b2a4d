"""Two models that draw the same shapes from the same distributions, and get other numbers."""

from torch import Tensor, nn

from harness.same.case import same
from tests.conftest import Approved
from tests.same.models import judge


class Dropped(nn.Module):
    """Dropout on the output of a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.drop = nn.Linear(4, 4), nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.fc(x))


class DroppedInColumns(Dropped):
    """The same, of numbers that stand in memory by columns."""

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.fc(x).T.contiguous().T)


def tell(mine: type[nn.Module], theirs: type[nn.Module]) -> str:
    """Why the two are not comparable in train()."""
    case = same(mine, theirs, data=(3, 4), dtypes=["float64"], modes=["train"])
    return judge(case)["float64 same-function-train"].why


def test_what_differs_is_said(approved: Approved) -> None:
    """Both lists of draws are equal: their layout in memory is not."""
    approved(tell(DroppedInColumns, Dropped))
