"""Draws random models: of five families, in three dtypes, in training and evaluation."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import torch
from torch import Tensor, nn

from tests.selfcheck.zoo.attention import Attention, Encoder
from tests.selfcheck.zoo.block import Block
from tests.selfcheck.zoo.dense import Activation, Dense, Dropout, Residual, Tied, TiedHead
from tests.selfcheck.zoo.formulas import ACTIVATIONS, ONCE
from tests.selfcheck.zoo.images import Convolution, Flat, GlobalMean, MaxPool, MeanPool, Upwards
from tests.selfcheck.zoo.losses import (
    Absolute,
    Classes,
    Gaussian,
    Huber,
    Shares,
    Squares,
    Truths,
)
from tests.selfcheck.zoo.net import Example, Net, list_blocks
from tests.selfcheck.zoo.norms import BatchNorm, GroupNorm, LayerNorm, RootMeanSquare
from tests.selfcheck.zoo.sequences import Embedding, Position, Recurrent, Take

DTYPES = ("float64", "float32", "bfloat16")
BETWEEN = [name for name in ACTIVATIONS if name not in ONCE]
Drawn = tuple[list[nn.Module], Tensor]  # blocks and inputs


class Choice:
    """What one random number decides for a model."""

    def __init__(self, seed: int, number: int) -> None:
        self.rng = random.Random(f"{seed} {number}")
        self.depth = self.rng.randint(1, 12)
        self.layers = 0  # with parameters, so far

    def flip(self, share: float = 0.5) -> bool:
        return self.rng.random() < share

    def width(self, most: int = 32) -> int:
        """Return a width whose logarithm is uniform."""
        return round(math.exp(self.rng.uniform(math.log(2), math.log(most))))

    def batch(self) -> int:
        return self.rng.choice([2, 3, 4, 5, 7, 8, 11, 16])

    def activation(self) -> Activation:
        return Activation(self.rng.choice(BETWEEN))

    def dense(self, inputs: int, outputs: int, bias: bool = True) -> Dense:
        self.layers += 1
        return Dense(inputs, outputs, bias)

    def dropout(self) -> list[nn.Module]:
        return [Dropout(self.rng.choice([0.1, 0.25, 0.5]))] if self.flip(0.15) else []


def draw_mlp(choice: Choice) -> Drawn:
    """Draw dense layers, with norms, residuals, dropout and tied weights."""
    inputs, width = choice.width(), choice.width()
    if choice.flip(0.05):
        width = 128
    x = torch.randn(choice.batch(), inputs)
    blocks: list[nn.Module] = []
    norm = choice.rng.choice([None, None, LayerNorm, RootMeanSquare, BatchNorm])
    residual, tied = choice.flip(0.3), choice.flip(0.2)
    kind = choice.rng.choice(BETWEEN) if choice.flip() else None
    for layer in range(choice.depth - 1):
        first = choice.dense(inputs, width, norm is not BatchNorm)
        act = Activation(kind) if kind else choice.activation()
        made = norm(width) if norm else None
        if residual and inputs == width:
            scale = choice.rng.choice([1.0, 0.5, 0.3])
            branch = nn.Sequential(first, act, *choice.dropout())
            blocks.append(Residual(branch, made, choice.flip(), scale))
        else:
            blocks += [first, *([made] if made else []), act, *choice.dropout()]
        if tied and layer == 1:
            blocks += [choice.dense(width, inputs), choice.activation()]
            blocks += [Tied(blocks[-2]), choice.activation()]
        inputs = width
    if choice.flip(0.15):
        blocks.append(Activation("glu" if inputs % 2 == 0 else "gaussian"))
        inputs = inputs // 2 if inputs % 2 == 0 else inputs
    blocks.append(choice.dense(inputs, choice.width(8)))
    if choice.flip(0.15):
        blocks.append(Activation(choice.rng.choice([name for name in ONCE if name != "glu"])))
    return blocks, x


def draw_cnn(choice: Choice) -> Drawn:
    """Draw convolutions with norms, residuals and pooling, and dense layers."""
    channels, side = choice.rng.choice([1, 2, 3, 4]), choice.rng.choice([5, 6, 8, 9])
    x = torch.randn(choice.rng.choice([2, 3, 5]), channels, side, side)
    blocks: list[nn.Module] = []
    norm = choice.rng.choice([None, None, "batch", "batch", "group"])
    for _ in range(min(choice.depth, 5)):
        groups = choice.rng.choice([1, 1, 2, channels])
        if channels % groups:
            groups = 1
        outputs = groups * choice.rng.choice([1, 2, 3, 4])
        stride = 2 if side > 5 and choice.flip(0.2) else 1
        size = choice.rng.choice([1, 3, 3, 5])
        padding = choice.rng.choice([0, size // 2, size // 2]) if side > size else size // 2
        convolution = Convolution(channels, outputs, size, stride, padding, groups, norm != "batch")
        choice.layers += 1
        made: list[nn.Module] = [convolution, *draw_norm(choice, norm, outputs)]
        made.append(choice.activation())
        new = (side + 2 * padding - size) // stride + 1
        if outputs == channels and new == side and choice.flip():
            blocks.append(Residual(nn.Sequential(*made), None, False, 1.0))
        else:
            blocks += made
        channels, side = outputs, new
        if side >= 4 and choice.flip(0.3):
            blocks.append(MaxPool() if choice.flip(0.6) else MeanPool())
            side //= 2
        if side < 3 and choice.flip(0.3):
            blocks.append(Upwards(channels, channels))
            choice.layers += 1
            side *= 2
    if choice.flip():
        blocks.append(GlobalMean())
        width = channels
    else:
        blocks.append(Flat())
        width = channels * side * side
    blocks += [*choice.dropout(), choice.dense(width, choice.width(8))]
    return blocks, x


def draw_norm(choice: Choice, norm: str | None, channels: int) -> list[nn.Module]:
    """Return the norm of a convolution's channels."""
    if norm == "batch":
        return [BatchNorm(channels)]
    if norm == "group" and channels > 1:
        groups = [each for each in range(1, channels) if channels % each == 0]
        return [GroupNorm(choice.rng.choice(groups), channels)]
    return []


def draw_start(choice: Choice, width: int, times: int) -> Drawn:
    """Return the first blocks of a model of sequences: an embedding, or a dense layer."""
    batch = choice.rng.choice([2, 3, 4, 6])
    if choice.flip():
        tokens = choice.rng.choice([5, 11, 30])
        choice.layers += 1
        return [Embedding(tokens, width, choice.flip(0.3))], torch.randint(
            0, tokens, (batch, times)
        )
    inputs = choice.width(12)
    return [choice.dense(inputs, width)], torch.randn(batch, times, inputs)


def draw_recurrent(choice: Choice) -> Drawn:
    """Draw recurrent layers and a dense layer of the last state or of all."""
    width, times = choice.width(16), choice.rng.choice([2, 3, 5, 8])
    blocks, x = draw_start(choice, width, times)
    for _ in range(choice.rng.choice([1, 1, 2, 3])):
        new = choice.width(16)
        blocks.append(Recurrent(choice.rng.choice(["rnn", "gru", "lstm"]), width, new))
        blocks += choice.dropout()
        choice.layers += 1
        width = new
    if choice.flip(0.2):
        blocks.append(LayerNorm(width))
    if choice.flip(0.7):
        blocks.append(Take(choice.rng.choice(["last", "mean"])))
    blocks.append(choice.dense(width, choice.width(8)))
    return blocks, x


def draw_attention(choice: Choice) -> Drawn:
    """Draw layers of attention and dense layers with norms and residuals."""
    heads = choice.rng.choice([1, 2, 3, 4])
    width, times = heads * choice.rng.choice([2, 3, 4, 5]), choice.rng.choice([2, 3, 5, 7])
    blocks, x = draw_start(choice, width, times)
    embedding = blocks[0]
    if choice.flip():
        blocks.append(Position(times, width))
        choice.layers += 1
    own, causal, first = choice.flip(0.7), choice.flip(), choice.flip()
    for _ in range(choice.rng.choice([1, 1, 2, 3])):
        hidden, kind = choice.width(24), choice.rng.choice(["relu", "gelu"])
        choice.layers += 4
        if not own:
            blocks.append(Encoder(width, heads, hidden, kind, first))
            continue
        norm = choice.rng.choice([LayerNorm, RootMeanSquare])
        blocks.append(Residual(Attention(width, heads, causal), norm(width), first, 1.0))
        choice.layers -= 2
        feed = nn.Sequential(
            choice.dense(width, hidden), Activation(kind), choice.dense(hidden, width)
        )
        blocks.append(Residual(feed, norm(width), first, 1.0))
    if choice.flip():
        blocks.append(LayerNorm(width))
    if choice.flip():
        blocks.append(Take(choice.rng.choice(["last", "mean"])))
    if isinstance(embedding, Embedding) and not embedding.padded and choice.flip(0.6):
        choice.layers += 1
        blocks.append(TiedHead(embedding))
    else:
        blocks.append(choice.dense(width, choice.width(8)))
    return blocks, x


FAMILIES: dict[str, Callable[[Choice], Drawn]] = {
    "mlp": draw_mlp,
    "cnn": draw_cnn,
    "recurrent": draw_recurrent,
    "attention": draw_attention,
}


def draw(seed: int, number: int, family: str = "", dtype: str = "") -> Example:
    """Draw the model of a number; family and dtype too, if they are not given."""
    choice = Choice(seed, number)
    family = family or list(FAMILIES)[number % len(FAMILIES)]
    dtype = dtype or DTYPES[number // len(FAMILIES) % len(DTYPES)]
    torch.manual_seed(choice.rng.randrange(2**31))
    blocks, inputs = FAMILIES[family](choice)
    net = Net(blocks)
    net.train(choice.flip())
    fill(net, 10.0 ** choice.rng.uniform(-1, 1))
    if inputs.is_floating_point():
        inputs = inputs * 10.0 ** choice.rng.uniform(-1, 1)
    held = getattr(torch, dtype)
    net = net.to(held)
    inputs = inputs.to(held) if inputs.is_floating_point() else inputs
    with torch.no_grad():
        output = run_apart(net, inputs)
    net.loss, targets = draw_loss(choice, output)
    net.loss.train(net.training)
    parts = sorted({type(block).__name__ for block in list_blocks(net).values()})
    mode = "train" if net.training else "eval"
    label = f"{family}, {choice.layers} layers, {dtype}, {mode}: {', '.join(parts)}"
    return Example(net, inputs, targets, family, choice.layers, dtype, label)


def run_apart(net: Net, inputs: Tensor) -> Tensor:
    """Return the output of a model, whose buffers stay as they are."""
    kept = {name: buffer.clone() for name, buffer in net.named_buffers()}
    output = net(inputs)
    for name, buffer in net.named_buffers():
        buffer.copy_(kept[name])
    return output


def fill(net: Net, scale: float) -> None:
    """Draw the weights: `scale` over the root of their inputs."""
    for name, part in net.named_modules():
        del name
        own = dict(part.named_parameters(recurse=False))
        norms = isinstance(part, BatchNorm | GroupNorm | LayerNorm | RootMeanSquare | nn.LayerNorm)
        for each in own.values():
            if norms:
                each.data = 1 + 0.3 * torch.randn(each.shape)
            elif each.ndim > 1:
                each.data = torch.randn(each.shape) * scale / math.sqrt(each[0].numel())
            else:
                each.data = torch.randn(each.shape) * 0.3 * scale
        for kind, buffer in part.named_buffers(recurse=False):
            if kind == "running_var":
                buffer.copy_(torch.rand(buffer.shape) + 0.5)
            elif kind == "running_mean":
                buffer.copy_(torch.randn(buffer.shape))


def draw_loss(choice: Choice, output: Tensor) -> tuple[Block, Tensor]:
    """Return a loss that suits an output, and targets."""
    rng, width = choice.rng, output.shape[-1]
    size = float(abs(output.double()).max()) or 1.0
    near = output.detach() + 0.5 * size * torch.randn(output.shape).to(output.dtype)
    kinds: list[str] = ["squares", "absolute", "huber", "truths"]
    if width > 1:
        kinds += ["classes", "classes", "classes", "shares"]
    if width % 2 == 0 and size < 10:
        kinds.append("gaussian")
    kind = rng.choice(kinds)
    if kind == "classes":
        ignores = choice.flip(0.3) and output[..., 0].numel() > 2
        classes = torch.randint(0, width, output.shape[:-1])
        if ignores:
            classes.view(-1)[0] = -100
        return Classes(ignores), classes
    if kind == "shares":
        return Shares(), torch.softmax(torch.randn(output.shape), -1).to(output.dtype)
    if kind == "truths":
        return Truths(), (torch.rand(output.shape) < 0.5).to(output.dtype)
    losses: dict[str, type[Block]] = {
        "squares": Squares,
        "absolute": Absolute,
        "huber": Huber,
        "gaussian": Gaussian,
    }
    return losses[kind](), near
