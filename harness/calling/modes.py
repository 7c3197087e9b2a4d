"""The modes in which a model is called again to compare its answers: under no_grad, in eval(), and
with parameters that need no gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

EVALUATE = "; for eval() give lambda: MyModel().eval() as the model"


def describe_modes(module: Any) -> dict[bool, str]:
    """Return the modes in which to call a module again, as the keys of a dict: False for its
    present mode, True for eval().

    The value of each key is the end of the sentence that reports different outputs in this mode.
    """
    import torch

    sentences = {False: "when asked again, under torch.no_grad(), expected the same"}
    if not isinstance(module, torch.nn.Module) or not module.training or not has_modes(module):
        return sentences
    random = find_dropout(module)
    if random:
        kinds = " and ".join(random)
        sentence = f"when asked again, expected the same: its {kinds} is in training mode{EVALUATE}"
        return {False: sentence, True: sentence}
    sentences[True] = f"in eval() than in train(), as it was built, expected the same{EVALUATE}"
    return sentences


def find_dropout(module: torch.nn.Module) -> list[str]:
    """Return the names of the dropout classes that a module contains, sorted."""
    names = {type(part).__name__ for part in module.modules()}
    return sorted(name for name in names if "Dropout" in name)


def has_modes(module: Any) -> bool:
    """Does a module support train() and eval()? A module from torch.export does not."""
    modes = _read_modes(module)
    try:
        module.train()
    except NotImplementedError:
        return False
    _write_modes(modes)
    return True


@contextmanager
def hold_eval_mode(module: Any) -> Iterator[None]:
    """Put a module into eval() in this context; afterwards each submodule is back in its earlier
    mode.
    """
    modes = _read_modes(module)
    evaluated = module.eval()
    try:
        yield
    finally:
        evaluated.train()
        _write_modes(modes)


def _read_modes(module: Any) -> list[tuple[Any, bool]]:
    return [(part, part.training) for part in module.modules()]


def _write_modes(modes: Sequence[tuple[Any, bool]]) -> None:
    for part, training in modes:
        if part.training != training:
            part.training = training


@contextmanager
def freeze_parameters(parameters: Sequence[Tensor]) -> Iterator[None]:
    """Set requires_grad=False for parameters in this context."""
    try:
        for parameter in parameters:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def have_same_numbers(first: Sequence[Tensor], second: Sequence[Tensor]) -> bool:
    """Are the tensors of two lists equal, pair by pair? NaN counts as equal to NaN."""
    import torch

    for one, other in zip(first, second, strict=True):
        if not torch.equal(one, other) and not torch.equal(one.nan_to_num(), other.nan_to_num()):
            return False
    return True
