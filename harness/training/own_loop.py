"""A user's own training loop: it trains a model as it stands, and its steps are read from outside.

In shapes, K counts steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.core.contract import Array
from harness.model.errors import WrongAnswer
from harness.training.clock import Clock, TrainingDeadlinePassed
from harness.training.learner import SingleLearner
from harness.training.limits import LeftRange
from harness.training.loop import REPORTED, Procedure, Training
from harness.waiting.progress import Say

if TYPE_CHECKING:
    from torch import Tensor


UNSEEN = (
    "took no step in its loop that can be seen, expected gradients by the parameters of the model"
    " that the loop was given, not of a copy, and steps that change them in place; its end can be"
    " judged: checks=['final', 'fit']"
)


class _LoopEnd(BaseException):
    """Ends a user's loop when enough steps have been read, or if a step is wrong."""


class LoopTraining(Training):
    """One run of a user's own loop, `loop(model, inputs, targets)`.

    The model is looked at whenever a module of torch is called, and when the loop has ended. It has
    no hook of its own, so the loop may copy it, or save it as a whole. Parameters that differ from
    those before, after a gradient was computed, are a step. So backward() may be called several
    times for one step, and the model without any. The loop's own losses are not seen: many return
    the one before their last step.
    """

    def __init__(
        self, learner: SingleLearner, procedure: Procedure, device: str, visits: bool
    ) -> None:
        super().__init__(learner, procedure, device, visits)
        self._single = learner
        self._steps, self._moved, self._looked = 0, False, False
        self._before: list[Tensor] = []
        if not visits:  # gradients tell steps from a model that is changed between two calls
            self._watch_gradients()

    def train(self, steps: int, say: Say) -> str:
        """Run the loop, and return how many steps it took; with visits it ends after `steps`.

        Raises WrongAnswer if it takes too few, LeftRange, and TrainingDeadlinePassed.
        """
        from torch.nn.modules.module import register_module_forward_pre_hook

        loop, module = self.procedure.loop, self.learner.module
        assert loop is not None
        if not hasattr(module, "register_forward_pre_hook") or hasattr(module, "_orig_mod"):
            raise WrongAnswer(
                "has a loop of its own and is no plain module, expected a torch.nn.Module that is"
                " not compiled: a loop's steps are read where the model is called"
            )
        inputs, targets = self._find_arguments()
        clock, errors = Clock(), list[Exception]()

        def look(called: object, _: object) -> None:
            self._calls += called is module
            try:
                if late := clock.find_late():
                    raise TrainingDeadlinePassed(
                        f"was stopped at step {self._steps:,}, after {late}"
                    )
                self._look(say)
            except (WrongAnswer, LeftRange, TrainingDeadlinePassed) as error:
                errors.append(error)  # raised after the loop, which may catch errors of its own
            if errors or (self._visits and self._steps >= steps):
                raise _LoopEnd

        self._before = self._copy_parameters()
        watch = register_module_forward_pre_hook(look)
        try:
            loop(module, inputs, targets)
        except _LoopEnd:
            pass
        finally:
            watch.remove()
        if errors:
            raise errors[0]
        self._look(say, ended=True)
        self._expect_steps(steps)
        asked = self.procedure.recipe.steps
        if not self._steps:
            return "steps not seen"
        return f"{self._steps:,} steps" + ("" if self._steps == asked else f" (recipe: {asked:,})")

    def _expect_steps(self, steps: int) -> None:
        """Raise WrongAnswer if visits saw no step, or ended before `steps`."""
        if not self._visits:
            return
        if not self._steps:
            raise WrongAnswer(UNSEEN)
        if self._moved and self._steps < steps:
            raise WrongAnswer(
                f"took {self._steps} of the {self.procedure.recipe.steps:,} steps of its recipe, as"
                " far as its calls of modules show: if it may end so early, write"
                f" {self._steps} in the recipe"
            )

    def _expect_own_gradients(self, first: bool) -> None:
        """Raise WrongAnswer if parameters changed before the `first` call of the model, or if steps
        are to be seen.
        """
        if first:
            raise WrongAnswer(
                "has other parameters in its loop than at its start, expected to begin there, in"
                " the dtype of its inputs: give what the loop does to initialise the model as"
                " start="
            )
        if self._visits:
            raise WrongAnswer(UNSEEN)

    def _find_arguments(self) -> tuple[Any, Any]:
        """Return inputs and targets as the loop gets them: a tensor, or a list of several. Targets
        have the form of the model's outputs.
        """
        import torch

        learner = self._single
        with torch.no_grad():
            heads = learner.model.heads(learner.problem, learner.inputs)
        _, targets = learner.model.for_user(learner.problem, heads, learner.targets)
        return learner.inputs[0] if len(learner.inputs) == 1 else learner.inputs, targets

    def _copy_parameters(self) -> list[Tensor]:
        return [parameter.detach().clone() for parameter in self.learner.parameters]

    def _look(self, say: Say, ended: bool = False) -> None:
        """Record a step if the parameters have changed since the last one.

        If the loop has `ended` without any step, its last gradients count as a step: so a loop
        that never moves the parameters is seen.
        """
        import torch

        if not self._latest and self._moved:
            return
        now = self._copy_parameters()
        moved = not all(map(torch.equal, self._before, now))
        first, self._looked = not (self._looked or ended), True
        if moved and not self._latest:
            self._expect_own_gradients(first)
            self._before = now
            return
        is_idle = ended and self._latest and not self._steps
        if not moved and not is_idle:
            return
        self._moved |= moved
        if self._visits:
            self._states.append(self._before)
        self._record_step()
        self._latest.clear()
        if self.procedure.limits:
            self.procedure.limits.check(self.own(), f"after step {self._steps}")
        self._before, self._steps = now, self._steps + 1
        if self._steps % REPORTED == 0:
            say(f"step {self._steps:,}")

    def states(self) -> Array:
        """Return the own parameters before every step and after the last step, (K + 1, 1, P)."""
        self._states.append(self._before)
        try:
            return super().states()
        finally:
            self._states.pop()

    def losses(self) -> Array:
        """Return no losses, (0, 1): those of the loop are not seen."""
        return np.empty((0, 1))
