"""A PyTorch model under test, and the map from its own parameters to a network's parameters.

The own parameters are the model's own tensors, flattened to one vector (P,). A block is one named
parameter tensor of the network.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from harness.calling.observing import observe
from harness.core.contract import BCE_LEAST, DTYPES, Array, Contract
from harness.core.formulation import Family, Formulation, Meaning
from harness.core.implementation import Candidate, Missing, Observation
from harness.core.layout import Layout
from harness.core.numpy_errors import users
from harness.core.problem import STEP, Problem
from harness.core.verdict import Status
from harness.model.devices import held_in, seed_torch
from harness.model.errors import MOST_SAID, raised
from harness.model.module import Model, Stacked, UserLoss
from harness.model.stacks import stack_function, stack_module
from harness.model.tensors import to_plain
from harness.pytorch.exported import is_exported, make_module
from harness.pytorch.mapping import (
    at_own_parameters,
    by_theta,
    expect_words,
    has_own_layout,
    read_formulation,
)
from harness.pytorch.parameters import Words, list_shapes
from harness.pytorch.sizes import describe_size
from harness.pytorch.trying import candidate_mappings, matching
from harness.pytorch.unregistered import describe_unregistered
from harness.text.harmless import class_name, exact, shown
from harness.text.python import called
from harness.waiting.progress import Say, silent

FUNCTION = "function, give `shapes`"
COMPILED = "_orig_mod."  # what torch.compile puts before names


@dataclass(frozen=True, eq=False)
class Subject:
    """The model under test.

    `build` is an nn.Module class or factory; its module is called as `module(x)` or `module(x1,
    x2)`. With `shapes` (shapes of parameters by name), `build` is a function, called as `f(x,
    name=tensor, ...)`. `build` may also be a program of torch.export, or a factory of one.

    `parameters` states which parameter of the model is which block of the network: {"W1":
    "left.weight", "W2": "out.T"} (see `parameters.meaning`). Blocks that it does not mention are
    found by names and shapes. `parameters` may also be a function that takes all parameters of the
    model as arrays by name, and returns the blocks by name. `network` is the network of these
    blocks, by default the case's.

    `relu_at_zero` is the model's derivative of ReLU at exactly 0. `logistic_clip` is the |z| beyond
    which the model's logistic function is exactly 0 or 1 (15 if it copies R's nnet).
    `absolute_activations` says that its tanh or logistic loses digits where it is small, as 2
    sigmoid(2 z) - 1 does.

    `loss(outputs, targets)` is the model's own loss. `unfused_loss` says that this loss is computed
    from probabilities, as BCELoss of a sigmoid is: where they round to 0 or 1, neither it nor its
    gradient is judged. `held` names own parameters, as masks by name, that every probe leaves at 0.

    `stagewise` says whether each layer is judged from the model's own intermediate numbers, by
    default if the dtype rounds more than float32. `known` is the reason why the model is known to
    fail.

    With `stacked` one call computes a stack of draws, and every sixteenth draw is evaluated alone
    too. True computes the copies by `torch.vmap`. A function `stacked(inputs, parameters)` computes
    D copies of the model from a list of inputs (D, R, I) and from parameters by name (D, *shape),
    as for Trained. In a dtype that is judged layer by layer, each draw is evaluated alone.

    Raises TypeError or ValueError for wrong arguments.
    """

    build: Callable[..., Any]
    name: str = ""
    parameters: Words | Meaning | None = None
    shapes: Mapping[str, tuple[int, ...]] | None = None
    network: Family | None = None
    relu_at_zero: float = 0.0
    logistic_clip: float | None = None
    absolute_activations: bool = False
    loss: UserLoss | None = None
    unfused_loss: bool = False
    held: Mapping[str, Any] | None = None
    stagewise: bool | None = None
    known: str = ""
    stacked: bool | Stacked = False

    def __post_init__(self) -> None:
        factory: Any = self.build
        build = partial(make_module, factory) if is_exported(factory) else factory
        object.__setattr__(self, "build", build)
        if not callable(build) or (
            hasattr(build, "named_parameters") and not isinstance(build, type)
        ):
            raise TypeError(
                f"subject {self.name or class_name(build)} is an object, expected an nn.Module"
                " class or a factory of one: every trial builds its own, so write the class, or"
                " `lambda: MyModel(...)`"
            )
        expect_words(self.name or shown(build), self.parameters)
        if not isinstance(self.stacked, bool) and not callable(self.stacked):
            raise TypeError(
                f"subject {self.name or shown(build)}: stacked is {shown(self.stacked, 40)},"
                " expected True or a function of inputs and parameters"
            )
        name = self.name or getattr(factory, "__name__", class_name(factory))
        object.__setattr__(self, "name", exact(name) if isinstance(name, str) else name)
        try:
            self.contract(DTYPES[0])
        except ValueError as error:
            raise ValueError(f"subject {self.name}: {error}") from None

    @classmethod
    def of(cls, given: Any) -> Subject:
        """Return the subject for a class, factory or function. A candidate or a trainer is returned
        unchanged.

        Raises TypeError for anything else.
        """
        if isinstance(given, cls):
            return given
        is_judged = isinstance(given, Candidate) and not isinstance(given, type)
        if is_judged or hasattr(given, "fit"):
            return given  # type: ignore[no-any-return]
        return cls(given)

    @property
    def source(self) -> str:
        return "computed"

    def title(self) -> str:
        """Return its name as a reference, which runs on the CPU."""
        return f"{self.name} on the CPU"

    def lacks(self, network: Family, quantity: str, dtype: str, device: str) -> str | None:
        return "a model alone takes no optimiser steps" if quantity == STEP else None

    def cannot_answer(self, network: Family, quantity: str, dtype: str, device: str) -> str | None:
        return self.lacks(network, quantity, dtype, device)

    def as_evaluated(self, problem: Problem) -> Problem:
        return problem

    def contract(self, dtype: str) -> Contract:
        if dtype not in self._contracts:
            self._contracts[dtype] = self._make_contract(dtype)
        return self._contracts[dtype]

    @cached_property
    def _contracts(self) -> dict[str, Contract]:
        """The contracts that were made, by dtype."""
        return {}

    def _make_contract(self, dtype: str) -> Contract:
        through = self.loss is None or self.unfused_loss  # the harness's own ends as torch's does
        return Contract(
            dtype,
            relu_at_zero=self.relu_at_zero,
            logistic_clip=self.logistic_clip,
            absolute_activations=self.absolute_activations,
            own_loss=self.loss is not None,
            from_probabilities=self.unfused_loss,
            log_least=BCE_LEAST if through else None,
            unfused_slope=through,
        )

    @property
    def meaning_key(self) -> tuple[Any, ...]:
        """A key that is equal for subjects whose parameters are mapped to the network's in the same
        way.

        It has the name, and the ids of the fields on which the map depends.
        """
        parts = self.build, self.parameters, self.shapes, self.network, self.held
        return self.name, *map(id, parts)

    def formulation(self, network: Family, say: Say = silent) -> Formulation:
        """Return the formulation: the map from the subject's own parameters (its tensors, flattened
        to one vector) to the network's parameters.

        A bias that the model does not have is added to the own parameters; it has no effect on the
        model. `say` gets progress messages while a large map is read. Raises ValueError if the map
        cannot be determined.
        """
        network = self.network or network
        own, buffers = self._read_state(network)
        try:
            read = read_formulation(self, own, network, say)
        except ValueError as error:
            raise self._explain_layout(own, network) or error from None
        return replace(read, buffers=buffers)

    def _explain_layout(self, own: Layout, network: Family) -> ValueError | None:
        """Return an error with the reason why the model's parameters are not those of the network,
        if it is plain; else None.
        """
        if self.shapes is not None:
            return None
        said = describe_unregistered(self.build_module(network)) or describe_size(own, network)
        if not said:
            return None
        found = [f"{name} {shape}" for name, shape in list_shapes(own).items()]
        held = ", ".join(found) or "none"
        return ValueError(f"{self.name}: {said}; its parameters are {held}")

    def meanings(self, network: Family) -> tuple[int, list[Words] | None]:
        """Try all ways to assign the model's parameters to the network's blocks.

        Returns the number of ways, and those ways with which the network computes the model's
        outputs; None instead of these if nothing could be tried.
        """
        network = self.network or network
        own = self.own(network)
        model = self._build(own, network, "float64", "cpu")
        if callable(self.parameters) or isinstance(model, Missing):
            return 0, None
        ways = candidate_mappings(own, network, self.parameters or {})
        if not ways:
            return 0, None
        ask = partial(observe, model)
        return len(ways), matching(ask, own, network, ways, self.contract("float64"))

    def own(self, network: Family) -> Layout:
        """Return the layout (names and shapes, in order) of the model's own parameters, which are
        its tensors.
        """
        return self._read_state(self.network or network)[0]

    def _read_state(self, network: Family) -> tuple[Layout, dict[str, Array]]:
        """Return the layout (names and shapes) of the model's parameters, and the buffers by name,
        both of a newly built module.
        """
        if self.shapes is not None:
            return Layout.of_shapes(self.shapes), {}
        module = self.build_module(network)
        shapes = {}
        for name, parameter in module.named_parameters():
            shapes[name.replace(COMPILED, "")] = tuple(to_plain(parameter).shape)
        buffers = {}
        for name, buffer in module.named_buffers():
            buffers[name.replace(COMPILED, "")] = to_plain(buffer).detach()
        layout = Layout.of_shapes(shapes)
        return layout, {name: buffer.double().numpy() for name, buffer in buffers.items()}

    def initial(self, formulation: Formulation, count: int) -> Array:
        """Return the own parameters (count, P) of `count` newly built modules, under torch's seeds
        0, 1, ...

        P counts own parameters (a model's tensors, flattened). Raises ValueError for a function,
        which has no initial parameters.
        """
        if self.shapes is not None:
            raise ValueError(
                f"{self.name} is a function and has no initialisation, expected a start:"
                " Trained(start=...)"
            )
        starts = np.zeros((count, formulation.own.size))
        for seed, start in enumerate(starts):
            module = self.build_module(formulation.network, seed)
            built = [to_plain(p).detach().double().numpy().ravel() for p in module.parameters()]
            values = np.concatenate(built)
            start[: values.size] = values
        return starts

    def build_module(self, network: Family, seed: int = 0) -> Any:
        """Build the module under a seed of torch.

        Raises TypeError if this fails, if the result is no nn.Module, or if a parameter is not a
        tensor of real numbers.
        """
        import torch

        with torch.random.fork_rng(devices=[]), users():
            seed_torch(seed)
            try:
                module = self.build()
                if is_exported(module):
                    module = make_module(module)
                if isinstance(module, torch.nn.Module):
                    _initialise_lazy(module, network)
            except Exception as error:  # a user's constructor may raise anything
                raise TypeError(f"{self.name} {raised(error)}{self._advise(error)}") from error
        if not isinstance(module, torch.nn.Module):
            raise TypeError(
                f"{self.name} gave {class_name(module)}, expected an nn.Module (for a {FUNCTION})"
            )
        for name, parameter in module.named_parameters():
            plain = to_plain(parameter)
            if plain is None:
                what = f"parameter {shown(name, say=str)} is a {class_name(parameter)}"
                raise TypeError(f"{self.name}: {what}, expected a torch.Tensor")
            if not plain.is_floating_point():
                raise TypeError(
                    f"{self.name}: parameter {name} is of {plain.dtype}, expected real numbers"
                )
        return module

    def _advise(self, error: Exception) -> str:
        """Return advice for an error of `build` because of missing arguments; "" for any other
        error.
        """
        is_type_error = issubclass(type(error), TypeError)
        if not is_type_error or "argument" not in shown(error, MOST_SAID, str):
            return ""
        if isinstance(self.build, type):
            return f" (for a class, write lambda: {called(self.name)}(...))"
        return f" (for a {FUNCTION})"

    def live(self, formulation: Formulation, dtype: str, device: str = "cpu") -> Model | Missing:
        """Return the built model, with the parameters (names and shapes) that `formulation` lists
        for it, or the reason why it cannot be built.
        """
        return self._build(formulation.own, formulation.network, dtype, device)

    def _build(self, own: Layout, network: Family, dtype: str, device: str) -> Model | Missing:
        """Return the model with the parameters of a layout, or the reason why it cannot be built.

        A bias that the model does not have becomes a tensor without effect.
        """
        import torch

        kind = held_in(dtype)
        tensors = {}
        for block in own.blocks:
            shape = block.places.shape
            zeros = torch.zeros(shape, dtype=kind, device=device, requires_grad=True)
            tensors[block.name] = zeros
        if self.shapes is not None:
            named = {name: tensors[name] for name in self.shapes}
            call = partial(self.build, **named)
            stacked = self._choose_stacked(lambda: stack_function(self.build))
            parameters = list(tensors.values())
            return Model(call, parameters, self.loss, dtype, device, stacked=stacked)
        try:
            module = self.build_module(network).to(dtype=kind, device=device)
            parameters = list(module.parameters())
        except Exception as error:  # a user's constructor may raise anything
            return Missing(Status.BROKEN, raised(error))
        parameters += list(tensors.values())[len(parameters) :]
        names = [name for name, _ in module.named_parameters()]
        by_name = dict(zip(tensors, names, strict=False))
        stacked = self._choose_stacked(lambda: stack_module(module, by_name))
        return Model(module, parameters, self.loss, dtype, device, stacked=stacked)

    def _choose_stacked(self, by_vmap: Callable[[], Stacked]) -> Stacked | None:
        """Return the function that computes a stack of draws in one call: the user's, or the result
        of `by_vmap`; None if each draw is evaluated alone.
        """
        if not isinstance(self.stacked, bool):
            return self.stacked
        return by_vmap() if self.stacked else None

    def observe(
        self,
        problem: Problem,
        dtype: str,
        device: str = "cpu",
        live: Model | Missing | None = None,
        without: Collection[str] = (),
    ) -> Observation:
        """Return the model's answers to a problem; `live` is the built model, or None to build it.

        The model is also called under other conditions, such as with inputs in another memory
        layout, unless `without` names the condition (see `earlier.CONDITIONS`). A problem that was
        made for a subject with other parameters is evaluated at the same theta.
        """
        if live is None and not self._has_parameters_of(problem):
            return self._observe_renamed(problem, dtype, device)
        live = live or self.live(problem.formulation, dtype, device)
        if isinstance(live, Missing):
            return Observation({}, live)
        stagewise = self.contract(dtype).narrow if self.stagewise is None else self.stagewise
        return observe(live, problem, stagewise, without)

    def _has_parameters_of(self, problem: Problem) -> bool:
        """Are the problem's own parameters (tensors of a model at which it is evaluated) those of
        this model, by names and shapes?
        """
        return has_own_layout(problem, self.own(problem.network))

    def _observe_renamed(self, problem: Problem, dtype: str, device: str) -> Observation:
        """Return the answers to a problem that was made for a subject with other parameters.

        They are missing unless the model's parameters are the network's, renamed and rearranged.
        """
        network = problem.network
        try:
            formulation = self.formulation(network)
            renamed = at_own_parameters(problem, formulation)
        except ValueError:
            renamed = None
        if renamed is None:
            mine = list(list_shapes(self.own(network)).items())
            theirs = list(list_shapes(problem.formulation.own).items())
            why = f"has the parameters {mine}, expected those of the subject, {theirs}"
            return Observation({}, Missing(Status.BROKEN, why))
        return by_theta(self.observe(renamed, dtype, device), formulation)


def _initialise_lazy(module: Any, network: Family) -> None:
    """Call a module with lazy parameters once, so that these get their shapes."""
    import torch

    if any(map(torch.nn.parameter.is_lazy, module.parameters())):
        with torch.no_grad():
            module(*(torch.zeros(1, width) for width in network.inputs))
