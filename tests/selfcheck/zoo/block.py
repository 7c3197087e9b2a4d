"""A part of a random model, which computes the same function by several formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import inf
from typing import Any, ClassVar

from torch import Tensor, nn

Around = Callable[..., Any]  # calls a layer in another way
ANY = inf  # a formula that is safe for numbers of any size


class Block(nn.Module):
    """A part of a model that computes by the method named `style`.

    `styles` has the names of right methods, each with the largest input for which it is safe: one
    with exp of its input is not for numbers that overflow. `faults` are names of wrong methods.
    `costly` are right methods that may lose more bits than others.
    """

    styles: ClassVar[Mapping[str, float]] = {"plain": ANY}
    faults: ClassVar[tuple[str, ...]] = ()
    costly: ClassVar[tuple[str, ...]] = ()

    def __init__(self) -> None:
        super().__init__()
        self.style = "plain"
        self.around: Around | None = None

    def forward(self, *given: Tensor) -> Any:
        """Compute by the chosen formula."""
        if self.around is not None:
            return self.around(self.compute, *given)
        return self.compute(*given)

    def compute(self, *given: Tensor) -> Any:
        """Compute by the chosen formula, with nothing around it."""
        return getattr(self, self.style)(*given)

    def plain(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def is_at_kink(self, x: Tensor) -> bool:
        """Are there numbers at which right formulas may take other slopes?"""
        return False

    def list_styles(self) -> Mapping[str, float]:
        """Return the names of right formulas, each with its largest input."""
        return self.styles

    def list_costly(self) -> tuple[str, ...]:
        """Return the names of right formulas that may lose more bits."""
        return self.costly

    def list_faults(self) -> tuple[str, ...]:
        """Return the names of wrong formulas."""
        return self.faults
