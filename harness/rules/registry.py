"""The table of rules. A rule is a function that takes a call of a torch operation, repeated in
float64, and returns bounds on the rounding errors of its results.

An error is a tensor in the shape of a result, with the largest rounding error of each element, or
None if the result is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch._utils import _flatten_dense_tensors

from harness.rules.precision import Precision
from harness.rules.steps import Steps

Error = Tensor | None  # of one result; None if it is exact
Rule = Callable[[Steps, "Call"], Error | Sequence[Error]]
RULES: dict[str, Rule] = {}  # by the name of an operation, as "aten::addmm"
# Operations that are repeated in float64 by another function of the same arguments.
REPEATED: dict[str, Callable[..., Any]] = {}


@dataclass(eq=False, slots=True)
class Call:
    """One call of an operation: its arguments, as observed, and its results.

    `given` holds the arguments by the names of the operation's schema, floating-point tensors in
    float64. `results` are the results of the same operation in float64.
    """

    name: str
    given: Mapping[str, Any]
    results: Sequence[Any]

    def __getitem__(self, name: str) -> Any:
        return self.given[name]

    @property
    def result(self) -> Tensor:
        """The only result, or the first."""
        first: Tensor = self.results[0]
        return first


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Return a decorator that registers a function as the rule (error bound) of these operations.
    Names come without "aten::".
    """

    def register(function: Rule) -> Rule:
        for name in names:
            assert f"aten::{name}" not in RULES, f"{name} has a rule already"
            RULES[f"aten::{name}"] = function
        return function

    return register


def repeat(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator that registers a function to compute these operations in float64, in place
    of torch's own.

    The function takes the arguments in the order of the operation's schema.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            REPEATED[f"aten::{name}"] = function
        return function

    return register


@cache
def list_defaults(operation: Any) -> dict[str, Any]:
    """Return the default of each parameter of an operation, by name."""
    return {argument.name: argument.default_value for argument in operation._schema.arguments}


def bind(operation: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name, defaults included."""
    defaults = list_defaults(operation)
    return {**defaults, **dict(zip(defaults, args, strict=False)), **kwargs}


_make_steps = cache(Steps)


def bound_errors(call: Call, precision: Precision) -> list[Error] | None:
    """Return a bound on the rounding error of each result of a call; None if its operation has no
    rule.

    NaN in an error says, as infinity does, that there is no bound; see `make_sound`.
    """
    bound = RULES.get(call.name)
    if bound is None:
        return None
    errors = bound(_make_steps(precision), call)
    return [errors] if errors is None or isinstance(errors, Tensor) else list(errors)


def make_sound(error: Tensor) -> Tensor:
    """Return an error with infinity in place of NaN."""
    return torch.nan_to_num(error, nan=torch.inf, posinf=torch.inf)


def flatten_errors(errors: Iterable[Error], results: Sequence[Tensor]) -> Tensor:
    """Return the errors of all results' numbers in turn, a flat tensor; None counts as 0, and NaN
    as infinity.
    """
    full = []
    for error, result in zip(errors, results, strict=True):
        if error is None:
            error = torch.zeros_like(result, requires_grad=False)
        full.append(error if error.shape == result.shape else error.expand(result.shape))
    return make_sound(flatten(full))


def list_largest(numbers: Tensor, lengths: Sequence[int]) -> Any:
    """Return the largest numbers of parts with these lengths along the last axis, as lists; NaN if
    a part has NaN. No part is empty.
    """
    starts = [0, *accumulate(lengths[:-1])]
    return np.maximum.reduceat(numbers.cpu().numpy(), starts, -1).tolist()


def flatten(tensors: Sequence[Tensor]) -> Tensor:
    """Return the numbers of all tensors in turn; those of a single tensor are not copied."""
    flat: Tensor = _flatten_dense_tensors(tensors)  # type: ignore[no-untyped-call]
    return flat
