"""Usual mistakes are named as likely causes: in attention, in residuals, in gates."""

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.core.finding import HintKind
from harness.core.verdict import Status
from harness.locating.alike import are_equal, find_factor, find_scales
from harness.locating.causes import count_axes
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


def fold(*arrays: Tensor) -> list[Tensor]:
    """Return arrays with one axis for rows and heads."""
    return [each.flatten(0, 1) for each in arrays]


def test_a_right_factor_after_a_wrong_one_is_not_named() -> None:
    """Both multiply the scores by 3; one has not scaled them before."""

    class Right(ByHand):
        def score(self, q: Tensor, k: Tensor) -> Tensor:
            scores = torch.baddbmm(q.new_zeros(5, 5), *fold(q, k.mT), beta=0, alpha=0.5)
            return 3 * scores.unflatten(0, (-1, 2))

    class Wrong(ByHand):
        def score(self, q: Tensor, k: Tensor) -> Tensor:
            return 3 * (q @ k.mT)

    class Twice(ByHand):
        def score(self, q: Tensor, k: Tensor) -> Tensor:
            return (q / 2) @ k.mT * 1.5 * 2

    assert ask(Wrong, Right).finding.first_operations[0].operation == "bmm"
    assert ask(Right, Twice).status is Status.PASS


MASKS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "masked_fill(-inf)": lambda scores, mask: scores.masked_fill(mask, -torch.inf),
    "masked_fill(-1e9)": lambda scores, mask: scores.masked_fill(mask, -1e9),
    "add": lambda scores, mask: scores + torch.zeros_like(scores).masked_fill(mask, -torch.inf),
}


class Causal(ByHand):
    """Masks the scores of later tokens."""

    mask = staticmethod(MASKS["masked_fill(-inf)"])

    def scale(self, scores: Tensor) -> Tensor:
        return scores / 2

    def score(self, q: Tensor, k: Tensor) -> Tensor:
        later = torch.ones(5, 5, dtype=torch.bool).triu(1)
        return self.mask(self.scale(q @ k.mT), later)


@pytest.mark.parametrize("mask", MASKS)
def test_a_scale_left_out_before_a_mask_is_named(mask: str) -> None:
    """Masked scores are no transpose of each other, though those that are left may seem so; a mask
    of 1e9 is no reason to overlook the rest.
    """

    class Right(Causal):
        pass

    class Forgotten(Right):
        def scale(self, scores: Tensor) -> Tensor:
            return scores

    Right.mask = staticmethod(MASKS[mask])
    finding = ask(Forgotten, Right).finding
    assert [hint.cause for hint in finding.hints if hint.kind is HintKind.LIKELY] == [
        f"Right computes div before {'add' if mask == 'add' else 'masked_fill'}, the model does not"
    ]
    assert (finding.first_operations[0].operation, finding.first_operations[0].owner) == (
        "div",
        "Right",
    )


def test_masked_inputs_are_compared_as_multiples(approved: Approved) -> None:
    """The scale is missing, and the mask is another operation: the scores tell the factor."""

    class Forgotten(Causal):
        mask = staticmethod(MASKS["add"])

        def scale(self, scores: Tensor) -> Tensor:
            return scores

    (cause,) = [
        hint.cause for hint in ask(Forgotten, Causal).finding.hints if hint.kind is HintKind.LIKELY
    ]
    approved(cause)


class Gate(nn.Module):
    """Two steps of a state that is mixed with what is new."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.new, self.out = nn.Linear(6, 3), nn.Linear(6, 3), nn.Linear(3, 2)

    def mix(self, z: Tensor, new: Tensor, old: Tensor) -> Tensor:
        return (1 - z) * new + z * old

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), 3)
        for step in range(2):
            joined = torch.cat([x[:, step], state], -1)
            z, new = torch.sigmoid(self.gate(joined)), torch.tanh(self.new(joined))
            state = self.mix(z, new, state)
        return self.out(state)


Mix = Callable[[Tensor, Tensor, Tensor], Tensor]
MIXTURES: dict[str, Mix] = {
    "products": lambda z, new, old: (1 - z) * new + z * old,
    "difference": lambda z, new, old: new + z * (old - new),
    "lerp": lambda z, new, old: torch.lerp(new, old, z),
}


@pytest.mark.parametrize(("right", "wrong"), list(product(MIXTURES, MIXTURES)))
def test_exchanged_weights_of_a_gate_are_named(right: str, wrong: str, approved: Approved) -> None:
    """In each form of the mixture; -1 is no factor that explains the difference."""

    class Right(Gate):
        def mix(self, z: Tensor, new: Tensor, old: Tensor) -> Tensor:
            return MIXTURES[right](z, new, old)

    class Wrong(Gate):
        def mix(self, z: Tensor, new: Tensor, old: Tensor) -> Tensor:
            return MIXTURES[wrong](z, old, new)

    case = same(Wrong, Right, data=(4, 2, 3), dtypes=["float64"], modes=["eval"], draws=0)
    finding = judge(case)["float64 same-function-eval"].finding
    (cause,) = [hint.cause for hint in finding.hints if hint.kind is HintKind.LIKELY]
    approved(cause)


class Residual(nn.Module):
    """A residual around an activation, and a norm of the same layer or another."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.norm, self.out = nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 2)

    def join(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.norm(self.join(x, torch.tanh(self.inner(x)))))


class Dropped(Residual):
    def join(self, x: Tensor, y: Tensor) -> Tensor:
        return y


def test_a_residual_that_is_not_added_is_named(approved: Approved) -> None:
    """By the reference's line, and not by the norm that reads another sum."""
    case = same(Dropped, Residual, data=(4, 6), dtypes=["float64"], modes=["eval"], draws=1)
    approved(judge(case)["float64 same-function-eval"].why, mask_figures=True)


def test_what_is_moved_is_not_skipped() -> None:
    """The norm of `NormAfter` stands elsewhere."""
    assert not ask(NormAfter, ByHand).finding.first_operations[0].owner


def test_infinities_are_equal_to_themselves_alone() -> None:
    """Neither to a finite number nor to the other infinity; nor have they a factor."""
    one = torch.tensor([1.0, 2.0, 4.0, -torch.inf])
    assert are_equal(one, one.clone())
    assert not are_equal(one, one.flip(0))
    assert not are_equal(one, torch.tensor([1.0, 2.0, 4.0, torch.inf]))
    assert find_factor(3 * one, one) == 3
    assert find_factor(3 * one, torch.tensor([1.0, 2.0, 4.0, torch.inf])) is None


def test_a_mask_is_no_scale() -> None:
    """The numbers beside a mask of 1e9 are judged by their own size."""
    masked = torch.tensor([1.0, 2.0, -1e9, -1e9])
    assert find_scales(masked).tolist() == [2.0, 2.0, 1e9, 1e9]
    assert find_scales(torch.tensor([1.0, 2.0, -1e9, 2e9])).tolist() == 2e9


class TwoResiduals(Residual):
    """The norm before the second branch reads what the next residual adds to."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.join(x, torch.tanh(self.inner(x)))
        return self.out(x + self.norm(x))


class FirstDropped(TwoResiduals):
    def join(self, x: Tensor, y: Tensor) -> Tensor:
        return y


def test_a_residual_whose_sum_is_read_twice_is_named(approved: Approved) -> None:
    """As in a transformer's block: the answers agree once both readers get the sum."""
    case = same(FirstDropped, TwoResiduals, data=(5, 6), dtypes=["float64"], modes=["eval"])
    approved(judge(case)["float64 same-function-eval"].why, mask_figures=True)
