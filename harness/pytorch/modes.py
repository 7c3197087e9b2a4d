"""The modes in which a model is called again: under no_grad, and in eval()."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

EVALUATE = "; for eval() write subjects=[lambda: MyModel().eval()]"


def describe_modes(module: Any) -> dict[bool, str]:
    """List the modes in which to call a model again: False as it is, and True in eval().

    Each has the end of the sentence that reports a mode with other outputs.
    """
    import torch

    again = {False: "when asked again, under torch.no_grad(), expected the same"}
    if not isinstance(module, torch.nn.Module) or not module.training or not has_modes(module):
        return again
    random = find_dropout(module)
    if random:
        kinds = " and ".join(random)
        sentence = f"when asked again, expected the same: its {kinds} is in training mode{EVALUATE}"
        return {False: sentence, True: sentence}
    again[True] = f"in eval() than in train(), as it was built, expected the same{EVALUATE}"
    return again


def find_dropout(module: torch.nn.Module) -> list[str]:
    """The names of the dropout classes that a module contains, sorted."""
    names = {type(part).__name__ for part in module.modules()}
    return sorted(name for name in names if "Dropout" in name)


def has_modes(module: Any) -> bool:
    """Does a module support train() and eval()? A module from torch.export does not."""
    try:
        module.train()
    except NotImplementedError:
        return False
    return True


def have_same_numbers(first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> bool:
    """Are these tensors equal, bit for bit, where NaN equals NaN?"""
    import torch

    return all(
        torch.equal(one.nan_to_num(), other.nan_to_num())
        for one, other in zip(first, second, strict=True)
    )
