"""A model that is a function of NumPy arrays, as a subject or a reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from harness.core.contract import DTYPES, Contract
from harness.core.formulation import Family, Formulation, Meaning
from harness.core.implementation import Missing, Observation
from harness.core.layout import Layout
from harness.core.problem import STEP, Problem
from harness.core.verdict import Status
from harness.foreign.observing import Draws
from harness.model.errors import words_of
from harness.pytorch.mapping import (
    at_own_parameters,
    by_theta,
    expect_words,
    has_own_layout,
    read_formulation,
)
from harness.pytorch.parameters import Words
from harness.pytorch.trying import candidate_mappings, matching
from harness.text.harmless import class_name, exact, shown
from harness.waiting.progress import Say, silent

UNGIVEN = {
    "loss": "loss",
    "gradient": "gradients",
    "input_gradient": "gradients by the inputs",
}


@dataclass(frozen=True, eq=False)
class Computed:
    """A model that is a function of NumPy arrays: in JAX, ONNX Runtime, NumPy, C or anything else.

    It may be a subject, or a reference. `answer(blocks, x)` is called once for each draw, with the
    parameters by name and the inputs (R, width), as new arrays of the trial's dtype; several groups
    of inputs are several arguments. It returns the outputs (R, width), or a tuple with one array
    for each head, in that dtype. `slopes(blocks, x, t)` takes the targets too, and returns the
    case's loss and a dict of its gradients by block, as `jax.value_and_grad(loss)` does. Instead of
    the dict it may return a tuple: the dict, and a gradient by each group of inputs.

    The blocks are the network's. A model with other parameters gives `shapes`, their shapes by
    name. Which parameter is which block follows from names and shapes, or from `parameters`, as for
    a Subject. `network` and `held` are as for a Subject too.

    Its bounds are derived from the arithmetic that it promises: sums in any order, in `dtype` (by
    default that of the trial), with exp and tanh right to `exp_ulp` units in the last place.
    `relu_at_zero`, `logistic_clip`, `absolute_activations` and `unfused_loss` are as for a Subject.
    `made_with` has versions for the report, as {"jax": jax.__version__}. `known` is the reason why
    the model is known to fail.

    Raises TypeError or ValueError for wrong arguments.
    """

    answer: Callable[..., Any]
    name: str = ""
    slopes: Callable[..., Any] | None = None
    shapes: Mapping[str, tuple[int, ...]] | None = None
    parameters: Words | Meaning | None = None
    network: Family | None = None
    dtype: Literal["float64", "float32", ""] = ""
    exp_ulp: float = 2.0
    relu_at_zero: float = 0.0
    logistic_clip: float | None = None
    absolute_activations: bool = False
    unfused_loss: bool = False
    held: Mapping[str, Any] | None = None
    made_with: Mapping[str, str] = field(default_factory=dict)
    known: str = ""

    def __post_init__(self) -> None:
        name = self.name or getattr(self.answer, "__name__", class_name(self.answer))
        object.__setattr__(self, "name", exact(name) if isinstance(name, str) else name)
        for function in (self.answer, self.slopes or self.answer):
            if not callable(function):
                raise ValueError(
                    f"{self.name} is {shown(function, 40)}, expected a function of blocks and"
                    " inputs"
                )
        expect_words(self.name, self.parameters)
        if self.parameters is not None and self.shapes is None:
            raise ValueError(
                f"{self.name} has parameters and no shapes, expected those of its own parameters:"
                ' shapes={"kernel": (3, 8), ...}'
            )
        if self.dtype not in ("", *DTYPES):
            raise ValueError(
                f"{self.name}: dtype {self.dtype!r} has no arrays in NumPy that a function could"
                f" take, expected {' or '.join(DTYPES)}"
            )
        try:
            self.contract(DTYPES[0])
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None

    @property
    def source(self) -> str:
        return "computed"

    def title(self) -> str:
        """Return its name with the versions in `made_with`, and its dtype if it always computes in
        the same one.
        """
        parts = [f"{name} {version}" for name, version in self.made_with.items()]
        parts += filter(None, [self.dtype])
        return f"{self.name} ({', '.join(parts)})" if parts else self.name

    def versions(self) -> dict[str, str]:
        """Return the versions in `made_with`."""
        return dict(self.made_with)

    def contract(self, dtype: str) -> Contract:
        """Return the arithmetic that it promises in a trial of this dtype.

        It is in its own dtype or, if it has none, in the trial's; for a dtype that NumPy lacks, in
        float32.
        """
        computed_in = self.dtype or (dtype if dtype in DTYPES else "float32")
        contract = Contract(
            computed_in,
            exp_ulp=self.exp_ulp,
            relu_at_zero=self.relu_at_zero,
            logistic_clip=self.logistic_clip,
            absolute_activations=self.absolute_activations,
            own_loss=self.slopes is not None,
        )
        return contract.through_probabilities() if self.unfused_loss else contract

    def lacks(self, network: Family, quantity: str, dtype: str, device: str) -> str | None:
        if device != "cpu":
            return f"{self.name} is a function of NumPy arrays, which are on the CPU"
        if quantity == STEP:
            return f"{self.name} gives no optimiser steps"
        if self.slopes is None and quantity in UNGIVEN:
            return f"{self.name} gives no {UNGIVEN[quantity]}: give it slopes=..."
        return None

    def cannot_answer(self, network: Family, quantity: str, dtype: str, device: str) -> str | None:
        return self.lacks(network, quantity, dtype, device)

    def as_evaluated(self, problem: Problem) -> Problem:
        return problem

    @property
    def meaning_key(self) -> tuple[Any, ...]:
        """A key that is the same for models whose parameters have the same meaning."""
        parts = self.answer, self.parameters, self.shapes, self.network, self.held
        return self.name, *map(id, parts)

    def own(self, network: Family) -> Layout:
        """Return the layout of the model's own parameters: their names and shapes."""
        network = self.network or network
        return network.layout if self.shapes is None else Layout.of_shapes(self.shapes)

    def formulation(self, network: Family, say: Say = silent) -> Formulation:
        """Return the map from the model's own parameters to the network's; `say` gets progress
        messages.

        Raises ValueError if the map cannot be determined.
        """
        network = self.network or network
        if self.shapes is None and self.held is None:
            return Formulation.identity(network)
        return read_formulation(self, self.own(network), network, say)

    def meanings(self, network: Family) -> tuple[int, list[Words] | None]:
        """Try all ways in which the model's parameters may be the network's blocks, see `Mapped`.

        Return the number of ways, and the ways under which its outputs are right. They are 0 and
        None if nothing is tried, as for a function of the network's own blocks.
        """
        network = self.network or network
        own, dtype = self.own(network), self.dtype or DTYPES[0]
        if self.shapes is None or callable(self.parameters):
            return 0, None
        ways = candidate_mappings(own, network, self.parameters or {})
        if not ways:
            return 0, None

        def ask(problem: Problem) -> Observation:
            return Draws(self.answer, None, problem, dtype).observe()

        return len(ways), matching(ask, own, network, ways, self.contract(dtype))

    def observe(self, problem: Problem, dtype: str = "float64", device: str = "cpu") -> Observation:
        """Return the answers to a problem.

        The model gets the problem's own parameters if these are arranged as its own. Else it gets
        own parameters with the problem's theta (the network's parameters). The answers are missing
        if they cannot be computed from theta.
        """
        kind = self.contract(dtype).dtype
        try:
            mine = _formulation(self, problem.network)
        except ValueError as error:
            why = words_of(error).removeprefix(f"{self.name}: ")
            return Observation({}, Missing(Status.BROKEN, f"does not fit the network: {why}"))
        if has_own_layout(problem, mine.own) and mine.same_map(problem.formulation):
            return Draws(self.answer, self.slopes, problem, kind).observe()
        renamed = at_own_parameters(problem, mine)
        if renamed is None:
            why = (
                "cannot be asked at another model's parameters, since its own are not those of the"
                " network, renamed"
            )
            return Observation({}, Missing(Status.BROKEN, why))
        return by_theta(Draws(self.answer, self.slopes, renamed, kind).observe(), mine)


@lru_cache(maxsize=64)
def _formulation(computed: Computed, network: Family) -> Formulation:
    """Return the map from a model's own parameters to the network's; it is cached."""
    return computed.formulation(network)
