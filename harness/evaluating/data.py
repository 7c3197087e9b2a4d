"""The data that models are evaluated on: tensors, arguments by position or name, batches, or shapes
in words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from harness.core.numpy_errors import users
from harness.model.errors import raised
from harness.text.harmless import class_name, shown

WORDS = re.compile(
    r"(?P<kind>[a-z]*)\s*(?:(?P<low>-?\d+)\s*\.\.\s*(?P<high>-?\d+))?\s*(?:of\s*)?"
    r"\((?P<shape>[\d,\s]*)\)"
)
HOW = (
    '"(32, 10)" for normal numbers, "integers 0..99 (32, 10)", "booleans (32, 10)", "ones (32, 10)"'
    ' or "zeros (32, 10)"'
)
FORMS = (
    "a tensor, a tuple of arguments, a dict of arguments by name, a list of batches, a function of"
    " a torch.Generator, or shapes, as (32, 10)"
)


class WrongData(ValueError):
    """Raised for data that no model can be called with."""


@dataclass(frozen=True, eq=False)
class Batch:
    """The arguments of one call, by position and by name, and the targets of a loss (None without a
    loss).
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    targets: Any = None

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return a copy of the batch with the function `change` applied to every tensor."""
        return Batch(
            _map(self.args, change), _map(dict(self.kwargs), change), _map(self.targets, change)
        )

    def tensors(self) -> list[Tensor]:
        """Return all tensors of the batch."""
        tensors: list[Tensor] = []

        def note(tensor: Tensor) -> Tensor:
            tensors.append(tensor)
            return tensor

        self.map(note)
        return tensors


def _map(given: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return a copy of nested tuples, lists and dicts with the function `change` applied to every
    tensor.
    """
    if isinstance(given, Tensor):
        return change(given)
    if isinstance(given, tuple) and hasattr(given, "_fields"):
        return type(given)(*(_map(each, change) for each in given))
    if isinstance(given, tuple | list):
        return type(given)(_map(each, change) for each in given)
    if isinstance(given, dict):
        return {name: _map(each, change) for name, each in given.items()}
    return given


def make_batches(data: Any, targets: Any, generator: torch.Generator) -> list[Batch]:
    """Return the batches of a user's data and targets; shapes and words become random numbers.

    Raises WrongData, with a sentence, for data of no known form.
    """
    data, targets = _call(data, "data", generator), _call(targets, "targets", generator)
    several = isinstance(data, list)
    if data is None or isinstance(data, bool | int | float):
        raise WrongData(f"data is {shown(data, 40)}, expected {FORMS}")
    if several and not data:
        raise WrongData("data is an empty list, expected at least one batch")
    of_data = data if several else [data]
    of_targets = targets if several and targets is not None else [targets] * len(of_data)
    if not isinstance(of_targets, Sequence) or len(of_targets) != len(of_data):
        raise WrongData(
            f"targets is {shown(targets, 40)}, expected a list of {len(of_data)}: one for each"
            " batch of data"
        )
    batches = []
    for given, expected in zip(of_data, of_targets, strict=True):
        args, kwargs = _read_arguments(given, generator)
        batches.append(Batch(args, kwargs, _read(expected, "targets", generator)))
    return batches


def is_drawn(data: Any) -> bool:
    """Is data random, so that a second use of it gives other numbers?"""
    if callable(data) and not isinstance(data, Tensor):
        return True
    if isinstance(data, dict):
        return any(map(is_drawn, data.values()))
    if isinstance(data, tuple | list):
        return _is_shape(data) or any(map(is_drawn, data))
    return isinstance(data, str)


def _call(given: Any, what: str, generator: torch.Generator) -> Any:
    """Return `given` or, if it is a function, its result for the generator.

    `what` is its name in messages. Raises WrongData if the function raises anything.
    """
    if not callable(given) or isinstance(given, Tensor):
        return given
    try:
        with users():
            return given(generator)
    except Exception as error:  # a user's function may raise anything
        raise WrongData(f"{what} {raised(error)}: it is called with a torch.Generator") from error


def _read_arguments(
    given: Any, generator: torch.Generator
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the arguments of a call, by position and by name, from data in any form."""
    if isinstance(given, Mapping):
        return (), {str(name): _read(each, str(name), generator) for name, each in given.items()}
    if isinstance(given, tuple) and not _is_shape(given):
        return tuple(_read(each, "data", generator) for each in given), {}
    return (_read(given, "data", generator),), {}


def _read(given: Any, what: str, generator: torch.Generator) -> Any:
    """Return a value of the data: shapes and words become random tensors, arrays become tensors.

    `what` is its name in messages.
    """
    if given is None or isinstance(given, bool | int | float):
        return given
    if isinstance(given, Tensor):
        return given.detach()
    if isinstance(given, str):
        return draw_words(given, generator)
    if _is_shape(given):
        return torch.randn(given, generator=generator, dtype=torch.float64)
    if isinstance(given, dict):
        return {name: _read(each, what, generator) for name, each in given.items()}
    if isinstance(given, tuple | list):
        return type(given)(_read(each, what, generator) for each in given)
    if hasattr(given, "__array__"):
        return torch.as_tensor(given)
    raise WrongData(f"{what} has a value of type {class_name(given)}, expected {FORMS}")


def _is_shape(given: Any) -> bool:
    if not isinstance(given, tuple) or not given:
        return False
    return all(type(each) is int and each >= 0 for each in given)


def draw_words(text: str, generator: torch.Generator) -> Tensor:
    """Return a random tensor as words describe it, such as "integers 0..99 (32, 10)".

    Raises WrongData for words of another form.
    """
    match = WORDS.fullmatch(text.strip())
    lengths = [] if match is None else [each.strip() for each in match["shape"].split(",")]
    if match is None or not all(each.isdigit() for each in filter(None, lengths)):
        raise WrongData(f"data says {shown(text, 40)}, expected words like {HOW}")
    shape = tuple(int(each) for each in lengths if each)
    if 0 in shape:
        raise WrongData(f"data says {shown(text, 40)}, expected at least 1 along each axis")
    low, high = match["low"], match["high"]
    kind = match["kind"]
    if kind in ("integers", "ints", "integer") and low is not None:
        return torch.randint(int(low), int(high) + 1, shape, generator=generator)
    if kind in ("booleans", "boolean", "bools") and low is None:
        return torch.randint(0, 2, shape, generator=generator).bool()
    if kind in ("ones", "zeros") and low is None:
        return torch.full(shape, float(kind == "ones"), dtype=torch.float64)
    if kind in ("", "float", "floats", "normal", "numbers") and low is None:
        return torch.randn(shape, generator=generator, dtype=torch.float64)
    raise WrongData(f"data says {shown(text, 40)}, expected words like {HOW}")


def shift_rows(batch: Batch) -> Batch | None:
    """Return a copy of a batch whose rows are shifted by one, the last becoming the first.

    Return None if its tensors have no common number of rows, or fewer than two.
    """
    lengths = {len(tensor) if tensor.ndim else 0 for tensor in batch.tensors()}
    if len(lengths) != 1 or lengths.pop() < 2:
        return None
    return batch.map(lambda tensor: tensor.roll(1, 0))
