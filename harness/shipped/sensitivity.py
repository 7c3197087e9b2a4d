"""How far rounding may move a port's predictions, from the port's own derivatives.

Used where it is not known which numbers enter the network. Every operation of a port rounds in
proportion to its result, and each result moves the predictions as much as a relative change of the
numbers from which it is made. To first order in the roundoff u a prediction is therefore off by at
most n u S, where S is the sum of |do/dp| |p| over the inputs and weights p, plus |o|, and n the
number of roundings on a path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.core.contract import NNET_CLIP, Array
from harness.pytorch.devices import held_in
from harness.pytorch.tensors import list_heads, to_plain
from harness.shipped.asking import Port
from harness.shipped.truth import Table

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """The `sizes` S (R, O) of which a relative rounding error is a share, and whether a logistic of
    the port may be asked beyond nnet's clip (`may_clip`), where R's is exactly 0 or 1.
    """

    sizes: Array
    may_clip: bool


def measure_sensitivity(port: Port, table: Table, width: int, dtype: str) -> Sensitivity:
    """Return how sensitive a port's predictions (R, width) for a table are to rounding.

    A port without derivatives gives the sizes of its outputs alone.
    """
    sizes, largest = _watch_logistics(lambda: _measure_sizes(port, table, width, dtype))
    return Sensitivity(sizes, not 0 < largest <= NNET_CLIP)


def _measure_sizes(port: Port, table: Table, width: int, dtype: str) -> Array:
    import torch

    kind = held_in(dtype)
    given = [torch.tensor(part, dtype=kind, device=port.device) for part in table.given]
    leaves = _list_leaves(port.module)
    with torch.enable_grad():
        inputs = [part.requires_grad_() for part in given]
        output = list_heads(port.module(*inputs))[0].reshape(len(given[0]), width)
        sizes = output.detach().abs().double()
        if not output.requires_grad:
            return np.asarray(sizes.cpu().numpy())
        for column in range(width):
            by_inputs = torch.autograd.grad(
                output[:, column].sum(), inputs, retain_graph=True, allow_unused=True
            )
            for slope, part in zip(by_inputs, inputs, strict=True):
                if slope is not None:
                    sizes[:, column] += (slope * part).abs().sum(dim=1).double()
            for row in range(len(output)):
                sizes[row, column] += _of_weights(output[row, column], leaves)
    return np.asarray(sizes.detach().cpu().numpy())


def _list_leaves(module: Any) -> list[torch.Tensor]:
    tensors = [to_plain(parameter) for parameter in module.parameters()]
    return [tensor for tensor in tensors if tensor.requires_grad]


def _of_weights(output: torch.Tensor, leaves: list[torch.Tensor]) -> float:
    import torch

    if not leaves:
        return 0.0
    slopes = torch.autograd.grad(output, leaves, retain_graph=True, allow_unused=True)
    total = 0.0
    for slope, leaf in zip(slopes, leaves, strict=True):
        if slope is not None:
            total += float((slope * leaf).detach().abs().sum())
    return total


def _list_logistics() -> dict[Any, float]:
    """Return the functions of torch that are a logistic, or a tanh, which is one of twice its
    argument, each with this factor.
    """
    import torch

    one = (torch.sigmoid, torch.special.expit, torch.nn.functional.sigmoid, torch.Tensor.sigmoid)
    two = (torch.tanh, torch.Tensor.tanh, torch.nn.functional.tanh)
    return {**dict.fromkeys(one, 1.0), **dict.fromkeys(two, 2.0)}


def _watch_logistics(call: Callable[[], Array]) -> tuple[Array, float]:
    """Return what `call` returns, and the largest |z| at which it asks torch for a logistic; 0 if
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
