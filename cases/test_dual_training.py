"""Question 1, in training: which formulations of the dual-head network train alike, and does
clamping hold?
"""

from dataclasses import replace
from typing import Any

import numpy as np

from cases.dual_formulations import Formulations
from harness.core.contract import Array
from nnet_parity import (
    Case,
    Population,
    Recipe,
    Trained,
    nnet_fit,
    numpy_net,
    r_nnet,
    starts,
    verify,
)

SEED = Formulations(inputs=(5, 5), hidden=10, outputs=(5, 5), g="logistic", f="identity")
TEACHER = np.random.default_rng(2026).uniform(-1, 1, SEED.network.layout.size)
RECIPES = [
    Recipe("sgd", 300, {"lr": 1e-3}),
    Recipe("sgd", 300, {"lr": 1e-3, "momentum": 0.9, "weight_decay": 0.01}),
    Recipe("adam", 300, {"lr": 0.01, "weight_decay": 0.01}),
]
SHORT = Recipe("adam", 100, {"lr": 0.01})
SUBJECTS = {
    subject.name: subject for subject in (*SEED.same(), SEED.block_diagonal(), SEED.sparse_blocks())
}
# D1, D3 and D4 in both readings, D5, D6
NAMES = (
    "ParallelInputs",
    "BlockDiagonalSummed",
    "BlockDiagonal",
    "SparseBlocksSummed",
    "SparseBlocks",
    "StackedHeads",
    "ConcatenatedInputs",
)


def taught(count: int) -> tuple[Array, Array]:
    """64 rows of random inputs with the outputs of a network of this kind; all starts have them."""
    rng = np.random.default_rng(7)
    x = rng.uniform(-1, 1, (64, 10))
    A, B = [part.of(TEACHER) for part in SEED.network.parts]
    h = 1 / (1 + np.exp(-(A[:, 0] + x @ A[:, 1:].T)))
    y = B[:, 0] + h @ B[:, 1:].T
    return np.tile(x, (count, 1, 1)), np.tile(y, (count, 1, 1))


def population(quality: float | None = 0.1) -> Population:
    """The population of the teacher's data, both inputs side by side; the grid is two points."""
    return Population(taught, quality=quality, grid=np.outer([-0.5, 0.5], np.ones(10)))


def clamp(model: Any) -> None:
    """Restore D3's zeros."""
    model.clamp_()


def trained(name: str, recipe: Recipe, **how: Any) -> Trained:
    """A formulation in training. In D3 the optimiser keeps the momentum of clamped entries, which
    must have no effect.
    """
    kind = recipe.optimiser
    if "momentum" in recipe.settings:
        kind += "_momentum"
    if name.startswith("BlockDiagonal"):
        how = {"after": clamp} | how
    return Trained(SUBJECTS[name], recipe, f"{name}_{kind}", start=starts.uniform(), **how)


test_dual_alike = verify(
    Case(
        name="dual-alike",
        question="Two-headed net, 5 ways: same SGD steps?",
        network=SEED.network,
        subjects=[
            trained(name, replace(RECIPES[2], steps=20), as_network={})
            for name in NAMES
            if name not in ("BlockDiagonal", "SparseBlocks")  # networks of their own
        ],
        references=[numpy_net],
        problems=population(),
        checks=["step"],
        dtypes=["float32"],
    )
)

test_dual_ends = verify(
    Case(
        name="dual-ends",
        question="Equations, concatenation: fits end alike?",
        network=SEED.network,
        subjects=[trained("ConcatenatedInputs", SHORT, most=12)],
        references=[trained("ParallelInputs", SHORT, most=12)],
        problems=population(quality=None),  # decided by the losses
        checks=["fit"],
        dtypes=["float32"],
    )
)

test_dual_steps = verify(
    Case(
        name="dual-steps",
        question="Loss, gradient, step along training: right?",
        network=SEED.network,
        subjects=[
            trained(name, recipe)
            for name in NAMES
            for recipe in (RECIPES[1:] if name.startswith("Sparse") else RECIPES)
        ],
        references=[r_nnet, numpy_net],
        problems=population(),
        checks=["loss", "gradient", "step"],
        dtypes=["float32"],
    )
)

test_dual_clamped_before = verify(
    Case(
        name="dual-clamped-before",
        question="Clamping before the step: zeros stay zero?",
        network=SEED.network,
        subjects=[trained("BlockDiagonal", RECIPES[0], after=None, before=clamp)],
        references=[numpy_net],
        problems=population(),
        checks=["step"],
        expect="differs",
    )
)

test_dual_fit = verify(
    Case(
        name="dual-heads side by side",
        question="Two-headed fits end at the losses they claim?",
        network=SEED.network,
        subjects=[trained(name, SHORT) for name in NAMES],
        references=[nnet_fit(maxit=150, says="{r}, maxit = 150", most=3)],
        problems=population(),
        checks=["final"],
        dtypes=["float32"],
    )
)
