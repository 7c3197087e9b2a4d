"""Scripts of classifiers: a model that returns one number for each row, and labels as targets."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness import Case, Loss, Subject
from reference import Network, numpy_net, probes
from tests.selfcheck.alone import ended, scripts


class Flat(nn.Module):
    """Returns (n,), and counts its bias twice."""

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(3, 2), nn.Linear(2, outputs)

    def forward(self, x: Tensor) -> Tensor:
        z = self.out(torch.tanh(self.hidden(x) + self.hidden.bias))
        return z.squeeze(-1) if z.shape[-1] == 1 else z


def four() -> Flat:
    """Four classes."""
    return Flat(4)


def own_cross_entropy(o: Tensor, t: Tensor) -> Tensor:
    """Of labels."""
    return nn.functional.cross_entropy(o, t)


def own_bce(o: Tensor, t: Tensor) -> Tensor:
    """Of numbers, one for each row."""
    assert o.ndim == t.ndim == 1
    return nn.functional.binary_cross_entropy_with_logits(o, t)


LABELS = Loss("mean", error="softmax", from_logits=True, targets="labels")
BCE = Loss("mean", error="bce", from_logits=True)


@pytest.mark.parametrize(
    ("build", "outputs", "own", "loss"),
    [
        (Flat, 1, own_bce, BCE),
        (Flat, 1, None, BCE),
        (four, 4, own_cross_entropy, LABELS),
    ],
    ids=["one number", "one number, no loss of its own", "labels"],
)
def test_a_script_fails_as_the_trial_did(
    build: Any, outputs: int, own: Any, loss: Loss, tmp_path: Path
) -> None:
    """Outputs, loss and gradient, with nothing but torch and NumPy."""
    subject = Subject(build, "Net", loss=own)
    made = probes(seed=0, draws=3, kinds=["random"], loss=loss)
    case = Case(
        "flat",
        Network(3, 2, outputs),
        [subject],
        [numpy_net],
        made,
        checks=["forward", "loss", "gradient"],
        dtypes=["float64"],
    )
    paths = scripts(case, tmp_path)
    assert len(paths) == 3
    for name, path in paths.items():
        assert path is not None, name
    found = ended([path for path in paths.values() if path])
    assert [code for code, _ in found] == [1, 1, 1], found
