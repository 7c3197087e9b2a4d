"""Mistakes of classifiers that show only where probabilities are tiny, and losses that are lost
there.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness import Case, Loss, Status, Subject
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, numpy_net, probes

Ends = Callable[[Tensor], Tensor]


class Classes(nn.Module):
    """A model with one hidden layer, whose outputs are a function of its logits."""

    def __init__(self, outputs: int, ends: Ends) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(4, 5), nn.Linear(5, outputs)
        self.ends = ends

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs."""
        return self.ends(self.out(torch.sigmoid(self.hidden(x))))


def find_statuses(output: str, subject: Subject, loss: Loss, seed: int = 0) -> set[Status]:
    """Return the statuses of a subject's trials."""
    network = Network(4, 5, 1 if output == "logistic" else 3, "logistic", output)
    case = Case("c", network, [subject], [numpy_net], probes(seed, draws=6, loss=loss))
    cache = Cache(case)
    return {run(trial, cache).status for trial in case.trials()}


WRONG: dict[str, Ends] = {
    "probabilities of at least 1e-30": lambda z: z.softmax(-1).clamp(min=1e-30),
    "logits from -50 to 50": lambda z: z.clamp(-50, 50).softmax(-1),
    "logits from -80 to 80": lambda z: z.clamp(-80, 80).softmax(-1),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_limit_far_from_common_logits_is_seen(name: str) -> None:
    """Probes of probabilities reach logits beyond the range of exp, though their loss is infinite
    there.
    """
    subject = Subject(lambda: Classes(3, WRONG[name]), name)
    assert Status.FAIL in find_statuses("softmax", subject, Loss(error="softmax"))


def cross_entropy(p: Tensor, t: Tensor) -> Tensor:
    """Return the binary cross-entropy by its formula, which is no number if 1 - p rounds to 0."""
    return -(t * p.log() + (1 - t) * (1 - p).log()).sum()


def test_a_product_of_0_and_infinity_is_left_out_of_an_unfused_loss() -> None:
    """The formula of the binary cross-entropy is not judged where a probability rounds to 1."""
    subject = Subject(
        lambda: Classes(1, torch.sigmoid), "Formula", loss=cross_entropy, unfused_loss=True
    )
    assert find_statuses("logistic", subject, Loss(error="bce")) == {Status.PASS}


def test_a_wrong_unfused_loss_fails() -> None:
    """A small number under its logarithms is seen where no probability rounds to 1."""

    def shifted(p: Tensor, t: Tensor) -> Tensor:
        return -(t * (p + 1e-7).log() + (1 - t) * (1 - p + 1e-7).log()).sum()

    subject = Subject(lambda: Classes(1, torch.sigmoid), "Shifted", loss=shifted, unfused_loss=True)
    assert Status.FAIL in find_statuses("logistic", subject, Loss(error="bce"))


def test_a_loss_that_is_wrong_only_far_away_is_not_said_to_be_another() -> None:
    """Numbers of classes as targets would not mend a limit on logits."""

    def limited(z: Tensor, t: Tensor) -> Tensor:
        return nn.functional.cross_entropy(z.clamp(-100, 100), t, reduction="sum")

    subject = Subject(lambda: Classes(3, lambda z: z), "Limited", loss=limited)
    loss = Loss(error="softmax", from_logits=True)
    case = Case(
        "c",
        Network(4, 5, 3, "logistic"),
        [subject],
        [numpy_net],
        probes(0, loss=loss),
        checks=["loss"],
        dtypes=["float64"],
    )
    (verdict,) = [run(trial, Cache(case)) for trial in case.trials()]
    assert verdict.status is Status.FAIL
    assert "the case has the model's loss" not in verdict.why
