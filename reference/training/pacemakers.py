"""R's nnet as the pacemaker of speed races: the implementation whose time is the unit."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from harness.core.problem import Problem
from harness.racing.calibration import TRIES, calibrate
from reference.mathematics.questions import at_theta
from reference.r.nnet_reference import LIVE, r_nnet
from reference.training.trainers import (
    ABSTOL,
    RELTOL,
    list_loss_arguments,
    list_r_arguments,
)

Pace = Callable[[int], tuple[float, float]]


@dataclass(frozen=True)
class Pacemaker:
    """R's nnet as a pacemaker.

    Calling it with a problem returns a function from the number of a draw to R's CPU time in
    seconds, for one evaluation or one fit, and to the loss that must be reached (infinite: none).
    """

    begin: Callable[[Problem], Pace]

    def __call__(self, problem: Problem) -> Pace:
        return self.begin(at_theta(r_nnet.as_evaluated(problem)))

    def versions(self) -> dict[str, str]:
        """Return the versions of "R", "nnet" and "rpy2"."""
        return LIVE.versions()


def _pace_gradients(problem: Problem) -> Pace:
    """Return the time of one value and gradient, without that of giving the engine its data.

    The latter is measured again in each turn, and the shortest counts, as it does of the turns. The
    problem has the network in nnet's own parameters.
    """
    measure = partial(LIVE.time_gradients, *list_r_arguments(problem, 0))
    alone = min(measure(0) for _ in range(3 * TRIES))
    count = calibrate(lambda count: measure(count) - alone)

    def pace(draw: int) -> tuple[float, float]:
        nonlocal alone
        alone = min(alone, measure(0))
        seconds = LIVE.time_gradients(*list_r_arguments(problem, draw), count)
        return (seconds - alone) / count, np.inf

    return pace


def _pace_fits(problem: Problem) -> Pace:
    """Return the time of nnet's fit from a start, and its final loss.

    The problem has the network in nnet's own parameters.
    """

    def pace(draw: int) -> tuple[float, float]:
        how = list_loss_arguments(problem, draw)
        arguments = list_r_arguments(problem, draw)
        fit = LIVE.fit(*arguments, maxit=10_000, abstol=ABSTOL, reltol=RELTOL, **how)
        return fit.seconds, fit.value

    return pace


nnet_gradients = Pacemaker(_pace_gradients)
"""The pacemaker of races of one loss with its gradient: `Entry(pacemaker=nnet_gradients)`."""

nnet_fits = Pacemaker(_pace_fits)
"""The pacemaker of races of fits: `Entry(pacemaker=nnet_fits, fits=True)`."""
