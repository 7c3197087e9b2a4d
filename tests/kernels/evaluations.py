"""Modules and functions of torch whose operations gather numbers from many places, with shapes of
their inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Shape = tuple[int, ...]


class Evaluation(NamedTuple):
    """A module to be made, and the shapes of its inputs."""

    make: Callable[[], nn.Module]
    shapes: tuple[Shape, ...]


class Applied(nn.Module):
    """A function of inputs and of one parameter for each of some shapes."""

    def __init__(self, function: Callable[..., Tensor], *shapes: Shape) -> None:
        super().__init__()
        self.function = function
        self.held = nn.ParameterList(nn.Parameter(torch.randn(shape)) for shape in shapes)

    def forward(self, *x: Tensor) -> Tensor:
        return self.function(*x, *self.held)


class First(nn.Module):
    """The first result of a module."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, *x: Tensor) -> Tensor:
        found = self.module(*x)
        first: Tensor = found[0] if isinstance(found, tuple) else found
        return first


ALL: dict[str, Evaluation] = {}


def add(name: str, make: Callable[[], nn.Module], *shapes: Shape) -> None:
    ALL[name] = Evaluation(make, shapes)


def apply(name: str, function: Callable[..., Tensor], *shapes: Shape, held: Any = ()) -> None:
    add(name, lambda: Applied(function, *held), *shapes)


def add_layer(name: str, layer: str, *shapes: Shape, **options: Any) -> None:
    add(name, lambda: First(getattr(nn, layer)(**options)), *shapes)


def add_convolutions(axes: int) -> None:
    shape = (2, 4, *[7] * axes)
    sizes: dict[str, Any] = {"in_channels": 4, "out_channels": 6, "kernel_size": 3}
    add_layer(f"convolution {axes}", f"Conv{axes}d", shape, **sizes)
    spread = {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}
    add_layer(f"convolution {axes}, dilated", f"Conv{axes}d", shape, **sizes, **spread)
    single = {**sizes, "out_channels": 4, "groups": 4, "bias": False}
    single |= {"padding": "same", "padding_mode": "reflect"}
    add_layer(f"convolution {axes}, of single channels", f"Conv{axes}d", shape, **single)
    many = (16, *shape[1:])
    add_layer(f"convolution {axes}, of many", f"Conv{axes}d", many, **sizes)
    spread = {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}
    transposed = f"ConvTranspose{axes}d"
    add_layer(f"transposed convolution {axes}", transposed, shape, **sizes, **spread)


def add_pools(axes: int) -> None:
    shape = (2, 4, *[7] * axes)
    window: dict[str, Any] = {"kernel_size": 3, "stride": 2, "padding": 1}
    add_layer(f"maximum {axes}", f"MaxPool{axes}d", shape, **window)
    add_layer(f"average {axes}", f"AvgPool{axes}d", shape, **window)
    window |= {"ceil_mode": True, "count_include_pad": False}
    add_layer(f"average {axes}, of places", f"AvgPool{axes}d", shape, **window)
    for output in (1, 3):
        name = f"adaptive average {axes}, {output}"
        add_layer(name, f"AdaptiveAvgPool{axes}d", shape, output_size=output)
    add_layer(f"adaptive maximum {axes}", f"AdaptiveMaxPool{axes}d", shape, output_size=3)


def add_pads(axes: int) -> None:
    shape = (2, 4, *[5] * axes)
    for kind in ("Reflection", "Replication", "Circular", "Zero"):
        add_layer(f"{kind} {axes}", f"{kind}Pad{axes}d", shape, padding=2)
    add_layer(f"constant {axes}", f"ConstantPad{axes}d", shape, padding=2, value=1.5)


def add_resampling(axes: int, mode: str) -> None:
    shape = (2, 3, *[5] * axes)
    add_layer(f"{mode} {axes}", "Upsample", shape, scale_factor=2.3, mode=mode)
    if "linear" in mode or "cubic" in mode:
        options = {"scale_factor": 1.7, "mode": mode, "align_corners": True}
        add_layer(f"{mode} {axes}, corners", "Upsample", shape, **options)
        add_layer(f"{mode} {axes}, down", "Upsample", shape, size=(3,) * axes, mode=mode)


for axes in (1, 2, 3):
    add_convolutions(axes)
    add_pools(axes)
    add_pads(axes)
for mode in ("nearest", "nearest-exact", "linear"):
    add_resampling(1, mode)
for mode in ("nearest", "nearest-exact", "bilinear", "bicubic", "area"):
    add_resampling(2, mode)
for mode in ("nearest", "nearest-exact", "trilinear"):
    add_resampling(3, mode)
add_layer("fractional maximum", "FractionalMaxPool2d", (2, 3, 8, 8), kernel_size=2, output_size=4)
add_layer("power average", "LPPool2d", (2, 3, 8, 8), norm_type=2, kernel_size=2)
add_layer("unfold", "Unfold", (2, 3, 7, 7), kernel_size=3, dilation=2, padding=1, stride=2)
add_layer("fold", "Fold", (2, 27, 9), output_size=6, kernel_size=3, padding=1, stride=2)
add_layer("pixels", "PixelShuffle", (2, 8, 3, 3), upscale_factor=2)
add_layer("pixels back", "PixelUnshuffle", (2, 2, 6, 6), downscale_factor=2)
add_layer("channels", "ChannelShuffle", (2, 4, 6, 6), groups=2)


def pool_and_back(x: Tensor) -> Tensor:
    return F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), 2)


apply("maximum and back", pool_and_back, (2, 3, 8, 8))
apply("windows of an axis", lambda x: x.unfold(1, 3, 2), (4, 9))

WORDS = torch.tensor([[0, 2, 2], [1, 0, 2]])
ROWS = torch.tensor([0, 2, 2, 1, 0])
PLACES = torch.tensor([[0, 1, 2], [2, 2, 0], [0, 0, 0], [1, 3, 1], [0, 1, 3]])
TABLE = [(5, 3)]


def embed_short(x: Tensor, table: Tensor) -> Tensor:
    options: dict[str, Any] = {"padding_idx": 2, "max_norm": 1.0, "scale_grad_by_freq": True}
    return F.embedding(WORDS, table, **options) * x


apply("embedding", lambda x, table: F.embedding(WORDS, table) * x, (2, 3, 3), held=TABLE)
apply("embedding, short rows", embed_short, (2, 3, 3), held=TABLE)
for mode in ("sum", "mean", "max"):
    bag = lambda x, table, mode=mode: F.embedding_bag(WORDS, table, mode=mode) * x  # noqa: E731
    apply(f"bags, {mode}", bag, (2, 3), held=TABLE)


def weigh_bags(x: Tensor, table: Tensor) -> Tensor:
    starts = torch.tensor([0, 4])
    return F.embedding_bag(WORDS.view(-1), table, starts, mode="sum", per_sample_weights=x)


apply("bags, weighted", weigh_bags, (6,), held=TABLE)
PAIR = ((4, 3), (5, 3))
apply("index_add", lambda x, y: x.index_add(0, ROWS, y, alpha=1.3), *PAIR)
apply("index_put, added", lambda x, y: x.index_put((ROWS,), y, accumulate=True), *PAIR)
apply("index_put", lambda x, y: x.index_put((ROWS[:2],), y[:2]), *PAIR)
apply("index_copy", lambda x, y: x.index_copy(0, ROWS[:2], y[:2]), *PAIR)
apply("scatter_add", lambda x, y: x.scatter_add(0, PLACES, y), *PAIR)


def reduce(x: Tensor, y: Tensor, how: str, include: bool) -> Tensor:
    return x.scatter_reduce(0, PLACES, y, how, include_self=include)


for how in ("sum", "prod", "mean", "amax", "amin"):
    for include in (True, False):
        function = lambda x, y, how=how, include=include: reduce(x, y, how, include)  # noqa: E731
        apply(f"scatter_reduce, {how}, {include}", function, *PAIR)
apply("index_reduce", lambda x, y: x.index_reduce(0, ROWS, y, "mean"), *PAIR)
apply("gather", lambda x: x.gather(0, PLACES[:, :3]), (4, 3))
apply("index", lambda x: x[ROWS] * x[ROWS, 1:2], (4, 3))
apply("index_select", lambda x: x.index_select(0, ROWS), (4, 3))
apply("take", lambda x: x.take(PLACES), (4, 3))
apply("masked_scatter", lambda x: x.masked_scatter(x > 0, x[x < 0].repeat(20)), (4, 3))
apply("cumsum", lambda x: x.cumsum(1) + x.cumsum(0), (4, 3))
apply("cumprod", lambda x: x.cumprod(1), (4, 3))
apply("logcumsumexp", lambda x: x.logcumsumexp(1), (4, 3))
apply("cummax", lambda x: x.cummax(1)[0] + x.cummin(0)[0], (4, 3))
apply("prod", lambda x: x.prod(1) + x.prod(), (4, 3))
for correction in (0, 1):
    given: dict[str, Any] = {"dim": 1, "correction": correction}
    apply(f"var, {correction}", lambda x, given=given: x.var(**given) + x.var(), (4, 3))
    apply(f"std, {correction}", lambda x, given=given: x.std(**given) + x.std(), (4, 3))
    both = lambda x, given=given: sum(torch.var_mean(x, **given))  # noqa: E731
    apply(f"var_mean, {correction}", both, (4, 3))
    both = lambda x, given=given: sum(torch.std_mean(x, keepdim=True, **given))  # noqa: E731
    apply(f"std_mean, {correction}", both, (4, 3))
for p in (0.5, 1, 2, 3, torch.inf):
    apply(f"norm, {p}", lambda x, p=p: torch.linalg.vector_norm(x, p, dim=1) + x.norm(p), (4, 3))
    apply(f"cdist, {p}", lambda x, y, p=p: torch.cdist(x, y, p), *PAIR)
    apply(f"renorm, {p}", lambda x, p=p: x.renorm(p, 0, 0.5), (4, 3))
    apply(f"normalize, {p}", lambda x, p=p: F.normalize(x, p), (4, 3))
apply("cdist of many", torch.cdist, (30, 3), (30, 3))
THREE = ((4, 3, 3), (4, 3, 3))
apply("addbmm", lambda x, y: torch.addbmm(x[0], x, y, beta=0.7, alpha=1.3), *THREE)
apply("baddbmm", lambda x, y: torch.baddbmm(x, x, y, beta=0.7, alpha=1.3), *THREE)
apply("addr", lambda x, y: torch.addr(x, x[:, 0], y[0], beta=0.7, alpha=1.3), (4, 3), (4, 3))
apply("dot", lambda x, y: x.dot(y) + torch.vdot(x, y) + torch.inner(x, y), (5,), (5,))
apply("einsum", lambda x, y: torch.einsum("bij,bjk,b->k", x, y, x[:, 0, 0]), *THREE)
apply("cross", lambda x, y: torch.linalg.cross(x, y), (4, 3), (4, 3))
apply("trace", lambda x: x.trace(), (4, 3))
add("bilinear", lambda: nn.Bilinear(3, 5, 2), (4, 3), (4, 5))
for kind in ("RNN", "GRU", "LSTM"):
    layers: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "num_layers": 2}
    add_layer(kind, kind, (2, 5, 3), **layers, bidirectional=True, batch_first=True)
    add_layer(f"{kind}, dropout", kind, (2, 5, 3), **layers, dropout=0.3, bias=False)
    add_layer(f"{kind} cell", f"{kind}Cell", (5, 3), input_size=3, hidden_size=4)
projected: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "proj_size": 2}
add_layer("LSTM, projected", "LSTM", (5, 2, 3), **projected)
relu: dict[str, Any] = {"input_size": 3, "hidden_size": 4, "nonlinearity": "relu"}
add_layer("RNN, relu", "RNN", (5, 2, 3), **relu)


class Packed(nn.Module):
    """A GRU of sequences of several lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 3, 2]))
        found: Tensor = nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0])[0]
        return found


add("GRU, packed", Packed, (5, 3, 3))


class SelfAttention(nn.Module):
    """Attention of a sequence to itself."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True, **options)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.attention(x, x, x)[0]
        return found


class Decoder(nn.Module):
    """A layer that attends to itself, to what came before."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerDecoderLayer(8, 2, 16, activation="gelu")

    def forward(self, x: Tensor) -> Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(len(x), dtype=x.dtype)
        found: Tensor = self.layer(x, x.flip(0), tgt_mask=mask, tgt_is_causal=True)
        return found


def attend(q: Tensor, k: Tensor) -> Tensor:
    mask = torch.ones(5, 6, dtype=torch.bool).tril(1)
    return F.scaled_dot_product_attention(q, k, k, mask, dropout_p=0.2)


def attend_causally(q: Tensor, k: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, k, is_causal=True)


def make_encoder(**options: Any) -> nn.Module:
    return nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, **options)


add("attention", SelfAttention, (2, 5, 8))
drops: dict[str, Any] = {"dropout": 0.2, "add_bias_kv": True, "add_zero_attn": True}
add("attention, dropout", lambda: SelfAttention(**drops), (2, 5, 8))
add("attention, eval", lambda: SelfAttention().eval(), (2, 5, 8))
add("encoder", make_encoder, (2, 5, 8))
add("encoder, eval", lambda: make_encoder(norm_first=True).eval(), (2, 5, 8))
add("decoder", Decoder, (5, 2, 8))
add("decoder, eval", lambda: Decoder().eval(), (5, 2, 8))
apply("masked attention", attend, (2, 2, 5, 4), (2, 2, 6, 4))
apply("causal attention", attend_causally, (2, 2, 5, 4), (2, 2, 5, 4))
parametrized = nn.utils.parametrizations
add("weight norm", lambda: parametrized.weight_norm(nn.Linear(4, 3)), (5, 4))
add("weight norm 2", lambda: parametrized.weight_norm(nn.Conv2d(4, 3, 3)), (2, 4, 5, 5))
add("spectral norm", lambda: parametrized.spectral_norm(nn.Linear(4, 3)), (5, 4))
for kind in ("Dropout", "AlphaDropout", "FeatureAlphaDropout", "Dropout2d"):
    add_layer(kind, kind, (2, 3, 4, 4), p=0.4)
