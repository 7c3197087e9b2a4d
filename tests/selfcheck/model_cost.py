"""What `same` costs: a million parameters, two-headed models, and how cost grows.

usage: python -m tests.selfcheck.model_cost [--rounds N] [--no-million]

Seconds are of CPU; memory is the largest that a process of its own has held.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import quantiles
from time import process_time

import torch
from torch import Tensor, nn

from cases.dual_head import ParallelInputs
from harness.evaluating.evaluation import GRADIENT
from harness.matching.carry import ByName
from harness.matching.compare import compare
from harness.same.case import same
from harness.shadow.shadow import Shadow
from harness.shadow.watch import watch
from nnet_parity import check

SEED = (5, 5), 10, (5, 5), torch.tanh, nn.Identity()
MILLION = (512, 880, 550, 100)  # widths, of 1,000,000 parameters, about
ROUNDS = 15
Answers = dict[str, Tensor]


class Joined(ParallelInputs):
    """The two-headed network as one matrix of joined inputs and one of joined outputs."""

    def forward(self, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
        first = torch.cat([self.W1, self.V1], 1)
        h = self.g(torch.cat([x1, x2], 1) @ first.T + self.bias)
        weight = torch.cat([self.W2.weight, self.V2.weight])
        outputs = h @ weight.T + torch.cat([self.W2.bias, self.V2.bias])
        one, two = outputs.split([len(self.W2.weight), len(self.V2.weight)], 1)
        return self.f(one), self.f(two)


class Stack(nn.Module):
    """Dense layers with tanh between them."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        pairs = pairwise(widths)
        self.layers = nn.ModuleList([nn.Linear(*pair) for pair in pairs])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = torch.tanh(layer(x))
        return self.layers[-1](x)


class Rewritten(Stack):
    """The same by products of matrices and the logistic."""

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = 2 * torch.sigmoid(2 * (x @ layer.weight.T + layer.bias)) - 1
        last = self.layers[-1]
        return x @ last.weight.T + last.bias


@dataclass(frozen=True)
class Spread:
    """The median of figures, and the quartiles around it."""

    middle: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.middle:.3g} ({self.low:.3g} to {self.high:.3g})"


def spread(figures: list[float]) -> Spread:
    low, middle, high = quantiles(figures, n=4)
    return Spread(middle, low, high)


def clock(call: Callable[[], object], times: int = 1) -> float:
    """Return the CPU seconds of one call, of some."""
    began = process_time()
    for _ in range(times):
        call()
    return (process_time() - began) / times


def evaluate(model: nn.Module, *inputs: Tensor) -> Answers:
    """Return outputs, a loss, and the gradients by parameters and inputs."""
    given = [x.clone().requires_grad_() for x in inputs]
    found = model(*given)
    outputs = found if isinstance(found, tuple) else (found,)
    loss = sum((output**2).mean() for output in outputs)
    named = dict(model.named_parameters())
    slopes = torch.autograd.grad(loss, [*named.values(), *given])
    answers = {f"output {place}": output for place, output in enumerate(outputs)}
    answers["loss"] = loss
    answers |= {GRADIENT + name: slope for name, slope in zip(named, slopes, strict=False)}
    names = [f"gradient by input {place}" for place in range(len(given))]
    return answers | dict(zip(names, slopes[len(named) :], strict=True))


def compare_models(model: nn.Module, reference: nn.Module, dtype: str, *inputs: Tensor) -> None:
    """Compare two models with shared names once.

    Raises AssertionError if they are not the same function.
    """
    shadows = [
        Shadow(watch(lambda one=one: evaluate(one, *inputs), one), dtype)
        for one in (model, reference)
    ]
    found = compare(*shadows, ByName(), torch.Generator().manual_seed(0))
    assert {one.outcome for one in found} == {"same"}


def measure_dual_head(rounds: int, rows: int, dtype: str = "float32") -> tuple[Spread, Spread]:
    """Return how many plain evaluations of both models one comparison costs, and its seconds."""
    torch.manual_seed(0)
    held = getattr(torch, dtype)
    reference, model = ParallelInputs(*SEED).to(held), Joined(*SEED).to(held)
    model.load_state_dict(reference.state_dict())
    inputs = torch.randn(rows, 5, dtype=held), torch.randn(rows, 5, dtype=held)

    def plain() -> None:
        evaluate(model, *inputs)
        evaluate(reference, *inputs)

    def compared() -> None:
        compare_models(model, reference, dtype, *inputs)

    plain(), compared()
    ratios, seconds = [], []
    for _ in range(rounds):
        before = clock(plain, 20)
        seconds.append(clock(compared))
        ratios.append(seconds[-1] / ((before + clock(plain, 20)) / 2))
    return spread(ratios), spread(seconds)


def measure_case(rounds: int) -> Spread:
    """Return the seconds of a whole case: two dtypes, training and evaluation, three checks, and
    the search for the mapping of parameters.
    """

    def run() -> None:
        case = same(
            lambda: Joined(*SEED), lambda: ParallelInputs(*SEED), data=((8, 5), (8, 5)), name="dual"
        )
        result = check(case)
        assert result.ok, str(result)

    run()
    return spread([clock(run) for _ in range(max(rounds // 3, 3))])


def measure_million() -> dict[str, float]:
    """Judge two models of a million parameters on 32 rows, in a process of their own: CPU seconds,
    GiB at most, and parameters.
    """
    command = [sys.executable, "-W", "ignore", "-m", "tests.selfcheck.model_cost", "--child"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, float] = json.loads(answer.splitlines()[-1])
    return found


def judge_million() -> dict[str, float]:
    """Judge two models of a million parameters in float32."""
    began = process_time()
    case = same(
        lambda: Rewritten(*MILLION),
        lambda: Stack(*MILLION),
        data=(32, MILLION[0]),
        dtypes=["float32"],
        modes=("eval",),
        name="million",
    )
    result = check(case)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    count = sum(each.numel() for each in Stack(*MILLION).parameters())
    return {
        "seconds": process_time() - began,
        "gib": held,
        "parameters": count,
        "right": float(result.ok),
    }


def measure_growth(rounds: int) -> list[str]:
    """Return a line for depths and one for widths: comparisons in plain evaluations of both."""
    lines = []
    shapes = {"depth": [(32,) * n for n in (2, 4, 7, 13)]}
    shapes["width"] = [(n,) * 4 for n in (8, 32, 128, 256)]
    for kind, some in shapes.items():
        cells = []
        for widths in some:
            torch.manual_seed(0)
            reference, model = Stack(*widths), Rewritten(*widths)
            model.load_state_dict(reference.state_dict())
            x = torch.randn(16, widths[0])
            compare_models(model, reference, "float32", x)
            plain, compared = [], []
            for _ in range(max(rounds // 3, 3)):
                plain.append(
                    clock(lambda x=x, a=model, b=reference: (evaluate(a, x), evaluate(b, x)), 5)
                )
                compared.append(
                    clock(lambda x=x, a=model, b=reference: compare_models(a, b, "float32", x))
                )
            ratio = spread(compared).middle / spread(plain).middle
            size = len(widths) - 1 if kind == "depth" else widths[0]
            cells.append(f"{size}: {1e3 * spread(compared).middle:.0f} ms, {ratio:.0f} times")
        lines.append(f"{kind:6s} {'; '.join(cells)}")
    return lines


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--no-million", action="store_true")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.child:
        print(json.dumps(judge_million()))
        return 0
    print("two-headed models, 5+5-10-5+5: one comparison in plain evaluations of both")
    print("(outputs, loss, gradients by all parameters and inputs), median and quartiles")
    for rows in (8, 64):
        for dtype in ("float64", "float32"):
            ratio, seconds = measure_dual_head(given.rounds, rows, dtype)
            print(f"  {rows:3d} rows, {dtype}: {ratio} times; {seconds} s")
    print(f"  the whole case, with the search for parameters: {measure_case(given.rounds)} s")
    print("growth, comparison of two stacks of 16 rows (depth at width 32; width at depth 3)")
    for line in measure_growth(given.rounds):
        print(f"  {line}")
    if not given.no_million:
        found = measure_million()
        print(
            f"{found['parameters']:,.0f} parameters, 32 rows, float32, eval, 3 checks:"
            f" {found['seconds']:.0f} CPU-s, {found['gib']:.2f} GiB,"
            f" {'PASS' if found['right'] else 'FAIL'}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
