"""Random right models against right rewritings of themselves: none may be told to be wrong.

usage: python -m tests.selfcheck.models [--models N] [--seed S] [--start N] [--family F]

A model (tests.selfcheck.zoo) is drawn with its data and compared with itself by other formulas
under shared weights. Judged are for each answer: that both are the same function; that both are
computed well, every operation by itself; from end to end, the answer as it comes when nobody
watches against its shadow; and that precision is kept. A tensor is not judged from end to end if
the bound is more than a tenth of it, and not at all if an operation has no rule.
"""

from __future__ import annotations

import argparse
import copy
import math
import random
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import process_time

import torch

from harness.matching.carry import ByName
from harness.matching.compare import Compared, compare, is_judged_as_run
from harness.matching.fused import compare_as_run
from harness.matching.outcomes import WIDEST
from harness.rules.precision import precision_of
from harness.shadow.local import Checked
from harness.shadow.recording import Operation
from harness.shadow.shadow import Shadow
from harness.shadow.watch import watch
from tests.selfcheck.zoo.draw import DTYPES, FAMILIES, draw
from tests.selfcheck.zoo.net import Example, Net, rewrite

MODELS = 5000
PARTS = ("same function", "well computed", "end to end", "precision kept")
MOST_LOST, MOST_WORSE = 1.0, 3.0  # bits that may be lost, in the median of some draws of data
REDRAWN = 4  # more draws are asked where one loses more
SHOWN = 20  # models with alarms in each part
KINDS = {"no rule", "too wide", "not seen", "not finite"}


@dataclass
class Tally:
    """The counts of one dtype."""

    models: int = 0
    tensors: int = 0
    operations: int = 0
    unjudged: Counter[str] = field(default_factory=Counter)  # by part
    why: Counter[str] = field(default_factory=Counter)
    factors: list[float] = field(default_factory=list)  # the largest of each model
    run_factors: list[float] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    worse: list[float] = field(default_factory=list)


@dataclass
class Audit:
    """What came of all models."""

    tallies: dict[str, Tally] = field(default_factory=lambda: defaultdict(Tally))
    alarms: list[tuple[str, str]] = field(default_factory=list)  # part and sentence
    outside: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    unruled: Counter[str] = field(default_factory=Counter)
    fused: int = 0  # models with a fused kernel that lost more than its steps may
    raised: Counter[str] = field(default_factory=Counter)
    families: Counter[str] = field(default_factory=Counter)
    styles: Counter[str] = field(default_factory=Counter)
    resolutions: dict[tuple[str, int], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    run_resolutions: dict[tuple[str, int], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )
    run_shares: dict[tuple[str, int], list[float]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def judge(self, example: Example, number: int, rng: random.Random) -> None:
        """Compare a model with a rewriting of it."""
        net, styles = rewrite(example, rng)
        self.families[example.family] += 1
        self.styles.update(style.partition(" ")[2] for style in styles)
        where = f"(model {number}: {example.label}; {'; '.join(styles)})"
        mine, ran = make_shadow(example, net), run_unwatched(example, net)
        theirs = make_shadow(example, example.net)
        tally = self.tallies[example.dtype]
        tally.models += 1
        compared, fused = compare_as_run(
            mine, theirs, ByName(), number, lambda: run_unwatched(example, net), ran
        )
        self.fused += fused > 0
        self.count_answers(tally, example, compared, where)
        if any(loses_bits(one) for one in compared):
            self.count_bits(example, net, compared, where)
        self.count_operations(tally, [*mine.checked, *theirs.checked], where)

    def count_bits(
        self, example: Example, net: Net, compared: Sequence[Compared], where: str
    ) -> None:
        """Judge the bits that are lost: the median of some draws."""
        bits = defaultdict(list)
        for seed in range(REDRAWN + 1):
            if seed:
                drawn = example.redraw(seed)
                shadows = make_shadow(drawn, net), make_shadow(drawn, example.net)
                compared = compare(*shadows, ByName(), torch.Generator().manual_seed(seed))
            for one in compared:
                if one.outcome in {"same", "too wide", "differs"}:
                    bits[one.answer].append((one.bits_lost, one.bits_worse))
        for answer, found in bits.items():
            lost = median(each for each, _ in found)
            worse = median([each for _, each in found if not math.isnan(each)] or [0.0])
            self.tallies[example.dtype].worse.append(worse)
            if lost > MOST_LOST or worse > MOST_WORSE:
                said = f"{answer} loses {lost:.1f} bits, {worse:.1f} more than the other"
                self.alarms.append((PARTS[3], f"{said} {where}"))

    def count_operations(self, tally: Tally, checked: Iterable[Checked], where: str) -> None:
        """Judge every operation by itself."""
        largest = 0.0
        for one in checked:
            tally.operations += 1
            if not one.ruled:
                self.unruled[one.operation.functional] += 1
                continue
            largest = max(largest, one.share)
            if one.share > 1:
                self.outside[one.operation.functional, one.dtype].append(one.share)
                sentence = f"{describe(one.operation)} uses {one.share:.3g} of its bound"
                self.alarms.append((PARTS[1], f"{sentence} {where}"))
        tally.shares.append(largest)

    def count_answers(
        self, tally: Tally, example: Example, compared: Sequence[Compared], where: str
    ) -> None:
        """Judge every answer."""
        key = example.dtype, example.depth
        for one in compared:
            tally.tensors += 1
            nothing = one.outcome in KINDS - {"too wide"}
            tally.unjudged[PARTS[0]] += one.outcome in KINDS
            tally.unjudged[PARTS[1]] += one.outcome == "no rule"
            tally.unjudged[PARTS[2]] += one.run_resolution > WIDEST or nothing
            tally.unjudged[PARTS[3]] += nothing or math.isnan(one.bits_worse)
            tally.why[one.outcome] += one.outcome in KINDS
            self.alarms += [
                (part, f"{said} {where}") for part, said in find_alarms(one, example.dtype)
            ]
            if one.outcome in {"same", "too wide"}:
                self.resolutions[key].append(one.resolution)
                self.run_resolutions[key].append(one.run_resolution)
                self.run_shares[key].append(one.run_factor)
        judged = [one for one in compared if one.outcome == "same"]
        tally.factors.append(max((one.factor for one in judged), default=0.0))
        narrow = [one.run_factor for one in judged if one.run_resolution <= WIDEST]
        tally.run_factors.append(max(narrow, default=0.0))
        formed = [one.bits_worse for one in judged if not math.isnan(one.bits_worse)]
        tally.worse.append(max(formed, default=0.0))


def loses_bits(one: Compared) -> bool:
    """Does an answer lose more bits than it may?"""
    return one.bits_lost > MOST_LOST or one.bits_worse > MOST_WORSE


def find_alarms(one: Compared, dtype: str) -> list[tuple[str, str]]:
    """Return the parts in which an answer is told to be wrong, with a sentence each."""
    found = []
    if one.narrow.moves_more(one.narrow_theirs, precision_of(dtype).stored):
        share = one.narrow.share
        found.append((PARTS[3], f"{one.answer} is moved by {share:.3g} in a narrower dtype"))
    if one.outcome in {"differs", "shape"} or (one.outcome == "not finite" and one.factor):
        said = f"{one.answer} {one.outcome}, {one.factor:.3g} times {one.allowed:.3g}"
        found.append((PARTS[0], f"{said}: {one.actual!r}, {one.expected!r}"))
    if one.run_factor > 1 and is_judged_as_run(one) and one.outcome != "no rule":
        found.append((PARTS[2], f"{one.answer} is {one.run_factor:.3g} bounds from its shadow"))
    return found


def describe(operation: Operation) -> str:
    """Return the name, layer and line of an operation."""
    back = " backward" if operation.backward else ""
    return f"{operation.name}{back} in {operation.layer}, {operation.line.rpartition('/')[2]}"


def make_shadow(example: Example, net: Net) -> Shadow:
    """Return the shadow of a model on an example's data."""
    net = copy.deepcopy(net)
    return Shadow(watch(example.answers(net), net), example.dtype)


def run_unwatched(example: Example, net: Net) -> dict[str, torch.Tensor]:
    """Return the answers of a model when nobody watches."""
    return {name: each.detach() for name, each in example.answers(copy.deepcopy(net))().items()}


def audit_models(
    seed: int, numbers: Iterable[int], family: str = "", dtype: str = "", slowly: bool = False
) -> Audit:
    """Compare the models of these numbers with rewritings of them."""
    audit = Audit()
    for number in numbers:
        try:
            example = draw(seed, number, family, dtype)
            audit.judge(example, number, random.Random(f"styles {seed} {number}"))
        except Exception as error:
            if slowly:
                raise
            last = traceback.extract_tb(error.__traceback__)[-1]
            told = str(error).splitlines()[0] if str(error) else ""
            audit.raised[f"{type(error).__name__} at {last.name}: {told}"[:200]] += 1
            audit.alarms.append(("raised", f"model {number}: {type(error).__name__} {told}"))
    return audit


def report(audit: Audit, seconds: float) -> str:
    """Return the figures as text."""
    false = Counter(part for part, _ in audit.alarms)
    models = sum(tally.models for tally in audit.tallies.values())
    alarms = ", ".join(f"{part}: {false[part]}" for part in (*PARTS, "raised"))
    lines = [f"{models:,} models in {seconds:.0f} CPU-s; false alarms: {alarms}"]
    lines.append(" ".join(f"{family} {count:,}" for family, count in audit.families.items()))
    lines.append("")
    lines.append(
        f"{'':9s} {'models':>7s} {'tensors':>8s} {'operations':>10s}"
        f" {'same%':>7s} {'well%':>7s} {'end%':>7s} {'kept%':>7s}   (tensors judged)"
    )
    for dtype in DTYPES:
        if dtype in audit.tallies:
            lines.append(describe_tally(dtype, audit.tallies[dtype]))
    lines += ["", *list_depths(audit)]
    lines.append(f"fused kernels outside the bounds of their steps: {audit.fused} models")
    for name, count in audit.unruled.most_common():
        lines.append(f"no rule: {name} {count:,} times")
    for (name, dtype), shares in sorted(audit.outside.items()):
        lines.append(f"outside: {name} in {dtype} {len(shares):,} times, at most {max(shares):.3g}")
    for why, count in audit.raised.most_common(20):
        lines.append(f"raised {count:,} times: {why}")
    shown: Counter[str] = Counter()
    for part, sentence in audit.alarms:
        model = f"{part} {sentence.partition('(model ')[2]}"
        shown[model] += 1
        shown[part] += shown[model] == 1
        if shown[part] <= SHOWN and shown[model] == 1:
            lines.append(f"ALARM {part}: {sentence}")
    return "\n".join(lines)


def describe_tally(dtype: str, tally: Tally) -> str:
    """Return the lines of a dtype."""
    judged = [100 * (1 - tally.unjudged[part] / max(tally.tensors, 1)) for part in PARTS]
    figures = {
        "of its bound a shadow used": tally.factors,
        "an operation": tally.shares,
        "an answer as it ran": tally.run_factors,
        "bits worse": tally.worse,
    }
    shares = [
        f"{name} {median(each):.2g}, {max(each):.2g}" for name, each in figures.items() if each
    ]
    percents = " ".join(f"{each:7.2f}" for each in judged)
    why = ", ".join(f"{name} {count:,}" for name, count in tally.why.items() if count)
    return (
        f"{dtype:9s} {tally.models:7,d} {tally.tensors:8,d} {tally.operations:10,d} {percents}\n"
        f"          median and largest of models: {'; '.join(shares)}\n"
        f"          not judged: {why or 'none'}"
    )


def list_depths(audit: Audit) -> list[str]:
    """Return a table of resolutions by depth: medians over tensors."""
    lines = [
        "resolution by depth, medians over tensors: of the same function; of answers from end to"
        " end, and the share of these bounds that was used"
    ]
    for depth in sorted({depth for _, depth in audit.resolutions}):
        cells = []
        for dtype in DTYPES:
            key = dtype, depth
            if key in audit.resolutions:
                same, ran = median(audit.resolutions[key]), median(audit.run_resolutions[key])
                cells.append(f"{dtype} {same:.0e}, {ran:.0e} ({median(audit.run_shares[key]):.0e})")
        lines.append(f"{depth:3d} layers: {'; '.join(cells)}")
    return lines


def main() -> int:
    """Run the audit; the exit code is 1 if there was a false alarm."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--models", type=int, default=MODELS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=int, default=0, help="the number of the first model")
    parser.add_argument("--family", default="", choices=["", *FAMILIES])
    parser.add_argument("--dtype", default="", choices=["", *DTYPES])
    parser.add_argument("--raise", action="store_true", dest="slowly", help="let errors through")
    given = parser.parse_args()
    torch.set_num_threads(1)
    began = process_time()
    numbers = range(given.start, given.start + given.models)
    audit = audit_models(given.seed, numbers, given.family, given.dtype, given.slowly)
    print(report(audit, process_time() - began))
    return int(bool(audit.alarms))


if __name__ == "__main__":
    raise SystemExit(main())
