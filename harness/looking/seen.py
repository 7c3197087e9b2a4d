"""What is seen of a model: its parameters, its inputs and outputs, and the activations it calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

KNOWN = ("logistic", "tanh", "relu", "softmax")


@dataclass(frozen=True)
class Call:
    """The widths of a model's groups of inputs, and of the heads of outputs that it returns for
    them.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class Seen:
    """Observations of a model.

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
        """The activations that our networks do not support."""
        return [name for name in dict.fromkeys(self.activations) if name not in KNOWN]
