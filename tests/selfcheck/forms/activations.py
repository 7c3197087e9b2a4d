"""Forms of the activations, by name, and those whose author must declare a contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Act = Callable[[Tensor], Tensor]


def relu_by_where(z: Tensor) -> Tensor:
    return torch.where(z > 0, z, 0.0)


def relu_by_mask(z: Tensor) -> Tensor:
    return z * (z > 0)


def relu_filled(z: Tensor) -> Tensor:
    return z.masked_fill(z <= 0, 0.0)


def relu_by_index(z: Tensor) -> Tensor:
    h = z.clone()
    h[h <= 0] = 0
    return h


def relu_in_place(z: Tensor) -> Tensor:
    return z.clone().relu_()


def leaky_relu(z: Tensor) -> Tensor:
    return F.leaky_relu(z, 0.0)


def threshold(z: Tensor) -> Tensor:
    return F.threshold(z, 0.0, 0.0)


class _Relu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        return z.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (z,) = ctx.saved_tensors
        return gradients[0] * (z > 0)


def own_relu(z: Tensor) -> Tensor:
    return _Relu.apply(z)


def stable_logistic(z: Tensor) -> Tensor:
    e = torch.exp(torch.where(z >= 0, -z, z))  # |z| has no slope at 0
    return torch.where(z >= 0, 1 / (1 + e), e / (1 + e))


def softmax_of_two(z: Tensor) -> Tensor:
    return torch.softmax(torch.stack([z, torch.zeros_like(z)]), 0)[0]


class _Logistic(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        h = torch.sigmoid(z)
        ctx.save_for_backward(h)
        return h

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (h,) = ctx.saved_tensors
        return gradients[0] * h * (1 - h)


def own_logistic(z: Tensor) -> Tensor:
    return _Logistic.apply(z)


def logistic_in_place(z: Tensor) -> Tensor:
    return z.clone().sigmoid_()


def tanh_in_place(z: Tensor) -> Tensor:
    return z.clone().tanh_()


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        h = torch.tanh(z)
        ctx.save_for_backward(h)
        return h

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (h,) = ctx.saved_tensors
        return gradients[0] * (1 - h * h)


def own_tanh(z: Tensor) -> Tensor:
    return _Tanh.apply(z)


ACTIVATIONS: dict[str, tuple[Act, ...]] = {
    "relu": (
        torch.relu,
        F.relu,
        nn.ReLU(),
        Tensor.relu,
        relu_by_where,
        relu_by_mask,
        relu_filled,
        relu_by_index,
        relu_in_place,
        leaky_relu,
        threshold,
        own_relu,
    ),
    "logistic": (
        torch.sigmoid,
        F.sigmoid,
        nn.Sigmoid(),
        torch.special.expit,
        Tensor.sigmoid,
        stable_logistic,
        softmax_of_two,
        own_logistic,
        logistic_in_place,
    ),
    "tanh": (torch.tanh, F.tanh, nn.Tanh(), Tensor.tanh, tanh_in_place, own_tanh),
    "identity": (lambda z: z, nn.Identity(), torch.clone),
}


def clamp(z: Tensor) -> Tensor:
    return z.clamp(min=0)


def maximum(z: Tensor) -> Tensor:
    return torch.maximum(z, torch.zeros_like(z))


def half_of_sum(z: Tensor) -> Tensor:
    return (z + z.abs()) / 2


def relu_of_negatives(z: Tensor) -> Tensor:
    h = z.clone()
    h[h < 0] = 0
    return h


def clipped_logistic(z: Tensor) -> Tensor:
    """As R's nnet: exactly 0 or 1 beyond 15."""
    return torch.where(z < -15, 0.0, torch.where(z > 15, 1.0, torch.sigmoid(z)))


def tanh_by_logistic(z: Tensor) -> Tensor:
    return 2 * torch.sigmoid(2 * z) - 1


def logistic_by_tanh(z: Tensor) -> Tensor:
    return (1 + torch.tanh(z / 2)) / 2


@dataclass(frozen=True)
class Declared:
    """What the author of a form of an activation declares, as arguments of Subject."""

    activation: str
    arguments: Mapping[str, float]


DECLARED: dict[Act, Declared] = {
    clamp: Declared("relu", {"relu_at_zero": 1.0}),
    relu_of_negatives: Declared("relu", {"relu_at_zero": 1.0}),
    maximum: Declared("relu", {"relu_at_zero": 0.5}),
    half_of_sum: Declared("relu", {"relu_at_zero": 0.5}),
    clipped_logistic: Declared("logistic", {"logistic_clip": 15.0}),
    tanh_by_logistic: Declared("tanh", {"absolute_activations": True}),
    logistic_by_tanh: Declared("logistic", {"absolute_activations": True}),
}
