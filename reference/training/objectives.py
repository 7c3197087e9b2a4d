"""Objectives for optimisers: the loss of one draw as a function of theta.

A draw is one problem of a stack. theta is the vector of the network's parameters in nnet's order.
In shapes, R counts rows, O outputs, H hidden units, and T the numbers of theta.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from harness.arithmetic.plain import Plain
from harness.core.contract import Array, Contract
from harness.core.loss import Loss
from harness.core.problem import Problem
from reference.mathematics.equations import evaluate
from reference.mathematics.network import Network


class Objective:
    """Computes the loss of one draw, its gradient and its Jacobian at any theta (T,), for any
    network.

    The problem must be given in theta, the network's parameters, see `at_theta`.
    """

    def __init__(self, problem: Problem, draw: int) -> None:
        self.problem, self.plain = problem.part(slice(draw, draw + 1)), Plain(Contract())
        shares = np.broadcast_to(problem.shares, problem.targets.shape[1:])
        self.roots, self.root_decays = np.sqrt(shares), np.sqrt(problem.decays)

    def _evaluate(self, theta: Array) -> dict[str, Array]:
        with np.errstate(all="ignore"):
            return evaluate(self.plain, replace(self.problem, own=theta[None]))

    def __call__(self, theta: Array) -> tuple[float, Array]:
        """Return the loss at theta, the network's parameters, and its gradient (T,)."""
        evaluated = self._evaluate(theta)
        return float(evaluated["loss"][0]), evaluated["gradient"][0]

    def residuals(self, theta: Array) -> Array:
        """Return numbers whose squares add up to the loss at theta, the network's parameters.

        They are the outputs minus the targets, flattened row by row (R O,), each times the root of
        its share in the loss. With decay, theta times the root of its decay (T,) follows.
        """
        error = (self._evaluate(theta)["forward"][0] - self.problem.targets[0]) * self.roots
        return self._with_decay(error.ravel(), self.root_decays * theta)

    def jacobian(self, theta: Array) -> Array:
        """Return the derivatives of the residuals by theta, the network's parameters: (R O, T), or
        (R O + T, T) with decay.

        Each row is the gradient of a loss whose targets make this residual 1/2 and all others 0:
        the derivative of a squared residual of 1/2 is the derivative of the residual. R counts
        rows, O outputs and T the network's parameters.
        """
        rows, outputs = self.problem.targets.shape[1:]
        forward = self._evaluate(theta)["forward"][0]
        targets = np.repeat(forward, outputs, axis=0) - 0.5 * np.tile(np.eye(outputs), (rows, 1))
        inputs = np.repeat(self.problem.inputs[0], outputs, axis=0)
        own = np.tile(theta, (rows * outputs, 1))
        each = replace(
            self.problem, own=own, inputs=inputs[:, None], targets=targets[:, None], loss=Loss()
        )
        slopes = np.asarray(evaluate(self.plain, each)["gradient"])
        return self._with_decay(slopes * self.roots.reshape(-1, 1), np.diag(self.root_decays))

    def _with_decay(self, of_errors: Array, of_decay: Array) -> Array:
        """Return the numbers of the errors followed by those of the weight decay, if there is
        decay; else only the former.
        """
        if not self.problem.loss.has_decay:
            return of_errors
        return np.concatenate([of_errors, of_decay])


class HiddenLayerObjective(Objective):
    """An Objective for networks of one hidden layer with all connections, ten times as fast.

    With x1 = [1, x] and h1 = [1, h], the network computes h = g(x1 A') and o = f(h1 B'). With skip
    connections h1 is [1, h, x]. theta holds the rows of A, then the rows of B.
    """

    def __init__(self, problem: Problem, draw: int) -> None:
        super().__init__(problem, draw)
        network: Any = self.problem.network
        self.targets = self.problem.targets[0]
        self.x1 = self.plain.with_ones(self.problem.inputs[0])
        self.shape_of_A = network.hidden, self.x1.shape[1]
        self.shape_of_B = network.parts[-1].places.shape
        self.split = self.shape_of_A[0] * self.shape_of_A[1]
        self.hidden, self.output = network.activation, network.output
        self.units = slice(1, 1 + network.hidden)  # the columns of h1 and B of hidden units
        self.h1 = np.ones((len(self.x1), self.shape_of_B[1]))
        if network.has_skip:
            self.h1[:, self.units.stop :] = self.x1[:, 1:]
        self.shares, self.decays = self.problem.shares, self.problem.decays

    def _forward(self, theta: Array) -> tuple[Array, Array, Array, Array | None, Array | None]:
        """Return A, B, the outputs (R, O), and the derivatives of f (R, O) and of g (R, H).

        None instead of derivatives means that all of them are 1. R counts rows, O outputs and H
        hidden units.
        """
        A = theta[: self.split].reshape(self.shape_of_A)
        B = theta[self.split :].reshape(self.shape_of_B)
        self.h1[:, self.units], hidden_slope = self.plain.act(self.hidden, self.x1 @ A.T)
        outputs, output_slope = self.plain.act(self.output, self.h1 @ B.T)
        return A, B, outputs, output_slope, hidden_slope

    def __call__(self, theta: Array) -> tuple[float, Array]:
        with np.errstate(all="ignore"):
            _, B, outputs, output_slope, hidden_slope = self._forward(theta)
            error = outputs - self.targets
            weighted = self.shares * error
            loss = float(np.vdot(error, weighted))
            back = self.plain.mul(2 * weighted, output_slope)
            through = self.plain.mul(back @ B[:, self.units], hidden_slope)
            gradient = np.concatenate([(through.T @ self.x1).ravel(), (back.T @ self.h1).ravel()])
            if self.problem.loss.has_decay:
                loss += float(theta @ (self.decays * theta))
                gradient += 2 * self.decays * theta
        return loss, gradient

    def residuals(self, theta: Array) -> Array:
        with np.errstate(all="ignore"):
            error = (self._forward(theta)[2] - self.targets) * self.roots
        return self._with_decay(error.ravel(), self.root_decays * theta)

    def jacobian(self, theta: Array) -> Array:
        with np.errstate(all="ignore"):
            _, B, outputs, output_slope, hidden_slope = self._forward(theta)
            rows, width = outputs.shape
            slope = np.ones(outputs.shape) if output_slope is None else output_slope
            through = self.plain.mul(
                slope[:, :, None] * B[:, self.units], _per_output(hidden_slope)
            )
            by_A = through[..., None] * self.x1[:, None, None, :]
            by_B = np.zeros((rows, width, *self.shape_of_B))
            each = np.arange(width)
            by_B[:, each, each] = slope[:, :, None] * self.h1[:, None, :]
        flat = rows * width, -1
        slopes = np.concatenate([by_A.reshape(flat), by_B.reshape(flat)], axis=1)
        return self._with_decay(slopes * self.roots.reshape(-1, 1), np.diag(self.root_decays))


def _per_output(slope: Array | None) -> Array | None:
    """Reshape derivatives (R, H), which are the same for each output, to (R, 1, H); None stays
    None.

    R counts rows and H hidden units.
    """
    return None if slope is None else slope[:, None, :]


def objective(problem: Problem, draw: int) -> Objective:
    """Return the fastest objective for a draw of a problem."""
    network = problem.network
    if not isinstance(network, Network) or not network.is_complete:
        return Objective(problem, draw)
    is_one = isinstance(network.output, str) and network.output != "softmax"
    if is_one and problem.loss.is_squares and problem.slopes is None:
        return HiddenLayerObjective(problem, draw)
    return Objective(problem, draw)
