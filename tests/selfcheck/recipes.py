"""Judges the steps of torch's own optimisers under random recipes: a failure is a false alarm.

usage: python -m tests.selfcheck.recipes [--recipes N] [--seed N]

Each recipe trains a random network for 50 steps from three starts, in both dtypes.
"""

from __future__ import annotations

import argparse
from collections import Counter
from typing import Any

import numpy as np
import torch
from torch import nn

from harness import Case, Loss, Population, Recipe, Subject, Trained
from harness.core.recipe import OPTIMISERS
from harness.core.verdict import Status
from harness.judging.cache import Cache
from harness.running.trial import run
from reference import Network, numpy_net, starts

KINDS = [name for name in OPTIMISERS if name != "lbfgs"]  # its steps are not judged one by one
ACTS: dict[str, type[nn.Module]] = {"logistic": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}
NAMES = {"W1": "0.weight", "b": "0.bias", "W2": "2.weight", "b_w": "2.bias"}


def draw_settings(rng: np.random.Generator, kind: str) -> dict[str, Any]:
    """Return random settings of an optimiser, by PyTorch's names."""
    settings: dict[str, Any] = {"weight_decay": float(rng.choice([0, 1e-4, 0.01, 0.3]))}
    if kind == "sgd":
        settings["lr"] = 10 ** rng.uniform(-5, -2.5)
        chosen = rng.integers(4)
        if chosen:
            settings["momentum"] = float(rng.uniform(0.3, 0.99))
        if chosen == 2:
            settings["nesterov"] = True
        elif chosen == 3:
            settings["dampening"] = float(rng.uniform(0, 1))
        return settings
    settings |= {"lr": 10 ** rng.uniform(-4, -0.5), "eps": 10 ** rng.uniform(-10, -2)}
    shares = ("alpha",) if kind == "rmsprop" else ("beta1", "beta2")
    return settings | {share: float(rng.uniform(0.5, 0.9999)) for share in shares}


def draw_case(rng: np.random.Generator, kind: str) -> Case:
    """Return a case of a random network and data, trained by a random recipe."""
    act = str(rng.choice(list(ACTS)))
    inputs, hidden, outputs = map(int, rng.integers(1, 6, 3))
    rows, seed = int(rng.integers(1, 30)), int(rng.integers(1 << 30))

    def build() -> nn.Module:
        return nn.Sequential(nn.Linear(inputs, hidden), ACTS[act](), nn.Linear(hidden, outputs))

    def draw_data(draws: int) -> tuple[Any, Any]:
        data = np.random.default_rng(seed)
        return data.normal(size=(draws, rows, inputs)), data.normal(size=(draws, rows, outputs))

    model = Subject(build, "net", NAMES)
    trained = Trained(model, Recipe(kind, 50, draw_settings(rng, kind)), start=starts.uniform())
    loss = Loss(reduction=rng.choice(["sum", "mean"]))
    population = Population(draw_data, grid=np.zeros((1, inputs)), loss=loss)
    network = Network(inputs, hidden, outputs, act)
    return Case("steps", network, [trained], [numpy_net], population, checks=["gradient", "step"])


def judge(recipes: int, seed: int) -> tuple[Counter[str], float, list[str]]:
    """Return how many verdicts have each status, the largest share of a bound that a passing one
    uses, and the alarms as lines.
    """
    rng = np.random.default_rng(seed)
    statuses: Counter[str] = Counter()
    largest, alarms = 0.0, []
    for number in range(recipes):
        kind = KINDS[number % len(KINDS)]
        case = draw_case(rng, kind)
        cache = Cache(case, starts=3)
        for trial in case.trials():
            verdict = run(trial, cache)
            statuses[verdict.status.name] += 1
            if verdict.status is Status.PASS:
                largest = max(largest, verdict.budget_used or 0.0)
            else:
                alarms.append(f"{number}, {kind}: {trial.id}: {verdict.why}")
    return statuses, largest, alarms


def main() -> int:
    """Print alarms and counts; return the number of alarms, at most 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--recipes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    statuses, largest, alarms = judge(given.recipes, given.seed)
    print("\n".join(alarms))
    print(
        f"{given.recipes} recipes: {dict(statuses)}, {len(alarms)} alarms; at most"
        f" {largest:.2%} of a bound is used"
    )
    return min(len(alarms), 1)


if __name__ == "__main__":
    raise SystemExit(main())
