"""A loss of one's own is a sum of squares with constants and a root on the way: it passes, and
anything else fails.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import Case, Computed, Contract, Formulation, Loss, Problem, Status, Subject, Verdict
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, numpy_net, probes
from reference.mathematics.oracle import certificates
from tests.conftest import Approved

ONE = Network(1, 4, 1, "tanh")
TWO = Network(3, 5, (2, 3), "relu")
TWO_ONE = Network(3, 5, 1, "relu")
SINGLE, MEAN = Loss(), Loss("mean")
BLOCKS = {"W1": "hidden.weight", "b": "hidden.bias", "W2": "W2.weight", "b_w": "W2.bias"}
Own = Callable[[Tensor, Tensor], Tensor]


class Port(nn.Module):
    """Right, for one head or two."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.hidden = nn.Linear(sum(network.inputs), network.hidden)
        self.act = getattr(torch, network.activation)
        self.W2 = nn.Linear(network.hidden, network.outputs[0])
        self.V2 = (
            nn.Linear(network.hidden, network.outputs[1]) if len(network.outputs) > 1 else None
        )

    def forward(self, x: Tensor) -> Any:
        h = self.act(self.hidden(x))
        return self.W2(h) if self.V2 is None else (self.W2(h), self.V2(h))


def of_heads(own: Own) -> Callable[[Any, Any], Any]:
    """The loss of one head, added up over heads."""
    return lambda o, t: sum(map(own, o, t)) if isinstance(o, list) else own(o, t)


def chunks(o: Tensor, t: Tensor) -> Any:
    return sum(
        ((a - b) ** 2).mean() * a.numel() for a, b in zip(o.split(3), t.split(3), strict=True)
    )


SUMS: dict[str, Own] = {
    "sum": lambda o, t: ((o - t) ** 2).sum(),
    "mean times number": lambda o, t: nn.MSELoss()(o, t) * o.numel(),
    "chunks": chunks,
    "sums of chunks": lambda o, t: torch.stack(
        [((a - b) ** 2).sum() for a, b in zip(o, t, strict=True)]
    ).sum(),
    "means of means": lambda o, t: ((o - t) ** 2).mean(1).mean(0) * o.shape[0] * o.shape[1],
    "mean of sums": lambda o, t: ((o - t) ** 2).sum(1).mean() * len(o),
    "each divided": lambda o, t: ((o - t) ** 2 / o.numel()).sum() * o.numel(),
    "thirds": lambda o, t: 3 * (0.333333 * (o - t) ** 2).sum() / 0.999999,
    "norm": lambda o, t: (o - t).norm() ** 2,
    "norms of rows": lambda o, t: (torch.linalg.vector_norm(o - t, dim=1) ** 2).sum(),
    "distance": lambda o, t: torch.dist(o, t).square(),
    "root": lambda o, t: ((o - t) ** 2).sum().sqrt() ** 2,
    "root of the mean": lambda o, t: nn.MSELoss()(o, t).sqrt() ** 2 * o.numel(),
}
MEANS: dict[str, Own] = {
    "MSELoss": nn.MSELoss(),
    "sum divided": lambda o, t: ((o - t) ** 2).sum() / o.numel(),
    "norm divided": lambda o, t: (o - t).norm() ** 2 / o.numel(),
    "root of the mean": lambda o, t: nn.MSELoss()(o, t).sqrt() ** 2,
    "mean of means": lambda o, t: ((o - t) ** 2).mean(0).mean(),
}
RIGHT = [(SINGLE, name, own) for name, own in SUMS.items()] + [
    (MEAN, name, own) for name, own in MEANS.items()
]
WRONG: dict[str, Own] = {
    "half": lambda o, t: 0.5 * ((o - t) ** 2).sum(),
    "mean": nn.MSELoss(),
    "norm": lambda o, t: (o - t).norm(),
    "absolute": lambda o, t: (o - t).abs().sum(),
    "a row left out": lambda o, t: ((o[1:] - t[1:]) ** 2).sum() + 0 * o.sum(),
}


def verdicts(own: Own, network: Network = ONE, loss: Loss = SINGLE, **given: Any) -> list[Verdict]:
    """Of every trial against NumPy, or as given."""
    words = BLOCKS | ({"V2": "V2.weight", "b_v": "V2.bias"} if len(network.outputs) > 1 else {})
    subject = Subject(lambda: Port(network), "Port", words, loss=of_heads(own))
    asked = {"problems": probes(seed=0, draws=6, loss=loss), "references": [numpy_net], **given}
    case = Case("own loss", network, [subject], **asked)
    cache = Cache(case)
    return [run(trial, cache) for trial in case.trials()]


@pytest.mark.parametrize("network", [ONE, TWO], ids=["one head", "two heads"])
@pytest.mark.parametrize(
    ("loss", "name", "own"), RIGHT, ids=[f"{loss.reduction} {name}" for loss, name, _ in RIGHT]
)
def test_the_same_loss_in_other_words_passes(
    loss: Loss, name: str, own: Own, network: Network
) -> None:
    """Loss and gradients in both dtypes, on exact draws too."""
    found = verdicts(own, network, loss)
    assert {v.status for v in found} == {Status.PASS}, next(
        v.why for v in found if v.status is not Status.PASS
    )


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("wrong", WRONG)
def test_another_loss_fails(wrong: str, dtype: str) -> None:
    """At the loss, and at the gradients; its outputs are right."""
    found = {v.check: v.status for v in verdicts(WRONG[wrong], dtypes=[dtype])}
    assert found == {
        "forward": Status.PASS,
        **dict.fromkeys(("loss", "gradient", "input_gradient"), Status.FAIL),
    }


def test_a_decay_in_other_words_passes() -> None:
    """Where the loss of one's own has the decay in it, constants round there too."""
    made: list[Port] = []

    def build() -> Port:
        made.append(Port(TWO_ONE))
        return made[-1]

    def decayed(o: Tensor, t: Tensor) -> Any:
        return ((o - t) ** 2).sum() + 0.125 * sum(
            (p**2).mean() * p.numel() for p in made[-1].parameters()
        )

    subject = Subject(build, "Decayed", BLOCKS, loss=decayed)
    problems = probes(seed=0, draws=6, loss=Loss(decay=0.125))
    case = Case("decayed", TWO_ONE, [subject], [numpy_net], problems, dtypes=["float64"])
    cache = Cache(case)
    assert {run(trial, cache).status for trial in case.trials()} == {Status.PASS}


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_loss_of_ones_own_is_evidence_in_sixteen_bits(dtype: str) -> None:
    """Nine roundings of eight bits are less than a tenth."""
    few = probes(seed=0, draws=6, kinds=["exact", "few-term", "saturated", "random"])
    for name in ("mean times number", "norm", "chunks"):
        found = verdicts(SUMS[name], TWO, dtypes=[dtype], problems=few)
        assert {v.status for v in found} == {Status.PASS}


def test_a_sum_of_many_rounded_numbers_fails_in_sixteen_bits() -> None:
    """A loss of 1,200 rows that is added up in chunks of three, in eight bits, may lose most of
    itself.
    """
    one = probes(seed=0, draws=1, rows=1200, kinds=["random"])
    found = verdicts(SUMS["chunks"], TWO, dtypes=["bfloat16"], problems=one)
    assert [v.check for v in found if v.status is Status.FAIL] == ["loss"]


class Scaled(torch.autograd.Function):
    """As it is, with a gradient that is off by a factor."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *slope: Tensor) -> Any:
        return slope[0] * ctx.factor, None


@pytest.mark.parametrize(("dtype", "off"), [("float64", 2.0**-46), ("float32", 2.0**-17)])
def test_a_loss_that_is_off_by_little_fails(dtype: str, off: float) -> None:
    """By 128 units of roundoff, in the loss or in its gradient alone."""
    loss = {
        v.check: v.status
        for v in verdicts(lambda o, t: SUMS["sum"](o, t) * (1 + off), dtypes=[dtype])
    }
    slope = {
        v.check: v.status
        for v in verdicts(lambda o, t: Scaled.apply(SUMS["sum"](o, t), 1 + off), dtypes=[dtype])
    }
    fail = dict.fromkeys(("gradient", "input_gradient"), Status.FAIL)
    assert loss == {"forward": Status.PASS, "loss": Status.FAIL, **fail}
    assert slope == {"forward": Status.PASS, "loss": Status.PASS, **fail}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_an_output_off_by_one_unit_in_the_last_place_fails(dtype: str, approved: Approved) -> None:
    """On exact draws a loss of one's own takes nothing from the outputs."""

    class Off(Port):
        def forward(self, x: Tensor) -> Any:
            o = super().forward(x)
            return o + (torch.nextafter(o, o + 1) - o).detach()

    subject = Subject(lambda: Off(TWO_ONE), "Off", BLOCKS, loss=SUMS["norm"])
    case = Case(
        "off", TWO_ONE, [subject], [numpy_net], probes(seed=0, kinds=["exact"]), dtypes=[dtype]
    )
    verdict = run(case.trials()[0], Cache(case))
    assert verdict.status is Status.FAIL
    approved(verdict.why, mask_figures=True)


def at_zero(formulation: Formulation) -> list[Problem]:
    """Random draws, and one whose outputs are its targets."""
    (some,) = probes(seed=0, draws=3, kinds=["random"])(formulation)
    zeros, own = np.zeros((1, 2, 1)), np.zeros((1, formulation.own.size))
    return [some, Problem("zero", formulation, own, zeros + 1, zeros)]


def test_the_square_of_a_norm_has_the_gradient_0_where_everything_fits(approved: Approved) -> None:
    """PyTorch gives the norm of 0 the gradient 0, and the square root of 0 none: that loss is told
    to be not finite.
    """
    assert {v.status for v in verdicts(SUMS["norm"], problems=at_zero)} == {Status.PASS}
    found = verdicts(SUMS["root"], problems=at_zero)
    assert {v.check for v in found if v.status is Status.FAIL} == {"gradient", "input_gradient"}
    for verdict in found:
        if verdict.status is Status.FAIL:
            approved(verdict.why, mask_figures=True)


def forward(p: dict[str, Any], x: Any) -> Any:
    return np.tanh(x @ p["W1"].T + p["b"]) @ p["W2"].T + p["b_w"]


def by_hand(p: dict[str, Any], x: Any, t: Any) -> Any:
    """The mean, and its gradient, each times the number of rows."""
    h, n = np.tanh(x @ p["W1"].T + p["b"]), len(x)
    r = h @ p["W2"].T + p["b_w"] - t
    e = (2 / n) * r * n
    z = e @ p["W2"] * (1 - h**2)
    return (r**2).mean() * n, {"W1": z.T @ x, "b": z.sum(0), "W2": e.T @ h, "b_w": e.sum(0)}


@pytest.mark.parametrize("rows", [3, 5, 6, 7])
def test_a_prototypes_own_loss_and_slopes_pass(rows: int) -> None:
    """Whatever the number of rows that they divide by."""
    given = {
        "references": [Computed(forward, "mine", by_hand, dtype="float64")],
        "problems": probes(seed=0, draws=8, rows=rows),
    }
    found = {v.check: v.status for v in verdicts(SUMS["norm"], dtypes=["float64"], **given)}
    passes = dict.fromkeys(("forward", "loss", "gradient"), Status.PASS)
    assert found == {**passes, "input_gradient": Status.ABSENT}


@pytest.mark.parametrize(
    ("dtype", "u"), [("float64", 2.0**-53), ("float32", 2.0**-24), ("bfloat16", 2.0**-8)]
)
def test_what_is_promised_of_a_loss_of_ones_own(
    dtype: str, u: float, approved: Callable[..., None]
) -> None:
    """Six roundings beyond a constant's, which is said in words; without such a loss none."""
    assert Contract(dtype, own_loss=True).loss_slack == 6 * u / (1 - 6 * u)
    assert Contract(dtype).loss_slack == 0
    approved(Contract(dtype, own_loss=True).sentence())


def test_the_decay_of_a_loss_of_ones_own_may_be_off_as_much() -> None:
    """Where nothing else is in the loss and its gradient: six roundings more of each."""
    formulation, decay = Formulation.identity(TWO_ONE), Loss(decay=0.125)
    # no output other than 0
    own = np.where([block in (0, 1) for block in TWO_ONE.layout.owners], 0.3, 0.0)[None]
    problem = Problem("decay", formulation, own, np.ones((1, 1, 3)), np.zeros((1, 1, 1)), decay)
    mine, plain = (TWO_ONE.oracle(problem, Contract(own_loss=own)) for own in (True, False))
    for quantity in ("loss", "gradient"):
        value, more = abs(mine[quantity].value), mine[quantity].error - plain[quantity].error
        assert value.any()
        assert (more >= 6 * 2.0**-53 * value).all()


def test_who_promises_it() -> None:
    """A subject with a loss of its own, and a prototype with slopes."""
    assert [
        Subject(Port, loss=loss).contract("float64").own_loss for loss in (None, nn.MSELoss())
    ] == [False, True]
    assert [
        Computed(forward, "p", slopes).contract("float64").own_loss for slopes in (None, by_hand)
    ] == [
        False,
        True,
    ]


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 6, 7, 67])
def test_exact_draws_have_a_power_of_two_of_rows(rows: int) -> None:
    """The nearest: then means over heads whose width is one too are exact; other kinds have the
    rows asked for.
    """
    found = {
        p.kind: p for p in probes(seed=0, draws=3, rows=rows, loss=MEAN)(Formulation.identity(ONE))
    }
    assert found["exact"].rows == {1: 1, 2: 2, 3: 4, 4: 4, 5: 4, 6: 8, 7: 8, 67: 64}[rows]
    assert {found[kind].rows for kind in ("saturated", "random")} == {rows}
    assert all(proof.all() for proof in certificates(found["exact"], Contract("float32")).values())


def test_what_may_round_in_the_loss_proves_nothing_exact_but_the_outputs() -> None:
    """Neither the loss nor what flows back from it."""
    (problem,) = probes(seed=0, draws=3, kinds=["exact"])(Formulation.identity(ONE))
    proofs = certificates(problem, Contract("float32", own_loss=True))
    assert {name: proof.tolist() for name, proof in proofs.items() if name == "forward"} == {
        "forward": [True] * problem.draws
    }
    assert not any(proof.any() for name, proof in proofs.items() if name != "forward")
