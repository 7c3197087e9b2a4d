"""Activations by several formulas each: the first is torch's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.selfcheck.zoo.block import ANY

Activate = Callable[[Tensor], Tensor]
EXP = 20.0  # exp of a larger number may overflow when it is squared; torch's softplus has a branch


class Formula(NamedTuple):
    """A formula of an activation, and the largest input for which it is safe."""

    compute: Activate
    largest: float = ANY
    costly: bool = False  # does it lose bits of small results?


def tanh_by_exp(z: Tensor) -> Tensor:
    up, down = torch.exp(z), torch.exp(-z)
    return (up - down) / (up + down)


def elu_by_where(z: Tensor) -> Tensor:
    return torch.where(z > 0, z, torch.expm1(z.clamp(max=0)))


def elu_by_parts(z: Tensor) -> Tensor:
    return torch.relu(z) - torch.relu(1 - torch.exp(torch.minimum(z, torch.zeros_like(z))))


def selu_by_hand(z: Tensor) -> Tensor:
    alpha, scale = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
    return scale * torch.where(z > 0, z, alpha * torch.expm1(z.clamp(max=0)))


def gelu_by_tanh(z: Tensor) -> Tensor:
    inner = math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)
    return 0.5 * z * (1 + torch.tanh(inner))


def gelu_by_sigmoid(z: Tensor) -> Tensor:
    inner = math.sqrt(2 / math.pi) * (z + 0.044715 * z * z * z)
    return z * torch.sigmoid(2 * inner)


def softplus_by_parts(z: Tensor) -> Tensor:
    return torch.relu(z) + torch.log1p(torch.exp(-torch.abs(z)))


def halve(z: Tensor) -> tuple[Tensor, Tensor]:
    first, second = z.chunk(2, -1)
    return first, second


def glu_by_hand(z: Tensor) -> Tensor:
    first, second = halve(z)
    return first * torch.sigmoid(second)


def glu_by_slices(z: Tensor) -> Tensor:
    half = z.shape[-1] // 2
    return z[..., :half] / (1 + torch.exp(-z[..., half:]))


def softmax_by_exp(z: Tensor) -> Tensor:
    each = torch.exp(z)
    return each / each.sum(-1, keepdim=True)


def softmax_by_shift(z: Tensor) -> Tensor:
    each = torch.exp(z - z.max(-1, keepdim=True).values)
    return each / each.sum(-1, keepdim=True)


def softmax_by_logsumexp(z: Tensor) -> Tensor:
    return torch.exp(z - torch.logsumexp(z, -1, keepdim=True))


def log_softmax_by_shift(z: Tensor) -> Tensor:
    moved = z - z.amax(-1, keepdim=True).detach()
    return moved - torch.log(torch.exp(moved).sum(-1, keepdim=True))


def relu_in_place(z: Tensor) -> Tensor:
    return (z + 0).relu_()


def clamp_in_place(z: Tensor) -> Tensor:
    return z.clone().clamp_(min=0)


def fill_in_place(z: Tensor) -> Tensor:
    made = z.clone()
    made[z < 0] = 0
    return made


# "same as" the first formula; a list for each
ACTIVATIONS: Mapping[str, tuple[Formula, ...]] = {
    "relu": (
        Formula(torch.relu),
        Formula(F.relu),
        Formula(lambda z: z.clamp(min=0)),
        Formula(lambda z: torch.maximum(z, torch.zeros_like(z))),
        Formula(lambda z: z * (z > 0)),
        Formula(lambda z: torch.where(z > 0, z, 0.0)),
        Formula(lambda z: 0.5 * (z + torch.abs(z))),
        Formula(lambda z: z.masked_fill(z < 0, 0.0)),
        Formula(relu_in_place),
        Formula(clamp_in_place),
        Formula(fill_in_place),
    ),
    "sigmoid": (
        Formula(torch.sigmoid),
        Formula(lambda z: 0.5 + 0.5 * torch.tanh(0.5 * z)),
        Formula(lambda z: (torch.tanh(z / 2) + 1) / 2),
        Formula(lambda z: 1 / (1 + torch.exp(-z)), EXP),
        Formula(lambda z: torch.exp(z) / (torch.exp(z) + 1), EXP),
        Formula(lambda z: torch.reciprocal(torch.exp(-z) + 1.0), EXP),
        Formula(lambda z: torch.exp(F.logsigmoid(z))),
        Formula(lambda z: torch.exp(-F.softplus(-z)), EXP),
        Formula(torch.special.expit),
        Formula(lambda z: torch.softmax(torch.stack([z, torch.zeros_like(z)], -1), -1)[..., 0]),
        Formula(lambda z: 1 - torch.sigmoid(-z), ANY, True),
    ),
    "tanh": (
        Formula(torch.tanh),
        Formula(F.tanh),
        Formula(lambda z: 2 * torch.sigmoid(2 * z) - 1, ANY, True),
        Formula(tanh_by_exp, EXP, True),
        Formula(lambda z: 1 - 2 / (torch.exp(2 * z) + 1), EXP / 2, True),
        Formula(lambda z: torch.sinh(z) / torch.cosh(z), EXP),
        Formula(lambda z: torch.expm1(2 * z) / (torch.exp(2 * z) + 1), EXP / 2),
    ),
    "gelu": (
        Formula(F.gelu),
        Formula(lambda z: 0.5 * z * (1 + torch.erf(z / math.sqrt(2))), ANY, True),
        Formula(lambda z: z * 0.5 * (1.0 + torch.erf(z * math.sqrt(0.5))), ANY, True),
        Formula(lambda z: z * 0.5 * torch.erfc(-z / math.sqrt(2))),
        Formula(lambda z: z * torch.special.ndtr(z)),
    ),
    "gelu of tanh": (
        Formula(lambda z: F.gelu(z, approximate="tanh")),
        Formula(gelu_by_tanh, ANY, True),
        Formula(gelu_by_sigmoid),
    ),
    "silu": (
        Formula(F.silu),
        Formula(lambda z: z * torch.sigmoid(z)),
        Formula(lambda z: z / (1 + torch.exp(-z)), EXP),
        Formula(lambda z: torch.sigmoid(z).mul(z)),
        Formula(lambda z: F.silu(z.clone(), inplace=True)),
    ),
    "elu": (
        Formula(F.elu),
        Formula(elu_by_where, ANY, True),
        Formula(elu_by_parts, ANY, True),
        Formula(lambda z: F.celu(z)),
    ),
    "selu": (Formula(F.selu), Formula(selu_by_hand, ANY, True)),
    "softplus": (
        Formula(F.softplus),
        Formula(lambda z: torch.log1p(torch.exp(z)), EXP),
        Formula(lambda z: torch.log(1 + torch.exp(z)), EXP, True),
        Formula(softplus_by_parts, EXP),
        Formula(lambda z: torch.logaddexp(z, torch.zeros_like(z)), EXP),
        Formula(lambda z: -F.logsigmoid(-z), EXP),
    ),
    "leaky relu": (
        Formula(lambda z: F.leaky_relu(z, 0.1)),
        Formula(lambda z: torch.where(z > 0, z, 0.1 * z)),
        Formula(lambda z: torch.maximum(z, 0.1 * z)),
        Formula(lambda z: torch.relu(z) - 0.1 * torch.relu(-z)),
        Formula(lambda z: F.leaky_relu(z.clone(), 0.1, inplace=True)),
        Formula(lambda z: z.clamp(min=0) + 0.1 * z.clamp(max=0)),
    ),
    "hard tanh": (
        Formula(F.hardtanh),
        Formula(lambda z: z.clamp(-1, 1)),
        Formula(lambda z: torch.minimum(torch.maximum(z, -torch.ones_like(z)), torch.ones_like(z))),
    ),
    "relu6": (
        Formula(F.relu6),
        Formula(lambda z: z.clamp(0, 6)),
        Formula(lambda z: torch.minimum(torch.relu(z), torch.full_like(z, 6.0))),
    ),
    "hard sigmoid": (
        Formula(F.hardsigmoid),
        Formula(lambda z: F.relu6(z + 3) / 6),
        Formula(lambda z: torch.clamp(z / 6 + 0.5, 0, 1), ANY, True),
    ),
    "hard swish": (
        Formula(F.hardswish),
        Formula(lambda z: z * F.relu6(z + 3) / 6),
        Formula(lambda z: z * F.hardsigmoid(z), ANY, True),  # whose slope torch knows to float32
    ),
    "mish": (Formula(F.mish), Formula(lambda z: z * torch.tanh(F.softplus(z)))),
    "log sigmoid": (
        Formula(F.logsigmoid),
        Formula(lambda z: -F.softplus(-z), EXP),
        Formula(lambda z: -torch.log1p(torch.exp(-z)), EXP),
        Formula(lambda z: torch.minimum(z, torch.zeros_like(z)) - torch.log1p(torch.exp(-abs(z)))),
        Formula(lambda z: torch.log(torch.sigmoid(z)), 10.0, True),
    ),
    "softsign": (Formula(F.softsign), Formula(lambda z: z / (1 + abs(z)))),
    "tanh shrink": (Formula(F.tanhshrink), Formula(lambda z: z - torch.tanh(z))),
    "soft shrink": (
        Formula(F.softshrink),
        Formula(lambda z: torch.sign(z) * torch.relu(abs(z) - 0.5)),
        Formula(lambda z: torch.relu(z - 0.5) - torch.relu(-z - 0.5)),
    ),
    "hard shrink": (Formula(F.hardshrink), Formula(lambda z: torch.where(abs(z) > 0.5, z, 0.0))),
    "threshold": (
        Formula(lambda z: F.threshold(z, 0.3, 0.1)),
        Formula(lambda z: torch.where(z > 0.3, z, 0.1)),
    ),
    "glu": (
        Formula(F.glu),
        Formula(glu_by_hand),
        Formula(glu_by_slices, EXP),
    ),
    "softmax": (
        Formula(lambda z: F.softmax(z, -1)),
        Formula(softmax_by_exp, EXP),
        Formula(softmax_by_shift),
        Formula(softmax_by_logsumexp, ANY, True),
        Formula(lambda z: F.log_softmax(z, -1).exp()),
        Formula(lambda z: F.softmin(-z, -1)),
        Formula(lambda z: F.softmax(z.transpose(0, -1), 0).transpose(0, -1)),
        Formula(lambda z: F.normalize(torch.exp(z), p=1.0, dim=-1), EXP),
    ),
    "log softmax": (
        Formula(lambda z: F.log_softmax(z, -1)),
        Formula(lambda z: z - torch.logsumexp(z, -1, keepdim=True)),
        Formula(log_softmax_by_shift),
        Formula(lambda z: torch.log(F.softmax(z, -1)), 5.0, True),
        Formula(lambda z: z - z.exp().sum(-1, keepdim=True).log(), EXP),
    ),
    "sine": (
        Formula(torch.sin),
        Formula(lambda z: torch.cos(z - math.pi / 2), 4.0, True),
        Formula(lambda z: 2 * torch.sin(z / 2) * torch.cos(z / 2)),
    ),
    "square": (
        Formula(torch.square),
        Formula(lambda z: z * z),
        Formula(lambda z: z**2),
        Formula(lambda z: torch.pow(z, 2.0)),
        Formula(lambda z: abs(z) ** 2),
    ),
    "gaussian": (
        Formula(lambda z: torch.exp(-(z**2))),
        Formula(lambda z: torch.exp(-z * z)),
        Formula(lambda z: 1 / torch.exp(z.square()), 4.0),
    ),
}
# Their results grow without bound when they are repeated, or sum to 1: not between deep layers.
ONCE = ("square", "softmax", "log softmax", "glu", "sine", "gaussian")
