"""Whether a failure can be had on its own depends on the reference that it is a failure against."""

from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor, nn

from harness import Case, Status
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, Prototype, numpy_net, probes


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


def test_a_failure_against_one_says_nothing_of_another(tmp_path: Path) -> None:
    """Both are outside their bounds and agree, of which there is no script; against NumPy there is
    one, of a name of its own.
    """
    references = [Prototype("mine", without_bias), numpy_net]
    case = Case(
        "sine",
        Network(1, 4, 1, "tanh"),
        [NoBias],
        references,
        probes(seed=0, draws=3),
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
    assert first.finding.no_script.startswith("it does not fail on its own")
    assert (second.finding.script, second.finding.no_script) == (second.alone, "")
    assert [str(path) for path in tmp_path.iterdir()] == [second.alone]
    assert second.alone.endswith("sine-NoBias-cpu-float64-forward-numpy_net.py")
