"""The facts that are read from a model: its parameters, its inputs and outputs, and the activations
it calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

KNOWN = ("logistic", "tanh", "relu", "softmax")


@dataclass(frozen=True)
class Call:
    """A way of calling a model with rows of numbers.

    `inputs` has the number of columns of each input, `outputs` that of each output.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Seen:
    """The facts that are read from a model by calling it.

    `shapes` are those of its parameters by name, `calls` the ways in which it can be called with
    rows of numbers, and `activations` the functions that it calls, in their order. If it cannot be
    called with rows, `why` is the reason.
    """

    shapes: Mapping[str, tuple[int, ...]]
    calls: Sequence[Call] = ()
    activations: Sequence[str] = ()
    why: str = ""

    @property
    def unknown(self) -> list[str]:
        """The activations that the harness's networks do not support."""
        return [name for name in dict.fromkeys(self.activations) if name not in KNOWN]
