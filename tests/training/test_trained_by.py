"""A user's own function as a trainer: what it is given, what it may return, and what is judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cases.sine_training import LEVENBERG, one_draw, sine_population
from harness import Case, Recipe, Status, Trained, TrainedBy
from harness.core.implementation import Missing
from harness.judging.cache import Cache
from harness.racing.entry import Entry, Turns
from harness.running.trial import run
from harness.training.trainer import Fitted
from reference import Network, gradient_descent, nnet_gradients, numpy_net, starts
from tests.conftest import Approved

NETWORK = Network(1, 4, 1, "logistic")
POPULATION = sine_population(one_draw)


class SineNet(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(1, 4), nn.Sigmoid(), nn.Linear(4, 1))


def compute_losses(inputs: list[Tensor], targets: list[Tensor], p: dict[str, Tensor]) -> Tensor:
    """The loss of each copy of SineNet (D,)."""
    h = (inputs[0] @ p["0.weight"].mT + p["0.bias"][:, None]).sigmoid()
    f = h @ p["2.weight"].mT + p["2.bias"][:, None]
    return (f - targets[0]).square().sum((1, 2))


def descend(
    inputs: list[Tensor], targets: list[Tensor], parameters: dict[str, Tensor], until: float = 0.0
) -> tuple[dict[str, Tensor], Tensor]:
    """Thirty steps of gradient descent, of each copy until its loss is at most `until`."""
    parameters = {name: value.clone().requires_grad_() for name, value in parameters.items()}
    for _ in range(30):
        losses = compute_losses(inputs, targets, parameters)
        slopes = torch.autograd.grad(losses[losses > until].sum(), list(parameters.values()))
        with torch.no_grad():
            for value, slope in zip(parameters.values(), slopes, strict=True):
                value -= 1e-3 * slope
    return parameters, compute_losses(inputs, targets, parameters).detach()


def fit(trainer: TrainedBy | Any, count: int = 3, dtype: str = "float64") -> Fitted | Missing:
    """From so many starts on the points of S1."""
    start = trainer.starting(NETWORK, POPULATION, count, dtype)
    found: Fitted | Missing = trainer.fit(start, dtype, "cpu", lambda said: None)
    return found


def judge(trainer: TrainedBy, check: str, dtype: str = "float64") -> Any:
    """The verdict on a trainer beside NumPy's gradient descent of as many steps."""
    reference = gradient_descent(1e-3, 30)
    how: dict[str, Any] = {"checks": [check], "dtypes": [dtype]}
    case = Case("own", NETWORK, [trainer], [reference], sine_population(one_draw, None), **how)
    return run(case.trials()[0], Cache(case, 30))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_right_trainer_passes_both_trials(dtype: str) -> None:
    """It ends where NumPy's descent ends from the same starts, at the losses that it claims."""
    trainer = TrainedBy(SineNet, descend, start=starts.uniform())
    assert trainer.name == "SineNet_descend"
    for check in ("final", "fit"):
        verdict = judge(trainer, check, dtype)
        assert verdict.status is Status.PASS, verdict.why


def test_a_wrong_claim_fails() -> None:
    """A loss of before the last step, as many loops report it."""

    def claim_earlier(*given: Any) -> Any:
        parameters, losses = descend(*given)
        return parameters, losses * (1 + 1e-6)

    trainer = TrainedBy(SineNet, claim_earlier, start=starts.uniform())
    assert judge(trainer, "final").status is Status.FAIL


def test_starts_come_by_name_and_ends_go_back() -> None:
    """As tensors of the trial's dtype, a stack of each; the fit keeps the order of starts."""
    seen = []

    def stay(inputs: Any, targets: Any, parameters: Any) -> Any:
        seen.append((inputs, targets, parameters))
        return parameters, compute_losses(inputs, targets, parameters), torch.tensor([4, 5, 6])

    trainer = TrainedBy(SineNet, stay)
    found = fit(trainer, dtype="float32")
    assert isinstance(found, Fitted)
    ((inputs, targets, parameters),) = seen
    shapes = {name: tuple(value.shape) for name, value in parameters.items()}
    assert shapes == {
        "0.weight": (3, 4, 1),
        "0.bias": (3, 4),
        "2.weight": (3, 1, 4),
        "2.bias": (3, 1),
    }
    assert inputs[0].shape == targets[0].shape == (3, 50, 1)
    assert {each.dtype for each in (*inputs, *targets, *parameters.values())} == {torch.float32}
    assert found.began is not None
    assert found.end is not None
    assert (found.end.own == found.began.own).all()
    assert list(found.evaluations) == [4, 5, 6]


def test_lost_starts_are_told() -> None:
    """One that ends at NaN is not finite, and the others are kept."""

    def lose_one(inputs: Any, targets: Any, parameters: Any) -> Any:
        parameters["0.bias"][1] = torch.nan
        return parameters, compute_losses(inputs, targets, parameters)

    found = fit(TrainedBy(SineNet, lose_one))
    assert isinstance(found, Fitted)
    assert found.finite.tolist() == [True, False, True]
    assert list(found.ended) == ["finished", "not finite", "finished"]


def raise_error(inputs: Any, targets: Any, parameters: Any) -> Any:
    raise ZeroDivisionError("mine")


WRONG: dict[str, Callable[..., Any]] = {
    "nothing": lambda inputs, targets, p: None,
    "no losses": lambda inputs, targets, p: p,
    "no parameters": lambda inputs, targets, p: ([1, 2], torch.zeros(3)),
    "a name missing": lambda inputs, targets, p: ({"0.bias": p["0.bias"]}, torch.zeros(3)),
    "one copy": lambda inputs, targets, p: ({n: v[0] for n, v in p.items()}, torch.zeros(3)),
    "one loss": lambda inputs, targets, p: (p, torch.zeros(())),
    "a number": lambda inputs, targets, p: (p, 0.0),
    "counts of one": lambda inputs, targets, p: (p, torch.zeros(3), torch.zeros(1)),
    "an error": raise_error,
}


def test_what_a_function_returns_wrongly_is_said(approved: Approved) -> None:
    """As the reason why there is no fit; nothing is raised."""
    said = []
    for name, train in WRONG.items():
        found = fit(TrainedBy(SineNet, train))
        assert isinstance(found, Missing)
        said.append(f"{name}: {found.status} {found.why}")
    approved(said)


def test_wrong_arguments_are_said(approved: Approved) -> None:
    """When it is written."""
    with approved.raises(TypeError):
        TrainedBy(SineNet, Recipe("adam", 10))  # type: ignore[arg-type]
    with approved.raises(ValueError):
        TrainedBy(SineNet, descend, most=0)


def test_it_says_that_it_trains(approved: Approved) -> None:
    """With the number of starts."""
    trainer, said = TrainedBy(SineNet, descend, start=starts.uniform()), list[str]()
    trainer.fit(trainer.starting(NETWORK, POPULATION, 3, "float64"), "float64", "cpu", said.append)
    approved(said)


def test_its_gradients_are_not_raced(approved: Approved) -> None:
    """The race says what can be raced."""
    trainer = TrainedBy(SineNet, descend, start=starts.uniform())
    case = Case("own", NETWORK, [trainer], [numpy_net], POPULATION)
    entry = Entry("own", trainer, case, POPULATION, nnet_gradients)
    start = trainer.starting(NETWORK, POPULATION, 1, "float64")
    with approved.raises(TypeError):
        Turns(entry, start, "float64", "cpu")


def test_steps_are_not_asked_of_it(approved: Approved) -> None:
    """The trial says what can be asked."""
    trainer = TrainedBy(SineNet, descend, start=starts.uniform())
    case = Case("own", NETWORK, [trainer], [numpy_net], POPULATION, checks=["step"])
    verdict = run(case.trials()[0], Cache(case, 3))
    approved(f"{verdict.status} {verdict.why}")


def test_most_caps_the_starts() -> None:
    """By default all starts of a run are trained at once."""
    trainer = TrainedBy(SineNet, descend, start=starts.uniform())
    capped = TrainedBy(SineNet, descend, start=starts.uniform(), most=2)
    stepwise = Trained(SineNet, Recipe("sgd", 1), start=starts.uniform(), most=None)
    trainers = trainer, capped, stepwise
    counts = [each.starting(NETWORK, POPULATION, 5, "float64").draws for each in trainers]
    assert counts == [5, 2, 5]


def test_levenberg_marquardt_ends_below_what_it_is_told_to_reach() -> None:
    """As a race asks it, and at the claimed losses of the same starts as everybody's."""
    found = fit(LEVENBERG.stopping_at(0.5), 4)
    others = Trained(SineNet, Recipe("sgd", 1), start=starts.uniform(), most=4)
    assert isinstance(found, Fitted)
    assert (found.claimed <= 0.5).all()
    assert found.began is not None
    assert (found.began.own == others.starting(NETWORK, POPULATION, 4, "float64").own).all()


def test_it_may_race() -> None:
    """An entry takes it as it takes Trained."""
    case = Case("before", NETWORK, [LEVENBERG.subject], [numpy_net], POPULATION)
    entry = Entry("fit", LEVENBERG, case, POPULATION, lambda problem: lambda draw: (1.0, 1.0), True)
    assert entry.id("cpu", "float64") == "fit-levenberg-cpu-float64"
