"""Whether a failure can be had on its own depends on the reference that it is a failure against."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness import Case, Computed, Status
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, NumpyNet, numpy_net, probes
from tests.conftest import Approved


class NoBias(nn.Module):
    """It has left out a bias, as its prototype has."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(1, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Not as the network."""
        out: Tensor = self.out((x @ self.hidden.weight.T).tanh())
        return out


def without_bias(blocks: dict[str, Any], x: Any) -> Any:
    """The outputs of the prototype, which are those of NoBias."""
    return np.tanh(x @ blocks["W1"].T) @ blocks["W2"].T + blocks["b_w"]


def test_a_failure_against_one_says_nothing_of_another(tmp_path: Path, approved: Approved) -> None:
    """Both are outside their bounds and agree, of which there is no script; against NumPy there is
    one, of a name of its own.
    """
    references = [Computed(without_bias, "mine", dtype="float64"), numpy_net]
    case = Case(
        "sine",
        Network(1, 4, 1, "tanh"),
        [NoBias],
        references,
        probes(seed=0, draws=3, kinds=["random"]),
        checks=["forward"],
        dtypes=["float64"],
    )
    cache = Cache(case)
    first, second = (run(trial, cache, folder=tmp_path) for trial in case.trials())
    assert first.finding
    assert second.finding
    assert (first.status, second.status) == (Status.FAIL, Status.FAIL)
    assert first.finding.blamed == ("subject", "reference")
    assert (first.alone, first.finding.script) == ("", "")
    approved(first.finding.no_script)
    assert (second.finding.script, second.finding.no_script) == (second.alone, "")
    assert [str(path) for path in tmp_path.iterdir()] == [second.alone]
    assert second.alone.endswith("sine-cpu-float64-forward.py")


class WrongBeyond15(nn.Module):
    """Its logistic is off by a thousandth where R's nnet has exactly 0 or 1."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(1, 4), nn.Linear(4, 1)

    def forward(self, x: Tensor) -> Tensor:
        z = self.hidden(x)
        return self.out(torch.sigmoid(z) + 1e-3 * (z.abs() > 15))


def test_a_script_says_what_contracts_declare(tmp_path: Path, approved: Approved) -> None:
    """The reference's logistic is clipped, and the model's is not."""
    case = Case(
        "sine",
        Network(1, 4, 1, "logistic"),
        [WrongBeyond15],
        [NumpyNet(logistic_clip=15.0)],
        probes(seed=0, draws=3, kinds=["saturated"]),
        checks=["forward"],
        dtypes=["float64"],
    )
    cache = Cache(case)
    (found,) = (run(trial, cache, folder=tmp_path) for trial in case.trials())
    lines = Path(found.alone).read_text().splitlines()
    approved([line for line in lines if line.startswith("# What they may differ by")])
