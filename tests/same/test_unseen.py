"""A pass says what its data cannot show: inputs of one number, and settings without effect."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.core.verdict import Status
from harness.same.case import same
from tests.conftest import Approved
from tests.same.models import judge


def list_caveats(model: Any, reference: Any, data: Any, mode: str) -> str:
    """The notes on a pass."""
    case = same(model, reference, data=data, dtypes=["float64"], modes=[mode], draws=1)
    verdict = judge(case)[f"float64 same-function-{mode}"]
    assert verdict.status is Status.PASS
    return verdict.caveat


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(8, 24)

    def hide(self, scores: Tensor, mask: Tensor) -> Tensor:
        return scores.masked_fill(~mask[:, None], -torch.inf)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.hide(q @ k.mT, mask).softmax(-1) @ v


class Unmasked(Attention):
    def hide(self, scores: Tensor, mask: Tensor) -> Tensor:
        return scores


def test_an_input_of_one_number_is_said(approved: Approved) -> None:
    """A mask that hides nothing shows nothing of masks."""
    x, mask = torch.randn(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)
    said = list_caveats(Unmasked, Attention, (x, mask), "eval")
    approved(said)
    mask[1, 3:] = False
    assert "one number" not in list_caveats(Attention, Attention, (x, mask), "eval")
    several = [(x, torch.ones(2, 5).bool()), (x, mask)]
    assert "one number" not in list_caveats(Attention, Attention, several, "eval")


class Words(nn.Module):
    def __init__(self, padding: int | None = 0, p: float = 0.0, other: float = 0.0) -> None:
        super().__init__()
        self.embed = nn.Embedding(9, 8, padding_idx=padding)
        self.drop, self.out, self.last = nn.Dropout(p), nn.Linear(8, 3), nn.Dropout(other)

    def forward(self, words: Tensor) -> Any:
        return self.last(self.out(self.drop(self.embed(words))))


SETTINGS = [
    ({"padding": None}, {}, "padding_idx of one Embedding is None, in"),
    ({"p": 0.3}, {"p": 0.1}, "p of one Dropout is 0.3, in"),
    ({"p": 0.3, "other": 0.1}, {"p": 0.1, "other": 0.3}, ""),
]


@pytest.mark.parametrize(("mine", "theirs", "said"), SETTINGS)
def test_a_setting_that_these_data_do_not_show_is_said(
    mine: Any, theirs: Any, said: str, approved: Approved
) -> None:
    """Not of layers in another order, which may be the same."""
    words = torch.randint(1, 9, (4, 6), generator=torch.Generator().manual_seed(0))
    found = list_caveats(lambda: Words(**mine), lambda: Words(**theirs), words, "eval")
    assert said in found
    assert bool(said) is ("do not show it" in found)
    if said:
        approved(found)
