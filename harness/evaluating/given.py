"""The arguments of `same`: two models, their data, and the map of their parameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, cast

from harness.calling.apart import NotApart, copy_apart
from harness.core.contract import Dtype
from harness.model.errors import WrongAnswer
from harness.pytorch.exported import is_exported, make_module
from harness.text.harmless import class_name, shown
from harness.text.python import called

Mode = Literal["train", "eval"]
MODES: tuple[Mode, ...] = ("train", "eval")
COMPARABLE: tuple[Dtype, ...] = ("float64", "float32", "bfloat16", "float16")
BY_DEFAULT: tuple[Dtype, ...] = ("float64", "float32")


@dataclass(frozen=True, eq=False)
class Given:
    """The arguments of `same`; see there.

    `hold` says that both models are built modules, with numbers of their own. `reference_dtype` is
    the dtype of the reference, "" for that of the trial. `dtypes_named` says that the user named
    the dtypes, so that both models must run in them.
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
    own_backward: str = ""
    dtypes_named: bool = False

    def __post_init__(self) -> None:
        if self.loss is not None and not callable(self.loss):
            raise TypeError(
                f"loss is {shown(self.loss, 40)}, expected a function: loss(output, targets)"
            )
        if type(self.draws) is not int or self.draws < 0:
            raise ValueError(f"draws is {shown(self.draws, 40)}, expected a number from 0 on")
        if not isinstance(self.memory, int | float) or not self.memory > 0:
            raise ValueError(f"memory is {shown(self.memory, 40)}, expected GiB, as 4.0")
        if not isinstance(self.own_backward, str):
            raise TypeError(
                f"own_backward is {shown(self.own_backward, 40)}, expected the reason in words"
            )
        if not isinstance(self.precision_lost, str):
            raise TypeError(
                f"precision_lost is {shown(self.precision_lost, 40)}, expected the reason in words"
            )


def read_words(what: str, given: Any, known: Sequence[str]) -> Sequence[str]:
    """Return one word or several as a list; a torch dtype becomes its name.

    `what` is the argument's name in messages. Raises ValueError unless there is at least one, and
    all are in `known`.
    """
    listed = list(given) if isinstance(given, list | tuple | set | frozenset) else [given]
    words = [str(each).removeprefix("torch.") for each in listed]
    if not words or not set(words) <= set(known):
        expected = ", ".join(known)
        raise ValueError(f"{what} is {shown(given, 60)}, expected some of {expected}")
    return words


def read_dtypes(dtypes: Any) -> Sequence[Dtype]:
    """Return the dtypes in which two models are to be compared. Raises ValueError for any other
    dtype.
    """
    return cast("Sequence[Dtype]", read_words("dtypes", dtypes, COMPARABLE))


def read_dtype(dtype: Any) -> str:
    """Return the name of a dtype for a reference, "" if it is not given: then it has the subject's
    dtype.

    Raises ValueError for any dtype in which models are not compared.
    """
    if dtype is None or dtype == "":
        return ""
    if isinstance(dtype, list | tuple | set):
        raise ValueError(f"reference_dtype is {shown(dtype, 60)}, expected one dtype")
    return read_words("reference_dtype", dtype, COMPARABLE)[0]


@dataclass(frozen=True, eq=False)
class CopyOf:
    """A factory that returns copies of a module with its present numbers."""

    model: Any

    def __call__(self) -> Any:
        """Return a copy. Raises WrongAnswer if it would use parts of the model itself."""
        try:
            return copy_apart(self.model)
        except NotApart as error:
            raise WrongAnswer(
                f"is given as a module, and a copy of it would go on using it, in {error}: give its"
                " class, or a function that builds it anew"
            ) from None


def make_factory(model: Any, what: str) -> tuple[Callable[[], Any], str]:
    """Return a function that builds a model, and the model's name.

    `what` is the argument's name in messages. Raises TypeError for anything but a class, a function
    or a module.
    """
    if is_exported(model):
        return CopyOf(make_module(model)), class_name(model)
    if is_module(model):
        return CopyOf(model), name_module(model)
    if not callable(model):
        raise TypeError(
            f"{what} is {shown(model, 40)}, expected an nn.Module: its class, a function that"
            " builds it, or the module"
        )
    name = name_function(model)
    needed = list_needed(model)
    if needed:
        raise TypeError(
            f"{what} is {name}, which needs {' and '.join(needed)}: expected a class or function"
            f" that builds a module without arguments, as lambda: {called(name)}(...), or the"
            " module; a function of arrays is judged by Computed(...), see docs/foreign.md"
        )
    return model, name


def list_needed(function: Any) -> list[str]:
    """Return the names of the arguments without a default of a function or class."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # a builtin has none
        return []
    optional = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return [
        each.name
        for each in parameters
        if each.default is inspect.Parameter.empty and each.kind not in optional
    ]


def name_function(build: Any) -> str:
    """Return the name of a function or class.

    For a partial it is the name of the function inside; for a lambda, the name of the class that it
    mentions, if there is one.
    """
    inside = getattr(build, "func", None)
    if inside is not None:
        return name_function(inside)
    name: str = getattr(build, "__name__", class_name(build))
    if name == "<lambda>":
        return _name_mentioned(build) or name
    return name


def _name_mentioned(build: Any) -> str:
    """Return the name of the only class of modules that a function's code mentions, or ""."""
    used = inspect.getclosurevars(build)
    mentioned = [*used.globals.values(), *used.nonlocals.values()]
    for each in list(mentioned):
        if isinstance(each, ModuleType):
            mentioned += [getattr(each, name, None) for name in build.__code__.co_names]
    classes = {each for each in mentioned if is_module_class(each)}
    return classes.pop().__name__ if len(classes) == 1 else ""


def is_module_class(kind: Any) -> bool:
    """Is this a class of nn.Modules?"""
    return isinstance(kind, type) and hasattr(kind, "named_parameters")


def is_module(model: Any) -> bool:
    """Is this an nn.Module instance?"""
    return hasattr(model, "named_parameters") and not isinstance(model, type)


def name_module(module: Any) -> str:
    """Return the name of a module's class; for a compiled module, of the class inside."""
    inside = getattr(module, "_orig_mod", None)
    return class_name(module) if inside is None else f"{class_name(inside)}-compiled"


def find_dtypes(models: Sequence[Any]) -> Sequence[Dtype]:
    """Return the default dtypes of a comparison: float64 and float32, or the narrower dtype in
    which a module is stored.
    """
    return find_narrow([model for model in models if is_module(model)]) or BY_DEFAULT


def find_narrow(modules: Sequence[Any]) -> list[Dtype]:
    """Return the dtype narrower than float32 in which one of the modules stores parameters, as a
    list of one; empty if there is none.
    """
    for module in modules:
        kinds = {str(each.dtype).removeprefix("torch.") for each in module.parameters()}
        for dtype in sorted(set(COMPARABLE) - set(BY_DEFAULT)):
            if dtype in kinds:
                return [dtype]
    return []
