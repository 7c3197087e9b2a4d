"""Faults planted in random models: each must be found, and its layer named.

usage: python -m tests.selfcheck.model_faults [--models N] [--seed S] [--start N] [--kind K]

A fault is planted into a model (tests.selfcheck.zoo), half of the time into one that computes by
other formulas. Kinds: a weight off by 1e-6 of itself (an element or a row); a wrong line of a
layer (off by 1e-6, or of another structure); a kernel whose result is off by 10 of its bounds; a
part that computes in a narrower dtype, or by an ill-conditioned form. A fault that changes no
answer in float64 by more than rounding is counted apart (none): nothing can find it on these data;
and so is one that changes only answers whose bounds are too wide (wide: VACUOUS, no pass).
"""

from __future__ import annotations

import argparse
import copy
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import process_time
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from harness.matching.carry import ByName
from harness.matching.compare import Compared, compare
from harness.matching.placing import find_first
from harness.rules.precision import precision_of
from harness.shadow.recording import Operation
from harness.shadow.shadow import Shadow
from tests.selfcheck.models import MOST_LOST, MOST_WORSE, describe, make_shadow
from tests.selfcheck.zoo.block import Around
from tests.selfcheck.zoo.dense import Activation, Dense
from tests.selfcheck.zoo.draw import draw, fill
from tests.selfcheck.zoo.losses import Squares
from tests.selfcheck.zoo.net import Example, Net, list_blocks, rewrite
from tests.selfcheck.zoo.norms import LayerNorm

MODELS = 1000
KINDS = ("weight", "line", "kernel", "precision")
SHOWN = 80  # faults that were missed
EFFECT = 1e-12  # of the largest number of an answer
BOUNDS = 10  # of its local bound: what a corrupted kernel's result is off by


@dataclass(frozen=True)
class Outcome:
    """Whether a fault had an effect, was found and its layer named; `told` are the figures."""

    name: str
    effect: bool
    found: bool
    named: bool
    told: str = ""
    judged: bool = True  # was an answer judged that the fault changes?


@dataclass
class Counts:
    """The faults of one name."""

    planted: int = 0
    without_effect: int = 0
    unjudged: int = 0
    found: int = 0
    named: int = 0

    def add(self, outcome: Outcome) -> None:
        self.planted += 1
        self.without_effect += not outcome.effect
        self.unjudged += outcome.effect and not outcome.judged
        self.found += outcome.effect and outcome.found
        self.named += outcome.effect and outcome.named

    def line(self, name: str) -> str:
        """Return one line of a table."""
        acting = self.planted - self.without_effect - self.unjudged
        shares = [100 * each / acting if acting else 100.0 for each in (self.found, self.named)]
        return (
            f"{name:44s} {self.planted:7,d} {self.without_effect:6,d} {self.unjudged:6,d}"
            f" {shares[0]:7.2f} {shares[1]:7.2f}"
        )


@dataclass
class Faults:
    """What came of all faults."""

    names: dict[str, Counts] = field(default_factory=lambda: defaultdict(Counts))
    depths: dict[int, Counts] = field(default_factory=lambda: defaultdict(Counts))
    missed: list[str] = field(default_factory=list)
    raised: Counter[str] = field(default_factory=Counter)

    def note(self, outcome: Outcome, example: Example, number: int) -> None:
        """Count a fault."""
        kind = outcome.name.partition(":")[0]
        self.names[outcome.name].add(outcome)
        self.names[kind].add(outcome)
        if kind in {"weight", "line", "kernel"}:
            self.depths[example.depth].add(outcome)
        if outcome.effect and not (outcome.found and outcome.named):
            what = "not named" if outcome.found else "NOT FOUND"
            what = what if outcome.judged else "too wide"
            where = f"model {number}: {example.label}"
            self.missed.append(f"{what}: {outcome.name}: {outcome.told} ({where})")


def plant_weight(example: Example, rng: random.Random) -> Outcome:
    """Change one weight, or one row, by 1e-6 of itself."""
    right = choose_formulas(example, rng)
    net = copy.deepcopy(right)
    names = [name for name, each in net.named_parameters() if bool((each != 0).any())]
    name = rng.choice(names)
    parameter = dict(net.named_parameters())[name]
    with torch.no_grad():
        rows = parameter.view(len(parameter), -1)
        row = rng.randrange(len(rows))
        whole = rng.random() < 0.5
        columns = slice(None) if whole else rng.randrange(rows.shape[1])
        rows[row, columns] *= 1 + 1e-6
    told = f"{name}[{row}{'' if whole else ', ' + str(columns)}]"
    kind = "weight: a row" if whole else "weight: an element"
    return judge(example, right, net, list_owners(net, parameter), kind, told)


def list_owners(net: Net, parameter: Tensor) -> list[str]:
    """Return the names of the layers that have a parameter, which they may share."""
    named = net.named_parameters(remove_duplicate=False)
    return [name.rpartition(".")[0] for name, each in named if each is parameter]


def plant_line(example: Example, rng: random.Random) -> Outcome | None:
    """Let one layer compute by a wrong method."""
    right = choose_formulas(example, rng)
    net = copy.deepcopy(right)
    chosen = [(name, block) for name, block in list_blocks(net).items() if block.list_faults()]
    name, block = rng.choice(chosen)
    block.style = rng.choice(block.list_faults())
    kind = f"line: {type(block).__name__}.{block.style}"
    return judge(example, right, net, [name], kind, f"{name} {type(block).__name__}.{block.style}")


def choose_formulas(example: Example, rng: random.Random) -> Net:
    """Return the model as it is, or by other formulas."""
    if rng.random() < 0.5:
        return rewrite(example, rng)[0]
    return copy.deepcopy(example.net)


def judge(
    example: Example, right: Net, net: Net, layers: Sequence[str], kind: str, told: str
) -> Outcome:
    """Compare a wrong model with the right one; `right` has the same formulas without the fault,
    and `layers` have the fault.
    """
    mine, theirs = make_shadow(example, net), make_shadow(example, example.net)
    compared = compare(mine, theirs, ByName(), torch.Generator().manual_seed(0))
    wrong = [one for one in compared if is_told(one)]
    if not wrong:
        affected = list_affected(example, right, net)
        judged = any(one.outcome == "same" for one in compared if one.answer in affected)
        largest = max(compared, key=lambda one: one.factor)
        figures = f"{largest.answer} {largest.outcome} {largest.factor:.3g}"
        told = f"{told}: at most {figures}"
        return Outcome(kind, bool(affected), False, False, told, judged)
    first = name_first(mine, theirs, wrong)
    named = bool(first) and any(is_inside(first[0].layer, layer) for layer in layers)
    places = "; ".join(map(describe, first[:3]))
    return Outcome(kind, True, True, named, f"{told}: {wrong[0].answer} {places}")


def list_affected(example: Example, right: Net, wrong: Net) -> set[str]:
    """Return the answers that a fault changes in float64 by more than rounding."""
    wide = example.in_float64()
    before = wide.answers(copy.deepcopy(right).double())()
    after = wide.answers(copy.deepcopy(wrong).double())()
    affected = set()
    for name, one in before.items():
        other = after.get(name)
        if other is None or other.shape != one.shape:
            affected.add(name)
            continue
        apart, size = (each.detach().double() for each in (other - one, one))
        if apart.numel() and float(abs(apart).max()) > EFFECT * float(abs(size).max()):
            affected.add(name)
    return affected


def list_changed(example: Example, right: Net, wrong: Net) -> set[str]:
    """Return the answers of which a fault changes any bit, as both run in their own dtype."""
    before = example.answers(copy.deepcopy(right))()
    after = example.answers(copy.deepcopy(wrong))()
    kept = {name for name in before if name in after and torch.equal(before[name], after[name])}
    return {*before, *after} - kept


def is_told(one: Compared) -> bool:
    """Does a comparison say that an answer differs?"""
    return one.outcome in {"differs", "shape"} or (one.outcome == "not finite" and one.factor > 0)


def name_first(mine: Shadow, theirs: Shadow, wrong: Sequence[Compared]) -> list[Operation]:
    """Return the first operations of the first answer that differs."""
    return find_first(mine, theirs, wrong[0])


def is_inside(layer: str, changed: str) -> bool:
    """Is a layer the changed one, a part of it, or the one that reads its parameters? A repeated
    call has its number behind.
    """
    layer = layer.partition(" (call")[0]
    owner = bool(layer) and changed.startswith(f"{layer}.")
    return layer == changed or layer.startswith(f"{changed}.") or owner


class Corrupter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds to one element of the result of the n-th call of an operation."""

    def __init__(self, name: str, n: int, place: int, element: int, added: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.name, self.left = name, n
        self.place, self.element, self.added = place, element, added

    def __torch_dispatch__(
        self, called: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        results = called(*args, **(kwargs or {}))
        if called._schema.name == self.name:
            self.left -= 1
            if self.left == -1:
                listed = results if isinstance(results, tuple | list) else (results,)
                result = listed[self.place]
                where = torch.unravel_index(torch.tensor(self.element), result.shape)
                result[where] = result[where].double() + self.added
        return results


def plant_kernel(example: Example, rng: random.Random) -> Outcome | None:
    """Corrupt the result of one operation by some of its bounds."""
    net = choose_formulas(example, rng)
    clean = make_shadow(example, net)
    found = [
        (number, place)
        for number, one in enumerate(clean.checked)
        for place, error in enumerate(one.errors)
        if one.ruled and error is not None and bool((torch.isfinite(error) & (error > 0)).any())
        if place < len(one.operation.called._schema.returns)  # others are written, not returned
    ]
    number, place = rng.choice(found)
    operation, error = clean.checked[number].operation, clean.checked[number].errors[place]
    assert error is not None
    result = clean.watched.run.read(operation.results[place])  # type: ignore[arg-type]
    error = torch.where(torch.isfinite(error), error, 0.0).expand(result.shape)
    element = int(error.argmax())
    before = [one.operation.name for one in clean.checked[:number]].count(operation.name)
    added = BOUNDS * float(error.reshape(-1)[element])
    sign = -1 if float(result.reshape(-1)[element]) < 0 else 1
    with Corrupter(operation.name, before, place, element, sign * added):
        wrong = make_shadow(example, net)
    outside = sorted(
        (one for one in wrong.checked if one.ruled and one.share > 1), key=lambda one: -one.share
    )
    named = bool(outside) and outside[0].operation.layer == operation.layer
    shares = ", ".join(f"{describe(one.operation)} {one.share:.3g}" for one in outside[:3])
    told = f"{describe(operation)}: {shares or 'inside'}"
    return Outcome(f"kernel: {example.dtype}", True, bool(outside), named, told)


def round_input(dtype: torch.dtype) -> Around:
    """Return a way to call a layer with its input rounded."""

    def call(compute: Callable[..., Any], x: Tensor, *rest: Tensor) -> Any:
        return compute(x.to(dtype).to(x.dtype), *rest)

    return call


def call_in_bfloat16(compute: Callable[..., Any], x: Tensor, *rest: Tensor) -> Any:
    """Call a layer under autocast."""
    with torch.autocast("cpu", torch.bfloat16):
        found = compute(x, *rest)
    return found.to(x.dtype)


def plant_precision(example: Example, rng: random.Random) -> Outcome | None:
    """Let one layer compute in a narrower dtype: rounded to float32 in a float64 model, to bfloat16
    or under autocast in a float32 model.
    """
    if example.dtype == "bfloat16" or rng.random() < 0.2:
        return plant_moments(rng)
    net = choose_formulas(example, rng)
    kinds = ("Dense", "Convolution", "Attention", "LayerNorm", "Activation", "GlobalMean", "Take")
    chosen = [(n, b) for n, b in list_blocks(net).items() if type(b).__name__ in kinds]
    if not chosen:
        return None
    name, block = rng.choice(chosen)
    if example.dtype == "float64":
        kind, block.around = "rounded to float32", round_input(torch.float32)
    elif type(block).__name__ in {"Dense", "Convolution", "Attention"} and rng.random() < 0.7:
        kind, block.around = "bfloat16 by autocast", call_in_bfloat16
    else:
        kind, block.around = "rounded to bfloat16", round_input(torch.bfloat16)
    right = copy.deepcopy(net)
    list_blocks(right)[name].around = None
    seen = list_affected if kind.startswith("rounded") else list_changed
    if not seen(example, right, net):
        return Outcome(f"precision: {kind}", False, False, False)
    return judge_precision(example, net, name, f"precision: {kind}")


def plant_moments(rng: random.Random) -> Outcome:
    """Let a layer norm of numbers far from 0 compute its variance as E[x^2] - E[x]^2."""
    example, net = draw_moments(rng.randrange(2**31))
    mine, theirs = make_shadow(example, net), make_shadow(example, example.net)
    output = compare(mine, theirs, ByName(), torch.Generator().manual_seed(0))[0]
    not_finite = math.isinf(output.run_factor)  # the variance has become negative
    found = not_finite or (output.outcome == "same" and output.bits_worse > MOST_WORSE)
    told = f"output {output.outcome}, {output.bits_worse:.1f} bits worse"
    return Outcome("precision: E[x^2] - E[x]^2", True, found, found, told)


def draw_moments(seed: int) -> tuple[Example, Net]:
    """Return a layer norm of numbers far from 0 between two dense layers, and the same with the
    variance as E[x^2] - E[x]^2.
    """
    rng = random.Random(seed)
    torch.manual_seed(seed)
    width = rng.randint(4, 32)
    first, norm = Dense(5, width), LayerNorm(width)
    right = Net([first, norm, Activation("tanh"), Dense(width, 3)])
    fill(right, 1.0)
    first.bias.data += 10 ** rng.uniform(2.5, 3.5)  # type: ignore[union-attr]
    inputs = torch.randn(rng.randint(3, 12), 5)
    right.loss = Squares()
    targets = torch.randn(len(inputs), 3)
    example = Example(right, inputs, targets, "mlp", 3, "float32", "numbers far from 0")
    wrong = copy.deepcopy(right)
    wrong.blocks[1].style = "by_moments"
    return example, wrong


def judge_precision(example: Example, net: Net, layer: str, kind: str) -> Outcome:
    """Compare a model that loses precision with the right one."""
    mine, theirs = make_shadow(example, net), make_shadow(example, example.net)
    compared = compare(mine, theirs, ByName(), torch.Generator().manual_seed(0))
    judged = [one for one in compared if one.outcome in {"same", "too wide", "differs"}]
    roundoff = precision_of(example.dtype).stored
    lost = [
        one
        for one in judged
        if one.bits_lost > MOST_LOST or one.narrow.moves_more(one.narrow_theirs, roundoff)
    ]
    differs = [one for one in judged if one.outcome == "differs"]
    worst = max(judged, key=lambda one: max(one.bits_lost, one.bits_worse))  # NaN is never more
    told = f"{layer}: {worst.answer} {worst.bits_lost:.1f}, {worst.bits_worse:.1f} bits"
    if differs:
        told += f", {differs[0].answer} differs by {differs[0].factor:.2g}"
    if not lost:
        return Outcome(kind, bool(judged), False, False, told)
    narrow = max(lost, key=lambda one: one.bits_lost).narrow
    operation = narrow.operation if narrow.bits > MOST_LOST else narrow.mover
    named = operation is not None and is_inside(operation.layer, layer)
    place = describe(operation) if operation else ""
    return Outcome(kind, True, not differs, named, f"{told}: {place}")


PLANT: dict[str, Callable[[Example, random.Random], Outcome | None]] = {
    "weight": plant_weight,
    "line": plant_line,
    "kernel": plant_kernel,
    "precision": plant_precision,
}


def plant_faults(
    seed: int, numbers: Iterable[int], kinds: Sequence[str] = KINDS, slowly: bool = False
) -> Faults:
    """Plant a fault of each kind into the models of these numbers."""
    faults = Faults()
    for number in numbers:
        for kind in kinds:
            rng = random.Random(f"{kind} {seed} {number}")
            dtype = "float32" if kind == "weight" else ""
            try:
                example = draw(seed, number, "", dtype)
                outcome = PLANT[kind](example, rng)
            except Exception as error:
                if slowly:
                    raise
                told = str(error).splitlines()[0] if str(error) else ""
                faults.raised[f"{kind}: {type(error).__name__} {told}"[:160]] += 1
                continue
            if outcome is not None:
                faults.note(outcome, example, number)
    return faults


def report(faults: Faults, seconds: float) -> str:
    """Return the figures as text."""
    lines = [
        f"{'fault':44s} {'planted':>7s} {'none':>6s} {'wide':>6s} {'found%':>7s} {'named%':>7s}"
    ]
    for name in sorted(faults.names):
        lines.append(faults.names[name].line(name))
    lines.append("by depth (weights, lines and kernels)")
    for depth in sorted(faults.depths):
        lines.append(faults.depths[depth].line(f"{depth:3d} layers"))
    for why, count in faults.raised.most_common(10):
        lines.append(f"raised {count:,} times: {why}")
    lines += faults.missed[:SHOWN]
    lines.append(f"{seconds:.0f} CPU-s")
    return "\n".join(lines)


def main() -> int:
    """Plant faults; the exit code is 1 if one was not found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", type=int, default=MODELS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=int, default=0, help="the number of the first model")
    parser.add_argument("--kind", default="", choices=["", *KINDS])
    parser.add_argument("--raise", action="store_true", dest="slowly", help="let errors through")
    given = parser.parse_args()
    torch.set_num_threads(1)
    began = process_time()
    numbers = range(given.start, given.start + given.models)
    kinds = [given.kind] if given.kind else KINDS
    faults = plant_faults(given.seed, numbers, kinds, given.slowly)
    print(report(faults, process_time() - began))
    return int(any(one.startswith("NOT FOUND") for one in faults.missed))


if __name__ == "__main__":
    raise SystemExit(main())
