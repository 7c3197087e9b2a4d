"""Optimisers are torch's own, to the bit, and cost neither torch._dynamo nor its wrappers."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from harness.core.recipe import Recipe
from harness.training import optimisers
from harness.training.optimisers import clear_gradients, make_optimiser

RECIPES = {
    "sgd": (Recipe("sgd", 9, {"lr": 0.1}), {"lr": 0.1}),
    "momentum": (
        Recipe("sgd", 9, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
        {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
    ),
    "adam": (
        Recipe("adam", 9, {"lr": 0.1, "weight_decay": 0.01}),
        {"lr": 0.1, "weight_decay": 0.01},
    ),
}
ALONE = """
import sys, torch
from harness.core.recipe import Recipe
from harness.training.optimisers import make_optimiser
for name in ("sgd", "adam", "lbfgs"):
    w = torch.zeros(2, requires_grad=True)
    optimiser, step = make_optimiser(Recipe(name, 9), [w], "cpu")
    w.grad = torch.ones(2)
    step(lambda: w.sum()) if name == "lbfgs" else step()
    assert w.abs().sum() > 0
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("in_use", [False, True])
def test_steps_are_those_of_torch(name: str, in_use: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With and without the wrappers, nine steps in float32 end at the same numbers."""
    recipe, settings = RECIPES[name]
    ours, theirs = (torch.linspace(-1, 1, 7).requires_grad_() for _ in range(2))
    torchs = (torch.optim.Adam if name == "adam" else torch.optim.SGD)([theirs], **settings)
    modules = {key: module for key, module in sys.modules.items() if key != optimisers.DYNAMO}
    with monkeypatch.context() as patch:
        if not in_use:
            patch.setattr(optimisers.sys, "modules", modules)
        _, step = make_optimiser(recipe, [ours], "cpu")
    for _ in range(9):
        for one, take in ((ours, step), (theirs, torchs.step)):
            clear_gradients([one])
            (one.sin() ** 2).sum().backward()
            take()
    assert torch.equal(ours, theirs)
    assert ours.requires_grad


def test_torch_is_left_as_it_was() -> None:
    """After an optimiser of ours was made, the next one meets torch's own function."""
    add = torch.optim.Optimizer.add_param_group
    before = dict(add.__wrapped__.__dict__)
    make_optimiser(RECIPES["adam"][0], [torch.zeros(1, requires_grad=True)], "cpu")
    assert torch.optim.Optimizer.add_param_group is add
    assert add.__wrapped__.__dict__ == before


def test_no_optimiser_imports_dynamo(warm_python: str) -> None:
    """Which takes longer than to import torch: neither when it is made nor when it steps."""
    done = subprocess.run([warm_python, "-c", ALONE], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
