"""A mistake in the steps of an optimiser is found from the states that training visits."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from harness import Contract, Formulation, Problem, Recipe
from harness.core.contract import Array
from harness.core.problem import STEP
from reference import Network
from reference.explaining.carried import add_up
from reference.explaining.steps import likely_step
from reference.mistakes.updates import (
    Moments,
    add_squares,
    repeat_steps,
    step_by_velocity,
    take_steps,
    with_gradients,
)
from tests.conftest import Approved

STEPS, RUNS = 5, 2
NETWORK = Network(2, 3, 1, "tanh")
SGD = Recipe("sgd", STEPS, {"lr": 0.01})
MOMENTUM = Recipe("sgd", STEPS, {"lr": 0.01, "momentum": 0.9})
DECAYED = Recipe("sgd", STEPS, {"lr": 0.01, "weight_decay": 0.1})
NESTEROV = replace(MOMENTUM, settings={**MOMENTUM.settings, "nesterov": True})
PLAIN_ADAM = Recipe("adam", STEPS, {"lr": 0.01})
ADAMW = Recipe("adamw", STEPS, {"lr": 0.01, "weight_decay": 0.1})
RMSPROP = Recipe("rmsprop", STEPS, {"lr": 0.01})
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
    return lambda problem: take_steps(replace(problem, recipe=recipe))


def freeze_first(problem: Problem) -> Array:
    after = take_steps(problem).copy()
    places = NETWORK.layout.blocks[0].places
    after[:, places] = problem.own[:, places]
    return after


BIASES = [at for block in NETWORK.layout.blocks if "b" in block.name for at in block.places.ravel()]


def spare_biases(problem: Problem) -> Array:
    after = take_steps(problem)
    after[:, BIASES] = by(SGD)(problem)[:, BIASES]
    return after


def hurry_biases(problem: Problem) -> Array:
    after = take_steps(problem)
    after[:, BIASES] += (after - problem.own)[:, BIASES]
    return after


def halve_late(problem: Problem) -> Array:
    """The rate is halved from the fourth step on."""
    after = take_steps(problem)
    after[3 * RUNS :] = (after + problem.own)[3 * RUNS :] / 2
    return after


def clipped(most: float) -> Callable[[Problem], Array]:
    def clip(gradients: Array) -> Array:
        norms = np.linalg.norm(gradients, axis=1, keepdims=True)
        return np.asarray(gradients * np.minimum(most / norms, 1))

    return with_gradients(clip)


def clipped_by_tensor(problem: Problem) -> Array:
    def clip(gradients: Array) -> Array:
        found = gradients.copy()
        for block in NETWORK.layout.blocks:
            places = block.places.ravel()
            norms = np.linalg.norm(gradients[:, places], axis=1, keepdims=True)
            found[:, places] *= np.minimum(1.5 / norms, 1)
        return found

    return with_gradients(clip)(problem)


def narrow_velocity(problem: Problem) -> Array:
    """The velocity is rounded to float32 after each step."""
    assert problem.optimiser_gradients is not None
    own = problem.own.reshape(STEPS, RUNS, -1)
    after, velocity = [], np.zeros_like(own[0])
    for weights, gradient in zip(own, problem.optimiser_gradients.reshape(own.shape), strict=True):
        velocity = (0.9 * velocity + gradient).astype(np.float32).astype(np.float64)
        after.append(weights - 0.01 * velocity)
    return np.concatenate(after)


def keep_velocity(problem: Problem) -> Array:
    """The second start begins with the first one's last velocity."""
    after = take_steps(problem).reshape(STEPS, RUNS, -1)
    own = problem.own.reshape(after.shape)
    velocity = (own - after)[-1, 0]
    for step in range(STEPS):
        velocity = 0.9 * velocity
        after[step, 1] -= velocity
    return after.reshape(problem.own.shape)


MISTAKES: dict[str, tuple[Recipe, Callable[[Problem], Array]]] = {
    "no step": (SGD, lambda problem: problem.own),
    "ascent": (SGD, lambda problem: 2 * problem.own - take_steps(problem)),
    "another rate": (SGD, by(replace(SGD, settings={"lr": 0.003}))),
    "two steps": (SGD, by(replace(SGD, settings={"lr": 0.02}))),
    "a frozen block": (SGD, freeze_first),
    "never zeroed": (SGD, with_gradients(lambda g: add_up(g, RUNS))),
    "clipped values": (SGD, with_gradients(lambda g: np.clip(g, -1, 1))),
    "clipped norm": (SGD, with_gradients(lambda g: g / np.linalg.norm(g, axis=1, keepdims=True))),
    "no momentum": (MOMENTUM, by(SGD)),
    "momentum": (SGD, by(MOMENTUM)),
    "Nesterov": (MOMENTUM, lambda problem: step_by_velocity(problem, 0.9, 0.0, True)),
    "dampening": (MOMENTUM, lambda problem: step_by_velocity(problem, 0.9, 0.9, False)),
    "no decay": (DECAYED, by(SGD)),
    "decay": (SGD, by(DECAYED)),
    "Adam for SGD": (SGD, by(Recipe("adam", STEPS, {"lr": 0.01}))),
    "SGD for Adam": (ADAM, by(SGD)),
    "AdamW": (ADAM, Moments(shrinks=0.001).steps),
    "no bias correction": (ADAM, Moments(corrected=False).steps),
    "two steps of momentum": (MOMENTUM, repeat_steps),
    "another momentum": (MOMENTUM, lambda problem: step_by_velocity(problem, 0.8, 0.0, False)),
    "another momentum, without Nesterov's": (
        NESTEROV,
        lambda problem: step_by_velocity(problem, 0.8, 0.0, False),
    ),
    "another dampening": (MOMENTUM, lambda problem: step_by_velocity(problem, 0.9, 0.5, False)),
    "damped from the first": (
        MOMENTUM,
        by(replace(MOMENTUM, settings={**MOMENTUM.settings, "lr": 0.001})),
    ),
    "plain momentum": (NESTEROV, by(MOMENTUM)),
    "another decay": (
        DECAYED,
        by(replace(DECAYED, settings={**DECAYED.settings, "weight_decay": 0.3})),
    ),
    "twice the decay": (ADAM, by(replace(ADAM, settings={**ADAM.settings, "weight_decay": 0.2}))),
    "decay of weights alone": (DECAYED, spare_biases),
    "another rate of biases": (SGD, hurry_biases),
    "a schedule": (SGD, halve_late),
    "a schedule of Adam": (ADAM, halve_late),
    "clipped to a norm of 3": (SGD, clipped(3.0)),
    "clipped to a norm of 5, with momentum": (MOMENTUM, clipped(5.0)),
    "clipped by tensor": (SGD, clipped_by_tensor),
    "clipped to 2": (SGD, with_gradients(lambda g: np.clip(g, -2, 2))),
    "a velocity in float32": (MOMENTUM, narrow_velocity),
    "kept velocity": (MOMENTUM, keep_velocity),
    "eps": (ADAM, by(replace(ADAM, settings={**ADAM.settings, "eps": 1e-3}))),
    "eps inside": (ADAM, Moments(eps_is="inside").steps),
    "eps before": (ADAM, Moments(eps_is="before").steps),
    "counted from 2": (ADAM, Moments(ahead=1).steps),
    "a new optimiser each step": (ADAM, Moments(forgets=True).steps),
    "amsgrad": (ADAM, Moments(greatest=True).steps),
    "RMSprop": (ADAM, by(Recipe("rmsprop", STEPS, {"lr": 0.01, "weight_decay": 0.1}))),
    "Adagrad": (ADAM, add_squares),
    "AdamW's default decay": (PLAIN_ADAM, by(Recipe("adamw", STEPS, {"lr": 0.01}))),
    "AdamW without lr": (ADAM, Moments(shrinks=0.1).steps),
    "Adam for AdamW": (ADAMW, by(ADAM)),
    "eps of AdamW": (ADAMW, by(replace(ADAMW, settings={**ADAMW.settings, "eps": 1e-3}))),
    "alpha": (RMSPROP, by(replace(RMSPROP, settings={"lr": 0.01, "alpha": 0.9}))),
    "Adam for RMSprop": (RMSPROP, by(PLAIN_ADAM)),
    "SGD for RMSprop": (RMSPROP, by(SGD)),
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
    for seen in (with_gradients(np.sign)(problem), take_steps(problem) + 1e-3 * noise):
        assert likely_step([problem], [{STEP: seen}], Contract()) == ""
