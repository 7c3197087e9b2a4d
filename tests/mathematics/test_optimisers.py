"""The bounds of an optimiser's step: PyTorch's own steps are inside, wrong ones are not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from harness import Contract, Recipe
from harness.comparing.judge import budget
from harness.core.formulation import Formulation
from harness.core.problem import Problem
from reference import Network
from reference.mathematics.optimisers import steps
from reference.mathematics.oracle import oracle
from tests.conftest import Approved
from tests.selfcheck.ball import BallArithmetic
from tests.support import DTYPES

NET = Network(2, 3, 1, "logistic")
SIZE, RUNS, STEPS = NET.layout.size, 4, 25
RECIPES = {
    "sgd": Recipe("sgd", STEPS, {"lr": 0.01}),
    "momentum": Recipe("sgd", STEPS, {"lr": 0.01, "momentum": 0.9}),
    "momentum and decay": Recipe("sgd", STEPS, {"lr": 0.03, "momentum": 0.7, "weight_decay": 0.1}),
    "dampening": Recipe(
        "sgd", STEPS, {"lr": 0.03, "momentum": 0.7, "dampening": 0.3, "weight_decay": 0.1}
    ),
    "nesterov": Recipe("sgd", STEPS, {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
    "adam": Recipe("adam", STEPS, {"lr": 0.01}),
    "adam and decay": Recipe("adam", STEPS, {"lr": 0.003, "weight_decay": 0.01, "eps": 1e-6}),
    "adamw": Recipe("adamw", STEPS, {"lr": 0.03, "weight_decay": 0.1}),
    "rmsprop": Recipe("rmsprop", STEPS, {"lr": 0.01}),
    "rmsprop and decay": Recipe(
        "rmsprop", STEPS, {"lr": 0.03, "alpha": 0.9, "eps": 1e-6, "weight_decay": 0.1}
    ),
    "adam, other betas": Recipe("adam", STEPS, {"lr": 0.1, "beta1": 0.5, "beta2": 0.9}),
}
Rule = Callable[[Recipe, torch.Tensor, torch.Tensor, dict[str, Any], int], torch.Tensor]


def torch_rule(
    recipe: Recipe, w: torch.Tensor, g: torch.Tensor, state: dict[str, Any], number: int
) -> torch.Tensor:
    """torch.optim itself."""
    from harness.training.optimisers import make_optimiser

    if not state:
        state["w"] = w.clone().requires_grad_()
        _, state["step"] = make_optimiser(recipe, [state["w"]], "cpu")
    state["w"].grad = g.clone()
    state["step"]()
    return state["w"].detach().clone()


def visited(
    recipe: Recipe,
    dtype: str,
    rule: Rule,
    seed: int = 0,
    scales: tuple[float, float] = (-4, 2),
    reach: float = 1.0,
) -> tuple[Problem, np.ndarray]:
    """A run under given gradients on all scales, as a problem; and the own parameters after each
    step.
    """
    kind, rng = getattr(torch, dtype), np.random.default_rng(seed)
    w = torch.tensor(rng.standard_normal((RUNS, SIZE)) * reach, dtype=kind)
    scale = 10.0 ** rng.uniform(*scales, (RUNS, SIZE))
    state: dict[str, Any] = {}
    before, handed, after = [], [], []
    for number in range(STEPS):
        g = torch.tensor(rng.standard_normal((RUNS, SIZE)) * scale, dtype=kind)
        before.append(w.double().numpy())
        handed.append(g.double().numpy())
        w = rule(recipe, w, g, state, number + 1)
        after.append(w.double().numpy())
    own = np.concatenate(before)
    problem = Problem(
        "state",
        Formulation.identity(NET),
        own,
        np.ones((len(own), 1, 2)),
        np.ones((len(own), 1, 1)),
        recipe=recipe,
        runs=RUNS,
        optimiser_gradients=np.concatenate(handed),
    )
    return problem, np.concatenate(after)


def used(problem: Problem, after: np.ndarray, dtype: str) -> float:
    """The budget that the steps use."""
    bound = oracle(problem, Contract(dtype))["step"]
    return float(budget(after - bound.value, bound.error).max())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RECIPES)
def test_steps_of_torch_are_inside(name: str, dtype: str) -> None:
    """With any settings, gradients on six scales, in both dtypes; and they use a good part of the
    bound.
    """
    found = [used(*visited(RECIPES[name], dtype, torch_rule, seed), dtype) for seed in range(20)]
    assert 0.05 < max(found) <= 1


OTHERS = {
    "dampening": ("sgd", {"lr": 0.03, "momentum": 0.7, "weight_decay": 0.1}),
    "nesterov": ("sgd", {"lr": 0.01, "momentum": 0.9}),
    "adamw": ("adam", {"lr": 0.03, "weight_decay": 0.1}),
    "rmsprop": ("rmsprop", {"lr": 0.01, "alpha": 0.98}),
    "rmsprop and decay": ("rmsprop", {"lr": 0.03, "alpha": 0.9, "eps": 1e-6}),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", OTHERS)
def test_steps_of_another_recipe_are_outside(name: str, dtype: str) -> None:
    """Without its dampening, Nesterov's momentum, decoupled decay or alpha."""
    kind, settings = OTHERS[name]
    problem, after = visited(Recipe(kind, STEPS, settings), dtype, torch_rule)
    assert used(replace(problem, recipe=RECIPES[name]), after, dtype) > 100


POWERS_OF_TWO = Recipe("sgd", STEPS, {"lr": 2.0**-12, "momentum": 0.5, "weight_decay": 0.25})


@pytest.mark.parametrize(
    "recipe", [*RECIPES.values(), POWERS_OF_TWO], ids=[*RECIPES, "powers of two"]
)
def test_steps_of_torch_that_underflow_are_inside(recipe: Recipe) -> None:
    """A product with a power of two is exact, unless it underflows; from weights of 0 nothing else
    is left.
    """
    for reach in (0.0, 1e-40):
        problem, after = visited(recipe, "float32", torch_rule, scales=(-45, -36), reach=reach)
        assert used(problem, after, "float32") <= 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("dtype", "scales"), [("float32", (18, 37)), ("float64", (150, 300))])
def test_a_square_that_overflows_is_not_judged(dtype: str, scales: tuple[float, float]) -> None:
    """Adam divides by infinity in float32, and stands still; the bound knows it, and is finite
    where none is near.
    """
    problem, after = visited(RECIPES["adam"], dtype, torch_rule, scales=scales)
    bound = oracle(problem, Contract(dtype))["step"]
    judged = np.isfinite(bound.error)
    assert 0 < judged.mean() < 0.9
    assert (abs(after - bound.value) <= bound.error)[judged].all()
    assert judged[:RUNS][
        abs(problem.optimiser_gradients[:RUNS]) < Contract(dtype).largest ** 0.49
    ].all()


@pytest.mark.parametrize("name", RECIPES)
def test_bounds_of_steps_enclose_the_exact_ones(name: str) -> None:
    """The oracle's own value is within its bound of what ball arithmetic encloses at 256 bits."""
    problem, _ = visited(RECIPES[name], "float64", torch_rule)
    exact, bound = steps(BallArithmetic(Contract()), problem), oracle(problem, Contract())["step"]
    for ball, value, error in zip(
        exact.ravel(), bound.value.ravel(), bound.error.ravel(), strict=True
    ):
        assert abs(ball - value) <= error


def _sgd(change: Callable[..., Any]) -> Rule:
    def rule(recipe: Recipe, w: Any, g: Any, state: dict[str, Any], number: int) -> Any:
        return w - change(recipe.setting("lr"), g, state, w)

    return rule


def _adam(**wrong: Any) -> Rule:
    """Adam by hand with one thing another way."""

    def rule(recipe: Recipe, w: Any, g: Any, state: dict[str, Any], number: int) -> Any:
        b1, b2 = (wrong.get(name, recipe.setting(name)) for name in ("beta1", "beta2"))
        eps, t = recipe.setting("eps"), wrong.get("number", lambda n: n)(number)
        m = state["m"] = b1 * state.get("m", 0 * w) + (1 - b1) * g
        v = state["v"] = b2 * state.get("v", 0 * w) + (1 - b2) * (
            g * g if "square" not in wrong else g.abs()
        )
        c1 = 1 if "uncorrected1" in wrong else 1 - b1**t
        c2 = 1 if "uncorrected2" in wrong else 1 - b2**t
        denominator = (v / c2 + eps).sqrt() if "eps_inside" in wrong else (v / c2).sqrt() + eps
        lr = recipe.setting("lr") * wrong.get("lr", 1)
        return (
            w
            - lr * (g if "no_moment" in wrong else m) / c1 / denominator
            - wrong.get("decoupled", 0) * lr * w
        )

    return rule


FAULTS = {
    "lr off by 1e-6": ("sgd", _sgd(lambda lr, g, state, w: lr * (1 + 1e-6) * g)),
    "sign of the step": ("sgd", _sgd(lambda lr, g, state, w: -lr * g)),
    "no step": ("sgd", _sgd(lambda lr, g, state, w: 0 * g)),
    "gradient of the step before": ("sgd", _sgd(lambda lr, g, state, w: _stale(lr, g, state))),
    "gradients never zeroed": ("sgd", _sgd(lambda lr, g, state, w: lr * _velocity(g, state, 1, 1))),
    "momentum left out": ("momentum", _sgd(lambda lr, g, state, w: lr * g)),
    "momentum dampened": (
        "momentum",
        _sgd(lambda lr, g, state, w: lr * _velocity(g, state, 0.9, 0.1)),
    ),
    "momentum off by 1e-6": (
        "momentum",
        _sgd(lambda lr, g, state, w: lr * _velocity(g, state, 0.9 * (1 + 1e-6), 1)),
    ),
    "Nesterov's": (
        "momentum",
        _sgd(lambda lr, g, state, w: lr * (g + 0.9 * _velocity(g, state, 0.9, 1))),
    ),
    "first correction left out": ("adam", _adam(uncorrected1=True)),
    "second correction left out": ("adam", _adam(uncorrected2=True)),
    "steps counted from 0": ("adam", _adam(number=lambda n: max(n - 1, 1))),
    "betas exchanged": ("adam", _adam(beta1=0.999, beta2=0.9)),
    "beta2 0.99": ("adam", _adam(beta2=0.99)),
    "eps under the root": ("adam", _adam(eps_inside=True)),
    "size for the square": ("adam", _adam(square=True)),
    "gradient for the first moment": ("adam", _adam(no_moment=True)),
    "lr of Adam off by 1e-6": ("adam", _adam(lr=1 + 1e-6)),
    "AdamW's decay": ("adam", _adam(decoupled=0.01)),
}


def _stale(lr: float, g: Any, state: dict[str, Any]) -> Any:
    last, state["last"] = state.get("last", g), g
    return lr * last


def _velocity(g: Any, state: dict[str, Any], momentum: float, share: float) -> Any:
    state["v"] = momentum * state["v"] + share * g if "v" in state else g
    return state["v"]


def test_adam_by_hand_is_inside() -> None:
    """What the faults below are made from is right."""
    for dtype in DTYPES:
        assert used(*visited(RECIPES["adam"], dtype, _adam()), dtype) <= 1


@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_steps_are_outside(fault: str) -> None:
    """In float64, every one."""
    name, rule = FAULTS[fault]
    assert used(*visited(RECIPES[name], "float64", rule), "float64") > 1


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if "1e-6" not in fault])
def test_wrong_steps_are_outside_in_float32_too(fault: str) -> None:
    """Every one that float32 can hold apart."""
    name, rule = FAULTS[fault]
    assert used(*visited(RECIPES[name], "float32", rule), "float32") > 1


def test_what_is_held_stays_at_zero() -> None:
    """Held parameters are 0 after every step, exactly: nothing is allowed there."""
    problem, _ = visited(RECIPES["sgd"], "float64", torch_rule)
    held = np.arange(SIZE) % 3 == 0
    identity = problem.formulation
    formulation = Formulation(
        identity.own,
        NET,
        identity.matrix,
        identity.constant,
        identity.absolute,
        identity.magnitude,
        held,
    )
    object.__setattr__(problem, "formulation", formulation)
    bound = oracle(problem, Contract())["step"]
    assert (bound.value[:, held] == 0).all()
    assert (bound.error[:, held] == 0).all()
    assert (bound.value[:, ~held] != 0).all()


@pytest.mark.parametrize(
    "arguments",
    [
        ("rprop", 10),
        ("sgd", 10, {"betas": 1}),
        ("sgd", 0),
        ("sgd", 50.0),
        ("adam", 50, 0.01),
        ("adam", 1, {"beta1": 0.4}),
        ("sgd", 1, {"nesterov": True}),
    ],
    ids=["optimiser", "setting", "no steps", "a fraction", "no dict", "beta", "nesterov"],
)
def test_a_recipe_that_is_none_says_so(arguments: tuple[Any, ...], approved: Approved) -> None:
    """What was found, what was expected."""
    with approved.raises((ValueError, TypeError)):
        Recipe(*arguments)
