"""Converts the tensors of checkpoints to float64 exactly, after checking their kind and shape."""

from typing import Any

import numpy as np

from harness.core.contract import Array
from harness.text.harmless import class_name


def to_array(where: str, name: str, tensor: Any, shape: tuple[int, ...]) -> Array:
    """Return a tensor or an array as float64.

    Raises ValueError, which names the file (`where`) and the tensor, unless it holds real numbers
    in this shape. It is copied only afterwards: a tensor may claim more numbers than it stores.
    """
    import torch

    if isinstance(tensor, torch.Tensor):
        if reason := _find_obstacle(tensor):
            raise ValueError(f"{where}: {name} {reason}")
        _expect_shape(where, name, tuple(tensor.shape), shape)
        try:
            # NumPy has neither bfloat16 nor float8; float64 holds each of their numbers
            array: Array = tensor.detach().cpu().to(torch.float64).numpy()
        except (RuntimeError, TypeError, ValueError, NotImplementedError):
            raise ValueError(
                f"{where}: {name} is of {tensor.dtype}, expected real numbers"
            ) from None
        return array
    if not isinstance(tensor, np.ndarray):
        tensor = _make_array(where, name, tensor)
    if tensor.dtype.kind not in "fiub":
        raise ValueError(f"{where}: {name} is of {tensor.dtype}, expected real numbers")
    _expect_shape(where, name, tensor.shape, shape)
    array = tensor.astype(np.float64)
    return array


def _make_array(where: str, name: str, given: Any) -> Any:
    """Return another library's array as one of NumPy's."""
    # a list from a file may hold one list twice, that one another twice, and so on without end
    if not hasattr(type(given), "__array__"):
        raise ValueError(
            f"{where}: {name} is of {class_name(given)}, expected a tensor or an array"
        )
    try:
        return np.asarray(given)
    except Exception as error:  # another library's, of any kind
        raise ValueError(
            f"{where}: {name} is no array that NumPy can read ({class_name(error)})"
        ) from None


def _expect_shape(where: str, name: str, found: tuple[int, ...], shape: tuple[int, ...]) -> None:
    if found != shape:
        raise ValueError(f"{where}: {name} has shape {_show_shape(found)}, expected {shape}")


def _show_shape(shape: tuple[int, ...]) -> str:
    if len(shape) > 8:
        return f"({', '.join(map(str, shape[:8]))}, ...)"
    return str(shape)


def _find_obstacle(tensor: Any) -> str:
    """Return why a tensor of torch cannot be read as real numbers, with advice; "" if it can."""
    import torch

    if torch.nn.parameter.is_lazy(tensor):
        return "is not initialised, expected numbers: call the model once before you save it"
    if tensor.is_meta:
        return "has no numbers, since it is on the device meta: save the model from another device"
    if tensor.is_nested or tensor.layout is not torch.strided:
        return f"is stored as {tensor.layout}, expected a dense tensor: save tensor.to_dense()"
    if tensor.is_quantized:
        return f"is of {tensor.dtype}, expected real numbers: save tensor.dequantize()"
    if tensor.is_complex():
        return f"is of {str(tensor.dtype).removeprefix('torch.')}, expected real numbers"
    return ""
