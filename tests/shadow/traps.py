"""Ways to compute that a recorder may miss: functions of tensors, and what each of them does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {}
Function = Callable[[Tensor], Tensor]


def trap(function: Function) -> Function:
    """Add a function of numbers (3, 4)."""
    FUNCTIONS[function.__name__.replace("_", " ")] = function
    return function


@trap
def write_through_views_of_views(x: Tensor) -> Tensor:
    y = x * 2
    y.view(2, 6)[:, ::2].t()[1:].mul_(3)
    y[1].add_(1)
    return y


@trap
def copy_into_slices(x: Tensor) -> Tensor:
    y = x.clone()
    y[1:].copy_(x[:2] * 3)
    y[:, 0].zero_()
    y.diagonal().fill_(0.5)
    return y


@trap
def write_through_parts(x: Tensor) -> Tensor:
    y = (x * 1).detach()
    for number, row in enumerate(y.unbind(0)):
        row.mul_(number + 1.5)
    for number, part in enumerate(y.split(2, 1)):
        part.add_(number)
    return y * x


@trap
def chain_in_place(x: Tensor) -> Tensor:
    return (x * 3).add_(1).mul_(2).sub_(x).div_(3).neg_()


@trap
def reshape_in_place(x: Tensor) -> Tensor:
    y = x * 1
    y.t_()
    y.unsqueeze_(0)
    y.transpose_(0, 1)
    y.mul_(2)
    return y


@trap
def set_items(x: Tensor) -> Tensor:
    y = x * 1
    y[y > 0] = 0.5
    y[:, [0, 2]] = x[:, :2] * 3
    return y


@trap
def write_to_out(x: Tensor) -> Tensor:
    whole, part = torch.empty(0, dtype=x.dtype), torch.zeros(4, 4, dtype=x.dtype)
    torch.mul(x.detach(), 2.5, out=whole)
    torch.exp(x.detach()[0], out=part[1])
    return x * whole + part[:3]


@trap
def write_to_data(x: Tensor) -> Tensor:
    y = x.detach().clone()
    y.data.mul_(3)
    y.data = y.data * x.detach()
    return y * x


@trap
def stride_by_hand(x: Tensor) -> Tensor:
    y = x * 2
    return y.as_strided((2, 3), (1, 2), 1) * torch.as_strided(x, (2, 3), (0, 1))


@trap
def expand(x: Tensor) -> Tensor:
    return x[:, :1].expand(3, 4) * x.unsqueeze(0).expand(2, 3, 4) + x.mean(0).expand(3, 4)


@trap
def order_channels_last(x: Tensor) -> Tensor:
    image = x.reshape(1, 3, 2, 2) * torch.ones(2, 1, 1, 1, dtype=x.dtype)
    image = image.contiguous(memory_format=torch.channels_last) * 1
    image[:, 1].mul_(2)
    weight = torch.arange(-6, 6, dtype=x.dtype).reshape(1, 3, 2, 2)
    return F.conv2d(image, weight, padding=1).relu_()


@trap
def use_empty_tensors(x: Tensor) -> Tensor:
    return torch.cat([x[:0], x]) * (x[:, :0].sum(1, keepdim=True) + 1) + x.new_zeros(0).sum()


@trap
def use_single_numbers(x: Tensor) -> Tensor:
    total = x.sum() * 1
    total.add_(1)
    total.mul_(x[0, 0])
    return x * total


@trap
def use_whole_numbers(x: Tensor) -> Tensor:
    order = torch.arange(1, 5)
    order[1:].add_(order[:3].clone())
    kept = torch.tensor([True, False, True, True])
    return x * order + torch.where(x > 0, x, -x) * kept.cumsum(0)


@trap
def branch_on_numbers(x: Tensor) -> Tensor:
    largest = float(x.detach().abs().max())
    return x * 2 if x.sum() > 0 else x * largest


@trap
def stop_gradients(x: Tensor) -> Tensor:
    with torch.no_grad():
        y = x * 2
    return x * y + (x * 3).detach() * x


@trap
def change_gradients_by_hooks(x: Tensor) -> Tensor:
    y = x * 2
    y.register_hook(lambda slope: slope * 3)
    return y.sin()


@trap
def differentiate_inside(x: Tensor) -> Tensor:
    y = x.sin() * x
    return y * torch.autograd.grad(y.sum(), x, create_graph=True)[0]


@trap
def compute_again(x: Tensor) -> Tensor:
    def compute(z: Tensor) -> Tensor:
        return (z * 2).tanh() * z

    first: Tensor = checkpoint(compute, x, use_reentrant=False)
    return first * x


class Cube(torch.autograd.Function):
    """A function with a backward pass of its own."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        context.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(context: Any, slope: Tensor) -> Tensor:
        (x,) = context.saved_tensors
        return slope * 3 * x * x


class Doubled(torch.autograd.Function):
    """A function that writes to its input."""

    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        context.mark_dirty(x)
        x.mul_(2)
        return x

    @staticmethod
    def backward(context: Any, slope: Tensor) -> Tensor:
        return slope * 2


@trap
def differentiate_by_hand(x: Tensor) -> Tensor:
    first: Tensor = Cube.apply(x)
    return first * Doubled.apply(x * 1)


@trap
def map_over_rows(x: Tensor) -> Tensor:
    def turn(row: Tensor) -> Tensor:
        return row.tanh() * row.sum()

    rows: Tensor = torch.func.vmap(turn)(x)
    slopes: Tensor = torch.func.vmap(torch.func.grad(lambda row: turn(row).sum()))(x)
    return rows * slopes


@trap
def compute_lists(x: Tensor) -> Tensor:
    products = torch._foreach_mul([x, x * 2], [x, x])
    detached = [(x * 1).detach(), (x * 3).detach()]
    torch._foreach_mul_(detached, 2.0)
    torch._foreach_addcmul_(detached, [x.detach()] * 2, [x.detach()] * 2, 0.5)
    return products[0] + products[1] * detached[0] - detached[1]


@trap
def draw_numbers(x: Tensor) -> Tensor:
    generator = torch.Generator(x.device).manual_seed(0)
    kept = torch.bernoulli(torch.full_like(x, 0.5), generator=generator)
    dropped, _ = torch.native_dropout(x * 2, 0.5, True)
    return x * kept + F.dropout(x, 0.5) * dropped
