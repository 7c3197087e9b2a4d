"""A mistake in the steps of an optimiser is found from the states that training visits."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from harness import Contract, Formulation, Problem, Recipe
from harness.core.contract import Array
from harness.core.problem import STEP
from reference import Network
from reference.explaining.steps import (
    _step_by_velocity,
    _step_decoupled,
    _step_uncorrected,
    _take_steps,
    likely_step,
)
from tests.conftest import Approved

STEPS, RUNS = 5, 2
NETWORK = Network(2, 3, 1, "tanh")
SGD = Recipe("sgd", STEPS, {"lr": 0.01})
MOMENTUM = Recipe("sgd", STEPS, {"lr": 0.01, "momentum": 0.9})
DECAYED = Recipe("sgd", STEPS, {"lr": 0.01, "weight_decay": 0.1})
ADAM = Recipe("adam", STEPS, {"lr": 0.01, "weight_decay": 0.1})


def asked(recipe: Recipe) -> Problem:
    """States of training runs with gradients, all drawn at random."""
    rng = np.random.default_rng(3)
    draws = STEPS * RUNS
    return Problem(
        "state",
        Formulation.identity(NETWORK),
        rng.uniform(-1, 1, (draws, NETWORK.layout.size)),
        rng.uniform(-1, 1, (draws, 4, 2)),
        rng.uniform(-1, 1, (draws, 4, 1)),
        recipe=recipe,
        runs=RUNS,
        optimiser_gradients=rng.normal(size=(draws, NETWORK.layout.size)) * 2,
    )


def by(recipe: Recipe) -> Callable[[Problem], Array]:
    return lambda problem: _take_steps(replace(problem, recipe=recipe))


def of_gradients(change: Callable[[Array], Array]) -> Callable[[Problem], Array]:
    def after(problem: Problem) -> Array:
        assert problem.optimiser_gradients is not None
        return _take_steps(
            replace(problem, optimiser_gradients=change(problem.optimiser_gradients))
        )

    return after


def freeze_first(problem: Problem) -> Array:
    after = _take_steps(problem).copy()
    places = NETWORK.layout.blocks[0].places
    after[:, places] = problem.own[:, places]
    return after


def add_up(gradients: Array) -> Array:
    return np.cumsum(gradients.reshape(STEPS, RUNS, -1), axis=0).reshape(gradients.shape)


MISTAKES: dict[str, tuple[Recipe, Callable[[Problem], Array]]] = {
    "no step": (SGD, lambda problem: problem.own),
    "ascent": (SGD, lambda problem: 2 * problem.own - _take_steps(problem)),
    "another rate": (SGD, by(replace(SGD, settings={"lr": 0.003}))),
    "two steps": (SGD, by(replace(SGD, settings={"lr": 0.02}))),
    "a frozen block": (SGD, freeze_first),
    "never zeroed": (SGD, of_gradients(add_up)),
    "clipped values": (SGD, of_gradients(lambda g: np.clip(g, -1, 1))),
    "clipped norm": (SGD, of_gradients(lambda g: g / np.linalg.norm(g, axis=1, keepdims=True))),
    "no momentum": (MOMENTUM, by(SGD)),
    "momentum": (SGD, by(MOMENTUM)),
    "Nesterov": (MOMENTUM, lambda problem: _step_by_velocity(problem, 0.9, 0.0, True)),
    "dampening": (MOMENTUM, lambda problem: _step_by_velocity(problem, 0.9, 0.9, False)),
    "no decay": (DECAYED, by(SGD)),
    "decay": (SGD, by(DECAYED)),
    "Adam for SGD": (SGD, by(Recipe("adam", STEPS, {"lr": 0.01}))),
    "SGD for Adam": (ADAM, by(SGD)),
    "AdamW": (ADAM, lambda problem: _step_decoupled(problem, 0.001)),
    "no bias correction": (ADAM, _step_uncorrected),
    "betas": (ADAM, by(replace(ADAM, settings={**ADAM.settings, "beta2": 0.99}))),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_mistakes_of_steps_are_named(dtype: str, approved: Approved) -> None:
    """Each by a sentence of its own."""
    said = []
    for name, (recipe, change) in MISTAKES.items():
        problem = asked(recipe).rounded(Contract(dtype))
        seen = Contract(dtype).rounded(change(problem))
        said.append(f"{name}: {likely_step([problem], [{STEP: seen}], Contract(dtype))}")
    approved(said)


def test_a_step_that_nothing_explains_is_offered_nothing() -> None:
    """Steps along the signs of the gradients, and steps with noise."""
    problem = asked(SGD)
    noise = np.random.default_rng(4).normal(size=problem.own.shape)
    for seen in (of_gradients(np.sign)(problem), _take_steps(problem) + 1e-3 * noise):
        assert likely_step([problem], [{STEP: seen}], Contract()) == ""
