"""A PyTorch model together with the recipe by which it is trained.

A start is the vector of own parameters (the model's own tensors, flattened) with which training
begins; a state is the same vector before or after a step. In shapes, D counts starts, K steps, R
rows, I inputs, and P own parameters.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Self

import numpy as np

from harness.core.contract import Array
from harness.core.formulation import Family
from harness.core.implementation import Missing, Observation
from harness.core.loss import Loss
from harness.core.numpy_errors import users
from harness.core.problem import STEP, Problem
from harness.core.recipe import Recipe
from harness.core.verdict import Status
from harness.model.compiled import COMPILER
from harness.model.devices import kind_of
from harness.model.errors import raised
from harness.model.module import Stacked
from harness.pytorch.subject import Subject
from harness.text.harmless import exact, shown
from harness.training.as_network import describe_sums, express_in_network
from harness.training.clock import TrainingDeadlinePassed
from harness.training.learner import Learner, SingleLearner, StackLearner, describe_dropout
from harness.training.limits import LeftRange, Stays, make_limits, validate
from harness.training.loop import Procedure, Training, describe_ends
from harness.training.model_trainer import ModelTrainer
from harness.training.own_loop import LoopTraining
from harness.training.trainer import Fitted, Floor, Population, Start, expect_function
from harness.waiting.progress import Say, silent

FEW = 3  # starts of a model that is not stacked, where its user does not say
VISITED = 50  # steps along which every loss, gradient and step is judged


@dataclass(frozen=True, eq=False)
class Trained(ModelTrainer):
    """A model and the recipe by which it is trained.

    `start(formulation, D)` returns the starts (D, P). By default these are the model's own
    initialisation under torch's seeds 0, 1, ... `stacked(inputs, parameters)` computes D copies of
    the model in one call, from a list of inputs (D, R, I) and from parameters by name (D, *shape).
    If it is given, it is trained instead of the model. Without it the starts are trained one after
    the other, at most `most` of them (None: all).

    `iterate(loss, parameters)` is a user's own iteration: it calls backward(), takes a step and
    sets the gradients to zero. `before` and `after` are called with the model before and after each
    step of the optimiser.

    `loop(model, inputs, targets)` is a user's whole training loop, which makes its own optimiser;
    the recipe states its steps. It is called once for each start, with a model at that start,
    inputs (R, I), and targets in the form of the model's outputs. Several inputs or targets are a
    list. The gradients, the steps and the end are judged; losses and returned values are not read.

    `stays` states that parameters stay in a range, for example because `after` clamps them: a pair
    (smallest, largest), or such pairs by the name of a tensor. A fit fails if a parameter leaves
    its range after a step.

    With `as_network` only steps are judged, and in the network's parameters instead of the model's
    own: does it train as the network itself would? It holds factors on gradients by block, {} for
    none: {"b": 2} states that the block b takes steps from twice its gradient. `says` is the name
    in tables. `floor(inputs, targets)` returns the lowest possible loss (D,) of a fit, with a bound
    on the rounding error of computing it.

    D counts starts, P own parameters (a model's tensors, flattened), R rows and I inputs. Raises
    TypeError or ValueError for wrong arguments.
    """

    model: Any
    recipe: Recipe
    name: str = ""
    says: str = ""
    start: Start | None = None
    most: int | None = FEW
    stacked: Stacked | None = None
    iterate: Callable[[Any, list[Any]], None] | None = None
    before: Callable[[Any], None] | None = None
    after: Callable[[Any], None] | None = None
    floor: Floor | None = None
    as_network: Mapping[str, float] | None = None
    source: str = "computed"
    comparison_offset: float = 0.0
    stays: Stays | None = None
    loop: Callable[[Any, Any, Any], Any] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", Subject.of(self.model))
        if not isinstance(self.recipe, Recipe):
            found = f"{self.model.name}: recipe is {shown(self.recipe, 40)}"
            raise TypeError(f'{found}, expected Recipe("adam", 1000, {{"lr": 0.01}}), say')
        name = self.name or f"{self.model.name}_{self.recipe.optimiser}"
        object.__setattr__(self, "name", exact(name) if isinstance(name, str) else name)
        self._validate()
        if self.stays is not None:
            validate(self.name, self.stays)
        if self.as_network and self.recipe.optimiser != "sgd":
            raise ValueError(
                f"{self.name}: as_network has factors, expected sgd: other optimisers do not follow"
                " the size of a gradient, so write as_network={}"
            )
        if self.iterate is not None:
            expect_function(self.name, "iterate", self.iterate, ("loss", "parameters"))
        if self.loop is not None:
            expect_function(self.name, "loop", self.loop, ("model", "inputs", "targets"))
            self._validate_loop()
        if not self.stacked:
            return
        own_steps = self.iterate or self.before or self.after
        if own_steps or self.recipe.optimiser == "lbfgs":
            raise ValueError(
                f"{self.name} is stacked, expected another optimiser than lbfgs, without iterate,"
                " before and after"
            )
        if self.subject.loss is not None:
            raise ValueError(
                f"{self.name} is stacked and its model has a loss of its own, which a stack does"
                " not use, expected Population(loss=...)"
            )

    def _validate_loop(self) -> None:
        """Raise ValueError if another way to take steps is given beside a loop."""
        if self.stacked or self.iterate or self.before or self.after:
            raise ValueError(
                f"{self.name} has a loop, expected none of stacked, iterate, before and after"
                " beside it"
            )

    def count_starts(self, starts: int) -> int:
        return starts if self.stacked else super().count_starts(starts)

    def stopping_at(self, loss: float) -> Self:
        """Return a copy of this trainer that stops once the loss is at most `loss`."""
        return replace(self, recipe=replace(self.recipe, until=loss))

    def describe_penalties(self, loss: Loss) -> str:
        """Return a sentence if the case's loss has weight decay and the optimiser a weight_decay as
        well; "" otherwise.

        Both act. SGD, Adam and RMSprop add weight_decay times the parameters to the gradient, which
        corresponds to half of it as a decay of the loss. AdamW's shrinks the parameters instead.
        """
        if self.recipe.optimiser == "lbfgs" or not loss.has_decay:
            return ""
        weight_decay = self.recipe.setting("weight_decay")
        if not weight_decay:
            return ""
        acts = f"acts as {weight_decay / 2:g} more decay"
        if self.recipe.optimiser == "adamw":
            acts = "shrinks the parameters besides"
        return (
            f"{self.title()} is trained with two penalties, the loss's decay and its optimiser's"
            f" weight_decay {weight_decay:g}, which {acts}"
        )

    def _describe_limits(self, start: Problem, module: Any) -> str:
        """Return sentences on two simultaneous weight penalties, on parameters whose sum alone is
        identified, on dropout in use, and on steps of a loop that are not judged; "" if there are
        none.
        """
        sums = describe_sums(self.title(), start.formulation, self.recipe)
        said = [self.describe_penalties(start.loss), sums, describe_dropout(module)]
        if self.loop:
            said.append(
                f"{self.title()}'s loop was ended at step {min(self.recipe.steps, VISITED)}: what"
                " it does later, and how many steps it takes, is not judged"
            )
        return "; ".join(filter(None, said))

    def training(self, start: Problem, dtype: str, device: str, visits: bool = False) -> Training:
        """Prepare a training run from a stack of starts, or from a single start if there is no
        `stacked`.

        Raises RuntimeError if the model cannot be built.
        """
        learner: Learner
        if self.stacked:
            learner = StackLearner.build(self.stacked, start, dtype, device)
        else:
            learner = SingleLearner.build(self.subject, start, dtype, device)
        limits = None
        if self.stays is not None:
            limits = make_limits(self.name, self.stays, start.formulation.own, dtype)
        procedure = Procedure(self.recipe, self.iterate, self.before, self.after, limits, self.loop)
        if self.loop and isinstance(learner, SingleLearner):
            return LoopTraining(learner, procedure, device, visits)
        return Training(learner, procedure, device, visits)

    def cannot_answer(
        self, network: Family, quantity: str, dtype: str = "float64", device: str = "cpu"
    ) -> str | None:
        """Return a sentence for the losses of a loop, and None for other checks."""
        if self.loop and quantity == "loss":
            return f"the losses inside {self.title()}'s loop are not seen, its gradients are"
        return None

    def fit(self, start: Problem, dtype: str, device: str, say: Say) -> Fitted | Missing:
        """Train from every start, and return the results.

        If the model raises an error, or the training of a start passes its deadline, return this as
        the reason for the missing fit.
        """
        try:
            kind_of(device).synchronize(device)
            began = perf_counter()
            with kind_of(device).hold_precision(device, dtype), users():
                runs = [self.training(part, dtype, device) for part in self._parts(start)]
                stops = [run.train(self.recipe.steps, say) for run in runs]
            own = np.concatenate([run.own() for run in runs])
            kind_of(device).synchronize(device)
            seconds = perf_counter() - began
            counts = np.repeat([run.evaluations for run in runs], start.draws // len(runs))
            with users():
                losses = [np.concatenate([run.losses(), run.claim()[None]]) for run in runs]
        except LeftRange as error:
            return Missing(Status.FAIL, str(error))
        except TrainingDeadlinePassed as error:
            return Missing(Status.BROKEN, str(error))
        except Exception as error:  # whatever a user's model raises is its answer
            return Missing(Status.BROKEN, raised(error))
        ends = []
        for of_run, stopped in zip(losses, stops, strict=True):
            ends += describe_ends(of_run, stopped)
        claimed = np.concatenate([of_run[-1] for of_run in losses])
        curve = [(step, float(loss)) for step, loss in enumerate(losses[0][:, 0])]
        if self.loop:
            curve = []  # its losses are not seen
        return Fitted.of(start, own, claimed, ends, curve, seconds, counts.tolist())

    def _parts(self, start: Problem) -> list[Problem]:
        """Split the starts into parts that are trained together: one part if there is `stacked`,
        else one part for each start.
        """
        if self.stacked:
            return [start]
        return [start.part(slice(draw, draw + 1)) for draw in range(start.draws)]

    def visit(self, start: Problem, dtype: str, device: str) -> tuple[Problem, Observation]:
        """Train the first steps from every start, and return the visited states (parameters before
        each step) as a problem.

        Also return the loss, the gradient and the step (own parameters after the step) that
        training computed at each state. The gradient is the one that the optimiser used. The states
        are in the order of steps: the first state of every start, then the second state of every
        start, and so on. They end with the last step for which all starts have a finite state.

        Raises ValueError if the model raises an error, or the training passes its deadline.
        """
        if self.recipe.optimiser == "lbfgs":
            raise ValueError(
                f"{self.name} takes steps of lbfgs, which are not judged one by one, expected"
                " checks=['final', 'fit']"
            )
        runs = []
        try:
            with kind_of(device).hold_precision(device, dtype), users():
                for part in self._parts(start):
                    runs.append(self.training(part, dtype, device, visits=True))
                for run in runs:
                    run.train(min(self.recipe.steps, VISITED), silent)
        except (LeftRange, TrainingDeadlinePassed) as error:
            raise ValueError(f"{self.name} {error}") from None
        except Exception as error:  # whatever a user's model raises is its answer
            raise ValueError(f"{self.name} {raised(error)}") from error
        steps = min(run.count_finite_steps() for run in runs)
        states = _join([run.states()[: steps + 1] for run in runs])
        gradients = _join([run.optimiser_gradients()[:steps] for run in runs])
        state = replace(
            start,
            kind="state",
            caveat=self._describe_limits(start, runs[0].learner.module),
            own=_flatten(states[:-1]),
            inputs=np.tile(start.inputs, (steps, 1, 1)),
            targets=np.tile(start.targets, (steps, 1, 1)),
        )
        gradient = _flatten(gradients)
        problem = replace(state, recipe=self.recipe, runs=start.draws, optimiser_gradients=gradient)
        values = {"gradient": gradient, STEP: _flatten(states[1:])}
        if not self.loop:
            values["loss"] = _join([run.losses()[:steps] for run in runs]).ravel()
        observation = Observation(values, by_own=True)
        if self.as_network is None:
            return problem, observation
        return express_in_network(problem, observation, self.as_network, dtype)


def _join(of_runs: list[Array]) -> Array:
    """Join arrays of several runs, each (K, D, ...) for K steps and D starts, along the axis of
    starts.
    """
    return np.concatenate(of_runs, axis=1)


def _flatten(by_step: Array) -> Array:
    """Reshape (K, D, P) to (K D, P), for K steps, D starts and P parameters."""
    return by_step.reshape(-1, by_step.shape[2])


def visit_states(
    trained: Trained, network: Family, population: Population, dtype: str, device: str
) -> tuple[Problem, Observation]:
    """Return a model's training as a problem with one draw for each visited state (parameters
    before a step), and the model's answers at these states.
    """
    start = trained.starting(network, population, FEW, dtype)
    with COMPILER.asking((trained, dtype, device)):
        problem, observation = trained.visit(start, dtype, device)
    return problem, replace(observation, ran=COMPILER.says(None))
