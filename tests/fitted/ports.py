"""Ports of fitted objects for the tests: right ones as people write them, and misreadings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from harness.core.contract import Array
from harness.core.verdict import Verdict
from harness.judging.cache import Cache
from harness.judging.case import Case
from harness.running.trial import run
from reference.rds.fit import FittedNet

Change = Callable[[Array], Array]


def split(net: Any, wts: Array) -> tuple[Array, Array]:
    """Return nnet's weights as hidden units (H, 1 + I) and outputs (O, 1 + H [+ I])."""
    cut = net.hidden * (1 + net.inputs)
    return wts[:cut].reshape(net.hidden, 1 + net.inputs), wts[cut:].reshape(net.outputs, -1)


class Port(nn.Module):
    """A port of a dense nnet, with weights of its own: hidden and out, and skip where there is
    one.
    """

    def __init__(self, net: Any, wts: Array, dtype: torch.dtype = torch.float64) -> None:
        super().__init__()
        hidden, outputs = split(net, wts)
        self.activation, self.clip = net.output, None
        if net.hidden:
            self.hidden = _linear(hidden[:, 1:], hidden[:, 0])
            self.out = _linear(outputs[:, 1 : 1 + net.hidden], outputs[:, 0])
            if outputs.shape[1] > 1 + net.hidden:
                self.skip = nn.Linear(net.inputs, net.outputs, bias=False).double()
                with torch.no_grad():
                    self.skip.weight.copy_(torch.tensor(outputs[:, 1 + net.hidden :]))
        else:
            self.out = _linear(outputs[:, 1:], outputs[:, 0])
        self.to(dtype)

    def logistic(self, z: torch.Tensor) -> torch.Tensor:
        if self.clip is None:
            return torch.sigmoid(z)
        inside = torch.sigmoid(z)
        inside = torch.where(z > self.clip, torch.ones_like(z), inside)
        return torch.where(z < -self.clip, torch.zeros_like(z), inside)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        o = self.out(self.logistic(self.hidden(x))) if hasattr(self, "hidden") else self.out(x)
        if hasattr(self, "skip"):
            o = o + self.skip(x)
        return self.activate(o)

    def activate(self, z: torch.Tensor) -> torch.Tensor:
        if self.activation == "softmax":
            return torch.softmax(z, dim=1)
        return z if self.activation == "identity" else self.logistic(z)


class Scaled(Port):
    """A port that scales its inputs itself: (x - centre) / spread."""

    def __init__(self, net: Any, wts: Array, centre: Array, spread: Array) -> None:
        super().__init__(net, wts)
        self.register_buffer("centre", torch.tensor(centre))
        self.register_buffer("spread", torch.tensor(spread))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward((x - self.centre) / self.spread)


def _linear(weight: Array, bias: Array) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0]).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight.copy()))
        layer.bias.copy_(torch.tensor(bias.copy()))
    return layer


def judge_all(case: Case, file: str | Path = "test_port.py", mode: str = "auto") -> list[Verdict]:
    """Return the verdicts on all trials of a case."""
    answered = case.answering(str(file), mode)
    cache = Cache(answered)
    return [run(trial, cache) for trial in answered.trials()]


def statuses(verdicts: Iterable[Verdict]) -> dict[str, str]:
    """Return the status of each check."""
    return {verdict.check: str(verdict.status) for verdict in verdicts}


def misread(fit: FittedNet, change: Callable[[Array, Array], tuple[Array, Array]]) -> Array:
    """Return the weights after a change of hidden units and outputs."""
    hidden, outputs = change(*split(fit.topology, fit.wts))
    return np.concatenate([hidden.ravel(), outputs.ravel()])
