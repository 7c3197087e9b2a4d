"""The training loop: runs an optimiser, and records the states of the parameters.

A state is the vector of own parameters (the model's own tensors, flattened) before or after a step.
In shapes, K counts steps, D starts, and P own parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.core.contract import Array
from harness.core.recipe import Recipe
from harness.model.errors import WrongAnswer
from harness.model.losses import count_frozen
from harness.model.tensors import to_array
from harness.training.clock import Clock, TrainingDeadlinePassed
from harness.training.learner import Learner
from harness.training.limits import Limits
from harness.training.optimisers import clear_gradients, make_optimiser
from harness.waiting.progress import Pace, Say

if TYPE_CHECKING:
    from torch import Tensor

REPORTED = 250  # steps between two reports of progress


@dataclass(frozen=True, eq=False)
class Procedure:
    """How parameters are trained: by the optimiser of a recipe, or by a user's own `iterate` or
    `loop`.

    `before` and `after` are called before and after each step of the optimiser, and `limits` are
    checked after each step (see Trained).
    """

    recipe: Recipe
    iterate: Callable[[Any, list[Any]], None] | None
    before: Callable[[Any], None] | None
    after: Callable[[Any], None] | None
    limits: Limits | None = None
    loop: Callable[[Any, Any, Any], Any] | None = None


class Training:
    """One training run. With `visits` it records the state and the gradients of every step."""

    def __init__(self, learner: Learner, procedure: Procedure, device: str, visits: bool) -> None:
        self.learner = learner
        self.procedure = procedure
        self.device = device
        self._losses: list[Tensor] = []
        self._visits = visits
        self._states: list[list[Tensor]] = []
        self._gradients: list[list[Tensor]] = []
        self._latest: dict[int, Tensor] = {}  # the gradients of the present step
        self._evaluations = 0
        self._calls = 0
        if visits:
            self._expect_no_frozen()
            self._watch_gradients()

    def _expect_no_frozen(self) -> None:
        """Raise WrongAnswer if a parameter needs no gradient."""
        if frozen := count_frozen(self.learner.parameters):
            raise WrongAnswer(
                f"has {frozen}, expected every parameter to take steps: choose checks=['final',"
                " 'fit']"
            )

    def _watch_gradients(self) -> None:
        """Record each gradient as soon as it is computed: the loop may change it later. A loop or
        an iteration by hand may use torch.autograd.grad, which gives no parameter a gradient.
        """
        by_hand = self.procedure.iterate or self.procedure.loop
        for number, parameter in enumerate(self.learner.parameters):
            if not parameter.requires_grad:
                continue
            if by_hand:  # called first; after backward() the sum takes its place
                parameter.register_hook(partial(self._record_alone, number))  # type: ignore[no-untyped-call]
            hook = partial(self._record_gradient, number)
            parameter.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]

    def train(self, steps: int, say: Say) -> str:
        """Take up to `steps` steps, and return the reason if it stops early.

        Returns "" if it takes all steps, or if it stops because the loss is not finite. Raises
        LeftRange if a parameter leaves its limits, and TrainingDeadlinePassed.
        """
        iterate = self._make_iteration()
        self._count_calls()
        clock = Clock()
        stopped, pace = "", Pace(steps)
        for step in range(steps):
            self._record_state()
            loss = iterate()
            self._losses.append(loss.detach())
            self._record_step()
            if self.procedure.limits:
                self.procedure.limits.check(self.own(), f"after step {step}")
            stopped = self._find_stop(loss, step, clock)
            if stopped or self._is_lost(loss):
                break
            if (step + 1) % REPORTED == 0:
                say(f"step {step + 1:,} of {steps:,}{pace.describe_left(step + 1)}")
        self._record_state()
        return stopped

    def _find_stop(self, loss: Tensor, step: int, clock: Clock) -> str:
        """Return the reason to stop after this step; "" to go on.

        Raises TrainingDeadlinePassed, since a run that was cut short is no fit.
        """
        until = self.procedure.recipe.until
        if until > -np.inf and bool((loss <= until).all()):
            return f"good before step {step}"
        if late := clock.find_late():
            raise TrainingDeadlinePassed(f"was stopped at step {step:,}, after {late}")
        return ""

    def _is_lost(self, loss: Tensor) -> bool:
        """Is the loss of a single model not finite? (In a stack, other copies may still train.)"""
        return self.learner.module is not None and not bool(loss.isfinite())

    def _record_state(self) -> None:
        if self._visits:
            state = [parameter.detach().clone() for parameter in self.learner.parameters]
            self._states.append(state)

    def _record_alone(self, number: int, gradient: Any) -> None:
        self._latest[number] = gradient.detach().clone()

    def _record_gradient(self, number: int, parameter: Any) -> None:
        self._latest[number] = parameter.grad.clone()

    def _record_step(self) -> None:
        """Record the latest gradients of a step; 0 for a parameter that does not affect
        the loss.
        """
        if not self._visits:
            return
        if self.procedure.iterate and not self._latest:
            raise WrongAnswer(
                "leaves no gradient to be seen: its iterate is expected to call loss.backward(), or"
                " torch.autograd.grad(loss, parameters)"
            )
        gradients = []
        for number, parameter in enumerate(self.learner.parameters):
            gradients.append(self._latest.get(number, 0 * parameter.detach()))
        self._gradients.append(gradients)
        self._latest.clear()

    def _make_iteration(self) -> Callable[[], Tensor]:
        """Return a function that takes one step and returns the loss before the step."""
        learner, procedure = self.learner, self.procedure
        if procedure.iterate:
            return partial(self._iterate, procedure.iterate)
        optimiser, take_step = make_optimiser(procedure.recipe, learner.parameters, self.device)

        def backward() -> Tensor:
            clear_gradients(learner.parameters)
            losses = self._evaluate()
            losses.sum().backward()  # type: ignore[no-untyped-call]
            return losses

        def step() -> Tensor:
            losses = backward()
            if procedure.before:
                procedure.before(learner.module)
            take_step()
            if procedure.after:
                procedure.after(learner.module)
            return losses

        if procedure.recipe.optimiser == "lbfgs":
            return partial(optimiser.step, backward)  # it calls backward() several times a step
        return step

    def _evaluate(self) -> Tensor:
        """Return the loss at the present parameters, and count the evaluation."""
        self._evaluations += 1
        return self.learner.losses()

    def _count_calls(self) -> None:
        """Count the calls of a module from now on. Calls of functions and of compiled modules
        cannot be counted.
        """
        module = self.learner.module
        if hasattr(module, "register_forward_pre_hook") and not hasattr(module, "_orig_mod"):
            module.register_forward_pre_hook(self._note_call)

    def _note_call(self, module: Any, inputs: Any) -> None:
        self._calls += 1

    @property
    def evaluations(self) -> int:
        """The number of evaluations of the loss at each start, or the number of calls of the module
        if it is larger.
        """
        return max(self._evaluations, self._calls)

    def _iterate(self, iterate: Callable[[Any, list[Any]], None]) -> Tensor:
        """Take one step by the user's own function `iterate`, and return the loss before the
        step.
        """
        losses = self._evaluate()
        iterate(losses, self.learner.parameters)
        return losses

    def own(self) -> Array:
        """Return the present own parameters (D, P).

        D counts starts and P own parameters (a model's tensors, flattened).
        """
        return to_array(self.learner.parameters, self.learner.problem.draws, -1)

    def states(self) -> Array:
        """Return the own parameters before every step and after the last step, (K + 1, D, P).

        K counts steps, D starts and P own parameters (a model's tensors, flattened).
        """
        draws = self.learner.problem.draws
        return np.stack([to_array(state, draws, -1) for state in self._states])

    def optimiser_gradients(self) -> Array:
        """Return the gradients that the optimiser used at each step (K, D, P).

        K counts steps, D starts and P own parameters (a model's tensors, flattened).
        """
        draws = self.learner.problem.draws
        return np.stack([to_array(gradients, draws, -1) for gradients in self._gradients])

    def count_finite_steps(self) -> int:
        """Count the recorded steps before the first step that begins with a parameter that is not
        finite, in any start.
        """
        for step, state in enumerate(self.states()):
            if not np.isfinite(state).all():
                return min(len(self._gradients), step)
        return len(self._gradients)

    def losses(self) -> Array:
        """Return the losses before every step (K, D).

        K counts steps and D starts.
        """
        return to_array(self._losses, -1, 1).T

    def claim(self) -> Array:
        """Return the loss of each start at its final parameters (D,), as the model itself computes
        it.
        """
        return to_array([self.learner.losses()], -1)


def describe_ends(losses: Array, stopped: str) -> list[str]:
    """Return for each start a description of how its training ended.

    `losses` are the losses at all states (K + 1, D), of a user's loop at its end alone (1, D);
    `stopped` is the reason that `train` returned.
    K counts steps and D starts.
    """
    ends = []
    for of_start in losses.T:
        lost = np.flatnonzero(~np.isfinite(of_start))
        if lost.size:
            when = f"from step {lost[0]:,} on" if len(losses) > 1 else "at the end"
            ends.append(f"not finite {when}")
        else:
            ends.append(stopped or f"{len(losses) - 1:,} steps")
    return ends
