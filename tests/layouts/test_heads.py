"""Queries, keys and values in one matrix: layouts are found; mistakes in heads fail."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.core.verdict import Status
from tests.conftest import Approved
from tests.layouts.support import expect_found, find, judge_eval, read_advice

WIDTH, HEADS = 8, 2
DATA = (2, 5, WIDTH)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention of (rows, heads, places, numbers), with all heads side by side in the result."""
    scores = q @ k.mT / q.shape[-1] ** 0.5
    return (torch.softmax(scores, -1) @ v).transpose(1, 2).flatten(2)


def split(x: Tensor, heads: int = HEADS) -> Tensor:
    """The heads of (rows, places, all heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


class Apart(nn.Module):
    """A matrix each."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.out_proj = nn.Linear(WIDTH, WIDTH)

    def split(self, x: Tensor) -> Tensor:
        return split(x)

    def forward(self, x: Tensor) -> Any:
        layers = self.q_proj, self.k_proj, self.v_proj
        return self.out_proj(attend(*(self.split(layer(x)) for layer in layers)))


class Joined(nn.Module):
    """All queries, then all keys, then all values."""

    def __init__(self) -> None:
        super().__init__()
        self.in_proj, self.o = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Any:
        return self.o(attend(*map(split, self.in_proj(x).chunk(3, -1))))


class Interleaved(nn.Module):
    """Queries, keys and values of each head together, as in GPT-NeoX."""

    heads = HEADS

    def __init__(self) -> None:
        super().__init__()
        self.query_key_value = nn.Linear(WIDTH, 3 * WIDTH)
        self.dense = nn.Linear(WIDTH, WIDTH)

    def read(self, x: Tensor) -> Any:
        fused = self.query_key_value(x).unflatten(-1, (self.heads, -1))
        return fused.transpose(1, 2).chunk(3, -1)

    def forward(self, x: Tensor) -> Any:
        return self.dense(attend(*self.read(x)))


class Torchs(nn.Module):
    """torch's own layer."""

    def __init__(self) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def forward(self, x: Tensor) -> Any:
        return self.attn(x, x, x, need_weights=False)[0]


class Conv1d(nn.Module):
    """Weights as (inputs, outputs), as in GPT-2."""

    def __init__(self) -> None:
        super().__init__()
        shapes = {"attn_w": (WIDTH, 3 * WIDTH), "attn_b": (3 * WIDTH,)}
        shapes |= {"proj_w": (WIDTH, WIDTH), "proj_b": (WIDTH,)}
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.randn(shape) * 0.3))

    def forward(self, x: Tensor) -> Any:
        fused = x @ self.attn_w + self.attn_b
        return attend(*map(split, fused.chunk(3, -1))) @ self.proj_w + self.proj_b


class ApartBlock(nn.Module):
    """Attention between norms and layers of like shapes."""

    attention: Any = Apart

    def __init__(self) -> None:
        super().__init__()
        self.ln1, self.a, self.ln2 = nn.LayerNorm(WIDTH), self.attention(), nn.LayerNorm(WIDTH)
        self.fc1, self.fc2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Any:
        x = x + self.a(self.ln1(x))
        return x + self.fc2(torch.relu(self.fc1(self.ln2(x))))


class InterleavedBlock(ApartBlock):
    attention = Interleaved


KINDS = (Apart, Joined, Interleaved, Torchs, Conv1d)
PORTS = [(one, other) for one in KINDS for other in KINDS if one is not other]
PORTS += [(ApartBlock, InterleavedBlock), (InterleavedBlock, ApartBlock)]


@pytest.mark.parametrize(("model", "reference"), PORTS)
def test_every_layout_is_found_from_every_other(model: Any, reference: Any) -> None:
    """Joined, cut, transposed, and head by head."""
    expect_found(model, reference, DATA)


def test_the_layout_is_said_in_words() -> None:
    """With the number of heads, and whose it is."""
    said = "stores q, k and v of each of 2 heads together in query_key_value.weight"
    assert f"Theirs {said}" in expect_found(Joined, Interleaved, DATA)
    assert f"Mine {said}" in expect_found(Interleaved, Apart, DATA)


class MoreHeads(Interleaved):
    """A mistake: four heads in place of two."""

    heads = 4


class ApartMoreHeads(Apart):
    """The same mistake."""

    def split(self, x: Tensor) -> Tensor:
        return split(x, 4)


class NumbersFirst(Apart):
    """A mistake: the axis of heads is the inner one."""

    def split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, HEADS)).permute(0, 3, 1, 2)


class KeysFirst(Interleaved):
    """A mistake: keys are taken for queries."""

    def read(self, x: Tensor) -> Any:
        k, q, v = super().read(x)
        return q, k, v


class NotByHead(Interleaved):
    """A mistake: read as if all queries stood first."""

    def read(self, x: Tensor) -> Any:
        return tuple(map(split, self.query_key_value(x).chunk(3, -1)))


class JoinedKeysFirst(Joined):
    """A mistake: keys are taken for queries."""

    def forward(self, x: Tensor) -> Any:
        k, q, v = map(split, self.in_proj(x).chunk(3, -1))
        return self.o(attend(q, k, v))


WRONG = [
    (MoreHeads, Interleaved),
    (ApartMoreHeads, Interleaved),
    (NumbersFirst, Apart),
    (NumbersFirst, Interleaved),
    (KeysFirst, Interleaved),
    (KeysFirst, Joined),
    (JoinedKeysFirst, Interleaved),
]
NAMED = {
    (NotByHead, Interleaved): "Interleaved stores q, k and v of each of 2 heads together",
    (Interleaved, NotByHead): "stores q, k and v of each of 2 heads together",
    (KeysFirst, Apart): "cat(k_proj.weight, q_proj.weight, v_proj.weight)",
    (JoinedKeysFirst, Joined): "q, k, v of attention) are taken in the order 2, 1, 3",
    (JoinedKeysFirst, Torchs): "q, k, v of attention) are taken in the order 2, 1, 3",
    (JoinedKeysFirst, Apart): "cat(k_proj.weight, q_proj.weight, v_proj.weight)",
}


@pytest.mark.parametrize(("model", "reference"), WRONG)
def test_wrong_heads_fail(model: Any, reference: Any) -> None:
    """No layout of another number of heads excuses them."""
    assert judge_eval(model, reference, DATA).status is Status.FAIL


@pytest.mark.parametrize("pair", NAMED)
def test_a_layout_against_names_fails_and_is_named(pair: Any) -> None:
    """The line that would excuse it is given, and does."""
    found = judge_eval(*pair, DATA)
    assert found.status is Status.FAIL
    assert NAMED[pair] in found.why
    assert judge_eval(*pair, DATA, read_advice(found.why)).status is Status.PASS


def test_the_sentences_on_heads(approved: Approved) -> None:
    """Found and assumed, or found and refused."""
    assumed = find(Interleaved, Apart, DATA)
    refused = find(NotByHead, Interleaved, DATA), find(KeysFirst, Apart, DATA)
    approved([assumed.remark, *(each.against_names for each in refused)], mask_figures=False)


class ByNumber(Interleaved):
    """Queries, keys and values of each number together."""

    def read(self, x: Tensor) -> Any:
        fused = self.query_key_value(x).unflatten(-1, (HEADS, -1, 3))
        return fused.transpose(1, 2).unbind(-1)


def test_numbers_of_a_head_may_be_together(approved: Approved) -> None:
    """As in einops' "(h d qkv)"; then the number of heads does not matter."""
    approved(find(Joined, ByNumber, DATA).remark, mask_figures=False)
