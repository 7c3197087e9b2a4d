"""Makes the optimisers of torch.optim, and takes their steps.

torch wraps the functions of an optimiser for torch.compile and for its profiler. The wrappers
compute nothing, but the first call imports torch._dynamo, which takes longer than to import torch,
and every call costs time. So the functions inside are called, unless torch._dynamo is in use. Hooks
that somebody registers for the steps of optimisers are left out with the wrappers.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.core.recipe import Recipe
from harness.model.devices import kind_of
from harness.model.late import DYNAMO, WRAPPED_BY_DYNAMO

if TYPE_CHECKING:
    from torch import Tensor

KINDS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop"}  # in torch.optim


def make_optimiser(
    recipe: Recipe, parameters: list[Any], device: str
) -> tuple[Any, Callable[[], None]]:
    """Return the optimiser of torch.optim that a recipe names, with the recipe's settings, and the
    function that takes its step.

    The step of LBFGS is only taken by its own method, which needs a closure.
    """
    import torch

    names = [name for name in recipe.settings if not name.startswith("beta")]
    settings: dict[str, Any] = {name: recipe.setting(name) for name in names}
    with _hold_dynamo_off():
        if recipe.optimiser == "lbfgs":
            optimiser: Any = torch.optim.LBFGS(
                parameters, line_search_fn="strong_wolfe", **settings
            )
            return optimiser, optimiser.step
        # stated, not left to PyTorch's default for a device
        settings["foreach"] = kind_of(device).has_foreach()
        if recipe.optimiser in ("adam", "adamw"):
            settings["betas"] = recipe.setting("beta1"), recipe.setting("beta2")
        optimiser = getattr(torch.optim, KINDS[recipe.optimiser])(parameters, **settings)
    return optimiser, _unwrap_step(optimiser)


def clear_gradients(parameters: list[Tensor]) -> None:
    """Forget the gradients of all parameters, as `zero_grad()` of an optimiser does."""
    for parameter in parameters:
        parameter.grad = None


@contextmanager
def _hold_dynamo_off() -> Iterator[None]:
    """Let optimisers be made without torch._dynamo, unless it is in use already."""
    import torch

    add = getattr(torch.optim.Optimizer.add_param_group, "__wrapped__", None)
    if add is None or DYNAMO in sys.modules:
        yield
        return
    setattr(add, WRAPPED_BY_DYNAMO, add)
    try:
        yield
    finally:
        delattr(add, WRAPPED_BY_DYNAMO)


def _unwrap_step(optimiser: Any) -> Callable[[], None]:
    """Return a function that takes a step of an optimiser as its method `step` does."""
    import torch

    if DYNAMO in sys.modules:
        method: Callable[[], None] = optimiser.step
        return method
    inside = inspect.unwrap(type(optimiser).step)

    def step() -> None:
        with torch.no_grad():  # as the wrapper does
            inside(optimiser)

    return step
