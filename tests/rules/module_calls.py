"""A call of every module of torch.nn: how it is made, and what it is given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

Inputs = Callable[[torch.dtype], Sequence[Any]]


@dataclass(frozen=True)
class ModuleCall:
    """A module's class, what makes it, and its inputs in a dtype."""

    make: Callable[[], nn.Module]
    inputs: Inputs


def shaped(*shapes: Sequence[int]) -> Inputs:
    """Return what makes tensors of some shapes that need gradients."""
    return lambda dtype: [torch.randn(*shape).to(dtype).requires_grad_() for shape in shapes]


def against(x: Sequence[int], target: Callable[[], Tensor], size: bool = False) -> Inputs:
    """Return what makes an input, from 0 to 1 if `size` holds, and a target."""

    def make(dtype: torch.dtype) -> list[Tensor]:
        given = torch.rand(*x) * 0.8 + 0.1 if size else torch.randn(*x)
        aim = target()
        aim = aim.to(dtype) if aim.is_floating_point() else aim
        return [given.to(dtype).requires_grad_(), aim]

    return make


def labels(*shape: int) -> Callable[[], Tensor]:
    return lambda: torch.randint(0, 3, shape)


def signs() -> Tensor:
    return torch.randint(0, 2, (4, 3)).double() * 2 - 1


ROWS, MAPS = (4, 6), (2, 4, 6)
IMAGE, VOLUME = (2, 4, 6, 6), (2, 4, 6, 6, 6)
CALLS: dict[str, ModuleCall] = {}


def add(names: str, inputs: Inputs, *args: Any, **options: Any) -> None:
    """Add modules, made with the same arguments and called with the same inputs."""
    for name in names.split():
        CALLS[name] = ModuleCall(partial(getattr(nn, name), *args, **options), inputs)


add("CELU ELU GELU Hardshrink Hardsigmoid Hardswish Hardtanh Identity LeakyReLU", shaped(ROWS))
add("LogSigmoid LogSoftmax Mish PReLU ReLU ReLU6 RReLU SELU Sigmoid SiLU Softmax", shaped(ROWS))
add("Softmin Softplus Softshrink Softsign Tanh Tanhshrink GLU Flatten", shaped(ROWS))
add("AlphaDropout Dropout FeatureAlphaDropout", shaped(ROWS))
add("Dropout1d", shaped(MAPS))
add("Dropout2d Softmax2d", shaped(IMAGE))
add("ChannelShuffle PixelShuffle PixelUnshuffle", shaped(IMAGE), 2)
add("Dropout3d", shaped(VOLUME))
add("Threshold", shaped(ROWS), 0.1, 0.3)
add("Linear", shaped(ROWS), 6, 5)
add("Bilinear", shaped(ROWS, (4, 3)), 6, 3, 5)
add("LayerNorm RMSNorm", shaped(ROWS), 6)
add("GroupNorm", shaped(IMAGE), 2, 4)
add("LocalResponseNorm CrossMapLRN2d", shaped(IMAGE), 2)
add("Unflatten", shaped(ROWS), 1, (2, 3))
add("Fold", shaped((2, 16, 9)), (4, 4), (2, 2))
add("Unfold", shaped(IMAGE), 2)
add("Upsample", shaped(IMAGE), scale_factor=2)
add("UpsamplingBilinear2d UpsamplingNearest2d", shaped(IMAGE), scale_factor=2)
add("FractionalMaxPool2d", shaped(IMAGE), 2, output_size=3)
add("FractionalMaxPool3d", shaped(VOLUME), 2, output_size=3)
SHAPES = {"1d": MAPS, "2d": IMAGE, "3d": VOLUME}
for end, shape in SHAPES.items():
    add(f"AdaptiveAvgPool{end} AdaptiveMaxPool{end}", shaped(shape), 2)
    add(f"AvgPool{end} MaxPool{end}", shaped(shape), 2)
    add(f"LPPool{end}", shaped(shape), 2, 2)
    add(f"BatchNorm{end} InstanceNorm{end}", shaped(shape), 4, affine=True)
    add(f"LazyBatchNorm{end} LazyInstanceNorm{end}", shaped(shape))
    add(f"Conv{end} ConvTranspose{end}", shaped(shape), 4, 3, 2)
    add(f"LazyConv{end} LazyConvTranspose{end}", shaped(shape), 3, 2)
    for pad in ("Circular", "Constant", "Reflection", "Replication", "Zero"):
        more = (0.5,) if pad == "Constant" else ()
        add(f"{pad}Pad{end}", shaped(shape), 1, *more)
add("LazyLinear", shaped(ROWS), 5)
add("CosineSimilarity PairwiseDistance", shaped(ROWS, ROWS))
add("Embedding EmbeddingBag", lambda dtype: [labels(4, 5)()], 3, 6)
add("RNN GRU LSTM", shaped((3, 4, 6)), 6, 5)
add("RNNCell GRUCell LSTMCell", shaped(ROWS), 6, 5)
add("MultiheadAttention", shaped((3, 4, 6), (3, 4, 6), (3, 4, 6)), 6, 2)
add("TransformerEncoderLayer", shaped((3, 4, 6)), 6, 2, 8)
add("TransformerDecoderLayer", shaped((3, 4, 6), (3, 4, 6)), 6, 2, 8)
add("Transformer", shaped((3, 4, 6), (3, 4, 6)), 6, 2, 1, 1, 8)


def stack(kind: Any, layer: Any) -> Callable[[], nn.Module]:
    return lambda: kind(layer(6, 2, 8), 2)


CALLS["TransformerEncoder"] = ModuleCall(
    stack(nn.TransformerEncoder, nn.TransformerEncoderLayer), shaped((3, 4, 6))
)
CALLS["TransformerDecoder"] = ModuleCall(
    stack(nn.TransformerDecoder, nn.TransformerDecoderLayer), shaped((3, 4, 6), (3, 4, 6))
)
CALLS["Sequential"] = ModuleCall(lambda: nn.Sequential(nn.Tanh()), shaped(ROWS))

add("HuberLoss L1Loss MSELoss SmoothL1Loss", against(ROWS, lambda: torch.randn(4, 6)))
add("PoissonNLLLoss", against(ROWS, lambda: torch.rand(4, 6) * 3))
add("KLDivLoss", against(ROWS, lambda: torch.rand(4, 6)), reduction="batchmean")
add("BCELoss", against(ROWS, lambda: torch.rand(4, 6), size=True))
add("BCEWithLogitsLoss", against(ROWS, lambda: torch.rand(4, 6)))
add("SoftMarginLoss HingeEmbeddingLoss", against((4, 3), signs))
add("MultiLabelSoftMarginLoss", against(ROWS, lambda: torch.randint(0, 2, (4, 6)).double()))
add("CrossEntropyLoss NLLLoss MultiMarginLoss", against((4, 3), labels(4)))
add("NLLLoss2d", against((2, 3, 4, 4), labels(2, 4, 4)))
add("MultiLabelMarginLoss", against((4, 3), lambda: torch.tensor([[0, 2, -1]] * 4)))
add("GaussianNLLLoss", lambda dtype: [*shaped(ROWS, ROWS)(dtype), torch.rand(4, 6).to(dtype) + 1])
add("TripletMarginLoss TripletMarginWithDistanceLoss", shaped(ROWS, ROWS, ROWS))


def two_and_signs(shape: Sequence[int]) -> Inputs:
    return lambda dtype: [*shaped(shape, shape)(dtype), signs()[:, 0].to(dtype)]


add("MarginRankingLoss", two_and_signs((4,)))
add("CosineEmbeddingLoss", two_and_signs(ROWS))
add("LinearCrossEntropyLoss", against(ROWS, labels(4)), 6, 3)
add("AdaptiveLogSoftmaxWithLoss", against(ROWS, labels(4)), 6, 9, [3, 6])


def ctc(dtype: torch.dtype) -> list[Any]:
    x = torch.randn(8, 2, 4).log_softmax(2).to(dtype).requires_grad_()
    return [x, torch.randint(1, 4, (2, 3)), torch.tensor([8, 7]), torch.tensor([3, 2])]


CALLS["CTCLoss"] = ModuleCall(nn.CTCLoss, ctc)


def unpooled(end: str) -> Inputs:
    """Return what makes a pooled tensor and the places of its numbers."""

    def make(dtype: torch.dtype) -> list[Tensor]:
        pool = getattr(nn, f"MaxPool{end}")(2, return_indices=True)
        pooled, places = pool(torch.randn(*SHAPES[end]).to(dtype))
        return [pooled.detach().requires_grad_(), places]

    return make


for end in SHAPES:
    add(f"MaxUnpool{end}", unpooled(end), 2)

LEFT_OUT = {
    "Container": "it holds modules",
    "DataParallel": "it needs several devices",
    "Module": "it holds modules",
    "ModuleDict": "it holds modules",
    "ModuleList": "it holds modules",
    "ParameterDict": "it holds parameters",
    "ParameterList": "it holds parameters",
    "RNNBase": "its kinds are called",
    "RNNCellBase": "its kinds are called",
    "SyncBatchNorm": "it needs a group of processes",
}
