"""Levenberg-Marquardt of cases/ beside R's nnet, in CPU seconds of one core.

usage: python -m tests.selfcheck.trainer [sine] [one] [others] [--starts N] [--draws N]

  sine       S1 from many starts: the time per success (a sum of squares of at most 1e-3, computed
             in float64 from the final weights), in eager and compiled torch
  one        a single fit of S1 to the loss at which nnet ends, by torch and by NumPy
  others     other regression problems, from 30 starts each: time, losses, and who ends lower

Without a name it does all three, in about three minutes. Both sides have the same starts, uniform
from -0.7 to 0.7, and the same points, and take turns. nnet is timed by R's own proc.time(), torch
and NumPy by the process's CPU time. Tables are Markdown, as in docs/trainer.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from resource import RUSAGE_CHILDREN, getrusage
from typing import NamedTuple

import numpy as np
import torch

from cases import levenberg, levenberg_numpy
from cases.sine_training import from_r
from harness.core.contract import Array
from harness.reporting.environment import environment, limit_threads
from harness.text.harmless import shown
from reference.r.nnet_reference import LIVE

GOOD = 1e-3  # the sum of squares that counts as a success
ROUNDS = 4
QUARTERS = (0.25, 0.5, 0.75)
ALIKE = 1.1  # two losses within this factor count as alike
ENOUGH = 1 + 1e-6  # times nnet's own final loss counts as that
WIDTH = 256  # lanes of a compiled stack
MORE = 8  # times nnet's starts keep a compiled stack full; the first of them are nnet's
SINGLE, OTHERS = 12, 30  # starts of a draw of single fits; starts of each other problem


class Task(NamedTuple):
    """A regression problem: inputs (R, I), targets (R, 1), hidden units and weight decay."""

    x: Array
    y: Array
    hidden: int
    decay: float = 0.0

    def draw(self, count: int) -> Array:
        """Return starts (count, T) of its network. The i-th does not depend on the count."""
        size = self.hidden * (self.x.shape[1] + 2) + 1
        rngs = (np.random.default_rng([18, number]) for number in range(count))
        return np.stack([rng.uniform(-0.7, 0.7, size) for rng in rngs])

    def find_losses(self, theta: Array) -> Array:
        """Return the losses (D,) at the weights (D, T), in float64."""
        wide = 1 + self.x.shape[1]
        W = theta[:, : self.hidden * wide].reshape(-1, self.hidden, wide)
        V = theta[:, self.hidden * wide :]
        z = W[:, :, :1] + W[:, :, 1:] @ self.x.T
        f = V[:, :1] + np.einsum("dh,dhr->dr", V[:, 1:], 1 / (1 + np.exp(np.minimum(-z, 700))))
        squares = ((f - self.y[:, 0]) ** 2).sum(axis=1)
        return np.asarray(squares + self.decay * (theta**2).sum(axis=1))


class Timed(NamedTuple):
    """The CPU seconds of fits, and their final losses (D,) in float64."""

    seconds: float
    losses: Array

    @property
    def per_success(self) -> float:
        """CPU seconds divided by the number of successes."""
        successes = np.count_nonzero(self.losses <= GOOD)
        return self.seconds / successes if successes else np.inf


def fit_in_r(task: Task, starts: Array, abstol: float = 1e-8, times: int = 1) -> Timed:
    """Fit by nnet(maxit = 1e4, reltol = 1e-9), as S1 does; `times` times, for the clock."""
    x, y, weights = map(write_in_r, (task.x, task.y, starts))
    code = f"""
        x <- {x}; y <- {y}; starts <- {weights}
        seconds <- 0
        ends <- apply(starts, 1, function(start) {{
            began <- proc.time()
            for (again in 1:{times}) fit <- nnet::nnet(x, y, size = {task.hidden}, linout = TRUE,
                Wts = start, maxit = 10000, abstol = {abstol!r}, reltol = 1e-9,
                decay = {task.decay!r}, trace = FALSE, MaxNWts = 10000)
            seconds <<- seconds + sum((proc.time() - began)[1:2])
            fit$wts
        }})
        c(seconds / {times}, ends)
    """
    seconds, *ends = np.asarray(LIVE.eval_text(code)).tolist()
    return Timed(seconds, task.find_losses(np.reshape(ends, starts.shape)))


def write_in_r(numbers: Array) -> str:
    """Return a matrix as R writes it, to the last bit."""
    text = ",".join(map(repr, numbers.ravel().tolist()))
    return f"matrix(c({text}), ncol = {numbers.shape[1]}, byrow = TRUE)"


def fit_in_torch(task: Task, starts: Array, dtype: torch.dtype, **how: object) -> Timed:
    """Fit by the stack, in a dtype."""
    tensors = [torch.tensor(each, dtype=dtype) for each in (starts, task.x, task.y)]
    began = time.process_time()
    found = levenberg.fit(*tensors, decay=task.decay, **how)  # type: ignore[arg-type]
    seconds = time.process_time() - began
    return Timed(seconds, task.find_losses(found.theta.double().numpy()))


def fit_in_numpy(task: Task, start: Array, until: float) -> Timed:
    """Fit from one start (1, T) in NumPy."""
    began = time.process_time()
    found = levenberg_numpy.fit(start[0], task.x, task.y[:, 0], decay=task.decay, until=until)
    seconds = time.process_time() - began
    return Timed(seconds, task.find_losses(found[0][None]))


def make_sine(seed: int) -> Task:
    """S1 on the points of an R seed."""
    x = from_r(seed)
    return Task(x, np.sin(x), 4)


def say(line: str) -> None:
    print(line, flush=True)


def compile_steps() -> dict[torch.dtype, Callable[..., levenberg.Lanes]]:
    """Return the step compiled in each dtype, and say how long compiling took."""
    steps, task = {}, make_sine(1)
    for dtype in (torch.float64, torch.float32):
        step = torch.compile(levenberg.take_step, dynamic=False)
        began, children = time.process_time(), read_children()
        fit_in_torch(task, task.draw(WIDTH), dtype, steps=4, width=WIDTH, step=step)
        seconds = time.process_time() - began
        others = read_children() - children
        say(f"compiled {name_of(dtype)}: {seconds:.1f} CPU-s, and {others:.1f} of the compiler")
        steps[dtype] = step
    return steps


def read_children() -> float:
    """Return the CPU seconds of the processes that were started and have ended."""
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def race_sine(starts: int, draws: int) -> None:
    """Time per success of S1, nnet beside eager and compiled stacks."""
    say(f"\n### Per success: S1, {starts} starts, {draws} draws of x\n")
    compiled = compile_steps()
    how = {"until": GOOD, "least_gain": 1e-3}
    ways: dict[str, Callable[[Task, Array], Timed]] = {}
    for dtype in compiled:
        label = name_of(dtype)
        ways[f"eager {label}"] = lambda task, theta, dtype=dtype: fit_in_torch(
            task, theta, dtype, **how
        )
        ways[f"compiled {label}, {MORE} times the starts"] = lambda task, theta, dtype=dtype: (
            fit_in_torch(
                task, task.draw(MORE * starts), dtype, width=WIDTH, step=compiled[dtype], **how
            )
        )
    seconds: dict[str, list[list[float]]] = {}
    shares: dict[str, list[float]] = {}
    for seed in range(1, draws + 1):
        task = make_sine(seed)
        rounds = race_draw(task, task.draw(starts), ways)
        for name, timed in rounds.items():
            seconds.setdefault(name, []).append([each.per_success for each in timed])
            losses = np.concatenate([each.losses for each in timed])
            shares.setdefault(name, []).append(float(np.mean(losses <= GOOD)))
        say(f"draw {seed} of {draws} done")
    say("")
    say("| | share of successes, by draw | CPU ms per success | times nnet's | times nnet's that"
        " stops at 1e-3 |")  # fmt: skip
    say("|---|---|---|---|---|")
    for name, of_draws in seconds.items():
        cells = [" ".join(f"{share:.2f}" for share in shares[name])]
        cells.append(f"{1e3 * np.median(of_draws):.3g}")
        for base in list(seconds)[:2]:
            ratios = np.array(seconds[base]) / np.array(of_draws)
            cells.append(describe_ratios(ratios))
        say(f"| {name} | {' | '.join(cells)} |")


def race_draw(
    task: Task, starts: Array, ways: dict[str, Callable[[Task, Array], Timed]]
) -> dict[str, list[Timed]]:
    """Return the timed rounds of each way and of nnet, which fits a part of the starts a round."""
    found: dict[str, list[Timed]] = {}
    for part in np.array_split(starts, ROUNDS):
        for name, abstol in (("nnet(maxit = 1e4)", 1e-8), ("nnet(abstol = 1e-3)", GOOD)):
            found.setdefault(name, []).append(fit_in_r(task, part, abstol))
        for name, fit in ways.items():
            found.setdefault(name, []).append(fit(task, starts))
    return found


def describe_ratios(ratios: Array) -> str:
    """Return how many times faster: the median of the draws' medians, and quartiles of all."""
    low, _, high = np.quantile(ratios, QUARTERS)
    return f"{np.median(np.median(ratios, axis=1)):.3g} ({low:.3g} to {high:.3g})"


def race_single(draws: int) -> None:
    """Times of single fits to nnet's own loss, as multiples of nnet's time."""
    say(f"\n### One fit of S1 to nnet's own loss: {SINGLE} starts on each of {draws} draws of x\n")
    ratios: dict[str, list[list[float]]] = {"eager torch": [], "NumPy": []}
    reached: dict[str, list[bool]] = {name: [] for name in ratios}
    for seed in range(1, draws + 1):
        task = make_sine(seed)
        for of_draws in ratios.values():
            of_draws.append([])
        for start in task.draw(SINGLE)[:, None]:
            nnet, fits = time_single(task, start)
            for name, timed in fits.items():
                ratios[name][-1].append(timed.seconds / nnet.seconds)
                reached[name].append(bool(timed.losses[0] <= nnet.losses[0] * ENOUGH**2))
        say(f"draw {seed} of {draws} done")
    say("\n| | nnet's loss reached | times nnet's CPU time: median of draws (quartiles) |")
    say("|---|---|---|")
    for name, of_draws in ratios.items():
        say(f"| {name} | {np.mean(reached[name]):.2f} | {describe_ratios(np.array(of_draws))} |")


def time_single(task: Task, start: Array) -> tuple[Timed, dict[str, Timed]]:
    """Fit from one start (1, T) by nnet, and by torch and NumPy to its loss; the least of three
    times each, taken in turns.
    """
    rounds: list[dict[str, Timed]] = []
    for _ in range(3):
        nnet = fit_in_r(task, start, times=3)
        until = float(nnet.losses[0]) * ENOUGH
        torchs = fit_in_torch(task, start, torch.float64, until=until)
        numpys = fit_in_numpy(task, start, until)
        rounds.append({"nnet": nnet, "eager torch": torchs, "NumPy": numpys})
    least = {}
    for name in rounds[0]:
        least[name] = min((each[name] for each in rounds), key=lambda timed: timed.seconds)
    return least.pop("nnet"), least


def list_others() -> Iterator[tuple[str, Task]]:
    """Yield other regression problems: R's data, columns scaled, and data made by formulas."""
    for name, target, hidden, decay in (
        ("cars", "dist", 3, 1e-3),
        ("faithful", "waiting", 3, 1e-3),
        ("rock", "perm", 3, 1e-3),
        ("trees", "Volume", 3, 1e-3),
        ("airquality", "Ozone", 5, 1e-3),
        ("swiss", "Fertility", 4, 0.0),
    ):
        x, y = read_from_r(name, target)
        yield f"{name}, {target}", Task(x, y, hidden, decay)
    rng = np.random.default_rng(18)
    x = rng.random((200, 10))
    waves = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2
    y = waves + 10 * x[:, 3] + 5 * x[:, 4] + rng.standard_normal(200)
    yield "Friedman #1 with noise", Task(x, scale(y)[:, None], 6, 1e-3)
    axis = np.linspace(-1, 1, 15)
    x = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    ripple = np.sin(3 * x[:, 0]) * np.cos(3 * x[:, 1])
    yield "sin(3a) cos(3b)", Task(x, ripple[:, None], 10)
    x = np.linspace(-2, 2, 80)[:, None]
    yield "step", Task(x, np.sign(x), 3)
    yield "step, with decay", Task(x, np.sign(x), 3, 1e-3)


def read_from_r(name: str, target: str) -> tuple[Array, Array]:
    """Return the inputs and the target of a data set of R's, complete rows, columns scaled; of rock
    the logarithm of the target, as in nnet's own example.
    """
    log = "log" if name == "rock" else "identity"
    code = f"""
        d <- na.omit(datasets::{name}); y <- {log}(d[["{target}"]])
        x <- as.matrix(d[, setdiff(names(d), "{target}"), drop = FALSE])
        c(nrow(d), t(cbind(scale(x), scale(y))))
    """
    rows, *numbers = np.asarray(LIVE.eval_text(code)).tolist()
    table = np.reshape(numbers, (int(rows), -1))
    return table[:, :-1], table[:, -1:]


def scale(column: Array) -> Array:
    """Return a column with mean 0 and variance 1."""
    return np.asarray((column - column.mean()) / column.std(ddof=1))


def race_others() -> None:
    """Times and losses of other problems."""
    say(f"\n### Other problems, {OTHERS} starts each, both to the end\n")
    say_heading("rows, inputs, hidden, decay")
    for name, task in list_others():
        starts = task.draw(OTHERS)
        nnet = fit_in_r(task, starts)
        ours = fit_in_torch(task, starts, torch.float64)
        shape = f"{task.x.shape[0]}, {task.x.shape[1]}, {task.hidden}, {task.decay:g}"
        say_row([name, shape], nnet, ours)


def say_heading(shape: str) -> None:
    """Print the heading of a table of problems; `shape` is that of its second column."""
    say(f"| problem | {shape} | CPU ms a start: nnet | here |"
        " nnet's time / ours | lowest loss: nnet | here | median loss: nnet | here |"
        " starts lower / alike / higher here |")  # fmt: skip
    say("|---|---|---|---|---|---|---|---|---|---|")


def say_row(cells: list[str], nnet: Timed, ours: Timed, least: float = 0.0) -> None:
    """Print a row of a table of problems: `cells`, then times and losses of fits from the same
    starts. Losses below `least` count as that.
    """
    count = len(nnet.losses)
    each = [1e3 * timed.seconds / count for timed in (nnet, ours)]
    theirs, mine = (np.maximum(timed.losses, least) for timed in (nnet, ours))
    lower, higher = np.count_nonzero(mine * ALIKE < theirs), np.count_nonzero(mine > ALIKE * theirs)
    cells = [*cells, f"{each[0]:.3g}", f"{each[1]:.3g}", f"{each[0] / each[1]:.2g}"]
    for of in (np.min, np.median):
        cells += [f"{of(theirs):.4g}", f"{of(mine):.4g}"]
    cells.append(f"{lower} / {count - lower - higher} / {higher}")
    say(f"| {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = ("sine", "one", "others")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    parser.add_argument("--starts", type=int, default=256)
    parser.add_argument("--draws", type=int, default=3)
    given = parser.parse_args()
    for part in given.parts:
        if part not in parts:
            parser.error(f"there is no {shown(part, 20)}: {', '.join(parts)}")
    limit_threads()
    here = environment()
    names = ("date", "cpu", "cores", "python", "torch", "numpy", "blas")
    say(", ".join(f"{name} {here[name]}" for name in names if name in here))
    versions = LIVE.versions()
    say(f"nnet {versions['nnet']}, R {versions['R']}")
    chosen = given.parts or parts
    if "sine" in chosen:
        race_sine(given.starts, given.draws)
    if "one" in chosen:
        race_single(given.draws)
    if "others" in chosen:
        race_others()


if __name__ == "__main__":
    main()
