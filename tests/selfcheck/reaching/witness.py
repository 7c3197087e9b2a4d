"""Witnesses: problems inside of what was asked on which a fault must show, drawn by themselves."""

from __future__ import annotations

import numpy as np

from harness import Formulation, Problem, Subject
from harness.core.contract import Array
from tests.selfcheck.reaching.asked import Asked, Recorder
from tests.selfcheck.reaching.generator import Conditional

FEW_ROWS, MANY_DRAWS, FEW_DRAWS = 16, 40, 6


class Witnesses:
    """Draws problems of a formulation from what was asked."""

    def __init__(
        self, formulation: Formulation, asked: Asked, biases: list[str], seed: int
    ) -> None:
        self.formulation, self.asked, self.biases = formulation, asked, biases
        self.rng = np.random.default_rng(seed)

    def draw(self, fault: Conditional) -> Problem:
        """Draw a problem in which the fault's condition is likely to hold somewhere."""
        rows = int(self.rng.choice(sorted(fault.rows or self.asked.rows)))
        draws = MANY_DRAWS if rows <= FEW_ROWS else FEW_DRAWS
        network = self.formulation.network
        own = np.zeros((draws, self.formulation.own.size))
        for block in self.formulation.own.blocks:
            values = self._numbers((draws, block.places.size), block.name, fault)
            own[:, block.places.ravel()] = self._small_or_zero(values, block.name, fault)
        if self.asked.no_bias and self._happens("biases" in fault.kind, 0.1):
            for block in self.formulation.own.blocks:
                if block.name in self.biases:
                    own[:, block.places.ravel()] = 0
        inputs = self._numbers((draws, rows, sum(network.inputs)), "x", fault)
        targets = self._numbers((draws, rows, sum(network.outputs)), "t", fault)
        return Problem("witness", self.formulation, own, inputs, targets)

    def _happens(self, wanted: bool, otherwise: float) -> bool:
        return bool(self.rng.random() < (0.9 if wanted else otherwise))

    def _small_or_zero(self, values: Array, block: str, fault: Conditional) -> Array:
        """Make the numbers (D, n) of some blocks small, or 0, as a condition on a block has it."""
        is_meant = fault.block == block
        if is_meant and fault.threshold and self.rng.random() < 0.5:
            largest = np.maximum(abs(values).max(axis=1, keepdims=True), np.finfo(float).tiny)
            values = values * np.minimum(1, fault.threshold / largest)
        if block in self.asked.all_zero:
            share = 0.6 if is_meant else 0.2
            values[self.rng.random(len(values)) < share] = 0
        return self._held(values, block)

    def _numbers(self, shape: tuple[int, ...], site: str, fault: Conditional) -> Array:
        """Draw numbers of a common size, or of any size that was asked."""
        low, high = self.asked.sizes[site]
        is_meant = fault.site.startswith(site) or (site == "t" and fault.site == "e")
        each = (shape[0], *[1] * (len(shape) - 1))

        def any_size(of: tuple[int, ...]) -> Array:
            return np.asarray(np.exp(self.rng.uniform(np.log(low), np.log(high), of)))

        sizes = np.clip(2.0 ** self.rng.uniform(-2, 1, each), low, high)
        share = 0.7 if is_meant else 0.25
        sizes = np.where(self.rng.random(each) < share, any_size(each), sizes)
        if is_meant:
            sizes = np.where(self.rng.random(each) < 0.4, any_size(shape), sizes)
        values = np.clip(sizes * self.rng.uniform(0.5, 1, shape), low, high)
        values *= self.rng.choice([-1, 1], shape)
        if site in self.asked.zero:
            values[self.rng.random(shape) < 0.2] = 0
        return self._held(values, site)

    def _held(self, values: Array, site: str) -> Array:
        """Round to float32 unless longer numbers were asked."""
        return values if site in self.asked.long else values.astype(np.float32).astype(float)


def inside(problem: Problem, right: Subject, recorder: Recorder, asked: Asked) -> Problem | None:
    """Return the draws of a problem that are inside of what was asked; None if there is none.

    `right` is a port without a fault, with the recorder's changes.
    """
    live = right.live(problem.formulation, "float64")
    kept = np.zeros(problem.draws, dtype=bool)
    for draw in range(problem.draws):
        recorder.asked = Asked(asked.biases)
        right.observe(problem.part(slice(draw, draw + 1)), "float64", live=live)
        kept[draw] = asked.holds(recorder.asked)
    return problem.part(kept) if kept.any() else None
