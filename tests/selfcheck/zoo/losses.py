"""Losses: of numbers, of classes and of truth values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.selfcheck.zoo.block import ANY, Block
from tests.selfcheck.zoo.dense import OFF


class Squares(Block):
    """The mean of squares."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(
        ("plain", "by_mean", "by_sum", "by_norm", "by_dot", "by_rows", "expanded"), ANY
    )
    costly: ClassVar[tuple[str, ...]] = ("expanded",)
    faults: ClassVar[tuple[str, ...]] = ("halved", "summed", "off", "transposed")

    def plain(self, y: Tensor, t: Tensor) -> Tensor:  # type: ignore[override]
        return F.mse_loss(y, t)

    def by_mean(self, y: Tensor, t: Tensor) -> Tensor:
        return ((y - t) ** 2).mean()

    def by_sum(self, y: Tensor, t: Tensor) -> Tensor:
        return torch.sum(torch.square(t - y)) / y.numel()

    def by_norm(self, y: Tensor, t: Tensor) -> Tensor:
        return torch.linalg.vector_norm(y - t) ** 2 / y.numel()

    def by_dot(self, y: Tensor, t: Tensor) -> Tensor:
        away = (y - t).flatten()
        return away @ away / len(away)

    def by_rows(self, y: Tensor, t: Tensor) -> Tensor:
        return F.mse_loss(y, t, reduction="none").flatten(1).mean(1).mean()

    def expanded(self, y: Tensor, t: Tensor) -> Tensor:
        return (y * y).mean() - 2 * (y * t).mean() + (t * t).mean()

    def halved(self, y: Tensor, t: Tensor) -> Tensor:
        return F.mse_loss(y, t) / 2

    def summed(self, y: Tensor, t: Tensor) -> Tensor:
        return F.mse_loss(y, t, reduction="sum")

    def off(self, y: Tensor, t: Tensor) -> Tensor:
        return F.mse_loss(y, t) * OFF

    def transposed(self, y: Tensor, t: Tensor) -> Tensor:
        return F.mse_loss(y, t.roll(1, 0))


class Absolute(Block):
    """The mean of absolute residuals."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(("plain", "by_abs", "by_norm"), ANY)
    faults: ClassVar[tuple[str, ...]] = ("summed",)

    def plain(self, y: Tensor, t: Tensor) -> Tensor:  # type: ignore[override]
        return F.l1_loss(y, t)

    def by_abs(self, y: Tensor, t: Tensor) -> Tensor:
        return (y - t).abs().mean()

    def by_norm(self, y: Tensor, t: Tensor) -> Tensor:
        return torch.linalg.vector_norm(t - y, 1) / y.numel()

    def summed(self, y: Tensor, t: Tensor) -> Tensor:
        return F.l1_loss(y, t, reduction="sum")


class Huber(Block):
    """Huber's loss, whose delta is 0.7."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(
        ("plain", "by_where", "by_clamp", "by_smooth_l1"), ANY
    )
    costly: ClassVar[tuple[str, ...]] = ("by_clamp",)
    faults: ClassVar[tuple[str, ...]] = ("other_delta", "not_halved")

    def plain(self, y: Tensor, t: Tensor) -> Tensor:  # type: ignore[override]
        return F.huber_loss(y, t, delta=0.7)

    def by_where(self, y: Tensor, t: Tensor) -> Tensor:
        away = abs(y - t)
        return torch.where(away < 0.7, 0.5 * away**2, 0.7 * (away - 0.5 * 0.7)).mean()

    def by_clamp(self, y: Tensor, t: Tensor) -> Tensor:
        away = abs(y - t)
        near = away.clamp(max=0.7)
        return (0.5 * near * near + 0.7 * (away - near)).mean()

    def by_smooth_l1(self, y: Tensor, t: Tensor) -> Tensor:
        return 0.7 * F.smooth_l1_loss(y, t, beta=0.7)

    def other_delta(self, y: Tensor, t: Tensor) -> Tensor:
        return F.huber_loss(y, t, delta=1.0)

    def not_halved(self, y: Tensor, t: Tensor) -> Tensor:
        away = abs(y - t)
        return torch.where(away < 0.7, away**2, 0.7 * (away - 0.5 * 0.7)).mean()


class Gaussian(Block):
    """The negative log likelihood of normal residuals: half of the outputs are log variances."""

    styles: ClassVar[Mapping[str, float]] = {"plain": 20.0, "by_hand": 20.0, "by_division": 20.0}
    faults: ClassVar[tuple[str, ...]] = ("deviation_for_variance",)

    def plain(self, y: Tensor, t: Tensor) -> Tensor:  # type: ignore[override]
        mean, log = y.chunk(2, -1)
        return F.gaussian_nll_loss(mean, t.chunk(2, -1)[0], log.exp(), eps=0.0)

    def by_hand(self, y: Tensor, t: Tensor) -> Tensor:
        mean, log = y.chunk(2, -1)
        return 0.5 * (log + (mean - t.chunk(2, -1)[0]) ** 2 * torch.exp(-log)).mean()

    def by_division(self, y: Tensor, t: Tensor) -> Tensor:
        mean, log = y.chunk(2, -1)
        each = torch.square(t.chunk(2, -1)[0] - mean) / torch.exp(log) + log
        return each.mean() / 2

    def deviation_for_variance(self, y: Tensor, t: Tensor) -> Tensor:
        mean, log = y.chunk(2, -1)
        return F.gaussian_nll_loss(mean, t.chunk(2, -1)[0], (2 * log).exp(), eps=0.0)


class Classes(Block):
    """Cross entropy of classes by number; one target in a batch may be ignored (-100)."""

    styles: ClassVar[Mapping[str, float]] = {
        "plain": ANY,
        "by_nll": ANY,
        "by_gather": ANY,
        "by_logsumexp": ANY,
        "by_one_hot": ANY,
        "by_rows": ANY,
        "by_shift": ANY,
        "by_softmax": 5.0,
    }
    costly: ClassVar[tuple[str, ...]] = ("by_softmax", "by_logsumexp")
    faults: ClassVar[tuple[str, ...]] = (
        "softmax_twice",
        "over_the_rows",
        "summed",
        "smoothed",
        "next_class",
        "ignored_counted",
    )

    def __init__(self, ignores: bool) -> None:
        super().__init__()
        self.ignores = ignores

    def list_faults(self) -> tuple[str, ...]:
        return self.faults if self.ignores else self.faults[:-1]

    def flatten(self, y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        return y.reshape(-1, y.shape[-1]), t.reshape(-1)

    def plain(self, y: Tensor, t: Tensor) -> Tensor:  # type: ignore[override]
        return F.cross_entropy(*self.flatten(y, t))

    def by_nll(self, y: Tensor, t: Tensor) -> Tensor:
        y, t = self.flatten(y, t)
        return F.nll_loss(F.log_softmax(y, 1), t)

    def by_gather(self, y: Tensor, t: Tensor) -> Tensor:
        y, t = self.flatten(y, t)
        kept = t >= 0
        chosen = torch.log_softmax(y[kept], -1).gather(1, t[kept][:, None])
        return -chosen.mean()

    def by_logsumexp(self, y: Tensor, t: Tensor) -> Tensor:
        y, t = self.flatten(y, t)
        y, t = y[t >= 0], t[t >= 0]
        return (torch.logsumexp(y, 1) - y[torch.arange(len(y)), t]).mean()

    def by_one_hot(self, y: Tensor, t: Tensor) -> Tensor:
        y, t = self.flatten(y, t)
        y, t = y[t >= 0], t[t >= 0]
        hot = F.one_hot(t, y.shape[1]).to(y.dtype)
        return -(hot * y.log_softmax(1)).sum() / len(t)

    def by_rows(self, y: Tensor, t: Tensor) -> Tensor:
        y, t = self.flatten(y, t)
        each = F.cross_entropy(y, t, reduction="none")
        return each.sum() / (t >= 0).sum()

    def by_shift(self, y: Tensor, t: Tensor) -> Tensor:
        y, t = self.flatten(y, t)
        y, t = y[t >= 0], t[t >= 0]
        moved = y - y.max(1, keepdim=True).values.detach()
        chosen = moved.gather(1, t.view(-1, 1)).squeeze(1)
        return (moved.exp().sum(1).log() - chosen).mean()

    def by_softmax(self, y: Tensor, t: Tensor) -> Tensor:
        y, t = self.flatten(y, t)
        y, t = y[t >= 0], t[t >= 0]
        shares = torch.softmax(y, 1)
        return -torch.log(shares[torch.arange(len(t)), t]).mean()

    def softmax_twice(self, y: Tensor, t: Tensor) -> Tensor:
        y, t = self.flatten(y, t)
        return F.cross_entropy(y.softmax(1), t)

    def over_the_rows(self, y: Tensor, t: Tensor) -> Tensor:
        y, t = self.flatten(y, t)
        return F.nll_loss(F.log_softmax(y, 0), t)

    def summed(self, y: Tensor, t: Tensor) -> Tensor:
        return F.cross_entropy(*self.flatten(y, t), reduction="sum")

    def smoothed(self, y: Tensor, t: Tensor) -> Tensor:
        return F.cross_entropy(*self.flatten(y, t), label_smoothing=1e-6)

    def next_class(self, y: Tensor, t: Tensor) -> Tensor:
        y, t = self.flatten(y, t)
        return F.cross_entropy(y, torch.where(t >= 0, (t + 1) % y.shape[1], t))

    def ignored_counted(self, y: Tensor, t: Tensor) -> Tensor:
        y, t = self.flatten(y, t)
        return F.cross_entropy(y, t, reduction="none").mean()


class Truths(Block):
    """Binary cross entropy with logits."""

    styles: ClassVar[Mapping[str, float]] = {
        "plain": ANY,
        "by_softplus": 20.0,
        "by_logsigmoid": ANY,
        "by_hand": ANY,
        "by_probabilities": 5.0,
    }
    costly: ClassVar[tuple[str, ...]] = ("by_probabilities",)
    faults: ClassVar[tuple[str, ...]] = ("sigmoid_twice", "summed", "off")

    def plain(self, y: Tensor, t: Tensor) -> Tensor:  # type: ignore[override]
        return F.binary_cross_entropy_with_logits(y, t)

    def by_softplus(self, y: Tensor, t: Tensor) -> Tensor:
        return (F.softplus(y) - t * y).mean()

    def by_logsigmoid(self, y: Tensor, t: Tensor) -> Tensor:
        return -(t * F.logsigmoid(y) + (1 - t) * F.logsigmoid(-y)).mean()

    def by_hand(self, y: Tensor, t: Tensor) -> Tensor:
        return (y.clamp(min=0) - y * t + torch.log1p(torch.exp(-y.abs()))).mean()

    def by_probabilities(self, y: Tensor, t: Tensor) -> Tensor:
        return F.binary_cross_entropy(torch.sigmoid(y), t)

    def sigmoid_twice(self, y: Tensor, t: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(y.sigmoid(), t)

    def summed(self, y: Tensor, t: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(y, t, reduction="sum")

    def off(self, y: Tensor, t: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(y * OFF, t)


class Shares(Block):
    """Divergence from targets that are shares, by torch's kl_div."""

    styles: ClassVar[Mapping[str, float]] = dict.fromkeys(("plain", "by_hand", "by_entropy"), ANY)
    costly: ClassVar[tuple[str, ...]] = ("by_entropy",)
    faults: ClassVar[tuple[str, ...]] = ("over_all", "other_way")

    def plain(self, y: Tensor, t: Tensor) -> Tensor:  # type: ignore[override]
        return F.kl_div(F.log_softmax(y, -1), t, reduction="batchmean")

    def by_hand(self, y: Tensor, t: Tensor) -> Tensor:
        return (t * (t.log() - torch.log_softmax(y, -1))).sum() / len(y)

    def by_entropy(self, y: Tensor, t: Tensor) -> Tensor:
        crossed = -(t * y.log_softmax(-1)).flatten(1).sum(1).mean()
        return crossed + torch.xlogy(t, t).sum() / len(t)

    def over_all(self, y: Tensor, t: Tensor) -> Tensor:
        return F.kl_div(F.log_softmax(y, -1), t, reduction="sum")

    def other_way(self, y: Tensor, t: Tensor) -> Tensor:
        return F.kl_div(t.log(), y.softmax(-1), reduction="batchmean")
