"""Calls of operations that gather numbers from many places, on nasty numbers and shapes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.selfcheck.rule_calls import Made, aten, maker
from tests.selfcheck.rule_draws import Draws

POWERS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 7.0, torch.inf)


def sides(draws: Draws, axes: int, least: int = 1) -> list[int]:
    """Return the lengths of a grid."""
    most = {1: 40, 2: 9, 3: 5}[axes]
    return [draws.random.randint(least, max(least, most)) for _ in range(axes)]


# ---------------------------------------------------------------------- convolution


def draw_convolution(draws: Draws) -> tuple[Tensor, Tensor, Tensor | None, list[Any]]:
    """Return an input, weights, a bias and the other arguments of a convolution."""
    axes = draws.random.choice((1, 2, 2, 3))
    groups = draws.random.choice((1, 1, 2, 3))
    inner, outer = groups * draws.random.randint(1, 4), groups * draws.random.randint(1, 4)
    kernel = [draws.random.randint(1, 3) for _ in range(axes)]
    stride = [draws.random.randint(1, 3) for _ in range(axes)]
    dilation = [draws.random.randint(1, 2) for _ in range(axes)]
    padding = [draws.random.randint(0, 2) for _ in range(axes)]
    transposed = draws.chance(0.4)
    lengths = [5 + more for more in sides(draws, axes)]
    x = draws.tensor([draws.random.choice((1, 2, 16)), inner, *lengths])
    shape = (inner, outer // groups) if transposed else (outer, inner // groups)
    extra = [
        draws.random.randint(0, max(step, wide) - 1)
        for step, wide in zip(stride, dilation, strict=True)
    ]
    if not transposed:
        extra = [0] * axes
    more = [stride, padding, dilation, transposed, extra, groups]
    return x, draws.tensor([*shape, *kernel]), draws.maybe(draws.tensor([outer])), more


@maker("convolution")
def convolution(draws: Draws) -> Made:
    x, weight, bias, more = draw_convolution(draws)
    return aten.convolution.default, (x, weight, bias, *more), {}


@maker("convolution_backward")
def convolution_backward(draws: Draws) -> Made:
    x, weight, _, more = draw_convolution(draws)
    output = aten.convolution.default(x.double(), weight.double(), None, *more)
    slope = draws.tensor(output.shape)
    outer = [output.shape[1]]
    given = (slope, x, weight, outer, *more, [draws.chance(0.9), draws.chance(0.9), True])
    return aten.convolution_backward.default, given, {}


# ---------------------------------------------------------------------- pooling


def draw_windows(draws: Draws, axes: int) -> tuple[Tensor, list[Any]]:
    kernel = [draws.random.randint(1, 4) for _ in range(axes)]
    padding = [draws.random.randint(0, size // 2) for size in kernel]
    stride = [draws.random.randint(1, 3) for _ in range(axes)]
    shape = [2, 3, *[size + more for size, more in zip(kernel, sides(draws, axes), strict=True)]]
    return draws.tensor(shape), [kernel, stride, padding]


def average(axes: int) -> None:
    @maker(f"avg_pool{axes}d")
    def forward(draws: Draws) -> Made:
        x, windows = draw_windows(draws, axes)
        more = [draws.chance(0.5), draws.chance(0.5), draws.scalar(None, None, 3)]
        return getattr(aten, f"avg_pool{axes}d").default, (x, *windows, *more), {}

    @maker(f"avg_pool{axes}d_backward")
    def backward(draws: Draws) -> Made:
        operation, given, _ = forward(draws)
        slope = draws.tensor(operation(*[wide(each) for each in given]).shape)
        return getattr(aten, f"avg_pool{axes}d_backward").default, (slope, *given), {}

    @maker(f"_adaptive_avg_pool{axes}d")
    def adaptive(draws: Draws) -> Made:
        x = draws.tensor([2, 3, *sides(draws, axes)])
        operation = getattr(aten, f"_adaptive_avg_pool{axes}d").default
        return operation, (x, sides(draws, axes)), {}

    @maker(f"_adaptive_avg_pool{axes}d_backward")
    def adaptive_backward(draws: Draws) -> Made:
        _, (x, output), _ = adaptive(draws)
        slope = draws.tensor([2, 3, *output])
        return getattr(aten, f"_adaptive_avg_pool{axes}d_backward").default, (slope, x), {}

    @maker(f"max_pool{axes}d_with_indices_backward")
    def largest(draws: Draws) -> Made:
        x, windows = draw_windows(draws, axes)
        more = [[1] * axes, draws.chance(0.5)]
        values, places = getattr(aten, f"max_pool{axes}d_with_indices")(x.double(), *windows, *more)
        operation = getattr(aten, f"max_pool{axes}d_with_indices_backward").default
        return operation, (draws.tensor(values.shape), x, *windows, *more, places), {}

    @maker(f"adaptive_max_pool{axes}d_backward")
    def adaptive_largest(draws: Draws) -> Made:
        x = draws.tensor([2, 3, *sides(draws, axes)])
        operation = getattr(aten, f"adaptive_max_pool{axes}d")
        values, places = operation(x.double(), sides(draws, axes))
        operation = getattr(aten, f"adaptive_max_pool{axes}d_backward").default
        return operation, (draws.tensor(values.shape), x, places), {}


def wide(given: Any) -> Any:
    return given.double() if isinstance(given, Tensor) and given.is_floating_point() else given


for axes in (2, 3):
    average(axes)

# ---------------------------------------------------------------------- padding and resampling


def pad(kind: str, axes: int) -> None:
    @maker(f"{kind}_pad{axes}d_backward")
    def backward(draws: Draws) -> Made:
        x = draws.tensor([2, 3, *sides(draws, axes, 4)])
        padding = [draws.random.randint(0, 3) for _ in range(2 * axes)]
        shape = list(x.shape)
        for axis in range(axes):
            shape[-1 - axis] += padding[2 * axis] + padding[2 * axis + 1]
        operation = getattr(aten, f"{kind}_pad{axes}d_backward").default
        return operation, (draws.tensor(shape), x, padding), {}


def resample(name: str, axes: int, corners: bool) -> None:
    @maker(name)
    def forward(draws: Draws) -> Made:
        x = draws.tensor([2, 3, *sides(draws, axes)])
        scales = [draws.random.choice((0.3, 0.7, 1.0, 1.7, 2.0, 3.3)) for _ in range(axes)]
        output = [
            max(1, int(size * scale)) for size, scale in zip(x.shape[2:], scales, strict=True)
        ]
        more = [draws.chance(0.5)] if corners else []
        given = scales if draws.chance(0.5) else [None] * axes
        return getattr(aten, name).default, (x, output, *more, *given), {}

    @maker(f"{name}_backward")
    def backward(draws: Draws) -> Made:
        _, (x, output, *more), _ = forward(draws)
        slope = draws.tensor([2, 3, *output])
        given = (slope, output, list(x.shape), *more)
        return getattr(aten, f"{name}_backward").default, given, {}


for axes in (1, 2, 3):
    pad("reflection", axes)
    pad("replication", axes)
    resample(f"upsample_nearest{axes}d", axes, corners=False)
    resample(f"_upsample_nearest_exact{axes}d", axes, corners=False)
for axes, kind in ((1, "linear"), (2, "bilinear"), (3, "trilinear"), (2, "bicubic")):
    resample(f"upsample_{kind}{axes}d", axes, corners=True)


@maker("col2im")
def col2im(draws: Draws) -> Made:
    kernel, size = sides(draws, 2, 1)[:2], [9, 8]
    kernel = [min(length, 4) for length in kernel]
    stride = [draws.random.randint(1, 3) for _ in range(2)]
    blocks = [
        (length - each) // step + 1 for length, each, step in zip(size, kernel, stride, strict=True)
    ]
    x = draws.tensor([2, 3 * kernel[0] * kernel[1], blocks[0] * blocks[1]])
    return aten.col2im.default, (x, size, kernel, [1, 1], [0, 0], stride), {}


@maker("unfold_backward")
def unfold_backward(draws: Draws) -> Made:
    length, size, step = draws.random.randint(5, 40), draws.random.randint(1, 5), 1
    step = draws.random.randint(1, 3)
    slope = draws.tensor([3, (length - size) // step + 1, size])
    return aten.unfold_backward.default, (slope, [3, length], 1, size, step), {}


# ---------------------------------------------------------------------- indices


@maker("scatter_add")
def scatter_add(draws: Draws) -> Made:
    rows = draws.random.choice((1, 3, 60, 400))
    places = draws.labels([rows, 5], 4)
    return aten.scatter_add.default, (draws.tensor([4, 5]), 0, places, draws.tensor([rows, 5])), {}


@maker("scatter_reduce")
def scatter_reduce(draws: Draws) -> Made:
    rows = draws.random.choice((1, 3, 20))
    given = (draws.tensor([4, 5]), 0, draws.labels([rows, 5], 4), draws.tensor([rows, 5]))
    how = draws.scalar("sum", "mean", "prod", "amax")
    return aten.scatter_reduce.two, (*given, how), {"include_self": draws.chance(0.5)}


@maker("index_add")
def index_add(draws: Draws) -> Made:
    rows = draws.random.choice((1, 3, 60, 400))
    given = (draws.tensor([4, 5]), 0, draws.labels([rows], 4), draws.tensor([rows, 5]))
    return aten.index_add.default, given, {"alpha": draws.scalar(1, 1, 0.3, -2.7)}


@maker("index_reduce")
def index_reduce(draws: Draws) -> Made:
    rows = draws.random.choice((1, 3, 20))
    given = (draws.tensor([4, 5]), 0, draws.labels([rows], 4), draws.tensor([rows, 5]))
    how = draws.scalar("mean", "prod", "amin")
    return aten.index_reduce.default, (*given, how), {"include_self": draws.chance(0.5)}


@maker("index_put")
def index_put(draws: Draws) -> Made:
    rows = draws.random.choice((1, 3, 60, 400))
    given = (draws.tensor([4, 5]), [draws.labels([rows], 4)], draws.tensor([rows, 5]), True)
    return aten.index_put.default, given, {}


@maker("embedding_dense_backward")
def embedding_dense_backward(draws: Draws) -> Made:
    rows = draws.random.choice((1, 3, 60, 400))
    given = (draws.tensor([rows, 5]), draws.labels([rows], 4), 4, draws.scalar(-1, 2))
    return aten.embedding_dense_backward.default, (*given, draws.chance(0.5)), {}


def draw_bags(draws: Draws) -> tuple[Tensor, Tensor, Tensor, int]:
    rows = draws.random.choice((1, 5, 60))
    starts = torch.sort(draws.labels([4], rows)).values
    starts[0] = 0
    return draws.tensor([7, 5]), draws.labels([rows], 7), starts, draws.random.randrange(3)


@maker("_embedding_bag")
def embedding_bag(draws: Draws) -> Made:
    table, words, starts, mode = draw_bags(draws)
    weights = draws.maybe(draws.tensor([len(words)])) if mode == 0 else None
    return aten._embedding_bag.default, (table, words, starts, False, mode, False, weights), {}


@maker("_embedding_bag_backward")
def embedding_bag_backward(draws: Draws) -> Made:
    table, words, starts, mode = draw_bags(draws)
    weights = draws.maybe(draws.tensor([len(words)])) if mode == 0 else None
    _, *noted = aten._embedding_bag(table, words, starts, False, mode, False, weights)
    slope = draws.tensor([4, 5])
    given = (slope, words, starts, *noted, 7, False, mode, False, weights)
    return aten._embedding_bag_backward.default, given, {}


@maker("_embedding_bag_per_sample_weights_backward")
def embedding_bag_weights(draws: Draws) -> Made:
    table, words, starts, _ = draw_bags(draws)
    weights = draws.tensor([len(words)])
    _, bags, _, _ = aten._embedding_bag(table, words, starts, False, 0, False, weights)
    given = (draws.tensor([4, 5]), table, words, starts, bags, 0)
    return aten._embedding_bag_per_sample_weights_backward.default, given, {}


# ---------------------------------------------------------------------- along axes


def along(name: str, least: int = 1) -> None:
    @maker(name)
    def make(draws: Draws) -> Made:
        shape = draws.filled(least)
        x = draws.tensor(shape)
        if name == "prod":
            x = x[..., :5]
        return along_axis(draws, name, x)


def along_axis(draws: Draws, name: str, x: Tensor) -> Made:
    packet = getattr(aten, name)
    if name == "prod":
        return packet.dim_int, (x, draws.axis(x.shape), draws.chance(0.5)), {}
    return packet.default, (x, draws.axis(x.shape)), {}


for each in ("prod", "cumprod", "logcumsumexp"):
    along(each)


def spread(name: str) -> None:
    @maker(name)
    def make(draws: Draws) -> Made:
        x = draws.tensor(draws.filled(1))
        dims = draws.scalar(None, [draws.axis(x.shape)])
        more = {"correction": draws.scalar(0, 1), "keepdim": draws.chance(0.5)}
        return getattr(aten, name).correction, (x, dims), more


for each in ("var", "std", "var_mean", "std_mean"):
    spread(each)


@maker("linalg_vector_norm")
def vector_norm(draws: Draws) -> Made:
    x = draws.tensor(draws.filled(1))
    dims = draws.scalar(None, [draws.axis(x.shape)])
    return aten.linalg_vector_norm.default, (x, draws.scalar(*POWERS), dims), {}


@maker("renorm")
def renorm(draws: Draws) -> Made:
    x = draws.tensor([4, *draws.filled(1, 2)])
    return aten.renorm.default, (x, draws.scalar(*POWERS[1:]), 0, draws.scalar(0.5, 3, 100)), {}


@maker("_cdist_forward")
def cdist(draws: Draws) -> Made:
    width = draws.random.choice((1, 3, 20))
    a, b = draws.tensor([5, width]), draws.tensor([4, width])
    return aten._cdist_forward.default, (a, b, draws.scalar(*POWERS), 2), {}


@maker("_euclidean_dist")
def euclidean_dist(draws: Draws) -> Made:
    width = draws.random.choice((1, 3, 20))
    return aten._euclidean_dist.default, (draws.tensor([5, width]), draws.tensor([4, width])), {}


@maker("_cdist_backward")
def cdist_backward(draws: Draws) -> Made:
    width = draws.random.choice((1, 3, 20))
    a, b, p = draws.tensor([5, width]), draws.tensor([4, width]), draws.scalar(*POWERS[1:])
    if draws.dtype not in (torch.float32, torch.float64):
        raise NotImplementedError("not implemented for narrow dtypes")
    return aten._cdist_backward.default, (draws.tensor([5, 4]), a, b, p, torch.cdist(a, b, p)), {}


@maker("_weight_norm_interface")
def weight_norm(draws: Draws) -> Made:
    v = draws.tensor([3, draws.random.choice((1, 5, 50))], layout=False)
    return aten._weight_norm_interface.default, (v, draws.tensor([3, 1], layout=False), 0), {}


@maker("_weight_norm_interface_backward")
def weight_norm_backward(draws: Draws) -> Made:
    _, (v, g, dim), _ = weight_norm(draws)
    _, lengths = aten._weight_norm_interface(v, g, dim)
    slope = draws.tensor(v.shape, layout=False)
    return aten._weight_norm_interface_backward.default, (slope, v, g, lengths, dim), {}


# ---------------------------------------------------------------------- products


@maker("addbmm")
def addbmm(draws: Draws) -> Made:
    pairs, inner = draws.random.choice((1, 3, 20)), draws.random.choice((1, 7, 60))
    given = (draws.tensor([4, 5]), draws.tensor([pairs, 4, inner]), draws.tensor([pairs, inner, 5]))
    return aten.addbmm.default, given, {"beta": draws.scalar(1, 0.3), "alpha": draws.scalar(1, 0.7)}


@maker("addr")
def addr(draws: Draws) -> Made:
    given = (draws.tensor([4, 5]), draws.tensor([4]), draws.tensor([5]))
    return aten.addr.default, given, {"beta": draws.scalar(1, 0.3), "alpha": draws.scalar(1, 0.7)}


@maker("vdot")
def vdot(draws: Draws) -> Made:
    shape = draws.filled(1, 1)
    return aten.vdot.default, (draws.tensor(shape), draws.tensor(shape)), {}


@maker("trace")
def trace(draws: Draws) -> Made:
    return aten.trace.default, (draws.tensor(draws.filled(2, 2)),), {}


@maker("linalg_cross")
def cross(draws: Draws) -> Made:
    return aten.linalg_cross.default, (draws.tensor([4, 3]), draws.tensor([4, 3])), {}


@maker("_trilinear")
def trilinear(draws: Draws) -> Made:
    left, right = draws.random.choice((1, 3, 20)), draws.random.choice((1, 4))
    given = (draws.tensor([6, left]), draws.tensor([2, left, right]), draws.tensor([6, right]))
    return aten._trilinear.default, (*given, [1, 3], [0], [1, 2], [2, 3]), {}


@maker("native_dropout_backward")
def dropout(draws: Draws) -> Made:
    x = draws.tensor(draws.filled())
    mask = draws.labels(x.shape, 2).bool()
    return aten.native_dropout_backward.default, (x, mask, draws.scalar(2.0, 1 / 0.7)), {}


@maker("constant_pad_nd")
def constant_pad(draws: Draws) -> Made:
    return aten.constant_pad_nd.default, (draws.tensor([3, 4]), [1, 2], draws.scalar(0, 0.1)), {}
