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
    """A candidate whose user may state which of its parameters is which block of the network, as a
    dict or a function.

    `held` names own parameters, as masks by name, that every probe leaves at 0.
    """

    @property
    def name(self) -> str: ...
    @property
    def parameters(self) -> Words | Meaning | None: ...
    @property
    def held(self) -> Mapping[str, Any] | None: ...

    def meanings(self, network: Family) -> tuple[int, list[Words] | None]:
        """Try all ways in which the own parameters may be the network's blocks.

        Returns the number of ways, and the ways with which the network computes the model's
        outputs; None instead of the ways if nothing could be tried.
        """


def expect_words(name: str, words: object) -> None:
    """Raise TypeError unless `words` may state the meaning of parameters: a dict, or a function."""
    named = isinstance(words, Mapping) and all(isinstance(block, str) for block in words)
    if not (words is None or callable(words) or named):
        raise TypeError(
            f"subject {name}: parameters is {shown(words)}, expected a dict of blocks by name, or a"
            " function"
        )


def read_formulation(mapped: Mapped, own: Layout, network: Family, say: Say) -> Formulation:
    """Return the map from own parameters of this layout to the network's parameters.

    A bias that the model does not have is added to the own parameters; it has no effect on the
    model. Raises ValueError if the map cannot be determined.
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
    if callable(mapped.parameters):
        means = mapped.parameters
    else:
        words, left_out = map_blocks(own, network, mapped.parameters or {})
        own = own.with_left_out(block for block in network.layout.blocks if block.name in left_out)
        all_words = dict(words)
        for name in left_out:
            all_words[name] = left_out_as(name)
        means = meaning(all_words, network)
    names = [block.name for block in own.blocks]
    held = dict.fromkeys(names, 0) | dict(mapped.held or {})
    try:
        mask = own.join(held) != 0
    except ValueError as error:
        raise ValueError(f"held: {error}") from error
    with np.errstate(all="ignore"):
        return Formulation.from_meaning(own, network, means, mask, say=say)


def _propose(mapped: Mapped, own: Layout, network: Family) -> str:
    """Return a sentence that proposes a value for `parameters`.

    The proposal is a way with which the network computes the model's outputs, found by trying all
    ways that fit.
    """
    count, ways = mapped.meanings(network)
    if not ways:
        tried = ""
        if ways is not None:
            tried = f"none of {count} ways that fit makes the network compute what the model does; "
        return f'{tried}write parameters={{"W1": ..., ...}}, where a block is {HOW}'
    return propose(own, network, count, ways)


def has_own_layout(problem: Problem, own: Layout) -> bool:
    """Do a problem's own parameters have these names and shapes?

    It may have more of them, for biases that a model has left out.
    """
    mine = list(list_shapes(own).items())
    return mine == list(list_shapes(problem.formulation.own).items())[: len(mine)]


def at_own_parameters(problem: Problem, formulation: Formulation) -> Problem | None:
    """Return a problem for another model, at the own parameters that correspond to the problem's
    theta.

    Returns None unless the model's formulation only renames and rearranges the network's
    parameters.
    """
    if not formulation.is_renaming:
        return None
    own = formulation.pull_back(problem.theta)
    one = problem.part(slice(None))
    return replace(one, formulation=formulation, own=own, own_error=None)


def by_theta(observation: Observation, formulation: Formulation) -> Observation:
    """Return the answers at the own parameters of a renaming formulation, with the gradient by
    theta.
    """
    values = dict(observation.values)
    if "gradient" in values:
        values["gradient"] = formulation.matrix(values["gradient"])
    return replace(observation, values=values, by_own=False)
