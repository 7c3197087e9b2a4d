"""Wrong ports as people make them: each fails, with exit code 1, and says what went wrong."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import Case, Loss, Status, Subject, Verdict
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, OnData, numpy_net, probes, r_nnet
from tests.conftest import Approved

SINE = Network(1, 4, 1, "logistic")
SQUARE = Network(4, 4, 2, "tanh")
THREE = Network(3, 4, 2, "logistic")
TWO_HEADS = Network(3, 5, (2, 2), "tanh")


def first_failure(
    subject: Any, network: Network, problems: Any = None, dtype: str = "float64"
) -> Verdict:
    """The first trial that fails, in order of computation."""
    references = [r_nnet] if network.activation == "logistic" else [numpy_net]
    case = Case("port", network, [subject], references, problems or probes(seed=0), dtypes=[dtype])
    cache = Cache(case)
    return next(v for v in (run(trial, cache) for trial in case.trials()) if v.status.fails)


class Port(nn.Module):
    """Right; what is wrong with the others stands in them."""

    def __init__(self, network: Network, g: Any = torch.sigmoid, bias: bool = True) -> None:
        super().__init__()
        self.hidden = nn.Linear(sum(network.inputs), network.hidden, bias=bias)
        self.out = nn.Linear(network.hidden, sum(network.outputs))
        self.g = g

    def forward(self, x: Tensor) -> Any:
        return self.out(self.g(self.hidden(x)))


class BiasUnused(Port):
    def forward(self, x: Tensor) -> Tensor:
        return F.linear(
            torch.sigmoid(F.linear(x, self.hidden.weight)), self.out.weight, self.out.bias
        )


class Transposed(Port):
    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(x @ self.hidden.weight + self.hidden.bias))


def in_columns(w: Tensor) -> Tensor:
    """What R's matrix(w, nrow) makes of numbers that stand row by row."""
    return w.reshape(w.shape[1], w.shape[0]).T


class ColumnOrder(Port):
    def forward(self, x: Tensor) -> Tensor:
        return self.out(
            torch.sigmoid(F.linear(x, in_columns(self.hidden.weight), self.hidden.bias))
        )


class FromWts(nn.Module):
    """It takes the vector `net$wts` of nnet, and reads each unit's bias after its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.wts = nn.Parameter(torch.zeros(4 * 4 + 2 * 5))

    def forward(self, x: Tensor) -> Tensor:
        hidden, out = self.wts[:16].reshape(4, 4), self.wts[16:].reshape(2, 5)
        h = torch.sigmoid(x @ hidden[:, :-1].T + hidden[:, -1])
        return h @ out[:, :-1].T + out[:, -1]


def as_nnet_has_it(p: dict[str, Any]) -> dict[str, Any]:
    """For each unit its bias, then its weights."""
    hidden, out = p["wts"][:16].reshape(4, 4), p["wts"][16:].reshape(2, 5)
    return {"W1": hidden[:, 1:], "b": hidden[:, 0], "W2": out[:, 1:], "b_w": out[:, 0]}


class HeadsSwapped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.W, self.V = nn.Linear(3, 5), nn.Linear(5, 2), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(self.hidden(x))
        return self.V(h), self.W(h)


HEADS = {"W2": "W.weight", "b_w": "W.bias", "V2": "V.weight", "b_v": "V.bias"}

DATA = np.random.default_rng(5).uniform(2.0, 9.0, (40, 3))
MEAN, SD = DATA.mean(axis=0), DATA.std(axis=0, ddof=1)  # R's scale() divides by n - 1


class Scaled(Port):
    """It scales its inputs by the standard deviation of NumPy and of scikit-learn, which divide by
    n.
    """

    def forward(self, x: Tensor) -> Tensor:
        x = (x - torch.tensor(MEAN, dtype=x.dtype)) / torch.tensor(DATA.std(axis=0), dtype=x.dtype)
        return super().forward(x)


def scaled(p: dict[str, Any]) -> dict[str, Any]:
    """Inputs that are standardised are an affine map of the weights: W (x - mean) / sd + b."""
    W = p["hidden.weight"] / SD
    return {"W1": W, "b": p["hidden.bias"] - W @ MEAN, "W2": p["out.weight"], "b_w": p["out.bias"]}


class Overflowing(Port):
    def forward(self, x: Tensor) -> Tensor:
        return self.out(1 / (1 + torch.exp(-self.hidden(x))))


def mean_of_squares(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.mse_loss(outputs, targets)


def halved(outputs: Tensor, targets: Tensor) -> Tensor:
    return 0.5 * ((outputs - targets) ** 2).sum()


DECAY = [probes(seed=0, loss=Loss(decay=0.1))]


class Decayed(Port):
    """Its loss has nnet's decay, and the optimiser's weight_decay once more: as if it were 2 decay
    |w|^2.
    """

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return ((outputs - targets) ** 2).sum() + 2 * 0.1 * sum(
            (p**2).sum() for p in self.parameters()
        )


def decayed() -> Subject:
    """A module whose loss knows its own parameters."""
    made: list[Decayed] = []

    def build() -> Decayed:
        made.append(Decayed(SINE))
        return made[-1]

    return Subject(build, "Decayed", loss=lambda outputs, targets: made[-1].loss(outputs, targets))


PORTS: list[tuple[Subject, Network, Any, str]] = [
    (Subject(lambda: Port(SINE, bias=False), "BiasForgotten"), SINE, None, "forward"),
    (Subject(lambda: BiasUnused(SINE), "BiasUnused"), SINE, None, "forward"),
    (Subject(lambda: Transposed(SQUARE), "Transposed"), SQUARE, None, "forward"),
    (Subject(lambda: ColumnOrder(THREE), "ColumnOrder"), THREE, None, "forward"),
    (Subject(FromWts, parameters=as_nnet_has_it), THREE, None, "forward"),
    (Subject(lambda: Port(SINE, torch.tanh), "Tanh"), SINE, None, "forward"),
    (Subject(lambda: Port(SINE), "Mean", loss=mean_of_squares), SINE, None, "loss"),
    (Subject(lambda: Port(SINE), "Half", loss=halved), SINE, None, "loss"),
    (decayed(), SINE, DECAY, "loss"),
    (
        Subject(lambda: Scaled(THREE), "Scaled", parameters=scaled),
        THREE,
        [probes(seed=0), OnData(DATA, DATA[:, :2])],
        "forward",
    ),
    (Subject(HeadsSwapped, parameters=HEADS), TWO_HEADS, None, "forward"),
    (Subject(lambda: Overflowing(SINE), "Overflowing"), SINE, None, "gradient"),
]
NAMED = [subject.name for subject, *_ in PORTS]


@pytest.mark.parametrize(("subject", "network", "problems", "check"), PORTS, ids=NAMED)
def test_a_wrong_port_is_told_what_is_wrong(
    subject: Subject, network: Network, problems: Any, check: str, approved: Approved
) -> None:
    """It fails first where it is wrong, and the sentences name the mistake."""
    found = first_failure(subject, network, problems)
    assert (found.status, found.check) == (Status.FAIL, check), found.why
    assert (f"{np.sqrt(40 / 39):.5g} x" in found.why) == (subject.name == "Scaled")
    approved(found.why, mask_figures=True)


@pytest.mark.parametrize(("subject", "network", "problems", "check"), PORTS, ids=NAMED)
def test_a_wrong_port_fails_in_float32_too(
    subject: Subject, network: Network, problems: Any, check: str
) -> None:
    """At the same place."""
    found = first_failure(subject, network, problems, "float32")
    assert (found.status, found.check) == (Status.FAIL, check), found.why


def test_the_right_port_passes() -> None:
    """What is wrong with the others is not wrong with it."""
    for network, g in ((SINE, torch.sigmoid), (THREE, torch.sigmoid), (SQUARE, torch.tanh)):
        with pytest.raises(StopIteration):
            first_failure(Subject(lambda network=network, g=g: Port(network, g), "Right"), network)


def test_a_parameter_that_is_not_used_has_the_gradient_zero(approved: Approved) -> None:
    """autograd gives None for it; it is judged as the 0 that it means, and is outside."""
    case = Case(
        "port", SINE, [Subject(lambda: BiasUnused(SINE), "BiasUnused")], [numpy_net], probes(seed=0)
    )
    cache = Cache(case)
    gradient = next(t for t in case.trials() if t.check == "gradient")
    verdict = run(gradient, cache)
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


class Stretched(Port):
    """Its outputs are 1.37 times what they should be."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.37 * super().forward(x)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_another_scaling_names_what_is_scaled(dtype: str, approved: Approved) -> None:
    """The columns that matter, not the noise of float32 in the others."""
    found = first_failure(Subject(lambda: Stretched(THREE), "Stretched"), THREE, None, dtype)
    assert found.finding is not None
    assert sum(hint.cause.count("1.37") for hint in found.finding.hints) == 2
    approved(found.why, mask_figures=True)


def test_no_scaling_is_told_that_data_do_not_determine(approved: Approved) -> None:
    """Where a column of the data is constant its scale and its shift do the same: neither is
    named.
    """
    constant = np.concatenate([DATA[:, :2], np.ones((40, 1))], axis=1)
    found = first_failure(
        Subject(lambda: Stretched(THREE), "Stretched"),
        THREE,
        OnData(constant, DATA[:, :2], draws=8),
        "float64",
    )
    approved(found.why, mask_figures=True)


class Named(nn.Module):
    """Its heads have the network's names, and are given back in the other order."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.W2, self.V2 = nn.Linear(3, 5), nn.Linear(5, 2), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = torch.tanh(self.hidden(x))
        return self.V2(h), self.W2(h)


def test_layers_of_the_blocks_names_are_those_blocks(approved: Approved) -> None:
    """Swapped heads are named as that, not proposed as another meaning."""
    found = first_failure(Named, TWO_HEADS)
    assert found.status is Status.FAIL
    approved(found.why, mask_figures=True)


def test_what_follows_from_an_earlier_quantity_is_not_explained_anew(approved: Approved) -> None:
    """A sigmoid too many is outside in the outputs; of the gradients nothing else is said to be
    likely.
    """
    subject = Subject(lambda: nn.Sequential(Port(SINE), nn.Sigmoid()), "Twice")
    case = Case("port", SINE, [subject], [numpy_net], probes(seed=0), dtypes=["float64"])
    cache = Cache(case)
    found = [run(trial, cache) for trial in case.trials()]
    assert all(v.status is Status.FAIL for v in found)
    for verdict in found:
        approved(verdict.why, mask_figures=True)


def test_a_model_that_takes_its_inputs_otherwise_is_told_how_it_is_called(
    approved: Approved,
) -> None:
    """Two groups of inputs are two arguments."""
    two = Network((2, 1), 4, 1, "tanh")
    found = first_failure(
        Subject(
            lambda: Port(THREE),
            "OneInput",
            parameters={
                "W1": "hidden.weight[:, :2]",
                "V1": "hidden.weight[:, 2:]",
                "W2": "out.weight[:1]",
                "b_w": "out.bias[:1]",
            },
        ),
        two,
    )
    assert found.status is Status.BROKEN
    approved(found.why)
