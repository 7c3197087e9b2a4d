"""What is watched on a device is judged on that device: no number goes to the CPU on the way."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from harness.model.devices import KNOWN, lacking
from harness.shadow.shadow import Shadow
from harness.shadow.watch import watch


class Mixed(nn.Module):
    """Convolution, pooling, attention, a recurrent layer, dropout and indices."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(2, 4, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.recurrent = nn.GRU(4, 4, batch_first=True)
        self.table = nn.Embedding(5, 4)

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        places = self.pool(self.convolution(x).tanh()).flatten(2).transpose(1, 2)
        seen, _ = self.attention(places, places, places)
        found, _ = self.recurrent(seen + self.table(words))
        return nn.functional.dropout(found, 0.25)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("device", KNOWN)
def test_a_model_is_watched_where_it_is(device: str, dtype: str) -> None:
    """Every operation has a rule and is within its bound; shadows stay on the device."""
    lack = lacking(device)
    if lack:
        pytest.skip(f"NOT RUN: {lack}")
    torch.manual_seed(0)
    model = Mixed().to(device, getattr(torch, dtype))
    x = torch.randn(2, 2, 4, 4, device=device, dtype=getattr(torch, dtype))
    words = torch.tensor([[0, 1, 1, 4], [2, 2, 2, 3]], device=device)

    def call() -> dict[str, Tensor]:
        output = model(x, words)
        slopes = torch.autograd.grad(output.square().sum(), list(model.parameters()))
        return {"output": output, "slope": slopes[0]}

    shadow = Shadow(watch(call, model), dtype)
    for one in shadow.checked:
        assert one.ruled, one.operation.name
        assert one.share < 1, one.operation.name
    for name in shadow.watched.answers:
        number = shadow.read(name)
        assert number.device.type == device
        apart = number.sum() - shadow.watched.observed(name).double().sum()
        assert abs(float(apart.detach())) <= shadow.reach([number.sum()])[0].as_run
