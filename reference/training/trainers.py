"""Trainers other than PyTorch: R nnet's own fit, R's optim(), SciPy, and plain gradient descent.

theta is the vector of the network's T parameters in nnet's order. In shapes, R counts rows, I
inputs, and O outputs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple, Self

import numpy as np

from harness.core.contract import Array, Contract
from harness.core.formulation import Family, Formulation
from harness.core.implementation import Limited, Missing, Observation
from harness.core.problem import Problem
from harness.core.verdict import Status
from harness.training.trainer import Fitted, Floor, Population, Start
from harness.waiting.progress import Pace, Say
from reference.implementations.numpy_net import NumpyNet, numpy_net
from reference.mathematics.network import Network
from reference.mathematics.questions import at_theta
from reference.nnet.losses import (
    cannot_lose,
    cannot_sum,
    find_decay,
    find_error,
    find_row_weights,
    find_targets,
)
from reference.r.nnet_reference import RNnet, r_nnet, topology
from reference.r.preflight import RUnavailable
from reference.r.session import RCrashed, RError
from reference.r.topology import Fit, Topology
from reference.training.objectives import objective
from reference.training.starts import uniform

ABSTOL, RELTOL = 1e-8, 1e-9  # those of the seed question, for trainers that stop as nnet does
# vmmin in R's optim.c ends when 10 + weight is the same before and after a step, and returns the
# loss before that step
RELTEST = 10.0
ITERATIONS = 1_000  # of SciPy's optimisers, at most
# the iterations at which nnet's loss is read for its curve
CURVE = (1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90, 135, 200, 300, 450, 700, 1000)


class One(NamedTuple):
    """The result of training from one start (the parameters at which it begins).

    `theta` (T,) holds the final parameters, `claimed` is their loss as the trainer computes it,
    `ended` describes how the fit ended, and `curve` lists iterations, each with its loss.
    `evaluations` counts evaluations of the loss, None if unknown, and `restarts` the times that the
    trainer began anew.
    """

    theta: Array
    claimed: float
    ended: str
    curve: Sequence[tuple[int, float]] = ()
    evaluations: int | None = None
    restarts: int = 0


@dataclass(frozen=True, eq=False)
class ReferenceTrainer:
    """A trainer that is not a PyTorch model.

    `one(implementation, problem, draw)` fits one start, with the forward pass of `implementation`.
    `network` is the network that it trains, by default the case's. It trains from at most `most`
    starts. Without `biases` all biases are 0, at the starts too. `squares_only` trainers need a
    loss that is a sum of squares.
    """

    name: str
    says: str
    one: Callable[[Any, Problem, int], One]
    implementation: RNnet | NumpyNet
    network: Network | None = None
    start: Start = field(default_factory=uniform)
    most: int | None = None
    floor: Floor | None = None
    comparison_offset: float = 0.0
    biases: bool = True
    squares_only: bool = False

    @property
    def source(self) -> str:
        return self.implementation.source

    @property
    def fits_apart(self) -> bool:
        return self.source != "recorded"

    def title(self) -> str:
        title = self.says.replace("{provenance}", getattr(self._session, "provenance", ""))
        return title.replace("{r}", self.implementation.title())

    def versions(self) -> dict[str, str]:
        """Return the versions of its implementation; empty if it reports none."""
        return dict(getattr(self.implementation, "versions", dict)())

    def answering(self, *where: Any) -> Self:
        """Return this trainer with the session that answers for R, see RNnet.answering.

        A trainer that does not use R is returned unchanged.
        """
        if not isinstance(self.implementation, RNnet):
            return self
        implementation = self.implementation.answering(*where)
        return (
            self
            if implementation is self.implementation
            else replace(self, implementation=implementation)
        )

    @property
    def _session(self) -> Any:
        return getattr(self.implementation, "r", None)

    def contract(self, dtype: str = "float64") -> Contract:
        return self.implementation.contract(dtype)

    def lacks(
        self, network: Family, quantity: str, dtype: str = "float64", device: str = "cpu"
    ) -> str | None:
        if not isinstance(self.implementation, Limited):
            return None
        return self.implementation.lacks(self.network or network, "forward", dtype, device)

    def cannot_answer(
        self, network: Family, quantity: str, dtype: str = "float64", device: str = "cpu"
    ) -> str | None:
        return self.implementation.cannot_answer(self.network or network, "forward")

    def starting(self, network: Family, population: Population, starts: int, dtype: str) -> Problem:
        """Return the problem (parameters and data) with this trainer's starts and their data. Its
        own parameters are theta, the network's parameters.
        """
        formulation = Formulation.identity(self.network or network)
        own = self.start(formulation, min(starts, self.most or starts))
        problem = self.as_trained(population.problem(formulation, own, dtype))
        if self.biases:
            return problem
        is_bias = _biases(problem.network)
        return replace(problem, own=np.where(is_bias, 0.0, problem.own))

    def as_trained(self, start: Problem) -> Problem:
        """Return a copy of the starts as theta of the network that is really evaluated: nnet
        computes a tanh network as a logistic one.
        """
        start = at_theta(start)
        if self._cannot_lose(start):
            return start
        return at_theta(self.implementation.as_evaluated(start))

    def _cannot_lose(self, problem: Problem) -> str:
        """Return why this trainer cannot minimise a problem's loss; "" if it can."""
        if self.squares_only and not problem.loss.is_squares:
            return "its loss is no sum of squares: let scipy_bfgs fit it"
        if not isinstance(self.implementation, RNnet):
            return ""
        if why := cannot_lose(problem) or cannot_sum(problem):
            return why
        if not self.biases and problem.network.activations[0] == "tanh":
            return (
                "nnet computes tanh through other weights than these, and its mask would hold those"
            )
        return ""

    def answers(self, problem: Problem, dtype: str, device: str) -> Observation:
        return self.implementation.observe(problem, dtype, device)

    def fit(self, start: Problem, dtype: str, device: str, say: Say) -> Fitted | Missing:
        """Train from the starts one after the other. If R fails or is missing, return the
        reason.
        """
        began, fits = perf_counter(), list[One]()
        if (known := getattr(self._session, "starts", None)) and start.draws > known:
            why = (
                f"is recorded from {known} starts, not {start.draws}: leave --parity-starts out, or"
                " run this where R is"
            )
            return Missing(Status.ABSENT, why)
        if why := self._cannot_lose(start):
            return Missing(Status.ABSENT, f"cannot fit it: {why}")
        try:
            pace = Pace(start.draws)
            for draw in range(start.draws):
                fits.append(self.one(self.implementation, start, draw))
                say(f"start {draw + 1} of {start.draws}{pace.describe_left(draw + 1)}")
        except RUnavailable as error:
            return Missing(Status.ABSENT, str(error))
        except (RCrashed, RError) as error:
            return Missing(Status.BROKEN, f"R: {error}")
        seconds = perf_counter() - began if self.source != "recorded" else 0.0  # which is not known
        own = np.stack([one.theta for one in fits])
        claimed = np.array([one.claimed for one in fits])
        counts = [one.evaluations for one in fits if one.evaluations is not None]
        return Fitted.of(
            start,
            own,
            claimed,
            [one.ended for one in fits],
            fits[0].curve,
            seconds,
            counts if len(counts) == len(fits) else (),
            [one.restarts for one in fits],
        )


def nnet_fit(
    maxit: int = 10_000,
    abstol: float = ABSTOL,
    reltol: float = RELTOL,
    biases: bool = True,
    **given: Any,
) -> ReferenceTrainer:
    """Return the trainer of R nnet's own fit, `nnet(x, y, Wts=, maxit=, abstol=, reltol=)`.

    Without `biases`, nnet's `mask` holds all biases at 0. A mean is fitted with nnet's `weights`
    equal to one over the number of squares, so that `abstol` and `reltol` apply to the mean.
    """

    def one(nnet: RNnet, problem: Problem, draw: int) -> One:
        net, theta, *data = list_r_arguments(problem, draw)
        how = {"abstol": abstol, "reltol": reltol, **list_loss_arguments(problem, draw)}
        if not biases:
            how["mask"] = ~_biases(problem.network)
        fit = partial(nnet.r.fit, net, theta, *data, **how)
        steps = [k for k in CURVE if k < maxit] if draw == 0 else []
        return _make_one(fit(maxit=maxit), [(k, fit(maxit=k).value) for k in steps])

    trainer = ReferenceTrainer("nnet", "{r}", one, r_nnet, comparison_offset=RELTEST, biases=biases)
    return replace(trainer, **given)


def list_r_arguments(problem: Problem, draw: int) -> tuple[Topology, Array, Array, Array]:
    """Return the arguments of RSession.fit for one draw (a problem of the stack): the topology, the
    weights (T,), inputs (R, I) and targets (R, O).

    R counts rows, I inputs and O outputs.
    """
    network: Any = problem.network
    net = topology(network, find_error(problem))
    return net, problem.own[draw], problem.inputs[draw], find_targets(problem)[draw]


def list_loss_arguments(problem: Problem, draw: int) -> dict[str, Any]:
    """Return the arguments of RSession.fit and RSession.optim that describe the loss of one draw (a
    problem of the stack), by name.

    A mean is a sum whose rows have weights of one over the number of its terms.
    """
    weights = find_row_weights(problem)
    return {
        "decay": find_decay(problem),
        "row_weights": None if weights is None else weights[draw],
    }


def _make_one(fit: Fit, curve: Sequence[tuple[int, float]] = ()) -> One:
    return One(fit.weights, fit.value, "maxit" if fit.convergence else "converged", curve)


def _biases(network: Any) -> Any:
    owners = network.layout.owners
    return np.array([network.layout.blocks[owner].places.ndim == 1 for owner in owners])


def _optim(nnet: RNnet, problem: Problem, draw: int) -> One:
    return _make_one(
        nnet.r.optim(*list_r_arguments(problem, draw), **list_loss_arguments(problem, draw))
    )


class _Losses(list[float]):
    """A list of the losses after each iteration of a SciPy optimiser."""

    def note(self, intermediate_result: Any) -> None:
        """Add the loss of an iteration, and stop the optimiser by the rule of R's vmmin, which nnet
        uses.

        SciPy calls this after each iteration.
        """
        before = self[-1] if self else np.finfo(float).max
        loss = float(intermediate_result.fun)
        self.append(loss)
        if loss < ABSTOL or before - loss <= RELTOL * (abs(before) + RELTOL):
            raise StopIteration


def _minimise(method: str, net: NumpyNet, problem: Problem, draw: int) -> One:
    from scipy import optimize  # it takes a third of a second to import

    losses = _Losses()
    settings = {"maxiter": ITERATIONS, "gtol": 0.0}
    if method == "L-BFGS-B":
        settings["ftol"] = 0.0
    end = optimize.minimize(
        objective(problem, draw),
        problem.own[draw],
        jac=True,
        method=method,
        callback=losses.note,
        options=settings,
    )
    ended = f"{ITERATIONS:,} iterations" if end.nit >= ITERATIONS else "converged"
    return One(end.x, float(end.fun), ended, list(enumerate(losses, 1)), int(end.nfev))


def _least_squares(net: NumpyNet, problem: Problem, draw: int) -> One:
    from scipy import optimize

    of_draw, start = objective(problem, draw), problem.own[draw]
    end = optimize.least_squares(
        of_draw.residuals, start, of_draw.jacobian, method="lm", max_nfev=ITERATIONS, ftol=RELTOL
    )
    ended = "converged" if end.success else f"{ITERATIONS:,} iterations"
    return One(end.x, 2 * float(end.cost), ended, evaluations=int(end.nfev + end.njev))


def _descend(lr: float, steps: int, net: NumpyNet, problem: Problem, draw: int) -> One:
    of_draw, theta, losses = objective(problem, draw), problem.own[draw], list[float]()
    for _ in range(steps):
        loss, slope = of_draw(theta)
        losses.append(loss)
        if not np.isfinite(loss):
            ended = f"not finite from step {len(losses) - 1} on"
            return One(theta, loss, ended, evaluations=len(losses))
        theta = theta - lr * slope
    claimed, curve = of_draw(theta)[0], list(enumerate(losses))
    return One(theta, claimed, f"{steps:,} steps", curve, steps)


def gradient_descent(lr: float, steps: int, **given: Any) -> ReferenceTrainer:
    """Return the trainer of plain gradient descent in NumPy: each step subtracts lr * gradient from
    the network's parameters.
    """
    one = partial(_descend, lr, steps)
    return replace(
        ReferenceTrainer("descent", "gradient descent by NumPy", one, numpy_net), **given
    )


# R's optim() on nnet's value and gradient, and SciPy's optimisers on NumPy's.
optim_bfgs = ReferenceTrainer(
    "optim_bfgs", "R optim(BFGS) ({provenance})", _optim, r_nnet, comparison_offset=RELTEST
)
scipy_bfgs = ReferenceTrainer("scipy_bfgs", "SciPy BFGS", partial(_minimise, "BFGS"), numpy_net)
scipy_lbfgsb = ReferenceTrainer(
    "scipy_lbfgsb", "SciPy L-BFGS-B", partial(_minimise, "L-BFGS-B"), numpy_net
)
least_squares = ReferenceTrainer(
    "least_squares",
    "SciPy least_squares (Levenberg-Marquardt)",
    _least_squares,
    numpy_net,
    squares_only=True,
)
