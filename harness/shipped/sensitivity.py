"""Bounds the effect of rounding on a port's predictions by the port's own derivatives.

It is used if the numbers that enter the network are unknown. Every operation of a port rounds in
proportion to its result. This moves the predictions as much as a relative change of its arguments
does. To first order in the roundoff u, a prediction is therefore off by at most n u S. S is the sum
of |do/dp| |p| over the inputs, weights and buffers p, plus |o|; n is the number of roundings on a
path.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from harness.core.contract import NNET_CLIP, Array
from harness.model.devices import held_in
from harness.model.tensors import list_heads
from harness.shipped.asking import Port
from harness.shipped.truth import Table

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """The sizes to which relative rounding errors apply.

    `sizes` is S (R, O), and `by_inputs` the part of it that comes from the inputs. `may_clip` says
    whether an argument of a logistic may be beyond nnet's clip, where R's logistic is exactly 0 or
    1. `is_known` is False if the port (a PyTorch model) has no derivatives. R counts rows and O
    outputs.
    """

    sizes: Array
    by_inputs: Array
    may_clip: bool
    is_known: bool


def measure_sensitivity(port: Port, table: Table, width: int, dtype: str) -> Sensitivity:
    """Return how strongly rounding affects the predictions (R, width) of a port (a PyTorch model)
    for a table.

    R counts rows.
    """
    parts, largest = _watch_logistics(lambda: _measure_sizes(port, table, width, dtype))
    if parts is None:
        none = np.zeros(table.predictions.shape)
        return Sensitivity(none, none, True, False)
    return Sensitivity(*parts, not 0 < largest <= NNET_CLIP, True)


def _measure_sizes(port: Port, table: Table, width: int, dtype: str) -> tuple[Array, Array] | None:
    """Return S (R, width), the sum over inputs and weights p of |do/dp| |p| plus |o| for each
    prediction o, and the inputs' part of it; None if the port has no derivatives.

    R counts rows.
    """
    import torch

    kind = held_in(dtype)
    module = copy.deepcopy(port.module)
    leaves = _list_leaves(module)
    inputs: list[Tensor] = []
    for part in table.given:
        tensor = torch.tensor(part, dtype=kind, device=port.device)
        inputs.append(tensor.requires_grad_())
    with torch.enable_grad():
        output = list_heads(module(*inputs))[0].reshape(len(inputs[0]), width)
        if not output.requires_grad:
            return None
        own = output.detach().abs().double()
        by_inputs, by_weights = torch.zeros_like(own), torch.zeros_like(own)
        for column in range(width):
            slopes = torch.autograd.grad(
                output[:, column].sum(), inputs, retain_graph=True, allow_unused=True
            )
            for slope, each in zip(slopes, inputs, strict=True):
                if slope is not None:
                    moved = (slope * each).detach().nan_to_num(0.0).abs()
                    by_inputs[:, column] += moved.sum(dim=1).double()
            for row in range(len(inputs[0])):
                by_weights[row, column] += _of_weights(output[row, column], leaves)
    sizes = own + by_inputs + by_weights
    return np.asarray(sizes.cpu().numpy()), np.asarray(by_inputs.cpu().numpy())


def _list_leaves(module: Any) -> list[Tensor]:
    """Return all floating-point parameters and buffers of a module, with requires_grad set."""
    leaves = []
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            leaves.append(tensor.requires_grad_())
    return leaves


def _of_weights(output: Tensor, leaves: list[Tensor]) -> float:
    import torch

    if not leaves:
        return 0.0
    slopes = torch.autograd.grad(output, leaves, retain_graph=True, allow_unused=True)
    total = 0.0
    for slope, leaf in zip(slopes, leaves, strict=True):
        if slope is not None:
            total += float((slope * leaf).detach().nan_to_num(0.0).abs().sum())
    return total


def _list_logistics() -> dict[Any, float]:
    """Return the torch functions that compute a logistic, with a factor for their argument: 1, or 2
    for tanh.
    """
    import torch

    one = (torch.sigmoid, torch.special.expit, torch.nn.functional.sigmoid, torch.Tensor.sigmoid)
    two = (torch.tanh, torch.Tensor.tanh, torch.nn.functional.tanh)
    return {**dict.fromkeys(one, 1.0), **dict.fromkeys(two, 2.0)}


def _watch_logistics(call: Callable[[], T]) -> tuple[T, float]:
    """Return the result of `call`, and the largest |z| at which it calls a logistic of torch; 0 if
    it never does.
    """
    from torch.overrides import TorchFunctionMode

    factors, largest = _list_logistics(), [0.0]

    class Watching(TorchFunctionMode):
        def __torch_function__(
            self,
            function: Callable[..., Any],
            types: Any,
            args: tuple[Any, ...] = (),
            kwargs: Mapping[str, Any] | None = None,
        ) -> Any:
            if (factor := factors.get(function)) and args:
                largest.append(factor * float(args[0].detach().abs().max()))
            return function(*args, **(kwargs or {}))

    watching: Any = Watching()
    with watching:
        answer = call()
    return answer, max(largest)
