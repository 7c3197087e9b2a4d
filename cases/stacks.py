"""Stacks: many copies of a small network computed at once. Parameters have a leading axis of
starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Activation = Callable[[Tensor], Tensor]
Stacked = Callable[[Sequence[Tensor], Mapping[str, Tensor]], Tensor]


def layers(
    g: Activation, x: Tensor, W1: Tensor, b: Tensor | None, W2: Tensor, c: Tensor | None
) -> Tensor:
    """W2 g(W1 x + b) + c for each start: x (D, R, I), W1 (D, H, I), W2 (D, O, H), biases (D, H) and
    (D, O) or None.
    """
    h = g(_affine(W1, x.mT, b))
    return _affine(W2, h, c).mT


def _affine(W: Tensor, x: Tensor, bias: Tensor | None) -> Tensor:
    """W x + bias: with one input or one output by products of numbers, whose gradients take a
    fraction of the time of products of matrices so narrow.
    """
    if W.shape[2] == 1:
        z = W * x
    elif W.shape[1] == 1:
        z = (W.mT * x).sum(1, keepdim=True)
    else:
        z = torch.bmm(W, x)
    return z if bias is None else z + bias.unsqueeze(-1)


def module(g: Activation, hidden: str, output: str) -> Stacked:
    """The stack of an nn.Module with two Linear layers of these names."""
    names = [f"{layer}.{what}" for layer in (hidden, output) for what in ("weight", "bias")]
    return lambda inputs, p: layers(g, inputs[0], *(p[name] for name in names))


def by_hand(g: Activation) -> Stacked:
    """The stack of a model by hand with matrices w1 (I, H), w2 (H, O), and with or without biases
    b1 and b2.
    """
    return lambda inputs, p: layers(g, inputs[0], p["w1"].mT, p.get("b1"), p["w2"].mT, p.get("b2"))


def by_hand_with_ones(g: Activation) -> Stacked:
    """The stack of a model by hand whose biases are the first rows of w1 (1 + I, H) and w2 (1 + H,
    O), on a column of ones.
    """

    def stacked(inputs: Sequence[Tensor], p: Mapping[str, Tensor]) -> Tensor:
        w1, w2 = p["w1"].mT, p["w2"].mT
        return layers(g, inputs[0], w1[..., 1:], w1[..., 0], w2[..., 1:], w2[..., 0])

    return stacked


class Clamped(torch.autograd.Function):
    """ReLU as the seed question writes it, clamp(min=0), whose derivative at 0 is 1. Its gradient
    by hand takes a fifteenth of the time of autograd's, which selects by a mask of booleans.
    """

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        ctx.save_for_backward(z)
        return z.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        (z,) = ctx.saved_tensors
        return torch.ge(z, 0, out=torch.empty_like(z)).mul_(slopes[0])


def clamped(z: Tensor) -> Tensor:
    """ReLU as the seed question writes it."""
    result: Tensor = Clamped.apply(z)
    return result


class LogisticLayers(torch.autograd.Function):
    """W2 g(W1 x + b) + c for each start, g logistic, of one input and one output: the gradient
    written by hand takes half the time of autograd's, in fewer passes over the hidden units.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, W1: Tensor, b: Tensor, W2: Tensor, c: Tensor) -> Tensor:
        """The outputs (D, R, 1): x (D, R, 1), W1 (D, H, 1), b (D, H), W2 (D, 1, H), c (D, 1)."""
        h = torch.mul(W1, x.mT).add_(b.unsqueeze(-1)).sigmoid_()
        ctx.save_for_backward(x, h, W2)
        return (W2.mT * h).sum(1, keepdim=True).add_(c.unsqueeze(-1)).mT

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Any:
        """The gradient, from that by the outputs (D, R, 1)."""
        x, h, W2 = ctx.saved_tensors
        r, v = slopes[0].mT, W2.mT
        z = h * r
        W2 = z.sum(2).unsqueeze(1)
        # h (1 - h) r, in place: the gradient by W1 x + b is W2 times it
        z.addcmul_(z, h, value=-1)
        b = z.sum(2) * v.squeeze(2)
        W1 = z.mul_(x.mT).sum(2, keepdim=True) * v
        return None, W1, b, W2, r.sum(2)


def logistic_module(hidden: str, output: str) -> Stacked:
    """The stack of an nn.Module with two Linear layers of these names and a logistic function, of
    one input and one output.
    """
    names = [f"{layer}.{what}" for layer in (hidden, output) for what in ("weight", "bias")]
    apply: Any = LogisticLayers.apply
    return lambda inputs, p: apply(inputs[0], *(p[name] for name in names))
