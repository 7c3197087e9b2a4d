"""A user's own training loop is judged as it stands: its gradients, its steps and its ends."""

import copy
import io
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness import Population, Recipe, Status, Trained
from harness.core.contract import Array
from harness.core.formulation import Formulation
from harness.core.implementation import Missing
from harness.core.loss import Loss
from harness.training.trainer import Fitted
from reference import Network, starts
from tests.conftest import Approved
from tests.training.test_training import POPULATION, TANH, TanhNet, asked

RATE, STEPS = 1e-3, 12
SGD = Recipe("sgd", STEPS, {"lr": RATE})
MOMENTUM = Recipe("sgd", STEPS, {"lr": RATE, "momentum": 0.9})
ADAMW = Recipe("adamw", STEPS, {"lr": RATE})
Loop = Callable[[Any, Any, Any], Any]


def squares(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The loss of nnet."""
    return (outputs - targets).square().sum()


def descend(
    make: Callable[[Iterable[Any]], Any] = lambda parameters: torch.optim.SGD(parameters, lr=RATE),
    loss_of: Callable[[Any, Any], Any] = squares,
    steps: int = STEPS,
) -> Loop:
    """A loop as it is usually written."""

    def loop(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
        optimiser = make(model.parameters())
        for _ in range(steps):
            optimiser.zero_grad()
            loss_of(model(x), y).backward()
            optimiser.step()

    return loop


def zeros(formulation: Formulation, count: int) -> Array:
    """Every parameter begins with 0."""
    return np.zeros((count, formulation.own.size))


def with_momentum(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    """By hand: gradients that no parameter holds, and a state that begins with each call."""
    velocities = [torch.zeros_like(parameter) for parameter in model.parameters()]
    for _ in range(STEPS):
        slopes = torch.autograd.grad(squares(model(x), y), list(model.parameters()))
        with torch.no_grad():
            for parameter, v, slope in zip(model.parameters(), velocities, slopes, strict=True):
                parameter -= RATE * v.mul_(0.9).add_(slope)


def in_two_parts(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    """Gradients of two halves of the rows add up."""
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE)
    for _ in range(STEPS):
        for rows in (slice(0, 25), slice(25, 50)):
            squares(model(x[rows]), y[rows]).backward()
        optimiser.step()
        optimiser.zero_grad()


def with_average(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    """A copy of the model holds averages; both are evaluated after each step."""
    average, optimiser = copy.deepcopy(model), torch.optim.SGD(model.parameters(), lr=RATE)
    for _ in range(STEPS):
        optimiser.zero_grad()
        squares(model(x), y).backward()
        optimiser.step()
        with torch.no_grad():
            for own, new in zip(average.parameters(), model.parameters(), strict=True):
                own.lerp_(new, 0.1)
            average.eval()(x)
            model.eval()(x)
        model.train()


def with_new_data(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    """Each parameter's data are another tensor after a step."""
    for _ in range(STEPS):
        model.zero_grad()
        squares(model(x), y).backward()
        for parameter in model.parameters():
            assert parameter.grad is not None
            parameter.data = parameter.data - RATE * parameter.grad


def save_whole(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    """The model is saved and loaded after each step, not its numbers alone."""
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE)
    for _ in range(STEPS):
        optimiser.zero_grad()
        squares(model(x), y).backward()
        optimiser.step()
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        torch.load(file, weights_only=False)(x)


def call_layers(model: Any, x: torch.Tensor, y: torch.Tensor) -> None:
    """The model itself is not called."""
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE)
    for _ in range(STEPS):
        optimiser.zero_grad()
        squares(model.output(torch.tanh(model.hidden(x))), y).backward()
        optimiser.step()


@pytest.mark.parametrize(
    ("recipe", "loop"),
    [
        (SGD, descend()),
        (MOMENTUM, with_momentum),
        (ADAMW, descend(lambda parameters: torch.optim.AdamW(parameters, lr=RATE))),
        (SGD, in_two_parts),
        (SGD, with_average),
        (SGD, with_new_data),
        (SGD, call_layers),
        (SGD, save_whole),
    ],
    ids=["plain", "by hand", "adamw", "in two parts", "averages", "new data", "layers", "saved"],
)
def test_a_right_loop_passes_as_it_stands(recipe: Recipe, loop: Loop) -> None:
    """Whatever it calls the model for, and however it holds gradients."""
    for dtype in ("float64", "float32"):
        for check in ("gradient", "step"):
            verdict = asked(Trained(TanhNet, recipe, loop=loop), check, dtype)
            assert verdict.status is Status.PASS, verdict.why


def zero_between(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    """The gradients are gone before the step."""
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE)
    for _ in range(STEPS):
        squares(model(x), y).backward()
        optimiser.zero_grad()
        optimiser.step()


def never_zero(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    """The gradients of all steps add up."""
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE)
    for _ in range(STEPS):
        squares(model(x), y).backward()
        optimiser.step()


def train_another(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    """A model that the loop has made itself."""
    descend()(TanhNet().to(x.dtype), x, y)


def train_a_copy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    """The model gets what a copy has learned."""
    other = copy.deepcopy(model)
    descend()(other, x, y)
    model.load_state_dict(other.state_dict())


def initialise(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    """The loop begins with biases of 0."""
    for name, parameter in model.named_parameters():
        if "bias" in name:
            nn.init.zeros_(parameter)
    descend()(model, x, y)


def in_batches(drop_last: bool) -> Loop:
    """Gradients of batches of 16 of the 50 rows add up: means, times the number of all rows over
    that of batches.
    """

    def loop(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
        optimiser = torch.optim.SGD(model.parameters(), lr=RATE)
        parts = list(zip(x.split(16), y.split(16), strict=True))
        parts = parts[:3] if drop_last else parts
        for _ in range(STEPS):
            optimiser.zero_grad()
            for some, expected in parts:
                mean = nn.functional.mse_loss(model(some), expected)
                (mean * (16 if drop_last else len(x) / len(parts))).backward()
            optimiser.step()

    return loop


def with_penalty(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    """A hundredth of the sum of squared weights is added to the loss."""
    optimiser = torch.optim.SGD(model.parameters(), lr=RATE)
    for _ in range(STEPS):
        optimiser.zero_grad()
        loss = squares(model(x), y)
        for name, parameter in model.named_parameters():
            if "weight" in name:
                loss = loss + 0.01 * parameter.square().sum()
        loss.backward()
        optimiser.step()


WRONG: dict[str, tuple[str, Loop]] = {
    "zeroed before the step": ("step", zero_between),
    "never zeroed": ("gradient", never_zero),
    "the output layer left out": (
        "gradient",
        descend(lambda parameters: torch.optim.SGD(list(parameters)[:2], lr=RATE)),
    ),
    "targets (n, 1) against (n,)": (
        "gradient",
        descend(loss_of=lambda outputs, targets: (outputs[:, 0] - targets).square().mean()),
    ),
    "mean": ("gradient", descend(loss_of=nn.functional.mse_loss)),
    "absolute errors": ("gradient", descend(loss_of=nn.L1Loss(reduction="sum"))),
    "Huber's mean": ("gradient", descend(loss_of=nn.HuberLoss())),
    "a penalty": ("gradient", with_penalty),
    "another rate": (
        "step",
        descend(lambda parameters: torch.optim.SGD(parameters, lr=RATE / 2)),
    ),
    "too few steps": ("step", descend(steps=5)),
    "another model": ("step", train_another),
    "a smaller last batch": ("gradient", in_batches(drop_last=False)),
    "the last batch dropped": ("gradient", in_batches(drop_last=True)),
    "a copy": ("step", train_a_copy),
    "another start": ("step", initialise),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_loop_is_told_its_mistake(name: str, approved: Approved) -> None:
    """In a sentence of its own."""
    check, loop = WRONG[name]
    verdict = asked(Trained(TanhNet, SGD, "loop", loop=loop, start=starts.uniform()), check)
    assert verdict.status in (Status.FAIL, Status.BROKEN)
    lines = verdict.why.splitlines()
    likely = [line for line in lines if line.startswith("  likely")]
    approved(likely or lines[1:2])


def test_a_penalty_that_a_loop_leaves_out_is_missing(approved: Approved) -> None:
    """The loss of the case has it: nothing is added."""
    problems = replace(POPULATION, loss=Loss(reduction="sum", decay=0.01))
    loop = Trained(TanhNet, SGD, "loop", loop=descend(), start=starts.uniform())
    verdict = asked(loop, "gradient", problems=problems)
    assert verdict.status is Status.FAIL
    approved([line for line in verdict.why.splitlines() if "likely" in line])


class Line(nn.Sequential):
    """Two parameters."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(1, 1))


def test_rows_are_not_blamed_for_two_numbers() -> None:
    """Some batch of 60 rows fits two gradients by chance."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 60, 1))
    problems = Population(
        lambda draws: (np.tile(x, (draws, 1, 1)), np.tile(y, (draws, 1, 1))), grid=[[0.0]]
    )
    weights = torch.rand(60, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    loop = descend(loss_of=lambda o, t: (weights * (o - t).square()).sum(), steps=1)
    once = Trained(Line, Recipe("sgd", 1, {"lr": RATE}), "line", loop=loop, start=starts.uniform())
    net = Network(inputs=1, hidden=0, outputs=1, activation="tanh", skip=True)
    verdict = asked(replace(once, most=1), "gradient", net=net, problems=problems)
    assert verdict.status is Status.FAIL
    assert "likely" not in verdict.why


def test_a_copy_that_a_loop_has_kept_ends_no_other_run() -> None:
    """The next start's loop calls it first."""
    kept: list[nn.Module] = []

    def loop(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
        for before in kept:
            before(x)
        kept.append(copy.deepcopy(model))
        descend()(model, x, y)

    verdict = asked(Trained(TanhNet, SGD, loop=loop), "step")
    assert verdict.status is Status.PASS, verdict.why
    assert len(kept) > 1


def test_a_loop_that_goes_on_after_errors_hides_none_of_the_judge(approved: Approved) -> None:
    """It trains out of its range, and catches what is raised there."""

    def loop(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
        optimiser = torch.optim.SGD(model.parameters(), lr=RATE)
        for _ in range(STEPS):
            try:
                optimiser.zero_grad()
                squares(model(x), y).backward()
                optimiser.step()
            except Exception:
                optimiser.zero_grad()

    bounded = Trained(TanhNet, SGD, loop=loop, start=zeros, most=1, stays=(-0.01, 0.01))
    begun = bounded.starting(TANH, POPULATION, 1, "float64")
    found = bounded.fit(begun, "float64", "cpu", lambda said: None)
    assert isinstance(found, Missing)
    approved(found.why)


def test_a_loop_that_diverges_says_so_of_its_end_alone() -> None:
    """Its losses before are not seen."""
    loop = descend(lambda parameters: torch.optim.SGD(parameters, lr=1e300))
    assert end(loop, Recipe("sgd", STEPS, {"lr": 1e300})).ended == ["not finite at the end"]


def test_a_training_is_no_reference_of_steps(approved: Approved) -> None:
    """Nobody knows how far its steps may be off: numpy_net does."""
    with approved.raises(TypeError):
        asked(Trained(TanhNet, SGD), "step", references=[Trained(TanhNet, SGD, "other")])


def test_losses_inside_a_loop_are_not_seen(approved: Approved) -> None:
    """The check is absent, and says so."""
    verdict = asked(Trained(TanhNet, SGD, "loop", loop=descend()), "loss")
    assert verdict.status is Status.ABSENT
    approved(verdict.why)


def end(loop: Loop, recipe: Recipe = SGD) -> Fitted:
    """The end of training from one start."""
    trained = Trained(TanhNet, recipe, loop=loop, most=1)
    begun = trained.starting(TANH, POPULATION, 1, "float64")
    found = trained.fit(begun, "float64", "cpu", lambda said: None)
    assert isinstance(found, Fitted), isinstance(found, Missing) and found.why
    return found


def test_a_loop_ends_where_the_recipe_ends() -> None:
    """The same steps give the same end, to the last bit."""
    by_recipe = Trained(TanhNet, SGD, most=1)
    begun = by_recipe.starting(TANH, POPULATION, 1, "float64")
    expected = by_recipe.fit(begun, "float64", "cpu", lambda said: None)
    found = end(descend())
    assert isinstance(expected, Fitted)
    assert found.end is not None
    assert expected.end is not None
    assert np.array_equal(found.end.own, expected.end.own)
    assert np.array_equal(found.claimed, expected.claimed)


def test_a_loop_says_how_many_steps_it_took() -> None:
    """Beside the number of its recipe, if that is another one."""
    assert end(descend()).ended == ["12 steps"]
    assert end(descend(steps=5)).ended == ["5 steps (recipe: 12)"]


def test_the_end_of_a_loop_whose_steps_are_not_seen_is_judged() -> None:
    """It trains a copy: the model has what the copy has learned."""
    found = end(train_a_copy)
    assert found.ended == ["steps not seen"]
    assert found.end is not None
    expected = end(descend()).end
    assert expected is not None
    assert np.array_equal(found.end.own, expected.own)


def test_a_loop_may_return_the_loss_before_its_last_step() -> None:
    """It is no claim about the end."""

    def loop(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
        descend()(model, x, y)
        return 1.5

    assert np.array_equal(end(loop).claimed, end(descend()).claimed)


class Dropping(TanhNet):
    """Some of the hidden units are left out."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.output(self.drop(torch.tanh(self.hidden(x))))
        return result


def test_dropout_in_training_is_named(approved: Approved) -> None:
    """Its gradients are others at each call."""
    torch.manual_seed(0)
    verdict = asked(Trained(Dropping, SGD, "dropping", loop=descend()), "gradient")
    assert verdict.status is Status.FAIL
    approved([line for line in verdict.why.splitlines() if "drops" in line])


def test_a_loop_is_run_no_further_than_it_is_judged() -> None:
    """Fifty steps of a million; what it opens it may close."""
    closed = []

    def loop(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
        try:
            descend(steps=1_000_000)(model, x, y)
        except Exception:
            closed.append("as an error")
            raise
        finally:
            closed.append("closed")

    recipe = Recipe("sgd", 1_000_000, {"lr": RATE})
    assert asked(Trained(TanhNet, recipe, loop=loop, most=1), "step").status is Status.PASS
    assert closed == ["closed"]


@pytest.mark.parametrize(
    "given",
    [
        {"loop": 3},
        {"loop": lambda model: None},
        {"iterate": lambda loss: None},
        {"loop": descend(), "iterate": lambda loss, parameters: None},
    ],
    ids=["no function", "other arguments", "of a step", "beside iterate"],
)
def test_a_loop_that_is_none_says_so(given: dict[str, Any], approved: Approved) -> None:
    """What was found, what was expected, when it is written."""
    with approved.raises((ValueError, TypeError)):
        Trained(TanhNet, SGD, "mine", **given)


def test_the_steps_of_a_compiled_model_are_not_seen(approved: Approved) -> None:
    """It is called as one piece of code."""
    compiled = Trained(
        lambda: torch.compile(TanhNet(), backend="eager"), SGD, "compiled", loop=descend()
    )
    approved(asked(compiled, "step").why)


def test_a_pass_says_which_steps_are_not_judged(approved: Approved) -> None:
    """A loop that takes more steps than its recipe passes: it was ended before."""
    verdict = asked(Trained(TanhNet, SGD, "mine", loop=descend(steps=STEPS + 8)), "step")
    assert verdict.status is Status.PASS
    approved(verdict.caveat)
