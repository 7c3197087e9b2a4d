"""What a user gives to `same`: two models, data, and what is known of their parameters."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.text.harmless import class_name, shown

MODES = ("train", "eval")
COMPARABLE = ("float64", "float32", "bfloat16", "float16")
BY_DEFAULT = ("float64", "float32")


@dataclass(frozen=True, eq=False)
class Given:
    """The arguments of `same`; see there.

    `hold` says that both models are modules, which hold numbers of their own. `reference_dtype` is
    the dtype of the reference, "" for that of the trial.
    """

    build: Callable[[], Any]
    build_reference: Callable[[], Any]
    name: str
    name_reference: str
    data: Any
    targets: Any = None
    loss: Any = None
    parameters: Any = None
    draws: int = 2
    memory: float = 4.0
    modes: Sequence[str] = MODES
    hold: bool = False
    reference_dtype: str = ""
    precision_lost: str = ""

    def __post_init__(self) -> None:
        _expect_words("modes", self.modes, MODES)
        if type(self.draws) is not int or self.draws < 0:
            raise ValueError(f"draws is {shown(self.draws, 40)}, expected a number from 0 on")
        if not isinstance(self.memory, int | float) or not self.memory > 0:
            raise ValueError(f"memory is {shown(self.memory, 40)}, expected GiB, as 4.0")
        if not isinstance(self.precision_lost, str):
            raise TypeError(
                f"precision_lost is {shown(self.precision_lost, 40)}, expected the reason in words"
            )
        if self.reference_dtype:
            _expect_words("reference_dtype", [self.reference_dtype], COMPARABLE)


def _expect_words(what: str, given: Any, known: Sequence[str]) -> None:
    """Raise ValueError unless words are known, and there is one at least."""
    listed = [] if isinstance(given, str) or not isinstance(given, Sequence) else list(given)
    if not listed or not set(listed) <= set(known):
        expected = ", ".join(known)
        raise ValueError(f"{what} is {shown(given, 60)}, expected some of {expected}")


def check_dtypes(dtypes: Any) -> Sequence[str]:
    """Return dtypes that two models can be compared in. Raises ValueError for others."""
    _expect_words("dtypes", dtypes, COMPARABLE)
    return list(dtypes)


@dataclass(frozen=True, eq=False)
class CopyOf:
    """Builds copies of a module, whose own numbers stay as they are."""

    model: Any

    def __call__(self) -> Any:
        return copy.deepcopy(self.model)


def make_factory(model: Any, what: str) -> tuple[Callable[[], Any], str]:
    """Return a function that builds a model, and the model's name.

    Raises TypeError for anything but a class, a function or a module.
    """
    if is_module(model):
        return CopyOf(model), name_module(model)
    if not callable(model):
        raise TypeError(
            f"{what} is {shown(model, 40)}, expected an nn.Module: its class, a function that"
            " builds it, or the module"
        )
    return model, name_function(model)


def name_function(build: Any) -> str:
    """Return the name of a function or class; that inside a partial."""
    inside = getattr(build, "func", None)
    return (
        name_function(inside)
        if inside is not None
        else getattr(build, "__name__", class_name(build))
    )


def is_module(model: Any) -> bool:
    """Is this an nn.Module that is built already?"""
    return hasattr(model, "named_parameters") and not isinstance(model, type)


def name_module(module: Any) -> str:
    """Return the name of a module's class; of a compiled one, that of the module inside."""
    inside = getattr(module, "_orig_mod", None)
    return class_name(module) if inside is None else f"{class_name(inside)}-compiled"


def find_dtypes(models: Sequence[Any]) -> Sequence[str]:
    """Return the dtypes in which models are compared by default: float64 and float32, or the
    narrower dtype that a module is stored in.
    """
    for model in models:
        if is_module(model):
            kinds = {str(each.dtype).removeprefix("torch.") for each in model.parameters()}
            narrow = sorted(kinds & set(COMPARABLE) - set(BY_DEFAULT))
            if narrow:
                return narrow[:1]
    return BY_DEFAULT
