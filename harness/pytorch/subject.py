"""A PyTorch model under test, and what its own parameters mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.core.contract import DTYPES, Array, Contract
from harness.core.formulation import Family, Formulation, Meaning
from harness.core.implementation import Missing, Observation
from harness.core.layout import Layout, left_out_as
from harness.core.numpy_errors import users
from harness.core.problem import STEP, Problem
from harness.core.progress import Say, silent
from harness.core.python_text import called
from harness.core.text import class_name, exact, shown
from harness.core.verdict import Status
from harness.pytorch.devices import held_in
from harness.pytorch.errors import MOST_SAID, raised, words_of
from harness.pytorch.module import Model, UserLoss
from harness.pytorch.parameters import (
    HOW,
    Unclear,
    Words,
    mapped,
    meaning,
    spelled,
)
from harness.pytorch.tensors import plain
from harness.pytorch.trying import candidate_mappings, matching

FUNCTION = "function, give `shapes`"
COMPILED = "_orig_mod."  # what torch.compile puts before names


@dataclass(frozen=True, eq=False)
class Subject:
    """The model under test.

    `build` is an nn.Module class or factory, called as `module(x)` or `module(x1, x2)`; or, with
    `shapes` (by name), a function called as `f(x, name=tensor, ...)`. `parameters` says which of
    its parameters is which block of the network (see `mapping.meaning`), for the blocks of which
    names and shapes do not tell: {"W1": "left.weight", "W2": "out.T"}; or, for all of them at once,
    is a function that takes them by name, as arrays, and gives the blocks by name. `network` is the
    network that it maps into where that is not the case's; `relu_at_zero` its convention for the
    derivative of ReLU at exactly 0; `logistic_clip` the |z| beyond which its logistic is exactly 0
    or 1, where it copies R nnet's (15); `loss(outputs, targets)` its own loss. `held` names own
    parameters, as masks by name, that every probe leaves at 0. `stagewise` says whether it is
    judged layer by layer, from its own numbers: by default where its dtype rounds more than float32
    does. Raises TypeError or ValueError, in a sentence, for what is none of these.
    """

    build: Callable[..., Any]
    name: str = ""
    parameters: Words | Meaning | None = None
    shapes: Mapping[str, tuple[int, ...]] | None = None
    network: Family | None = None
    relu_at_zero: float = 0.0
    logistic_clip: float | None = None
    loss: UserLoss | None = None
    held: Mapping[str, Any] | None = None
    stagewise: bool | None = None
    known: str = ""

    def __post_init__(self) -> None:
        build = self.build
        if not callable(build) or (
            hasattr(build, "named_parameters") and not isinstance(build, type)
        ):
            raise TypeError(
                f"subject {self.name or class_name(build)} is an object, expected an nn.Module"
                " class or a factory of one: every trial builds its own, so write the class, or"
                " `lambda: MyModel(...)`"
            )
        words = self.parameters
        named = isinstance(words, Mapping) and all(isinstance(block, str) for block in words)
        if not (words is None or callable(words) or named):
            expected = "a dict of blocks by name, or a function"
            raise TypeError(
                f"subject {self.name or shown(build)}: parameters is {shown(words)}, expected"
                f" {expected}"
            )
        name = self.name or getattr(self.build, "__name__", class_name(self.build))
        object.__setattr__(self, "name", exact(name) if isinstance(name, str) else name)
        try:
            self.contract(DTYPES[0])
        except ValueError as error:
            raise ValueError(f"subject {self.name}: {error}") from None

    @classmethod
    def of(cls, given: Any) -> Subject:
        """A subject or trainer as it is, or one of a class, factory or function; TypeError for
        anything else.
        """
        return given if isinstance(given, Subject) or hasattr(given, "fit") else cls(given)

    def contract(self, dtype: str) -> Contract:
        return Contract(
            dtype,
            relu_at_zero=self.relu_at_zero,
            logistic_clip=self.logistic_clip,
            own_loss=self.loss is not None,
        )

    @property
    def meaning_key(self) -> tuple[Any, ...]:
        """The name and the ids of all that the meaning of its parameters depends on."""
        return self.name, *map(
            id, (self.build, self.parameters, self.shapes, self.network, self.held)
        )

    def formulation(self, network: Family, say: Say = silent) -> Formulation:
        """The map of its parameters into the network's; raises ValueError where it is not clear.

        A bias of the network that it has left out is a parameter more, on which nothing that it
        computes depends. `say` is told how far the reading of a large map is.
        """
        network = self.network or network
        own, buffers = self._held(network)
        found = ", ".join(f"{block.name} {block.places.shape}" for block in own.blocks) or "none"
        try:
            return replace(self._formulation(own, network, say), buffers=buffers)
        except Exception as error:  # whatever a user's function raises
            own_words, kind = words_of(error), type(error)
            said = own_words if issubclass(kind, ValueError) else f"its parameters {raised(error)}"
            said = f"no parameter is called {own_words}" if issubclass(kind, KeyError) else said
            said += f"; {self._tried(network)}" if kind is Unclear else ""
            raise ValueError(f"{self.name}: {said}; its parameters are {found}") from error

    def _formulation(self, own: Layout, network: Family, say: Say) -> Formulation:
        if callable(self.parameters):
            means = self.parameters
        else:
            words, left_out = mapped(own, network, self.parameters or {})
            own = own.with_left_out(
                block for block in network.layout.blocks if block.name in left_out
            )
            means = meaning({**words, **{name: left_out_as(name) for name in left_out}}, network)
        held = {block.name: 0 for block in own.blocks} | dict(self.held or {})
        try:
            mask = own.join(held) != 0
        except ValueError as error:
            raise ValueError(f"held: {error}") from error
        with np.errstate(all="ignore"):
            return Formulation.from_meaning(own, network, means, mask, say=say)

    def _tried(self, network: Family) -> str:
        """What trying the ways in which its parameters may be the blocks has shown, and what to
        write.
        """
        fit, found = self.meanings(network)
        if not found:
            none = (
                f"none of {fit} ways that fit makes the network compute what the model does; "
                if found == []
                else ""
            )
            return f'{none}write parameters={{"W1": ..., ...}}, where a block is {HOW}'
        as_well = f", as {len(found) - 1} more do" if len(found) > 1 else ""
        count = "the only way that fits" if fit == 1 else f"of {fit} ways that fit this one"
        said = f"{count} makes the network compute what the model does{as_well}"
        return f"{said}: unless that is the mistake, write parameters={spelled(found[0])}"

    def meanings(self, network: Family) -> tuple[int, list[Words] | None]:
        """In how many ways its parameters may be the blocks, and those by which the network
        computes what it does.

        None where nothing can be tried.
        """
        network, own = self.network or network, self.own(network)
        model = self._built(own, network, "float64", "cpu")
        if callable(self.parameters) or isinstance(model, Missing):
            return 0, None
        fit = candidate_mappings(own, network, self.parameters or {})
        return len(fit), matching(
            model, own, network, fit, self.contract("float64")
        ) if fit else None

    def own(self, network: Family) -> Layout:
        """Its own parameters, one after the other."""
        return self._held(self.network or network)[0]

    def _held(self, network: Family) -> tuple[Layout, dict[str, Array]]:
        """Its own parameters, and what else it holds as it is built."""
        if self.shapes is not None:
            return Layout.of_shapes(self.shapes), {}
        module = self._module(network)
        shapes = {
            name.replace(COMPILED, ""): tuple(plain(p).shape)
            for name, p in module.named_parameters()
        }
        buffers = {
            name.replace(COMPILED, ""): plain(buffer).detach()
            for name, buffer in module.named_buffers()
        }
        return Layout.of_shapes(shapes), {
            name: buffer.double().numpy() for name, buffer in buffers.items()
        }

    def initial(self, formulation: Formulation, count: int) -> Array:
        """The own parameters (count, P) with which the module is built, under torch's seeds 0, 1,
        ...
        """
        if self.shapes is not None:
            raise ValueError(
                f"{self.name} is a function and has no initialisation, expected a start:"
                " Trained(start=...)"
            )
        starts = np.zeros((count, formulation.own.size))
        for seed, start in enumerate(starts):
            module = self._module(formulation.network, seed)
            built = [plain(p).detach().double().numpy().ravel() for p in module.parameters()]
            start[: sum(part.size for part in built)] = np.concatenate(built)
        return starts

    def _module(self, network: Family, seed: int = 0) -> Any:
        """Built, and called once where it is built lazily."""
        import torch

        with torch.random.fork_rng(devices=[]), users():
            _seed(seed)
            try:
                module = self.build()
                if isinstance(module, torch.nn.Module) and any(
                    map(torch.nn.parameter.is_lazy, module.parameters())
                ):
                    with torch.no_grad():
                        module(*(torch.zeros(1, width) for width in network.inputs))
            except Exception as error:  # a user's constructor may raise anything
                lacks = issubclass(type(error), TypeError) and "argument" in shown(
                    error, MOST_SAID, str
                )
                advice = (
                    f"class, write lambda: {called(self.name)}(...)"
                    if isinstance(self.build, type)
                    else FUNCTION
                )
                raise TypeError(
                    f"{self.name} {raised(error)}{f' (for a {advice})' if lacks else ''}"
                ) from error
        if not isinstance(module, torch.nn.Module):
            raise TypeError(
                f"{self.name} gave {class_name(module)}, expected an nn.Module (for a {FUNCTION})"
            )
        for name, parameter in module.named_parameters():
            if (held := plain(parameter)) is None:
                what = f"parameter {shown(name, say=str)} is a {class_name(parameter)}"
                raise TypeError(f"{self.name}: {what}, expected a torch.Tensor")
            if not held.is_floating_point():
                raise TypeError(
                    f"{self.name}: parameter {name} is of {held.dtype}, expected real numbers"
                )
        return module

    def live(self, formulation: Formulation, dtype: str, device: str = "cpu") -> Model | Missing:
        """The subject built, with the parameters of the formulation, or why it cannot be."""
        return self._built(formulation.own, formulation.network, dtype, device)

    def _built(self, own: Layout, network: Family, dtype: str, device: str) -> Model | Missing:
        import torch

        kind = held_in(dtype)
        tensors = {
            block.name: torch.zeros(
                block.places.shape, dtype=kind, device=device, requires_grad=True
            )
            for block in own.blocks
        }
        if self.shapes is not None:
            given = {name: tensors[name] for name in self.shapes}
            return Model(
                lambda *xs: self.build(*xs, **given),
                list(tensors.values()),
                self.loss,
                dtype,
                device,
            )
        try:
            module = self._module(network).to(dtype=kind, device=device)
            parameters = list(module.parameters())
        except Exception as error:  # a user's constructor may raise anything
            return Missing(Status.BROKEN, raised(error))
        return Model(
            module,
            [*parameters, *list(tensors.values())[len(parameters) :]],
            self.loss,
            dtype,
            device,
        )

    def observe(
        self, problem: Problem, dtype: str, device: str = "cpu", live: Model | Missing | None = None
    ) -> Observation:
        """Its answers; `live` is the subject where it is built already."""
        live = live or self.live(problem.formulation, dtype, device)
        if isinstance(live, Missing):
            return Observation({}, live)
        stagewise = self.contract(dtype).narrow if self.stagewise is None else self.stagewise
        return live.observe(problem, stagewise)


@dataclass(frozen=True, eq=False)
class SameOnCpu:
    """A subject on the CPU, as a reference for the same subject on another device, or in a
    stack.
    """

    subject: Subject
    dtype: str
    name: str = "cpu"
    source: str = "computed"

    def title(self) -> str:
        """Its name."""
        return f"{self.subject.name} on the CPU"

    def cannot_answer(self, network: Family, quantity: str) -> str | None:
        return "a model alone takes no steps: let NumPy judge them" if quantity == STEP else None

    def contract(self) -> Contract:
        return self.subject.contract(self.dtype)

    def as_evaluated(self, problem: Problem) -> Problem:
        return problem

    def observe(self, problem: Problem) -> Observation:
        """Its answers at the problem's own parameters, which must be its own: those of these names
        and shapes.
        """
        mine, theirs = (
            [(block.name, block.places.shape) for block in own.blocks]
            for own in (self.subject.own(problem.formulation.network), problem.formulation.own)
        )
        if self.subject.shapes is None and mine != theirs[: len(mine)]:
            why = (
                f"{self.subject.name} has the parameters {mine}, expected those of the subject,"
                f" {theirs}"
            )
            return Observation({}, Missing(Status.BROKEN, why))
        return self.subject.observe(problem, self.dtype)


def _seed(seed: int) -> None:
    """Seed torch's random numbers.

    Where there is no accelerator, torch.manual_seed would only format a stack trace for each kind.
    """
    import torch

    accelerators = getattr(torch, "accelerator", None)  # since torch 2.6
    if accelerators is None or accelerators.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)
