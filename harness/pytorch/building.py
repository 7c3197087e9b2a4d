"""Newly built modules: their random numbers, their lazy parameters, and one that is used later."""

from __future__ import annotations

from typing import Any

from harness.core.formulation import Family
from harness.model.settings import read_settings


class Unused:
    """A newly built module whose state was read, until a model is made of it: most constructors
    take longer than what is asked of their modules.
    """

    def __init__(self) -> None:
        self._built: tuple[Family, object, Any] | None = None

    def put(self, network: Family, module: Any) -> None:
        """Keep a module that was built for a network, in place of an older one."""
        self._built = network, read_settings(), module

    def take(self, network: Family) -> Any:
        """Return the module, once; None if there is none, or if it was built for another network or
        under other settings of torch.
        """
        built, self._built = self._built, None
        if built is None or built[:2] != (network, read_settings()):
            return None
        return built[2]


def initialise_lazy(module: Any, network: Family) -> None:
    """Call a module with lazy parameters once, so that these get their shapes."""
    import torch

    if any(map(torch.nn.parameter.is_lazy, module.parameters())):
        with torch.no_grad():
            module(*(torch.zeros(1, width) for width in network.inputs))


def seed_torch(seed: int) -> None:
    """Seed torch's random numbers.

    Without an accelerator, only the CPU's generator is seeded: torch.manual_seed would also format
    a stack trace for each kind of accelerator.
    """
    import torch

    accelerators = getattr(torch, "accelerator", None)  # since torch 2.6
    if accelerators is None or accelerators.is_available():
        torch.manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)
