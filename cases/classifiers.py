"""Classifiers with one hidden layer, as their authors write them in PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

INPUTS, HIDDEN, CLASSES = 3, 4, 3


class Logits(nn.Module):
    """Returns the scores of the classes, for a loss of logits."""

    def __init__(self, outputs: int = CLASSES) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(INPUTS, HIDDEN), nn.Linear(HIDDEN, outputs)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.output(torch.sigmoid(self.hidden(x)))
        return result


class Probabilities(Logits):
    """Returns the probabilities of the classes, as R's nnet(softmax = TRUE) does."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).softmax(-1)


class Sigmoids(Logits):
    """Returns a probability for each output, as R's nnet(entropy = TRUE) does."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(super().forward(x))


class SoftmaxTwice(Probabilities):
    """A mistake: its loss takes the probabilities for scores, and applies softmax again."""


class SoftmaxOverRows(Logits):
    """A mistake: each column adds up to 1, not each row."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).softmax(0)


class TwoHeads(nn.Module):
    """A yes or no beside three classes, from the same hidden units."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(INPUTS, HIDDEN)
        self.decision, self.kind = nn.Linear(HIDDEN, 1), nn.Linear(HIDDEN, CLASSES)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.sigmoid(self.hidden(x))
        return self.decision(h), self.kind(h)


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """PyTorch's loss of scores, added up over the rows as nnet's is."""
    return functional.cross_entropy(outputs, targets, reduction="sum")


def of_two_heads(outputs: list[Tensor], targets: list[Tensor]) -> Tensor:
    """The means of both heads' losses, the second one at half its weight."""
    decision = functional.binary_cross_entropy_with_logits(outputs[0], targets[0])
    return decision + 0.5 * functional.cross_entropy(outputs[1], targets[1])
