"""Mistakes of classifiers, planted in random networks with random losses: how many stacks change,
are caught and are named.

    python -m tests.selfcheck.classifier_faults --networks 40
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harness import Contract, Formulation, Loss, Problem
from harness.comparing.judge import outside as is_outside
from harness.core.contract import BCE_LEAST, Bounded
from harness.core.problem import QUANTITIES
from reference import Network, probes
from reference.explaining.likely import as_computed, offered
from reference.faults.kinds import Answers, Fault, solve
from reference.mathematics.losses import ACTIVATION_OF
from reference.mistakes.catalogue import FAULTS, OF_CLASSIFIERS, made_in

KINDS = ("exact", "few-term", "random", "saturated")
LEAST_IN_FLOAT32 = 1e-5  # of the size of a mistake: a smaller one is little more than rounding
ALIKE = {"float64": 2.0**-36, "float32": 2.0**-14}  # of the largest number of a draw


@dataclass
class Count:
    """How many stacks were changed, caught and named; the names of the mistakes that were not."""

    changed: int = 0
    caught: int = 0
    named: int = 0
    missed: Counter[str] = field(default_factory=Counter)
    unnamed: Counter[str] = field(default_factory=Counter)
    planted: Counter[str] = field(default_factory=Counter)


def classifiers(seed: int) -> Iterator[tuple[Network, Loss, int]]:
    """Random networks of one to three heads, with a loss that fits them, and a number of rows."""
    rng = np.random.default_rng(seed)
    while True:
        heads = int(rng.choice([1, 1, 2, 3]))
        some = tuple(ACTIVATION_OF)
        errors = [str(rng.choice(some)) for _ in range(heads)]
        if rng.random() < 0.5:
            errors = errors[:1] * heads
        widths = tuple(
            int(rng.integers(1 if error in ("entropy", "bce") else 2, 6)) for error in errors
        )
        from_logits = bool(rng.random() < 0.5)
        output = ["identity" if from_logits else ACTIVATION_OF[error] for error in errors]
        alone = heads == 1 or len(set(errors)) == 1
        more: dict[str, Any] = {}
        if set(errors) == {"softmax"} and rng.random() < 0.5:
            more["label_smoothing"] = float(rng.choice([0.0, 0.1, 0.25]))
            if len(set(widths)) == 1:
                more["class_weights"] = rng.integers(1, 9, widths[0]) / 4
        if rng.random() < 0.5:
            more["decay"] = 0.125
        if rng.random() < 0.2:
            more["factor"] = tuple((rng.integers(1, 5, heads) / 2).tolist())
        loss = Loss(
            str(rng.choice(["sum", "mean", "mean_of_rows"])),
            error=errors[0] if alone else errors,
            from_logits=from_logits,
            targets=str(rng.choice(["classes", "shares"])),
            **more,
        )
        hidden = int(rng.choice([0, 2, 3, 5]))
        inputs = tuple(int(w) for w in rng.integers(1, 5, rng.integers(1, 3)))
        act = str(rng.choice(["tanh", "logistic", "relu"]))
        skip = bool(rng.random() < 0.3)
        yield Network(inputs, hidden, widths, act, output, skip=skip), loss, int(rng.integers(2, 7))


def stacks_of(
    network: Network, loss: Loss, rows: int, seed: int, draws: int, kinds: Sequence[str]
) -> list[Problem]:
    """Probes of some kinds, and one stack with weights of rows if the loss is a sum."""
    made = probes(seed, draws=draws, rows=rows, kinds=kinds, loss=loss)
    problems = made(Formulation.identity(network))
    if loss.reduction == "sum":
        for problem in [each for each in problems if each.kind == "random"]:
            weights = 1 + np.arange(problem.rows) % 3
            problems.append(replace(problem, loss=replace(loss, weights=weights)))
    return problems


def count_in(
    network: Network,
    loss: Loss,
    rows: int,
    seed: int,
    dtype: str,
    count: Count,
    draws: int = 4,
    kinds: Sequence[str] = KINDS,
    only: Container[str] | None = None,
) -> None:
    """Plant every mistake that fits in one network with one loss, or those of some names, and
    count.
    """
    problems = stacks_of(network, loss, rows, seed, draws, kinds)
    contract = Contract(dtype, log_least=BCE_LEAST, unfused_slope=True)  # as torch's
    own = {problem: network.oracle(problem, contract) for problem in problems}
    right = [_held(solve(problem, contract), dtype) for problem in problems]
    for fault in made_in(network, {problem.loss for problem in problems}):
        if only is not None and fault.name not in only:
            continue
        if dtype == "float32" and fault.size is not None and fault.size < LEAST_IN_FLOAT32:
            continue
        wrong = [_held(fault.run(problem, contract), dtype) for problem in problems]
        stacks = [
            number
            for number, (problem, a, b) in enumerate(zip(problems, wrong, right, strict=True))
            if _differs(a, b, own[problem])
        ]
        if not stacks:
            continue
        count.planted[fault.name] += 1
        count.changed += len(stacks)
        first = _first_outside(problems, wrong, own, contract)
        for number in stacks:
            caught = any(
                is_outside(wrong[number][name], own[problems[number]][name], contract.largest)
                for name in QUANTITIES
            )
            count.caught += caught
            if not caught:
                count.missed[fault.name] += 1
        offer = offered(problems, wrong, first, contract) if first else None
        name = offer.name if offer else ""
        if _is_same(name, fault, problems, dtype):
            count.named += len(stacks)
        else:
            count.unnamed[f"{fault.name} -> {name or 'nothing'}"] += len(stacks)


def _held(answers: Answers, dtype: str) -> Answers:
    with np.errstate(all="ignore"):
        return {name: Contract(dtype).rounded(answer) for name, answer in answers.items()}


def _differs(wrong: Answers, right: Answers, own: dict[str, Bounded]) -> bool:
    """Do wrong answers differ from right ones by more than twice the rounding that bounds allow?"""
    for name in QUANTITIES:
        with np.errstate(all="ignore"):
            apart = abs(wrong[name] - right[name])
        usable = np.isfinite(own[name].error) & np.isfinite(right[name])
        if (usable & ~(apart <= 2 * own[name].error)).any():
            return True
    return False


def _first_outside(
    problems: list[Problem],
    answers: list[Answers],
    own: dict[Problem, dict[str, Bounded]],
    contract: Contract,
) -> str:
    for name in QUANTITIES:
        for problem, answer in zip(problems, answers, strict=True):
            if is_outside(answer[name], own[problem][name], contract.largest):
                return name
    return ""


def _is_same(name: str, fault: Fault, problems: list[Problem], dtype: str) -> bool:
    """Is this the name of the planted mistake, or of one that gives the same answers?"""
    if name == fault.name:
        return True
    found = [each for each in (*FAULTS, *OF_CLASSIFIERS) if each.name == name]
    if not found:
        return False
    plain = as_computed(Contract(log_least=BCE_LEAST))
    for problem in problems:
        one, other = found[0].run(problem, plain), fault.run(problem, plain)
        for quantity in QUANTITIES:
            with np.errstate(all="ignore"):
                apart = abs(one[quantity] - other[quantity])
                size = abs(other[quantity])
            finite = np.isfinite(size)
            largest = size[finite].max(initial=0.0)
            if not (apart[finite] <= ALIKE[dtype] * largest).all():
                return False
    return True


@np.errstate(all="ignore")
def main() -> None:
    """Print how many stacks were changed, caught and named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for dtype in ("float64", "float32"):
        count = Count()
        nets = classifiers(asked.seed)
        for number in range(asked.networks):
            count_in(*next(nets), seed=asked.seed + number, dtype=dtype, count=count)
        own = {fault.name for fault in OF_CLASSIFIERS}
        print(
            f"{dtype}: {len(count.planted)} mistakes ({len(own & set(count.planted))} of"
            f" classifiers) in {asked.networks} networks: {count.changed:,} stacks changed,"
            f" {count.caught:,} caught ({count.caught / count.changed:.2%}),"
            f" {count.named:,} named ({count.named / count.changed:.2%})"
        )
        print("  missed:", dict(count.missed.most_common(12)))
        print("  unnamed:", dict(count.unnamed.most_common(20)))


if __name__ == "__main__":
    main()
