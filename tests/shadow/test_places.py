"""Tensors are read from memory as views of it, by operations whose derivatives torch can batch."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from harness.shadow.places import Place, read_place

VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "all of it": lambda x: x,
    "columns": lambda x: x[:, :, 1:3],
    "rows transposed": lambda x: x[1:].mT,
    "one row": lambda x: x[:, 1],
    "every second number": lambda x: x[..., ::2],
    "repeated": lambda x: x.sum().expand(2, 3),
    "a row repeated": lambda x: x[0, 2].expand(5, 4),
    "axes in another order": lambda x: x.permute(2, 0, 1).unsqueeze(1),
    "a number": lambda x: x[1, 2, 3],
}


def place(tensor: Tensor) -> Place:
    size, stride = tuple(tensor.shape), tensor.stride()
    return Place(0, size, stride, int(tensor.storage_offset()))


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("shape", [(2, 3, 4), (24,)])
def test_a_view_is_read_without_as_strided(name: str, shape: tuple[int, ...]) -> None:
    view = VIEWS[name](torch.arange(24.0).reshape(2, 3, 4))
    whole = view.as_strided((view.untyped_storage().nbytes() // 4,), (1,), 0)
    numbers = whole.reshape(shape) if whole.numel() == 24 else whole.clone()
    read = read_place(numbers.clone().requires_grad_(), place(view))
    assert torch.equal(read, view)
    assert "AsStrided" not in type(read.grad_fn).__name__


def test_windows_that_overlap_are_read_by_as_strided() -> None:
    numbers = torch.arange(6.0)
    windows = numbers.unfold(0, 3, 1)
    read = read_place(numbers.requires_grad_(), place(windows))
    assert torch.equal(read, windows)
    assert "AsStrided" in type(read.grad_fn).__name__
