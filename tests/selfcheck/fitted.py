"""Random calls of nnet(): right ports must pass, and every misreading of the weights must fail.

usage: python -m tests.selfcheck.fitted [--calls N] [--seed S] [--objects FOLDER] [FIT.rds ROWS.csv]

R fits N networks by squares, entropy, softmax and censored, over skip, size 0, decay of one number
or of each weight, case weights, masks, one or several outputs, logistic or linear, on data of
several scales. Each is ported as people port it: in float64 and float32, with nnet's clip and
without, its hidden units renumbered. Then misreadings of `list_readings` are planted, up to
READINGS for each fit. With FIT.rds and ROWS.csv, these are asked in place of random calls.

With --objects, so are all objects of a folder: each NAME.rds with the first csv file there that
has its columns, and the predictions that NAME.csv stores. Each is ported by `nnet-parity port` too,
and its weights, changed, are brought back by `nnet-parity back`, and R predicts from them.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch

from harness.core.verdict import Status, Verdict
from reference import fitted
from reference.misread.weights import list_readings
from reference.r.nnet_reference import LIVE
from reference.rds.fit import FittedNet
from reference.rds.reading import read_fit
from tests.fitted.ports import Port, judge_all, split
from tests.selfcheck.objects import Call, check_objects, list_objects

READINGS = 15  # of each fit, drawn from all


class Counts(NamedTuple):
    """Results: the verdicts on right ports, and of the misreadings how many were caught, by words.

    `most` is the largest share of a bound that a right port used; `alarms` describe right ports
    that failed, `missed` misreadings that passed.
    """

    right: Counter[Status]
    most: float
    alarms: list[str]
    caught: Counter[str]
    missed: list[str]


def draw_call(rng: np.random.Generator, folder: Path) -> Call:
    """Have R make a random fit of a random network, and save it."""
    inputs, outputs = int(rng.integers(1, 6)), int(rng.choice([1, 1, 2, 3]))
    hidden, rows = int(rng.integers(0, 7)), int(rng.integers(20, 120))
    skip, linear = bool(rng.random() < 0.4) or hidden == 0, bool(rng.random() < 0.6)
    x = rng.normal(size=(rows, inputs)) * 10.0 ** rng.integers(-1, 3, inputs)
    error = str(rng.choice(["squares", "squares", "entropy", "softmax", "censored"]))
    if error in ("softmax", "censored"):
        outputs = max(outputs, 2)
    linear = linear and error == "squares"
    y = draw_targets(rng, error, rows, outputs)
    if linear:
        y = y * 10.0 ** rng.integers(0, 4) - 1
    given: dict[str, Any] = {"x": x, "y": y}
    count = hidden * (1 + inputs) + outputs * (1 + hidden + (inputs if skip else 0))
    options = [f"size = {hidden}", f"skip = {_r(skip)}", f"linout = {_r(linear)}"]
    options += [f"maxit = {rng.choice([0, 5, 100])}", "trace = FALSE", "MaxNWts = 1e4"]
    if error != "squares":
        options.append(f"{error} = TRUE")
    kind = rng.integers(4)
    if kind == 1:
        options.append(f"decay = {10.0 ** -rng.integers(1, 5):g}")
    elif kind == 2:
        options.append(f"decay = {_vector(rng.uniform(0, 0.1, count))}")
    if rng.random() < 0.3:
        given["weights"] = rng.uniform(0.1, 3, rows)
        options.append(f"weights = {_vector(given['weights'])}")
    if rng.random() < 0.3:
        mask = rng.random(count) < 0.8
        options.append(f"mask = c({', '.join(map(_r, mask))})")
    path = folder / "fit.rds"
    data = [f"matrix({_vector(part.T.ravel())}, {rows})" for part in (x, y)]
    call = f"nnet::nnet({data[0]}, {data[1]}, {', '.join(options)})"
    seed = int(rng.integers(1000))
    LIVE.eval_text(f"local({{ set.seed({seed}); saveRDS({call}, {str(path)!r}) }})")
    return Call(path, read_fit(path, LIVE), given)


def draw_targets(rng: np.random.Generator, error: str, rows: int, outputs: int) -> Any:
    """Draw targets: numbers from 0 to 1, classes, shares or counts, or sets of classes."""
    kind = rng.integers(3)
    if error == "squares" or (error == "entropy" and kind == 0):
        return rng.uniform(size=(rows, outputs))
    if error == "entropy":
        return rng.integers(0, 2, (rows, outputs)).astype(float)
    classes = np.eye(outputs)[rng.integers(0, outputs, rows)]
    if error == "censored":
        return np.maximum(classes, rng.integers(0, 2, (rows, outputs)))
    if kind == 0:
        return rng.dirichlet(np.ones(outputs), rows)
    return classes if kind == 1 else rng.integers(0, 4, (rows, outputs)) + classes


def _r(flag: object) -> str:
    return "TRUE" if flag else "FALSE"


def _vector(numbers: Any) -> str:
    return f"c({', '.join(f'{number:.17g}' for number in numbers)})"


def make_right(fit: FittedNet, rng: np.random.Generator) -> Iterator[tuple[str, Port]]:
    """Yield right ports of a fit, each with its name."""
    net = fit.topology
    yield "float64", Port(net, fit.wts)
    clipped = Port(net, fit.wts)
    clipped.clip = 15.0
    yield "clipped", clipped
    yield "float32", Port(net, fit.wts, torch.float32)
    if net.hidden > 1:
        hidden, out = split(net, fit.wts)
        order = rng.permutation(net.hidden)
        out = out.copy()
        out[:, 1 : 1 + net.hidden] = out[:, 1 : 1 + net.hidden][:, order]
        yield "renumbered", Port(net, np.concatenate([hidden[order].ravel(), out.ravel()]))


def check(call: Call, rng: np.random.Generator, counts: Counts) -> Counts:
    """Judge right and wrong ports of one fit, and return all counts with theirs."""
    fit, most = call.fit, counts.most
    for name, port in make_right(fit, rng):
        for verdict in judge_all(fitted(call.path, port, **call.given)):
            counts.right[verdict.status] += 1
            if verdict.check != "parameters":  # which are rounded in float32, by up to all of it
                most = max(most, verdict.budget_used or 0.0)
            if verdict.status.fails:
                counts.alarms.append(f"{name}: {verdict.why}")
    readings = list(list_readings(fit.topology, fit.wts, fit.columns))
    chosen = rng.permutation(len(readings))[:READINGS]
    for reading in (readings[place] for place in chosen):
        if np.array_equal(reading.wts, fit.wts):
            continue
        verdicts = judge_all(fitted(call.path, Port(fit.topology, reading.wts), **call.given))
        if _is_caught(verdicts):
            counts.caught[reading.words] += 1
        else:
            counts.missed.append(f"{reading.words}: {fit.call}: {verdicts[0].why}")
    return counts._replace(most=most)


def _is_caught(verdicts: list[Verdict]) -> bool:
    return any(verdict.status is Status.FAIL for verdict in verdicts)


def main() -> int:
    """Run the calls, and print the counts."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--objects", type=Path, metavar="FOLDER")
    parser.add_argument("files", nargs="*", type=Path, metavar="FIT.rds ROWS.csv")
    asked = parser.parse_args()
    rng = np.random.default_rng(asked.seed)
    counts = Counts(Counter(), 0.0, [], Counter(), [])
    with TemporaryDirectory() as folder:
        if asked.objects:
            calls = list_objects(asked.objects)
            counts.alarms.extend(check_objects(asked.objects, Path(folder)))
        elif asked.files:
            path, rows = asked.files
            calls = iter([Call(path, read_fit(path, LIVE), {"x": rows})])
        else:
            calls = (draw_call(rng, Path(folder)) for _ in range(asked.calls))
        done = 0
        for done, call in enumerate(calls, 1):
            counts = check(call, rng, counts)
            print(f"\r{done} fits", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(f"{done} fits: {dict(counts.right)} of right ports, {counts.most:.2g} of a bound at most")
    print(f"{len(counts.alarms)} false alarms", *counts.alarms, sep="\n  ")
    print(f"{counts.caught.total()} misreadings of {len(counts.caught)} kinds caught")
    print(f"{len(counts.missed)} misreadings passed", *counts.missed, sep="\n  ")
    return int(bool(counts.alarms or counts.missed))


if __name__ == "__main__":
    sys.exit(main())
