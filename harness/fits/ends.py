"""Runs the trainers of a case, and computes the losses at their final weights."""

from dataclasses import dataclass

import numpy as np

from harness.core.contract import Array, Bounds
from harness.core.implementation import Missing
from harness.core.problem import Problem
from harness.core.verdict import Status
from harness.fits.ahead import FitsAhead
from harness.judging.cache import Cache
from harness.judging.store import Key, Same
from harness.model.compiled import COMPILER
from harness.training.trainer import Ended, Fitted, Trainer


@dataclass(frozen=True)
class TrainedEnd(Key[Ended | Missing]):
    """Cache key for the results of training by a trainer of the case, or for the reason why they
    are missing.
    """

    trainer: str
    dtype: str
    device: str


@dataclass(frozen=True)
class SharedFit(Key[Fitted | Missing]):
    """Cache key for the fits of a trainer from the same starts and data, shared by all cases.

    `start` is a digest of the starts and the data.
    """

    trainer: Same
    network: Same
    start: str
    dtype: str
    device: str


def train(cache: Cache, trainer: Trainer, dtype: str, device: str) -> Ended | Missing:
    """Return the fits of a trainer, with the losses at its final weights, or why they are missing.

    The losses are computed by the network's equations, with bounds on their rounding errors.
    """
    key = TrainedEnd(trainer.name, dtype, device)
    return cache.get_or_make(key, lambda: _train(cache, trainer, dtype, device))


def _train(cache: Cache, trainer: Trainer, dtype: str, device: str) -> Ended | Missing:
    start = trainer.starting(cache.case.network, cache.population, cache.starts, dtype)
    key = SharedFit(Same(trainer), Same(start.formulation.network), start.key, dtype, device)
    fitted = cache.across_cases.get_or_make(key, lambda: _fit(cache, trainer, start, dtype, device))
    if isinstance(fitted, Missing):
        return fitted
    if fitted.began is not None and not np.array_equal(fitted.began.theta, start.theta):
        return Missing(Status.FAIL, "began at other starts than it was given")
    losses, errors = np.full(start.draws, np.inf), np.zeros(start.draws)
    if fitted.end is not None:
        if not _has_same_data(fitted.end, start.part(fitted.finite)):
            return Missing(Status.FAIL, "ended on other data than it was given")
        loss = cache.oracle(fitted.end, trainer.contract(dtype))["loss"]
        losses[fitted.finite], errors[fitted.finite] = loss.value, loss.error
    scale = cache.population.scale(start.rows)
    return Ended(trainer, fitted, losses * scale, errors * scale, start, dtype, device)


def _fit(
    cache: Cache, trainer: Trainer, start: Problem, dtype: str, device: str
) -> Fitted | Missing:
    message = f"training {cache.case.name}: {trainer.title()}"
    if ahead := cache.across_cases.get(FitsAhead()):
        cache.say(message)
        if (fitted := ahead.take(trainer, cache.case.network, start, dtype)) is not None:
            return fitted
    with COMPILER.asking((trainer, dtype, device)):
        return trainer.fit(start, dtype, device, lambda how: cache.say(f"{message}: {how}"))


def _has_same_data(end: Problem, start: Problem) -> bool:
    same_inputs = np.array_equal(end.inputs, start.inputs)
    return same_inputs and np.array_equal(end.targets, start.targets)


def get_losses_at_start(cache: Cache, ended: Ended) -> Array:
    """Return the losses (D,) at the D starts of a trainer, before it trains."""
    loss = cache.oracle(ended.start, ended.trainer.contract(ended.dtype))["loss"]
    return np.asarray(loss.value * cache.population.scale(ended.start.rows))


def get_ends(cache: Cache) -> list[Ended]:
    """Return the results of all trainers of the case that have been trained so far."""
    return [end for end in cache.get_all(TrainedEnd) if isinstance(end, Ended)]


def get_bounds_at_end(cache: Cache, ended: Ended) -> Bounds:
    """Return every answer of the network at a trainer's final weights, with its bound, by quantity.

    The bounds are for the trainer's contract: the arithmetic that it promises.
    """
    return cache.oracle(ended.end, ended.trainer.contract(ended.dtype))
