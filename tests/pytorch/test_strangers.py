"""Models as people write them who never saw the harness: each is verified as it is, with at most
`parameters=`.
"""

import shutil
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torch.nn.utils.prune
from torch import Tensor, nn

from harness import Case, Status, Subject, Verdict
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, numpy_net, probes, r_nnet
from reference.probes.kinds import KINDS
from tests.conftest import Approved

ONE_HEAD = Network(3, 6, 2, "logistic")
TWO_HEADS = Network((3, 2), 5, (2, 1), "tanh")


PROBES = probes(seed=0, draws=8)
# of each number of rows a compiler makes another kernel
OF_FOUR_ROWS = probes(seed=0, draws=8, rows=4, kinds=[each for each in KINDS if each != "unusual"])


def verdicts(
    subject: Any, network: Network, references: Any = (numpy_net, r_nnet), asked: Any = PROBES
) -> list[Verdict]:
    """Of every trial that a case of this subject has by default."""
    case = Case("stranger", network, [subject], list(references), asked)
    cache = Cache(case)
    return [run(trial, cache) for trial in case.trials()]


def passes(subject: Any, network: Network = ONE_HEAD, **given: Any) -> bool:
    """Every trial passes, but those that nnet cannot judge; says why where one does not."""
    found = verdicts(subject, network, **given)
    assert {v.status for v in found} <= {Status.PASS, Status.ABSENT}, next(
        v.why for v in found if v.status.fails
    )
    # of NumPy, and of nnet, which gives no input gradient
    return sum(v.status is Status.PASS for v in found) >= 8 + 6


class Regressor(nn.Module):
    def __init__(self, n_features: int = 3, n_hidden: int = 6, n_targets: int = 2) -> None:
        super().__init__()
        self.fc1 = nn.Linear(n_features, n_hidden)
        self.fc2 = nn.Linear(n_hidden, n_targets)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(torch.sigmoid(self.fc1(x)))


def test_a_module_of_two_linear_layers() -> None:
    """Shapes tell which parameter is which block."""
    assert passes(Regressor)


def test_a_sequential() -> None:
    """An ordered one, with names of its own."""
    layers = [("hidden", nn.Linear(3, 6)), ("squash", nn.Sigmoid()), ("out", nn.Linear(6, 2))]
    assert passes(Subject(lambda: nn.Sequential(OrderedDict(layers)), "Ordered"))


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w_in, self.b_in = nn.Parameter(torch.randn(6, 3) / 3), nn.Parameter(torch.zeros(6))
        self.w_out, self.b_out = nn.Parameter(torch.randn(2, 6) / 6), nn.Parameter(torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(F.linear(x, self.w_in, self.b_in).sigmoid(), self.w_out, self.b_out)


def test_a_functional_model() -> None:
    """F.linear on parameters of its own."""
    assert passes(Functional)


class AsInNumpy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.W1, self.b1 = nn.Parameter(torch.rand(3, 6)), nn.Parameter(torch.zeros(1, 6))
        self.W2, self.b2 = nn.Parameter(torch.rand(6, 2)), nn.Parameter(torch.zeros(1, 2))

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x @ self.W1 + self.b1) @ self.W2 + self.b2


def test_a_port_of_numpy_that_multiplies_from_the_left() -> None:
    """x @ W has its weights turned and its biases as rows; names and shapes tell."""
    assert passes(AsInNumpy)


class ColumnOfOnes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.theta1, self.theta2 = nn.Parameter(torch.randn(4, 6)), nn.Parameter(torch.randn(7, 2))

    def forward(self, x: Tensor) -> Tensor:
        ones = x.new_ones(len(x), 1)
        hidden = torch.sigmoid(torch.hstack([ones, x]) @ self.theta1)
        return torch.hstack([ones, hidden]) @ self.theta2


COLUMNS = {"W1": "theta1[1:].T", "b": "theta1[0]", "W2": "theta2[1:].T", "b_w": "theta2[0]"}


def test_a_column_of_ones_for_the_bias(approved: Approved) -> None:
    """Parts of a parameter are named by its rows; the error before proposes just that."""
    found = verdicts(ColumnOfOnes, ONE_HEAD)[0]
    assert found.status is Status.BROKEN
    approved(found.why)
    assert passes(Subject(ColumnOfOnes, parameters=COLUMNS))


class Autoencoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(3, 6)
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(torch.sigmoid(self.encoder(x)), self.encoder.weight.t(), self.bias)


def test_tied_weights() -> None:
    """One matrix is both layers, as it is and turned; its gradient is judged as the sum that it
    is.
    """
    network = Network(3, 6, 3, "logistic")
    assert passes(Autoencoder, network)
    assert passes(
        Subject(Autoencoder, parameters={"W1": "encoder.weight", "W2": "encoder.weight.T"}), network
    )


class TwoTowers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Linear(3, 5, bias=False), nn.Linear(2, 5)
        self.mean, self.spread = nn.Linear(5, 2), nn.Linear(5, 1)

    def forward(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        h = torch.tanh(self.left(a) + self.right(b))
        return {"mean": self.mean(h), "spread": self.spread(h)}


def test_two_inputs_and_a_dict_of_outputs() -> None:
    """Called with two tensors, it gives a dict; widths tell the blocks apart."""
    assert passes(TwoTowers, TWO_HEADS)


class Joined(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(5, 5)
        self.heads = nn.ModuleList([nn.Linear(5, 2), nn.Linear(5, 1)])

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, ...]:
        h = self.hidden(torch.cat([a, b], dim=1)).tanh()
        return tuple(head(h) for head in self.heads)


def test_concatenated_inputs_and_a_tuple_of_outputs() -> None:
    """One matrix holds the weights of both inputs, side by side."""
    words = {"W1": "hidden.weight[:, :3]", "V1": "hidden.weight[:, 3:]"}
    assert passes(Subject(Joined, parameters=words), TWO_HEADS)


class Split(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.low, self.high, self.out = nn.Linear(3, 2), nn.Linear(3, 4), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.cat([self.low(x), self.high(x)], dim=-1).sigmoid())


def test_hidden_units_in_two_layers() -> None:
    """A block that is two parameters, one after the other."""
    words = {"W1": ["low.weight", "high.weight"], "b": ["low.bias", "high.bias"]}
    assert passes(Subject(Split, parameters=words))


KEPT = np.array(
    [[1, 0, 1], [0, 1, 1], [1, 1, 0], [1, 1, 1], [0, 0, 1], [1, 0, 0]], dtype=np.float32
)


class Pruned(Regressor):
    def __init__(self) -> None:
        super().__init__()
        torch.nn.utils.prune.custom_from_mask(self.fc1, "weight", torch.tensor(KEPT))


def test_pruned_weights() -> None:
    """torch.nn.utils.prune masks a matrix; the numbers behind the mask mean nothing, and have the
    gradient 0.
    """
    pruned = {
        "W1": lambda p: p["fc1.weight_orig"] * KEPT,
        "b": "fc1.bias",
        "W2": "fc2.weight",
        "b_w": "fc2.bias",
    }
    assert passes(Subject(Pruned, parameters=pruned))


class Averaged(nn.Module):
    """Its output layer is fixed: the mean of the hidden units."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.inner(x)).mean(1, keepdim=True)


def test_a_layer_that_is_fixed() -> None:
    """Blocks that no parameter is are constants."""
    words = {"W2": np.full((1, 4), 0.25), "b_w": 0}
    assert passes(Subject(Averaged, parameters=words), Network(3, 4, 1, "logistic"))


class OwnLoss(Regressor):
    def __init__(self) -> None:
        super().__init__()

    @staticmethod
    def sse(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.mse_loss(outputs, targets, reduction="sum")


def test_a_loss_of_its_own() -> None:
    """Called with outputs and targets; judged against the squared error that the reference has."""
    assert passes(Subject(OwnLoss, loss=OwnLoss.sse))


class Careful(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(3, 6), nn.Sigmoid(), nn.Dropout(0.3), nn.Linear(6, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def test_dropout_in_evaluation(approved: Approved) -> None:
    """In eval() it drops nothing; as it is built it is no function, and what to write is said."""
    said = verdicts(Careful, ONE_HEAD)[0]
    assert said.status is Status.FAIL
    approved(said.why)
    assert passes(Subject(lambda: Careful().eval(), "Careful"))


class Standardised(Regressor):
    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor([0.1, 2.5, 0.7], dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x * self.scale)


def scaled(p: dict[str, Any]) -> dict[str, Any]:
    """Inputs that are scaled are weights that are."""
    return {
        "W1": p["fc1.weight"] * [0.1, 2.5, 0.7],
        "b": p["fc1.bias"],
        "W2": p["fc2.weight"],
        "b_w": p["fc2.bias"],
    }


def test_a_float32_buffer_in_a_float64_model_is_found_and_named(approved: Approved) -> None:
    """Made in float32 and converted, it is 0.1 to eight digits only; made in float64 it passes."""
    rounded = verdicts(
        Subject(lambda: Standardised(torch.float32), "Standardised", scaled), ONE_HEAD
    )
    failed = [v for v in rounded if v.status is Status.FAIL]
    assert {v.dtype for v in failed} == {"float64"}
    approved(failed[0].why, mask_figures=True)
    assert passes(Subject(lambda: Standardised(torch.float64), "Standardised", scaled))


class Offset(Regressor):
    def __init__(self) -> None:
        super().__init__()
        self.shift = torch.tensor(0.3)  # never registered, so .double() leaves it as it is

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) + self.shift


def test_a_plain_tensor_that_stays_float32_is_named(approved: Approved) -> None:
    """An attribute that is no buffer is not converted with the module."""

    def shifted(p: dict[str, Any]) -> dict[str, Any]:
        return scaled(p) | {"W1": p["fc1.weight"], "b_w": p["fc2.bias"] + 0.3}

    failed = [v for v in verdicts(Subject(Offset, parameters=shifted), ONE_HEAD) if v.status.fails]
    assert {v.dtype for v in failed} == {"float64"}
    approved(failed[0].why, mask_figures=True)


class Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.out = nn.LazyLinear(6), nn.LazyLinear(2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.sigmoid(self.hidden(x)))


def test_a_lazily_built_module() -> None:
    """It gets its shapes from a first call, on as many inputs as the network has."""
    assert passes(Lazy)


@pytest.mark.compile
@pytest.mark.filterwarnings("ignore")  # of torch's compiler, about itself
@pytest.mark.skipif(
    not shutil.which("g++"), reason="torch.compile needs a C++ compiler: apt-get install g++"
)
def test_a_compiled_module() -> None:
    """torch.compile fuses what it computes; that is another order of the same roundings."""
    model = Subject(lambda: torch.compile(Regressor()), "Compiled")
    found = verdicts(model, ONE_HEAD, [numpy_net], OF_FOUR_ROWS)
    assert {v.status for v in found} == {Status.PASS}
    assert all(v.why.endswith("; it ran compiled") for v in found)
