"""A PyTorch model in training, as its user trains it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from harness.core.contract import Array, Contract
from harness.core.formulation import Family, Formulation
from harness.core.implementation import Missing, Observation
from harness.core.numpy_errors import users
from harness.core.problem import STEP, Problem
from harness.core.progress import Say
from harness.core.recipe import Recipe
from harness.core.text import exact, shown
from harness.core.verdict import Status
from harness.pytorch.compiled import limited
from harness.pytorch.devices import kind_of
from harness.pytorch.errors import WrongAnswer, raised
from harness.pytorch.module import Model, array, outputs, shape_of, tensors
from harness.pytorch.subject import Subject
from harness.training.trainer import Fitted, Floor, Population, Start

Stacked = Callable[[Sequence[Any], Mapping[str, Any]], Any]
FEW = 3  # starts of a model that is not stacked, where its user does not say
VISITED = 50  # steps along which every loss, gradient and step is judged
DEADLINE = 120.0  # seconds for the training of one stack, or of one start


@dataclass(frozen=True, eq=False)
class Trained:
    """A model and the recipe by which it is trained.

    `start(formulation, D)` gives the starts (D, P), by default the model's own initialisation under
    seeds 0, 1, .... `stacked(inputs, parameters)` computes D copies at once, from a list of inputs
    (D, R, I) and parameters by name (D, *shape), and takes the model's place in training; without
    it each start is trained by itself, `most` of them. `iterate(loss, parameters)` is an iteration
    in its author's own words, from backward() to zeroed gradients; `before` and `after` are called
    with the model around the optimiser's step. `says` is what a table calls it. `floor(inputs,
    targets)` is the loss (D,), with the rounding of computing it, that none of its fits can be
    below.
    """

    model: Any
    recipe: Recipe
    name: str = ""
    says: str = ""
    start: Start | None = None
    most: int = FEW
    stacked: Stacked | None = None
    iterate: Callable[[Any, list[Any]], None] | None = None
    before: Callable[[Any], None] | None = None
    after: Callable[[Any], None] | None = None
    floor: Floor | None = None
    source: str = "computed"
    comparison_offset: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", Subject.of(self.model))
        name = self.name or f"{self.model.name}_{self.recipe.optimiser}"
        object.__setattr__(self, "name", exact(name) if isinstance(name, str) else name)
        if not isinstance(self.says, str):
            raise TypeError(f"{self.name}: says is {shown(self.says, 40)}, expected text")
        if self.start is not None and not callable(self.start):
            raise TypeError(
                f"{self.name}: start is {shown(self.start, 40)}, expected a function:"
                " start=starts.given(theta)"
            )
        if not isinstance(self.most, int) or self.most < 1:
            raise ValueError(
                f"{self.name}: most is {shown(self.most, 40)}, expected a whole number, at"
                " least one"
            )
        if self.stacked and (
            self.iterate or self.before or self.after or self.recipe.optimiser == "lbfgs"
        ):
            raise ValueError(
                f"{self.name} is stacked, expected sgd or adam, without iterate, before and after"
            )
        if self.stacked and self.subject.loss is not None:
            raise ValueError(
                f"{self.name} is stacked and its model has a loss of its own, which a stack does"
                " not use, expected Population(loss=...)"
            )

    def title(self) -> str:
        return self.says or self.name

    def contract(self, dtype: str = "float64") -> Contract:
        return self.subject.contract(dtype)

    def cannot_answer(self, network: Family, quantity: str) -> str | None:
        return None

    @property
    def subject(self) -> Subject:
        """The model that is trained."""
        subject: Subject = self.model
        return subject

    @property
    def network(self) -> Family | None:
        return self.subject.network

    def formulation(self, network: Family) -> Formulation:
        return self.subject.formulation(network)

    def starting(self, network: Family, population: Population, starts: int, dtype: str) -> Problem:
        """Its starts and data."""
        formulation, count = (
            self.formulation(network),
            starts if self.stacked else min(starts, self.most),
        )
        with users():
            own = (
                self.start(formulation, count)
                if self.start
                else self.subject.initial(formulation, count)
            )
        if np.shape(own) != (count, formulation.own.size):
            found = (
                f"an array of shape {own.shape}" if isinstance(own, np.ndarray) else shown(own, 40)
            )
            expected = f"({count}, {formulation.own.size}), as start=starts.uniform() does"
            raise TypeError(
                f"{self.name}: its start gave {found}, expected an array of shape {expected}"
            )
        return population.problem(formulation, own, dtype)

    def answers(self, problem: Problem, dtype: str, device: str) -> Observation:
        with kind_of(device).hold_precision(device, dtype), limited():
            return self.subject.observe(problem, dtype, device)

    def fit(self, start: Problem, dtype: str, device: str, say: Say) -> Fitted | Missing:
        """Train from every start; what the model raises is an answer too."""
        try:
            kind_of(device).synchronize(device)
            began = perf_counter()
            with kind_of(device).hold_precision(device, dtype), users():
                runs = [Training(self, part, dtype, device) for part in self._together(start)]
                told = [run.train(self.recipe.steps, say) for run in runs]
            own = np.concatenate([run.own() for run in runs])
            kind_of(device).synchronize(device)
            seconds = perf_counter() - began
            with users():
                losses = [np.concatenate([run.losses(), run.claim()[None]]) for run in runs]
        except Exception as error:  # whatever a user's model raises is its answer
            return Missing(Status.BROKEN, raised(error))
        ended = [
            how
            for run, past, stopped in zip(runs, losses, told, strict=True)
            for how in run.ended(past, stopped)
        ]
        curve = [(step, float(loss)) for step, loss in enumerate(losses[0][:, 0])]
        return Fitted.of(
            start, own, np.concatenate([past[-1] for past in losses]), ended, curve, seconds
        )

    def _together(self, start: Problem) -> list[Problem]:
        """All starts at once, or one after the other."""
        return (
            [start] if self.stacked else [start.part(slice(i, i + 1)) for i in range(start.draws)]
        )

    def visit(self, start: Problem, dtype: str, device: str) -> tuple[Problem, Observation]:
        """The states of the first steps from every start as a problem, and what the training
        computed there.

        Loss, gradient (what the optimiser was handed) and step, of all first states, then all
        second ones, and so on, as far as every start has a state and all are finite. Raises
        ValueError where the model raises.
        """
        if self.recipe.optimiser == "lbfgs":
            raise ValueError(
                f"{self.name}: a step of lbfgs is not judged by itself, expected checks=['final',"
                " 'fit']"
            )
        try:
            with kind_of(device).hold_precision(device, dtype), users():
                runs = [
                    Training(self, part, dtype, device, visits=True)
                    for part in self._together(start)
                ]
                for run in runs:
                    run.train(min(self.recipe.steps, VISITED), lambda said: None)
        except Exception as error:  # whatever a user's model raises is its answer
            raise ValueError(f"{self.name} {raised(error)}") from error
        steps = min(run.alike() for run in runs)
        seen = [
            (run.states()[: steps + 1], run.optimiser_gradients()[:steps], run.losses()[:steps])
            for run in runs
        ]
        own, handed, losses = (np.concatenate(parts, axis=1) for parts in zip(*seen, strict=True))
        before, after, gradient = (
            part.reshape(-1, part.shape[2]) for part in (own[:-1], own[1:], handed)
        )
        inputs, targets = (np.tile(data, (steps, 1, 1)) for data in (start.inputs, start.targets))
        state = replace(start, kind="state", own=before, inputs=inputs, targets=targets)
        problem = replace(state, recipe=self.recipe, runs=start.draws, optimiser_gradients=gradient)
        return problem, Observation(
            {"loss": losses.ravel(), "gradient": gradient, STEP: after}, by_own=True
        )


class Training:
    """Parameters in training: those of a model, or with a leading axis those of a stack."""

    def __init__(
        self, trained: Trained, start: Problem, dtype: str, device: str, visits: bool = False
    ) -> None:
        self.trained, self.problem, self.device = trained, start, device
        self.past: list[Any] = []
        self._visits, self._states, self._handed = visits, list[Any](), list[list[Any]]()
        self._found: dict[int, Any] = {}
        values, self.inputs, self.targets = tensors(start, dtype, device)
        self.model: Model | None = None
        self.parameters = [value.requires_grad_() for value in values]
        if not trained.stacked:
            live = trained.subject.live(start.formulation, dtype, device)
            if isinstance(live, Missing):
                raise RuntimeError(live.why)
            live.set([value[0] for value in values])
            self.model, self.parameters = live, live.parameters
            self.inputs, self.targets = (
                [part[0] for part in parts] for parts in (self.inputs, self.targets)
            )
        if visits:  # as the optimiser finds them, whatever is done to them later
            if frozen := sum(not parameter.requires_grad for parameter in self.parameters):
                what = f"{frozen} parameter{'s' if frozen > 1 else ''} with requires_grad=False"
                raise WrongAnswer(
                    f"has {what}, expected every parameter to take steps: choose checks=['final',"
                    " 'fit']"
                )
            for number, parameter in enumerate(self.parameters):
                parameter.register_post_accumulate_grad_hook(partial(self._see_gradient, number))

    def value(self) -> Any:
        """The losses of all starts, (D,) or ()."""
        if self.model:
            return self.model.loss(
                self.problem, self.model.heads(self.problem, self.inputs), self.targets
            )
        assert self.trained.stacked
        names = [block.name for block in self.problem.formulation.own.blocks]
        heads = outputs(
            self.trained.stacked(self.inputs, dict(zip(names, self.parameters, strict=True)))
        )
        shapes, expected = (", ".join(map(shape_of, some)) for some in (heads, self.targets))
        if shapes != expected:
            said = f"[{shapes}] as a stack, expected [{expected}]"
            raise WrongAnswer(f"gave outputs of shapes {said}: (starts, rows, width)")
        squares = [(head - target) ** 2 for head, target in zip(heads, self.targets, strict=True)]
        parts = [getattr(square, self.problem.loss.reduction)((1, 2)) for square in squares]
        if decay := self.problem.loss.decay:
            parts += [decay * (parameter**2).flatten(1).sum(1) for parameter in self.parameters]
        return sum(parts)

    def train(self, steps: int, say: Say) -> str:
        """Up to `steps` steps; why it stopped before, or ""."""
        iterate, until, began, stopped = (
            self._iteration(),
            self.trained.recipe.until,
            perf_counter(),
            "",
        )
        for step in range(steps):
            self._see_state()
            loss = iterate()
            self.past.append(loss.detach())
            self._see_gradients()
            if until > -np.inf and bool((loss <= until).all()):
                stopped = f"good before step {step}"
            elif (passed := perf_counter() - began) > DEADLINE:
                stopped = f"stopped after {passed:.0f} s, at step {step}"
            if stopped or (self.model and not bool(loss.isfinite())):
                break
            if step % 250 == 249:
                say(f"step {step + 1:,} of {steps:,}")
        self._see_state()
        return stopped

    def _see_state(self) -> None:
        if self._visits:
            self._states.append([p.detach().clone() for p in self.parameters])

    def _see_gradient(self, number: int, parameter: Any) -> None:
        self._found[number] = parameter.grad.clone()

    def _see_gradients(self) -> None:
        """The last ones of an iteration, 0 of what its loss does not depend on."""
        if not self._visits:
            return
        if self.trained.iterate and not self._found:
            raise WrongAnswer(
                "leaves no gradient to be seen: its iterate is expected to call loss.backward()"
            )
        self._handed.append(
            [self._found.get(i, 0 * p.detach()) for i, p in enumerate(self.parameters)]
        )
        self._found.clear()

    def _iteration(self) -> Callable[[], Any]:
        """One iteration: the loss before its step."""
        trained = self.trained
        if own := trained.iterate:

            def in_own_words() -> Any:
                loss = self.value()
                own(loss, self.parameters)
                return loss

            return in_own_words
        optimiser = make_optimiser(trained.recipe, self.parameters, self.device)
        module = self.model.call if self.model else None

        def backward() -> Any:
            optimiser.zero_grad()
            loss = self.value()
            loss.sum().backward()
            return loss

        def step() -> Any:
            loss = backward()
            if trained.before:
                trained.before(module)
            optimiser.step()
            if trained.after:
                trained.after(module)
            return loss

        return (lambda: optimiser.step(backward)) if trained.recipe.optimiser == "lbfgs" else step

    def own(self) -> Array:
        """(D, P)."""
        return array(self.parameters, self.problem.draws, -1)

    def states(self) -> Array:
        """Before every step and after the last (K + 1, D, P)."""
        return np.stack([array(state, self.problem.draws, -1) for state in self._states])

    def optimiser_gradients(self) -> Array:
        """The gradients that the optimiser was handed (K, D, P)."""
        return np.stack([array(step, self.problem.draws, -1) for step in self._handed])

    def alike(self) -> int:
        """How many steps begin at a finite state; what comes of them need not be finite."""
        finite = [bool(np.isfinite(state).all()) for state in self.states()]
        return min(len(self.past), [*finite, False].index(False))

    def losses(self) -> Array:
        """Before every step (K, D)."""
        return array(self.past, -1, 1).T

    def claim(self) -> Array:
        """The loss at the final parameters, as the model itself computes it (D,)."""
        return array([self.value()], -1)

    def ended(self, past: Array, stopped: str) -> list[str]:
        """How each start ended."""
        steps = f"{len(past) - 1:,} steps"
        lost = [np.flatnonzero(~np.isfinite(one)) for one in past.T]
        return [
            f"not finite from step {where[0]:,} on" if where.size else stopped or steps
            for where in lost
        ]


def make_optimiser(recipe: Recipe, parameters: list[Any], device: str) -> Any:
    """The optimiser of torch.optim."""
    import torch

    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "lbfgs": torch.optim.LBFGS}[
        recipe.optimiser
    ]
    given: dict[str, Any] = {
        name: recipe.setting(name) for name in recipe.settings if not name.startswith("beta")
    }
    if recipe.optimiser == "adam":
        given["betas"] = recipe.setting("beta1"), recipe.setting("beta2")
    if recipe.optimiser == "lbfgs":
        given["line_search_fn"] = "strong_wolfe"
    else:  # said, rather than left to what torch prefers on a device
        given["foreach"] = kind_of(device).has_foreach()
    return kind(parameters, **given)
