"""Does my port have the loss of my prototype, which is no sum of squares?"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from harness import Case, Computed, Contract, Status, Subject, Verdict
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, numpy_net, probes, r_nnet

NETWORK = Network(2, 3, 2, "logistic")
Numbers = Any


class Port(nn.Module):
    """Right, or with what the hidden layer gives detached: a port whose gradients stop there."""

    def __init__(self, detached: bool = False) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(2, 3), nn.Linear(3, 2)
        self.detached = detached

    def forward(self, x: Tensor) -> Tensor:
        h = torch.sigmoid(self.hidden(x))
        return self.out(h.detach() if self.detached else h)


def forward(p: dict[str, Any], x: Any) -> Any:
    return 1 / (1 + np.exp(-(x @ p["W1"].T + p["b"]))) @ p["W2"].T + p["b_w"]


def prototype(loss: Callable[[Numbers], tuple[Numbers, Numbers]], **given: Any) -> Computed:
    """By hand, from the loss and its slopes, both of the differences (R, 2)."""

    def slopes(p: dict[str, Any], x: Any, t: Any) -> Any:
        h = 1 / (1 + np.exp(-(x @ p["W1"].T + p["b"])))
        value, e = loss(h @ p["W2"].T + p["b_w"] - t)
        z = e @ p["W2"] * h * (1 - h)
        return value, {"W1": z.T @ x, "b": z.sum(0), "W2": e.T @ h, "b_w": e.sum(0)}

    return Computed(forward, "mine", slopes, **{"dtype": "float64", **given})


WEIGHTS = np.array([0.5, 2.0])
# in the port, of outputs and targets; in the prototype, of differences
LOSSES: dict[str, tuple[Any, Any]] = {
    "mean absolute": (nn.L1Loss(), lambda r: (abs(r).mean(), np.sign(r) / r.size)),
    "absolute": (lambda o, t: (o - t).abs().sum(), lambda r: (abs(r).sum(), np.sign(r))),
    "Huber": (
        nn.HuberLoss(),
        lambda r: (np.where(abs(r) < 1, r**2 / 2, abs(r) - 0.5).mean(), np.clip(r, -1, 1) / r.size),
    ),
    "fourth powers": (lambda o, t: ((o - t) ** 4).sum(), lambda r: ((r**4).sum(), 4 * r**3)),
    "weighted squares": (
        lambda o, t: ((o - t) ** 2 * o.new_tensor(WEIGHTS)).sum(),
        lambda r: ((r**2 * WEIGHTS).sum(), 2 * r * WEIGHTS),
    ),
}
L1 = LOSSES["mean absolute"][1]


def verdicts(
    port: Any, reference: Any, build: Callable[[], nn.Module] = Port, **given: Any
) -> dict[str, Verdict]:
    """By dtype and check, without those that the reference cannot judge."""
    asked = {"problems": probes(seed=0, draws=6), **given}
    case = Case("losses", NETWORK, [Subject(build, "Port", loss=port)], [reference], **asked)
    cache = Cache(case)
    found = {f"{trial.dtype} {trial.check}": run(trial, cache) for trial in case.trials()}
    return {name: verdict for name, verdict in found.items() if verdict.status is not Status.ABSENT}


def statuses(found: dict[str, Verdict], dtype: str = "float64") -> list[Status]:
    """Of outputs, loss and gradient in a dtype."""
    return [found[f"{dtype} {check}"].status for check in ("forward", "loss", "gradient")]


PASS, FAIL, VACUOUS = Status.PASS, Status.FAIL, Status.VACUOUS


@pytest.mark.parametrize("name", LOSSES)
def test_a_port_with_the_loss_of_its_prototype_passes(
    name: str, approved: Callable[..., None]
) -> None:
    """In both dtypes; it is said that the equations were not asked."""
    port, mine = LOSSES[name]
    found = verdicts(port, prototype(mine))
    assert {v.status for v in found.values()} == {PASS}, [
        v.why for v in found.values() if v.status is not PASS
    ]
    if name == "mean absolute":
        approved([f"{check}: {v.why}" for check, v in found.items()], mask_figures=True)


WRONG: dict[str, Any] = {
    "half": lambda o, t: 0.5 * nn.L1Loss()(o, t),
    "sum": nn.L1Loss(reduction="sum"),
    "mean of rows": lambda o, t: (o - t).abs().sum(1).mean(),
    "squares": lambda o, t: ((o - t) ** 2).sum(),
    "Huber": nn.HuberLoss(),
    "a row left out": lambda o, t: nn.L1Loss()(o[1:], t[1:]) if len(o) > 1 else nn.L1Loss()(o, t),
    "off by one unit": lambda o, t: nn.L1Loss()(o, t) * (1 + torch.finfo(o.dtype).eps),
    "not finite now and then": lambda o, t: (
        nn.L1Loss()(o, t) * (1 if o.detach().abs().max() < 64 else torch.nan)
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_port_with_another_loss_fails(wrong: str) -> None:
    """At the loss and at the gradient, in both dtypes: another factor, reduction or function in the
    port only.
    """
    found = verdicts(WRONG[wrong], prototype(L1))
    for dtype in ("float64", "float32"):
        assert statuses(found, dtype)[:2] == [PASS, FAIL]
        assert statuses(found, dtype)[2] in ([FAIL] if wrong != "squares" else [FAIL, PASS])


def test_what_is_said_of_another_loss(approved: Callable[..., None]) -> None:
    """Neither is the case's, and they are not the same where that can be told."""
    found = verdicts(WRONG["half"], prototype(L1), dtypes=["float64"])
    approved(found["float64 loss"].why, mask_figures=True)


@pytest.mark.parametrize("reference", [numpy_net, r_nnet], ids=["numpy", "r"])
def test_a_reference_with_equations_fails_such_a_loss(live_r: None, reference: Any) -> None:
    """It has the case's sum of squares, whatever the port has."""
    assert statuses(verdicts(nn.L1Loss(), reference)) == [PASS, FAIL, FAIL]


class Equations(Computed):
    """A reference that promises the case's loss."""

    def contract(self, dtype: str = "float64") -> Contract:
        return replace(super().contract(dtype), own_loss=False)


def test_who_promises_the_cases_loss_fails_with_another() -> None:
    """A loss of one's own is one only where the contract says so."""
    mine = prototype(L1)
    assert statuses(
        verdicts(nn.L1Loss(), Equations(mine.answer, "mine", mine.slopes, dtype="float64"))
    ) == [
        PASS,
        FAIL,
        FAIL,
    ]


def test_a_prototype_with_squares_fails_such_a_loss_and_the_other_way_round() -> None:
    """Only where both have another loss nobody asks the equations."""
    squares = prototype(lambda r: ((r**2).sum(), 2 * r))
    for port, reference in (
        (nn.L1Loss(), squares),
        (WRONG["squares"], prototype(L1)),
        (None, prototype(L1)),
    ):
        found = verdicts(port, reference)
        assert statuses(found) == [PASS, FAIL, FAIL]
        assert not any("neither" in v.why for v in found.values())


def test_a_wrong_gradient_of_the_same_loss_fails(approved: Callable[..., None]) -> None:
    """The port's by the slopes of its own loss, with the loss as it should be."""
    found = verdicts(nn.L1Loss(), prototype(L1), lambda: Port(detached=True))
    assert statuses(found) == statuses(found, "float32") == [PASS, PASS, FAIL]
    approved(found["float64 gradient"].why, mask_figures=True)


def test_a_wrong_gradient_of_the_prototype_fails() -> None:
    """Where outputs are exact it is compared too."""
    found = verdicts(nn.L1Loss(), prototype(lambda r: (abs(r).mean(), 2 * np.sign(r) / r.size)))
    assert statuses(found) == [PASS, PASS, FAIL]


def test_a_model_beside_itself_has_the_same_loss_in_every_draw(
    approved: Callable[..., None],
) -> None:
    """Also where no outputs are exact."""
    random = probes(seed=0, draws=6, kinds=["random"])
    found = verdicts(
        nn.L1Loss(), Subject(Port, "Other", loss=nn.L1Loss()), problems=random, dtypes=["float64"]
    )
    assert {v.status for v in found.values()} == {PASS}
    approved([v.why for v in found.values()], mask_figures=True)


@pytest.mark.parametrize(
    "loss", [None, WRONG["squares"], nn.L1Loss()], ids=["none", "squares", "absolute"]
)
def test_a_wrong_model_beside_itself_does_not_pass(loss: Any) -> None:
    """Its loss is not the case's, since its outputs are not; that both sides are the same is no
    excuse.
    """
    build = lambda: nn.Sequential(Port(), nn.Softsign())  # noqa: E731
    found = verdicts(loss, Subject(build, "Other", loss=loss), build, dtypes=["float64"])
    assert statuses(found) == [FAIL, FAIL, FAIL]


def test_without_exact_outputs_nothing_tells_whether_two_losses_are_the_same(
    approved: Callable[..., None],
) -> None:
    """Where they differ, if only by rounding, it fails, and what to add is said."""
    found = verdicts(
        nn.L1Loss(),
        prototype(L1),
        problems=probes(seed=0, draws=6, kinds=["random"]),
        dtypes=["float64"],
    )
    assert statuses(found) == [PASS, FAIL, FAIL]
    approved(found["float64 loss"].why, mask_figures=True)


def test_a_loss_that_is_0_where_outputs_are_exact_is_no_evidence() -> None:
    """What is 0 on both sides there may be two losses."""
    far = lambda o, t: ((o - t).abs() - 500).clamp(min=0).sum()  # noqa: E731
    found = verdicts(
        far, prototype(lambda r: (np.maximum(abs(r) - 500, 0).sum(), np.sign(r) * (abs(r) > 500)))
    )
    assert statuses(found)[1] is FAIL


def knowing() -> tuple[Callable[[], Port], Callable[[Tensor, Tensor], Tensor]]:
    """What builds a port, and its loss, which adds the sizes of its output weights."""
    made: list[Port] = []

    def build() -> Port:
        made.append(Port())
        return made[-1]

    return build, lambda o, t: nn.L1Loss()(o, t) + made[-1].out.weight.abs().sum()


def test_of_a_loss_that_knows_its_parameters_no_gradient_is_judged(
    approved: Callable[..., None],
) -> None:
    """What it adds to their gradients does not follow from its slopes by the outputs; the same to
    the last bit is.
    """
    build, loss = knowing()

    def by_hand(p: dict[str, Any], x: Any, t: Any) -> Any:
        value, slopes = prototype(L1).slopes(p, x, t)  # type: ignore[misc]
        return value + abs(p["W2"]).sum(), slopes | {"W2": slopes["W2"] + np.sign(p["W2"])}

    found = verdicts(loss, Computed(forward, "mine", by_hand, dtype="float64"), build)
    assert statuses(found) == statuses(found, "float32") == [PASS, PASS, VACUOUS]
    other, its_loss = knowing()
    same = verdicts(loss, Subject(other, "Other", loss=its_loss), build, dtypes=["float64"])
    assert statuses(same) == [PASS, PASS, PASS]
    approved([found["float64 gradient"].why, same["float64 gradient"].why], mask_figures=True)
