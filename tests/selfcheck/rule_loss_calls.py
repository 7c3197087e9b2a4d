"""A call of each loss and norm that has a rule of rounding, on nasty numbers."""

from __future__ import annotations

from typing import Any

import torch

from tests.selfcheck.rule_calls import Made, aten, maker, pair
from tests.selfcheck.rule_draws import Draws


def equal_pair(draws: Draws) -> tuple[Any, Any]:
    a, b = pair(draws)
    shape = torch.broadcast_shapes(a.shape, b.shape)
    return a.expand(shape).clone(), b.expand(shape).clone()


def difference_loss(name: str, *constants: float) -> None:
    def make(draws: Draws) -> Made:
        reduction = draws.scalar(0, 1, 2)
        more = (draws.scalar(*constants),) if constants else ()
        return getattr(aten, name).default, (*equal_pair(draws), reduction, *more), {}

    def make_backward(draws: Draws) -> Made:
        a, b = equal_pair(draws)
        reduction = draws.scalar(0, 1, 2)
        g = draws.tensor(() if reduction else a.shape)
        more = (draws.scalar(*constants),) if constants else ()
        packet = getattr(aten, f"{name}_backward")
        return packet.default, (g, a, b, reduction, *more), {}

    maker(name)(make)
    maker(f"{name}_backward")(make_backward)


difference_loss("mse_loss")
difference_loss("huber_loss", 1.0, 0.3, 2.0)
difference_loss("smooth_l1_loss", 1.0, 0.3, 2.0)
difference_loss("soft_margin_loss")


def class_problem(draws: Draws, deep: bool) -> tuple[Any, Any, Any, int, int]:
    rows, classes = draws.scalar(1, 2, 3, 17, 64, 200), draws.scalar(1, 2, 3, 17)
    inner = [draws.scalar(1, 2, 3), draws.scalar(1, 5)] if deep else []
    x = draws.tensor([rows, classes, *inner], layout=not deep)
    if draws.chance(0.5):
        x = x.log_softmax(1)
    target = draws.labels([rows, *inner], classes)
    ignored = draws.scalar(-100, 0)
    weight = abs(draws.tensor([classes], layout=False)) + 0.1
    return x, target, draws.maybe(weight), draws.scalar(0, 1, 2), ignored


def class_loss(name: str, deep: bool) -> None:
    def make(draws: Draws) -> Made:
        return getattr(aten, f"{name}_forward").default, class_problem(draws, deep), {}

    def make_backward(draws: Draws) -> Made:
        x, target, weight, reduction, ignored = class_problem(draws, deep)
        total = getattr(aten, f"{name}_forward")(x, target, weight, reduction, ignored)[1]
        g = draws.tensor(target.shape if reduction == 0 else ())
        given = (g, x, target, weight, reduction, ignored, total)
        return getattr(aten, f"{name}_backward").default, given, {}

    maker(f"{name}_forward")(make)
    maker(f"{name}_backward")(make_backward)


class_loss("nll_loss", deep=False)
class_loss("nll_loss2d", deep=True)


@maker("binary_cross_entropy")
def binary_cross_entropy(draws: Draws) -> Made:
    p = draws.share(draws.shape())
    weight = draws.maybe(draws.positive(p.shape))
    given = (p, draws.share(p.shape), weight, draws.scalar(0, 1, 2))
    return aten.binary_cross_entropy.default, given, {}


@maker("binary_cross_entropy_backward")
def binary_cross_entropy_backward(draws: Draws) -> Made:
    p = draws.share(draws.shape())
    weight, reduction = draws.maybe(draws.positive(p.shape)), draws.scalar(0, 1, 2)
    g = draws.tensor(() if reduction else p.shape)
    given = (g, p, draws.share(p.shape), weight, reduction)
    return aten.binary_cross_entropy_backward.default, given, {}


@maker("binary_cross_entropy_with_logits")
def binary_cross_entropy_with_logits(draws: Draws) -> Made:
    z = draws.tensor(draws.filled())
    weight = draws.maybe(draws.positive(z.shape))
    more = draws.maybe(draws.positive(z.shape[-1:]))
    given = (z, draws.share(z.shape), weight, more, draws.scalar(0, 1, 2))
    return aten.binary_cross_entropy_with_logits.default, given, {}


def margin_problem(draws: Draws) -> tuple[Any, ...]:
    rows, classes = draws.scalar(1, 2, 17), draws.scalar(1, 2, 3, 17)
    x = draws.tensor([rows, classes])
    target = draws.labels([rows], classes)
    weight = draws.maybe(abs(draws.tensor([classes], layout=False)))
    return x, target, draws.scalar(1, 2), draws.scalar(1.0, 0.3, 2), weight, draws.scalar(0, 1, 2)


@maker("multi_margin_loss")
def multi_margin_loss(draws: Draws) -> Made:
    return aten.multi_margin_loss.default, margin_problem(draws), {}


@maker("multi_margin_loss_backward")
def multi_margin_loss_backward(draws: Draws) -> Made:
    x, target, *rest = margin_problem(draws)
    g = draws.tensor(() if rest[-1] else target.shape)
    return aten.multi_margin_loss_backward.default, (g, x, target, *rest), {}


def label_problem(draws: Draws) -> tuple[Any, Any, int]:
    rows, classes = draws.scalar(1, 2, 17), draws.scalar(1, 2, 3, 17)
    target = torch.full((rows, classes), -1)
    for row in range(rows):
        labels = draws.random.randint(0, classes)
        order = torch.randperm(classes, generator=draws.generator)
        target[row, :labels] = order[:labels]
    return draws.tensor([rows, classes]), target, draws.scalar(0, 1, 2)


@maker("multilabel_margin_loss_forward")
def multilabel_margin_loss(draws: Draws) -> Made:
    return aten.multilabel_margin_loss_forward.default, label_problem(draws), {}


@maker("multilabel_margin_loss_backward")
def multilabel_margin_loss_backward(draws: Draws) -> Made:
    x, target, reduction = label_problem(draws)
    found = aten.multilabel_margin_loss_forward(x, target, reduction)[1]
    g = draws.tensor(() if reduction else x.shape[:1])
    given = (g, x, target, reduction, found)
    return aten.multilabel_margin_loss_backward.default, given, {}


# norms


def layer_problem(draws: Draws) -> tuple[Any, ...]:
    shape = draws.filled(1, 3)
    last = shape[draws.random.randrange(len(shape)) :]
    weight, bias = draws.tensor(last, "normal", False), draws.tensor(last, "normal", False)
    eps = draws.scalar(1e-5, 1e-3, 0.0)
    return draws.tensor(shape), last, draws.maybe(weight), draws.maybe(bias), eps


@maker("native_layer_norm")
def layer_norm(draws: Draws) -> Made:
    return aten.native_layer_norm.default, layer_problem(draws), {}


@maker("native_layer_norm_backward")
def layer_norm_backward(draws: Draws) -> Made:
    x, last, weight, bias, eps = layer_problem(draws)
    _, mean, scale = aten.native_layer_norm(x, last, weight, bias, eps)
    asked = [True, weight is not None, bias is not None]
    given = (draws.tensor(x.shape, "normal"), x, last, mean, scale, weight, bias, asked)
    return aten.native_layer_norm_backward.default, given, {}


def group_problem(draws: Draws) -> tuple[Any, ...]:
    rows, groups = draws.scalar(1, 2, 3), draws.scalar(1, 2, 3)
    channels, places = groups * draws.scalar(1, 2, 5), draws.scalar(1, 2, 17, 64)
    x = draws.tensor([rows, channels, places], layout=False)
    weight = draws.maybe(draws.tensor([channels], "normal", False))
    bias = draws.maybe(draws.tensor([channels], "normal", False))
    return x, weight, bias, rows, channels, places, groups


@maker("native_group_norm")
def group_norm(draws: Draws) -> Made:
    return aten.native_group_norm.default, (*group_problem(draws), draws.scalar(1e-5, 1e-3)), {}


@maker("native_group_norm_backward")
def group_norm_backward(draws: Draws) -> Made:
    x, weight, bias, *sizes = group_problem(draws)
    _, mean, scale = aten.native_group_norm(x, weight, bias, *sizes, 1e-5)
    asked = [True, weight is not None, weight is not None]
    g = draws.tensor(x.shape, "normal", False)
    return aten.native_group_norm_backward.default, (g, x, mean, scale, weight, *sizes, asked), {}


def batch_problem(draws: Draws) -> tuple[Any, ...]:
    channels = draws.scalar(1, 2, 3)
    shape = [draws.scalar(2, 3, 17, 200), channels, *draws.scalar([], [5], [3, 4])]
    held = torch.float32 if draws.chance(0.3) and draws.dtype.itemsize == 2 else draws.dtype
    numbers = [draws.tensor([channels], "normal", False).to(held) for _ in range(3)]
    both = draws.chance(0.7)
    weight, bias = (numbers[0], numbers[1]) if both else (None, None)
    variance = (abs(draws.numbers([channels], "normal")) + 0.01).to(held)
    return draws.tensor(shape), weight, bias, numbers[2], variance


@maker("native_batch_norm")
def batch_norm(draws: Draws) -> Made:
    training = draws.chance(0.5)
    momentum, eps = draws.scalar(0.1, 0.5), draws.scalar(1e-5, 1e-3)
    return aten.native_batch_norm.default, (*batch_problem(draws), training, momentum, eps), {}


@maker("native_batch_norm_backward")
def batch_norm_backward(draws: Draws) -> Made:
    x, weight, bias, mean, variance = batch_problem(draws)
    training = draws.chance(0.5)
    kept = aten.native_batch_norm(x, weight, bias, mean, variance, training, 0.1, 1e-5)[1:]
    g = draws.tensor(x.shape, "normal")
    asked = [True, weight is not None, weight is not None]
    given = (g, x, weight, mean, variance, *kept, training, 1e-5, asked)
    return aten.native_batch_norm_backward.default, given, {}
