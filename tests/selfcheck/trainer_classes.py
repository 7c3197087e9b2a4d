"""The trainer of cases/ beside R's nnet on problems of classes, in CPU seconds of one core.

usage: python -m tests.selfcheck.trainer_classes [--starts N]

Both sides have the same starts, uniform from -0.7 to 0.7, and the same rows, and go to their end.
nnet is timed by R's own proc.time(), torch by the process's CPU time. Losses are nnet's, recomputed
in float64. The table is Markdown, as in docs/trainer.md.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from cases import levenberg
from harness.core.contract import Array
from harness.reporting.environment import limit_threads
from reference.r.nnet_reference import LIVE
from tests.selfcheck.trainer import Timed, say_heading, say_row, write_in_r

STARTS = 30
LEAST = 1e-6  # losses below it count as alike: the classes are separated


class Task(NamedTuple):
    """A problem of classes: inputs (R, I), targets (R, O), the error, hidden units and decay."""

    x: Array
    y: Array
    error: str
    hidden: int
    decay: float

    def draw(self, count: int) -> Array:
        """Return starts (count, T) of its network."""
        outputs = self.y.shape[1]
        size = self.hidden * (1 + self.x.shape[1]) + outputs * (1 + self.hidden)
        return np.random.default_rng(18).uniform(-0.7, 0.7, (count, size))

    def find_losses(self, theta: Array) -> Array:
        """Return the losses (D,) at the weights (D, T), in float64."""
        x, y, weights = (torch.tensor(each) for each in (self.x, self.y, theta))
        at = levenberg.pose(x, y, weights, (1.0,), self.decay, False, self.error)
        return levenberg.find_loss(weights, at).numpy()


def list_tasks() -> Iterator[tuple[str, Task]]:
    """Yield problems: R's data, columns scaled, and two spirals."""
    for name, formula, error, hidden in (
        ("iris", "Species ~ .", "softmax", 3),
        ("iris", "Species == 'versicolor' ~ . - Species", "entropy", 3),
        ("infert", "case ~ age + parity + induced + spontaneous", "entropy", 3),
        ("warpbreaks", "tension ~ breaks", "softmax", 3),
    ):
        x, y = read_from_r(name, formula)
        for decay in (1e-3, 0.0):
            yield f"{name}, {formula.partition(' ~ ')[0]}", Task(x, y, error, hidden, decay)
    turn = np.linspace(0.5, 3.5, 60) * np.pi
    arm = np.stack([turn * np.cos(turn), turn * np.sin(turn)], axis=1) / 6
    x, y = np.concatenate([arm, -arm]), np.repeat([[0.0], [1.0]], 60, axis=0)
    for decay in (1e-3, 0.0):
        yield "two spirals", Task(x, y, "entropy", 10, decay)


def read_from_r(name: str, formula: str) -> tuple[Array, Array]:
    """Return the inputs, columns scaled, and the classes as numbers of a data set of R's."""
    code = f"""
        d <- na.omit(datasets::{name}); f <- model.frame({formula}, d); y <- model.response(f)
        y <- if (is.factor(y)) model.matrix(~ y - 1) else matrix(as.numeric(y))
        x <- scale(model.matrix({formula}, d)[, -1, drop = FALSE])
        c(nrow(x), ncol(y), t(cbind(x, y)))
    """
    rows, outputs, *numbers = np.asarray(LIVE.eval_text(code)).tolist()
    table = np.reshape(numbers, (int(rows), -1))
    return table[:, : -int(outputs)], table[:, -int(outputs) :]


def fit_in_r(task: Task, starts: Array) -> Timed:
    """Fit by nnet(maxit = 1e4, reltol = 1e-9)."""
    x, y, weights = map(write_in_r, (task.x, task.y, starts))
    code = f"""
        x <- {x}; y <- {y}; starts <- {weights}; seconds <- 0
        ends <- apply(starts, 1, function(start) {{
            began <- proc.time()
            fit <- nnet::nnet(x, y, size = {task.hidden}, {task.error} = TRUE, Wts = start,
                maxit = 10000, reltol = 1e-9, decay = {task.decay!r}, trace = FALSE)
            seconds <<- seconds + sum((proc.time() - began)[1:2])
            fit$wts
        }})
        c(seconds, ends)
    """
    seconds, *ends = np.asarray(LIVE.eval_text(code)).tolist()
    return Timed(seconds, task.find_losses(np.reshape(ends, starts.shape)))


def fit_in_torch(task: Task, starts: Array) -> Timed:
    """Fit by the stack, in float64."""
    tensors = [torch.tensor(each) for each in (starts, task.x, task.y)]
    began = time.process_time()
    found = levenberg.fit(*tensors, decay=task.decay, error=task.error)
    seconds = time.process_time() - began
    return Timed(seconds, task.find_losses(found.theta.numpy()))


def main() -> None:
    """Print a row of the table for each problem."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--starts", type=int, default=STARTS)
    count = parser.parse_args().starts
    limit_threads()
    say_heading("error; rows, inputs, hidden, decay")
    for name, task in list_tasks():
        starts = task.draw(count)
        nnet, ours = fit_in_r(task, starts), fit_in_torch(task, starts)
        shape = f"{task.x.shape[0]}, {task.x.shape[1]}, {task.hidden}, {task.decay:g}"
        say_row([name, f"{task.error}; {shape}"], nnet, ours, LEAST)


if __name__ == "__main__":
    main()
