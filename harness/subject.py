"""A PyTorch model under test, and what its own parameters mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.contract import Array, Contract
from harness.formulation import Family, Formulation, Meaning
from harness.layout import Layout
from harness.model import Model, UserLoss, raised
from harness.observation import Missing, Observation
from harness.problem import STEP, Problem
from harness.verdict import Status


@dataclass(frozen=True, eq=False)
class Subject:
    """The model under test.

    `build` is an nn.Module class or factory, called as `module(x)` or `module(x1, x2)`; or, with `shapes` (by name), a
    function called as `f(x, name=tensor, ...)`. `parameters` says what its parameters mean: it takes them by name, as
    arrays, and gives the network's blocks by name; where names or shapes already tell, it may be left out.
    `network` is the network that it maps into where that is not the case's; `relu_at_zero` its convention for the
    derivative of ReLU at exactly 0; `loss(outputs, targets)` its own loss. `held` names own parameters, as masks by
    name, that every probe leaves at 0.
    """

    build: Callable[..., Any]
    name: str = ""
    parameters: Meaning | None = None
    shapes: Mapping[str, tuple[int, ...]] | None = None
    network: Family | None = None
    relu_at_zero: float = 0.0
    loss: UserLoss | None = None
    held: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        build = self.build
        if not callable(build) or (hasattr(build, "named_parameters") and not isinstance(build, type)):
            raise TypeError(
                f"subject {self.name or type(build).__name__} is an object, expected an nn.Module class or a factory "
                "of one: every trial builds its own, so write the class, or `lambda: MyModel(...)`"
            )
        if not self.name:
            object.__setattr__(self, "name", getattr(self.build, "__name__", type(self.build).__name__))

    @classmethod
    def of(cls, given: Any) -> Subject:
        """A subject or trainer as it is, or one of a class, factory or function; TypeError for anything else."""
        return given if isinstance(given, Subject) or hasattr(given, "fit") else cls(given)

    def contract(self, dtype: str) -> Contract:
        return Contract(dtype, relu_at_zero=self.relu_at_zero)

    def formulation(self, network: Family) -> Formulation:
        """The map of its parameters into the network's; raises ValueError where it is not clear."""
        network = self.network or network
        own = self.own()
        found = ", ".join(f"{block.name} {block.places.shape}" for block in own.blocks) or "none"
        held = {block.name: 0 for block in own.blocks} | dict(self.held or {})
        try:
            mask = own.join(held) != 0
        except ValueError as error:
            raise ValueError(f"{self.name}: held: {error}; its parameters are {found}") from error
        try:
            with np.errstate(all="ignore"):
                return Formulation.from_meaning(own, network, self.parameters or _by_name_or_shape(own, network), mask)
        except Exception as error:  # whatever a user's function raises
            said = str(error) if isinstance(error, ValueError) else f"its parameters {raised(error)}"
            said = f"no parameter is called {error}" if isinstance(error, KeyError) else said
            raise ValueError(f"{self.name}: {said}; its parameters are {found}") from error

    def own(self) -> Layout:
        """Its own parameters, one after the other."""
        if self.shapes is not None:
            return Layout.of_shapes(self.shapes)
        return Layout.of_shapes({name: tuple(p.shape) for name, p in self._module().named_parameters()})

    def initial(self, count: int) -> Array:
        """The own parameters (count, P) with which the module is built, under torch's seeds 0, 1, ..."""
        if self.shapes is not None:
            raise ValueError(
                f"{self.name} is a function and has no initialisation, expected a start: Trained(start=...)"
            )
        built = [self._module(seed).parameters() for seed in range(count)]
        return np.stack([np.concatenate([p.detach().double().numpy().ravel() for p in module]) for module in built])

    def _module(self, seed: int = 0) -> Any:
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                module = self.build()
            except Exception as error:  # a user's constructor may raise anything
                lacks = isinstance(error, TypeError) and "argument" in str(error)
                hint = " (for a function, give `shapes`)" if lacks else ""
                raise TypeError(f"{self.name} {raised(error)}{hint}") from error
        if not isinstance(module, torch.nn.Module):
            found = type(module).__name__
            raise TypeError(f"{self.name} gave {found}, expected an nn.Module (for a function, give `shapes`)")
        return module

    def live(self, dtype: str, device: str = "cpu") -> Model | Missing:
        """The subject built, or why it cannot be."""
        import torch

        kind = getattr(torch, dtype)
        if self.shapes is None:
            try:
                module = self._module().to(dtype=kind, device=device)
            except Exception as error:  # a user's constructor may raise anything
                return Missing(Status.BROKEN, raised(error))
            return Model(module, list(module.parameters()), self.loss, dtype, device)
        tensors = {
            name: torch.zeros(shape, dtype=kind, device=device, requires_grad=True)
            for name, shape in self.shapes.items()
        }
        return Model(lambda *xs: self.build(*xs, **tensors), list(tensors.values()), self.loss, dtype, device)

    def observe(
        self, problem: Problem, dtype: str, device: str = "cpu", live: Model | Missing | None = None
    ) -> Observation:
        """Its answers; `live` is the subject where it is built already."""
        live = live or self.live(dtype, device)
        return Observation({}, live) if isinstance(live, Missing) else live.observe(problem)


@dataclass(frozen=True, eq=False)
class SameOnCpu:
    """A subject on the CPU, as a reference for the same subject on another device, or in a stack."""

    subject: Subject
    dtype: str
    name: str = "cpu"
    source: str = "computed"

    def title(self) -> str:
        """Its name."""
        return f"{self.subject.name} on the CPU"

    def absent(self, network: Family, quantity: str) -> str | None:
        return "a model alone takes no steps: let NumPy judge them" if quantity == STEP else None

    def contract(self) -> Contract:
        return self.subject.contract(self.dtype)

    def expressed(self, problem: Problem) -> Problem:
        return problem

    def observe(self, problem: Problem) -> Observation:
        return self.subject.observe(problem, self.dtype)


def _by_name_or_shape(own: Layout, network: Family) -> Meaning:
    """Own parameters are the blocks of the same names, or else those of the same shapes where that is unique."""
    blocks = {block.name: block.places.shape for block in network.layout.blocks}
    names = {block.name: block.places.shape for block in own.blocks}
    if set(names) == set(blocks):
        return lambda p: p
    pairs = {block: [name for name in names if names[name] == shape] for block, shape in blocks.items()}
    doubts = [f"no parameter has the shape of {b} {blocks[b]}" for b, found in pairs.items() if not found]
    doubts += [f"{b} {blocks[b]} may be {' or '.join(found)}" for b, found in pairs.items() if len(found) > 1]
    doubts += [f"{n} has the shape of {b}" for b, found in pairs.items() for n in found if n in blocks and n != b]
    if doubts or len(names) != len(blocks):
        wanted = ", ".join(f"{name} {shape}" for name, shape in blocks.items())
        known = (
            ", ".join(f'"{b}": p["{found[0]}"]' for b, found in pairs.items() if len(found) == 1) or '"W1": p["..."]'
        )
        raise ValueError(
            f"which parameter is which block is not clear from names and shapes ({'; '.join(doubts) or 'too many'}); "
            f"the network's blocks are {wanted}; "
            f"write parameters=lambda p: {{{known}, ...}}, .T for a transpose, 0 for no bias"
        )
    return lambda p: {block: p[found[0]] for block, found in pairs.items()}
