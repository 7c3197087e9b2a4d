"""Dropout that draws other numbers under one seed: the rest of train() is judged without it."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.checkpoint import checkpoint

from harness.core.verdict import Status, Verdict
from harness.model.dropout import Dropout, Dropped
from harness.same.case import same
from tests.conftest import Approved
from tests.same.models import DATA, Plain, judge

FUNCTION = "float64 same-function-train"
ROWS = (2, 4, 5)


def ask(model: Any, reference: Any, data: Any = DATA) -> Verdict:
    """The verdict on the function in train()."""
    case = same(model, reference, data=data, draws=1, dtypes=["float64"], modes=["train"])
    return judge(case)[FUNCTION]


class Two(Plain):
    """Has two dropouts."""

    def __init__(self) -> None:
        super().__init__()
        self.d1, self.d2 = nn.Dropout(0.1), nn.Dropout(0.3)

    def forward(self, x: Tensor) -> Any:
        return self.d2(self.o(self.d1(self.hidden(x))))


class Lacking(Two):
    """Leaves one out."""

    def forward(self, x: Tensor) -> Any:
        return self.d2(self.o(self.hidden(x)))


class Wrong(Lacking):
    """Is another function in train(), too."""

    def forward(self, x: Tensor) -> Any:
        h = self.hidden(x)
        return self.d2(self.o(h * 1.1 if self.training else h))


class Detached(Lacking):
    """Trains nothing before its last layer, too."""

    def forward(self, x: Tensor) -> Any:
        return self.d2(self.o(self.hidden(x).detach()))


class Reordered(Two):
    """Draws the mask of its second dropout first."""

    def forward(self, x: Tensor) -> Any:
        mask = self.d2(torch.ones(len(x), 3, dtype=x.dtype))
        return self.o(self.d1(self.hidden(x))) * mask


class Halves(Two):
    """Drops the halves of its hidden numbers one after the other."""

    def forward(self, x: Tensor) -> Any:
        h = self.hidden(x)
        return self.d2(self.o(torch.cat([self.d1(h[:, :4]), self.d1(h[:, 4:])], 1)))


class ThreeQuarters(Two):
    """Drops only some of its hidden numbers."""

    def forward(self, x: Tensor) -> Any:
        h = self.hidden(x)
        return self.d2(self.o(torch.cat([self.d1(h[:, :6]), h[:, 6:]], 1)))


class Attention(nn.Module):
    """Attention by hand, with dropout of its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v = nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 5)
        self.drop = nn.Dropout(0.2)

    def attend(self, x: Tensor) -> Tensor:
        weights = (self.q(x) @ self.k(x).mT / 5**0.5).softmax(-1)
        return F.dropout(weights, 0.1, self.training) @ self.v(x)

    def forward(self, x: Tensor) -> Any:
        return self.drop(self.attend(x))


class Fused(Attention):
    """The same by torch's function, with a head more in its shapes."""

    scale: float | None = None

    def attend(self, x: Tensor) -> Tensor:
        parts = [part(x)[:, None] for part in (self.q, self.k, self.v)]
        p = 0.1 if self.training else 0.0
        attended = F.scaled_dot_product_attention(*parts, dropout_p=p, scale=self.scale)
        return attended[:, 0]


class FusedWrong(Fused):
    scale = 1.0


class Checkpointed(Two):
    """Computes its hidden numbers again on the way back."""

    keeps = True

    def forward(self, x: Tensor) -> Any:
        def inner(x: Tensor) -> Tensor:
            return self.d1(self.hidden(x))

        h = checkpoint(inner, x, use_reentrant=False, preserve_rng_state=self.keeps)
        return self.d2(self.o(h))


class CheckpointedWrong(Checkpointed):
    """Draws another mask on the way back."""

    keeps = False


@pytest.mark.parametrize(
    ("model", "reference", "data"),
    [(Reordered, Two, DATA), (Halves, Two, DATA), (Fused, Attention, ROWS)],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_all_but_dropout_is_judged(
    model: Any, reference: Any, data: Any, approved: Approved
) -> None:
    """What is not judged stands on the screen, with its counts."""
    verdict = ask(model, reference, data)
    assert verdict.status is Status.PASS
    approved(verdict.caveat)


@pytest.mark.parametrize(
    ("model", "reference", "data"),
    [
        (Lacking, Two, DATA),
        (Two, Lacking, DATA),
        (Wrong, Two, DATA),
        (Detached, Two, DATA),
        (FusedWrong, Attention, ROWS),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_hides_behind_dropout_fails(
    model: Any, reference: Any, data: Any, approved: Approved
) -> None:
    """A dropout that is left out, and whatever else is wrong in train()."""
    verdict = ask(model, reference, data)
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_dropout_of_other_numbers_proves_nothing(approved: Approved) -> None:
    verdict = ask(ThreeQuarters, Two)
    assert verdict.status is Status.VACUOUS
    approved(verdict.why)


def test_a_checkpoint_draws_its_numbers_again() -> None:
    """That is no further dropout, and it is judged under the seed."""
    verdict = ask(Checkpointed, Two)
    assert verdict.status is Status.PASS
    assert not verdict.caveat


def test_a_checkpoint_that_draws_others_is_wrong() -> None:
    assert ask(CheckpointedWrong, Two).status is Status.FAIL


X = torch.ones(3, 4, 8)
PACKED = pack_padded_sequence(X, torch.tensor([3, 3, 2, 2]))
CALLS = [
    (nn.Dropout(0.1), X, [96]),
    (nn.Dropout(0.0), X, []),
    (nn.Dropout(0.1).eval(), X, []),
    (nn.AlphaDropout(0.1), X, [96]),
    (nn.Dropout1d(0.1), X, [12]),
    (nn.LSTM(8, 2, 3, dropout=0.1), X, [48]),
    (nn.LSTM(8, 2, 3, dropout=0.1).eval(), X, []),
    (nn.GRU(8, 2, 2, dropout=0.1), PACKED, [20]),
    (nn.MultiheadAttention(8, 2, dropout=0.1), (X, X, X), [72]),
    (nn.TransformerEncoderLayer(8, 2, 16, 0.1), X, [72, 96, 192, 96]),
]


@pytest.mark.parametrize(("module", "given", "counts"), CALLS, ids=lambda each: type(each).__name__)
def test_dropout_is_counted_and_switched_off(module: Any, given: Any, counts: list[int]) -> None:
    """On how many numbers torch's layers decide; without it they draw nothing."""
    given = given if type(given) is tuple else (given,)
    with Dropout() as found:
        module(*given)
    assert found.dropped == [Dropped(0.1, count) for count in counts]
    before = torch.get_rng_state()
    with Dropout(off=True):
        module(*given)
    assert torch.equal(torch.get_rng_state(), before)
