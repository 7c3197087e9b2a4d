"""Which share of its bound a right model in bfloat16 uses, and why: by the interval of the numbers
that lie within the bound of a layer, or by rounding.

usage: python -m tests.selfcheck.shares [WIDTH ...]

For networks 1-WIDTH-1 and 8-WIDTH-4 of each activation: the largest share as it is judged, then
that of a judge who is told which of the model's numbers is which, in all and in each layer. The
first may come near to 1 and the second not; no share is above 1.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field

import numpy as np
import torch

from harness import Contract, Formulation, Problem
from harness.arithmetic.staged import Replaced, StagedArithmetic, before
from harness.core.contract import Array, Bounded
from harness.judging.narrowing import narrow_problems
from harness.model.intermediates import Stages
from reference import Network, probes
from reference.mathematics.equations import evaluate
from tests.selfcheck.styles import ACTS
from tests.support import used

CONTRACT = Contract("bfloat16")
LAYERS = ("z", "h", "o", "dL/do", "dL/dh", "dL/dz")
ROWS = 300  # at most, of the problems that are asked
WIDTHS = (8, 64, 256, 1024, 2048)


class Told(StagedArithmetic):
    """Replaces the numbers of each layer by `layers` (D, R, width), the model's own ones, and notes
    the largest share of its bound that each uses.
    """

    def __init__(self, parts: int, layers: list[Array]) -> None:
        super().__init__(CONTRACT, parts, layers[0])
        self.layers = layers
        self.shares: list[float] = []

    def _replace_columns(self, x: Bounded, name: str = "") -> Bounded:
        if isinstance(x, Replaced) or len(self.shares) == len(self.layers):
            return x
        own = self.layers[len(self.shares)]
        if x.value.shape != own.shape:
            return x
        self.shares.append(float(used(own, x, CONTRACT.largest).max()))
        return Replaced(*self._enclose(own, own), derived=x)


@dataclass
class Shares:
    """The largest shares of a width: as it is judged, with numbers that are known, and by layer."""

    judged: float = 0.0
    told: float = 0.0
    layers: dict[str, float] = field(default_factory=lambda: dict.fromkeys(LAYERS, 0.0))

    def add(self, problem: Problem) -> None:
        """Evaluate a model at a problem, and add what it uses."""
        network, stages = problem.formulation.network, Stages(problem.rows)
        assert isinstance(network, Network)
        found = []
        for draw in range(problem.draws):
            with stages.record():
                found.append(computed(network, problem, draw))
        answers = {name: np.stack([each[0][name] for each in found]) for name in found[0][0]}
        layers = [np.stack([own[layer] for _, own in found]) for layer in range(len(LAYERS))]
        seen = stages.columns()
        assert seen is not None
        told = Told(network.added, layers)
        with np.errstate(all="ignore"):
            by_told = evaluate(told, problem)
            by_judge = network.oracle(problem, CONTRACT, seen)
        for name, answer in answers.items():
            largest = CONTRACT.largest
            self.judged = max(self.judged, float(used(answer, by_judge[name], largest).max()))
            self.told = max(self.told, float(used(answer, before(by_told[name]), largest).max()))
        for layer, share in zip(LAYERS, told.shares, strict=True):
            self.layers[layer] = max(self.layers[layer], share)

    def sentence(self) -> str:
        """In one line."""
        layers = ", ".join(f"{name} {share:.3f}" for name, share in self.layers.items())
        return f"judged {self.judged:.4f}, told {self.told:.3f}; by layer {layers}"


def computed(network: Network, problem: Problem, draw: int) -> tuple[dict[str, Array], list[Array]]:
    """The answers of a right model at one draw, and its numbers in each layer."""
    theta = problem.theta[draw]
    p = {
        block.name: torch.tensor(theta[block.places]).bfloat16().requires_grad_()
        for block in network.layout.blocks
    }
    x = torch.tensor(problem.inputs[draw]).bfloat16().requires_grad_()
    targets = torch.tensor(problem.targets[draw]).bfloat16()
    z = x @ p["W1"].T + p["b"]
    h = ACTS[network.activation](z)
    o = h @ p["W2"].T + p["b_w"]
    for each in (z, h, o):
        each.retain_grad()
    loss = ((o - targets) ** 2).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    gradient = np.zeros(theta.shape)
    for block in network.layout.blocks:
        gradient[block.places] = numbers(p[block.name].grad)
    answers = {"forward": numbers(o), "loss": numbers(loss), "gradient": gradient}
    answers["input_gradient"] = numbers(x.grad)
    return answers, [numbers(each) for each in (z, h, o, o.grad, h.grad, z.grad)]


def numbers(tensor: torch.Tensor | None) -> Array:
    """In float64."""
    assert tensor is not None
    return np.asarray(tensor.detach().double().numpy())


def largest_shares(width: int, draws: int = 3, rows: int = 4) -> Shares:
    """Of two networks of each activation, on probes of every kind."""
    found = Shares()
    for activation in ("tanh", "logistic", "relu"):
        for inputs, outputs in ((1, 1), (8, 4)):
            network = Network(inputs, width, outputs, activation)
            asked = probes(1, draws=draws, rows=rows)(Formulation.identity(network))
            for problem in narrow_problems(asked, CONTRACT):
                if problem.rows <= ROWS:
                    found.add(problem)
    return found


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    for width in [int(each) for each in sys.argv[1:]] or WIDTHS:
        print(f"width {width:5}: {largest_shares(width).sentence()}", flush=True)


if __name__ == "__main__":
    main()
