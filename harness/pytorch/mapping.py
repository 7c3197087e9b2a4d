"""Reads the map from a model's own parameters to a network's: from the user's words, or by names
and shapes.

The own parameters are the model's own tensors, flattened to one vector (P,). theta is the vector of
the network's T parameters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from harness.core.formulation import Family, Formulation, Meaning
from harness.core.implementation import Observation
from harness.core.layout import Layout, left_out_as
from harness.core.problem import Problem
from harness.model.errors import raised, words_of
from harness.pytorch.parameters import HOW, Unclear, Words, list_shapes, map_blocks, meaning
from harness.pytorch.sharing import propose
from harness.text.harmless import shown
from harness.waiting.progress import Say


@runtime_checkable
class Mapped(Protocol):
    """A model under test whose user may state which of its parameters is which block (parameter
    tensor) of the network, as a dict or a function.

    `held` has masks by the names of the model's parameters: numbers under a mask are 0 in all
    random parameters.
    """

    @property
    def name(self) -> str: ...
    @property
    def parameters(self) -> Words | Meaning | None: ...
    @property
    def held(self) -> Mapping[str, Any] | None: ...

    def meanings(self, network: Family) -> tuple[int, list[Words] | None]:
        """Try all ways to assign the model's parameters to the network's blocks.

        Returns the number of ways, and those ways with which the network computes the model's
        outputs; None instead of these if nothing could be tried.
        """


def expect_words(name: str, words: object) -> None:
    """Raise TypeError unless `words` is a dict or a function, the two ways to state which parameter
    is which block.
    """
    named = isinstance(words, Mapping) and all(isinstance(block, str) for block in words)
    if not (words is None or callable(words) or named):
        raise TypeError(
            f"subject {name}: parameters is {shown(words)}, expected a dict of blocks by name, or a"
            " function"
        )


def read_formulation(mapped: Mapped, own: Layout, network: Family, say: Say) -> Formulation:
    """Return the map from the model's own parameters (its tensors, flattened to one vector) to the
    network's parameters. `own` has the names and shapes of the model's tensors.

    A bias that the model does not have is added to the own parameters; it has no effect on the
    model. `say` gets progress messages. Raises ValueError if the map cannot be determined.
    """
    try:
        return _read(mapped, own, network, say)
    except Exception as error:  # whatever a user's function raises
        kind = type(error)
        if issubclass(kind, KeyError):
            reason = f"no parameter is called {words_of(error)}"
        elif issubclass(kind, ValueError):
            reason = words_of(error)
        else:
            reason = f"its parameters {raised(error)}"
        if kind is Unclear:
            reason += f"; {_propose(mapped, own, network)}"
        shapes = [f"{name} {shape}" for name, shape in list_shapes(own).items()]
        parameters = ", ".join(shapes) or "none"
        raise ValueError(f"{mapped.name}: {reason}; its parameters are {parameters}") from error


def _read(mapped: Mapped, own: Layout, network: Family, say: Say) -> Formulation:
    picks = False
    if callable(mapped.parameters):
        means = mapped.parameters
    else:
        words, left_out = map_blocks(own, network, mapped.parameters or {})
        own = own.with_left_out(block for block in network.layout.blocks if block.name in left_out)
        all_words = dict(words)
        for name in left_out:
            all_words[name] = left_out_as(name)
        means = meaning(all_words, network)
        # of parts of tensors and constants alone
        picks = not any(callable(part) for part in all_words.values())
    names = [block.name for block in own.blocks]
    held = dict.fromkeys(names, 0) | dict(mapped.held or {})
    try:
        mask = own.join(held) != 0
    except ValueError as error:
        raise ValueError(f"held: {error}") from error
    with np.errstate(all="ignore"):
        return Formulation.from_meaning(own, network, means, mask, say=say, picks=picks)


def _propose(mapped: Mapped, own: Layout, network: Family) -> str:
    """Return a sentence that proposes a value for the user's argument `parameters`.

    The proposal is an assignment of parameters to blocks with which the network computes the
    model's outputs, found by trying all assignments that fit.
    """
    count, ways = mapped.meanings(network)
    if not ways:
        tried = ""
        if ways is not None:
            tried = f"none of {count} ways that fit makes the network compute what the model does; "
        return f'{tried}write parameters={{"W1": ..., ...}}, where a block is {HOW}'
    return propose(own, network, count, ways)


def has_own_layout(problem: Problem, own: Layout) -> bool:
    """Are the own parameters of a problem (the tensors of a model at which it is evaluated) of the
    names and shapes in the layout `own`?

    The problem may have more parameters: biases that a model has left out.
    """
    mine = list(list_shapes(own).items())
    return mine == list(list_shapes(problem.formulation.own).items())[: len(mine)]


def at_own_parameters(problem: Problem, formulation: Formulation) -> Problem | None:
    """Return a copy of a problem in which the own parameters (a model's tensors, flattened) are
    those of another model, with the same theta.

    `formulation` is that model's map from own parameters to theta (the network's parameters).
    Returns None unless it only renames and rearranges parameters.
    """
    if not formulation.is_renaming:
        return None
    own = formulation.pull_back(problem.theta)
    one = problem.part(slice(None))
    return replace(one, formulation=formulation, own=own, own_error=None)


def by_theta(observation: Observation, formulation: Formulation) -> Observation:
    """Return answers in which the gradient is by theta (the network's parameters), not by the
    model's own tensors.

    `formulation` is the map between them, which only renames and rearranges parameters.
    """
    values = dict(observation.values)
    if "gradient" in values:
        values["gradient"] = formulation.matrix(values["gradient"])
    return replace(observation, values=values, by_own=False)
