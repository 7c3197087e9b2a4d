"""The usual mistakes of attention are named as likely causes."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.core.verdict import Status
from harness.locating.causes import count_axes, find_factor
from harness.same.case import same
from tests.conftest import Approved
from tests.same.models import judge

PARAMETERS = {
    "qkv.weight": "attention.in_proj_weight",
    "qkv.bias": "attention.in_proj_bias",
    "out.weight": "attention.out_proj.weight",
    "out.bias": "attention.out_proj.bias",
}


class Layer(nn.Module):
    """torch's attention behind a norm, beside a residual."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        return x + self.attention(y, y, y, need_weights=False)[0]


class ByHand(nn.Module):
    """The same in single steps."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out, self.norm = nn.Linear(8, 24), nn.Linear(8, 8), nn.LayerNorm(8)

    def score(self, q: Tensor, k: Tensor) -> Tensor:
        return q @ k.mT / 2

    def share(self, scores: Tensor) -> Tensor:
        return scores.softmax(-1)

    def attend(self, x: Tensor) -> Tensor:
        parts = self.qkv(x).chunk(3, -1)
        q, k, v = (each.unflatten(-1, (2, 4)).transpose(1, 2) for each in parts)
        return self.out((self.share(self.score(q, k)) @ v).transpose(1, 2).flatten(2))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.attend(self.norm(x))


class NotScaled(ByHand):
    def score(self, q: Tensor, k: Tensor) -> Tensor:
        return q @ k.mT


class Transposed(ByHand):
    def score(self, q: Tensor, k: Tensor) -> Tensor:
        return k @ q.mT / 2


class OverQueries(ByHand):
    def share(self, scores: Tensor) -> Tensor:
        return scores.softmax(-2)


class NormAfter(ByHand):
    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x + self.attend(x))


class Halved(ByHand):
    def attend(self, x: Tensor) -> Tensor:
        return super().attend(x) / 2


class Negative(ByHand):
    def attend(self, x: Tensor) -> Tensor:
        return -super().attend(x)


def ask(model: Any, reference: Any) -> Any:
    case = same(
        model,
        reference,
        data=(3, 5, 8),
        parameters=PARAMETERS if reference is Layer else None,
        dtypes=["float64"],
        modes=["eval"],
        draws=1,
    )
    return judge(case)["float64 same-function-eval"]


def test_attention_in_single_steps_is_the_same() -> None:
    """So that what is wrong below is nothing but the mistake."""
    assert ask(ByHand, Layer).status is Status.PASS


@pytest.mark.parametrize("model", [NotScaled, Transposed, OverQueries, NormAfter, Halved, Negative])
def test_a_usual_mistake_is_named(model: Any, approved: Approved) -> None:
    """Against torch's own attention, whose steps have other names and another order."""
    verdict = ask(model, Layer)
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def test_a_norm_before_instead_of_after(approved: Approved) -> None:
    """What the norm reads goes elsewhere in the reference."""
    approved(ask(ByHand, NormAfter).why, mask_figures=True)


def test_another_mistake_has_no_such_cause() -> None:
    """Numbers that are moved by something else are no multiple, no transpose and no other axis."""

    class Moved(ByHand):
        def share(self, scores: Tensor) -> Tensor:
            return torch.softmax(scores + 1e-3 * scores.detach() ** 2, -1)

    why = ask(Moved, Layer).why
    assert "first operation that differs" in why
    assert "likely:" not in why


def test_equal_numbers_tell_no_factor() -> None:
    """An array of ones is a multiple of every array of equal numbers, which explains nothing."""
    ones = torch.ones(2, 2)
    assert find_factor(2 * ones, ones) is None
    assert find_factor(torch.arange(4.0) * 2, torch.arange(4.0)) == 2


def test_one_axis_written_in_two_ways_is_no_difference() -> None:
    """From the end or from the front, alone or in a list."""
    assert count_axes(-1, 3) == count_axes(2, 3) == 2
    assert count_axes([-1, 0], 3) == [2, 0]


SCORES = {
    "q @ k.mT / 12**0.5": "div",
    "0.3 * (q @ k.mT)": "mul",
    "q @ k.mT / torch.tensor(3.0)": "div",
    "(q @ k.mT).mul(0.7).mul(0.7)": "mul",
    "(q / 3) @ k.mT": "div",
    "q @ k.mT": "bmm",
}


@pytest.mark.parametrize("score", SCORES)
def test_the_line_of_a_wrong_scale_is_named(score: str) -> None:
    """The product before it is right: torch's attention scales before it multiplies."""

    class Wrong(ByHand):
        def score(self, q: Tensor, k: Tensor) -> Tensor:
            return eval(score)  # type: ignore[no-any-return]

    finding = ask(Wrong, Layer).finding
    assert finding.first_operations[0].operation == SCORES[score]


def test_a_right_factor_after_a_wrong_one_is_not_named() -> None:
    """Both multiply the scores by 3; one has not scaled them before."""

    class Right(ByHand):
        def score(self, q: Tensor, k: Tensor) -> Tensor:
            return 3 * ((q / 2) @ k.mT)

    class Wrong(ByHand):
        def score(self, q: Tensor, k: Tensor) -> Tensor:
            return 3 * (q @ k.mT)

    class Twice(ByHand):
        def score(self, q: Tensor, k: Tensor) -> Tensor:
            return (q / 2) @ k.mT * 1.5 * 2

    assert ask(Wrong, Right).finding.first_operations[0].operation == "bmm"
    assert ask(Right, Twice).status is Status.PASS
