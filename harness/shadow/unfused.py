"""Switches off kernels that compute several operations at once, so that each operation is recorded.

Attention uses its mathematical path, transformer layers do not use their fast path, recurrent
networks run step by step, and compiled functions run uncompiled. Kernels of single operations stay
the same: oneDNN and cuDNN multiply and convolve as always. NNPACK is an exception: it convolves by
Winograd's algorithm, whose error no bound of sums of products covers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from harness.model.late import uncompiled

RECURRENT = (torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu)
NORMS = (torch.rms_norm, torch.nn.functional.rms_norm)


def normalize(
    input: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    eps: float | None = None,
) -> Tensor:
    """Return torch.rms_norm with `eps` in double precision.

    torch rounds `eps` to float32 before adding it. A user's own rms_norm in float64 does not, so
    that the two would differ by about 1e-13, and the comparison in float64 would report this.
    """
    x = input if input.dtype == torch.float64 else input.float()
    axes = [-1 - axis for axis in range(len(normalized_shape))]
    squares = torch.mean(torch.square(x), axes, keepdim=True)
    result = x * torch.rsqrt(squares + (torch.finfo(x.dtype).eps if eps is None else eps))
    if weight is not None:
        result = result * weight
    return result.to(input.dtype)


class StepByStep(TorchFunctionMode):
    """Runs recurrent networks as single operations, without the layers of oneDNN and cuDNN, and
    torch.rms_norm by its equations.

    `met_recurrent` says whether there was such a network.
    """

    def __init__(self) -> None:
        super().__init__()
        self.met_recurrent = False

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function in NORMS:
            return normalize(*args, **(kwargs or {}))
        if function not in RECURRENT:
            return function(*args, **(kwargs or {}))
        self.met_recurrent = True
        libraries = torch.backends.mkldnn, torch.backends.cudnn
        before = [library.set_flags(False)[0] for library in libraries]
        try:
            return function(*args, **(kwargs or {}))
        finally:
            for library, enabled in zip(libraries, before, strict=True):
                library.set_flags(enabled)


@contextmanager
def unfused() -> Iterator[None]:
    """Switch off fused kernels while the `with` block runs, but for those of StepByStep."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        nnpack = torch.backends.nnpack.flags(enabled=False)
        with sdpa_kernel(SDPBackend.MATH), nnpack, uncompiled():
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
