"""Mistakes that nobody lists: nothing that is offered for them is right."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.selfcheck.mistaken.losses import _of
from tests.selfcheck.mistaken.mistake import Mistake, in_loss, in_module
from tests.selfcheck.mistaken.nets import Net


def _hidden(name: str, change: Callable[[Tensor], Tensor]) -> Mistake:
    return in_module(name, "", act=lambda self, z: change(Net.act(self, z)))


def _argument(name: str, change: Callable[[Tensor], Tensor]) -> Mistake:
    return in_module(name, "", enter=lambda self, *xs: change(Net.enter(self, *xs)))


def _inputs(name: str, change: Callable[[Tensor], Tensor]) -> Mistake:
    return in_module(name, "", inputs=lambda self, *xs: [change(x) for x in xs])


def _outputs(name: str, change: Callable[[Tensor], Tensor]) -> Mistake:
    return in_module(name, "", outputs=lambda self, outputs: [change(o) for o in outputs])


def _first_only(change: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda h: torch.cat([change(h[:, :1]), h[:, 1:]], dim=1)


def _hooked(change: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def changed(h: Tensor) -> Tensor:
        h = h.clone()
        if h.requires_grad:
            h.register_hook(change)  # type: ignore[no-untyped-call]
        return h

    return changed


STRANGERS: tuple[Mistake, ...] = (
    _hidden("one unit dead", _first_only(lambda h: 0 * h)),
    _hidden("one unit negated", _first_only(lambda h: -h)),
    _hidden("one unit halved", _first_only(lambda h: h / 2)),
    _hidden("units normed", lambda h: h / (h.norm(dim=1, keepdim=True) + 1e-6)),
    _hidden("units rolled", lambda h: h.roll(1, 1)),
    _hidden("units squared", lambda h: h * h),
    _hidden("units mixed", lambda h: h + 0.3 * h.flip(1)),
    _hidden("units clamped", lambda h: h.clamp(-0.5, 0.5)),
    _hidden("sine of the units", torch.sin),
    _hidden("units softmaxed", lambda h: torch.softmax(h, 1)),
    _hidden("units less their mean", lambda h: h - h.mean(1, keepdim=True)),
    _hidden("layer norm", lambda h: F.layer_norm(h, h.shape[1:])),
    _hidden("quantised units", lambda h: torch.round(64 * h) / 64),
    _argument("argument halved where large", lambda z: torch.where(z.abs() > 2, z / 2, z)),
    _argument("argument with cubic term", lambda z: z + 0.1 * z**3),
    _argument("argument rolled", lambda z: z.roll(1, 1)),
    _inputs("inputs squared", lambda x: x * x),
    _inputs("inputs clamped", lambda x: x.clamp(-1, 1)),
    _inputs("logarithm of the inputs", lambda x: torch.log1p(x.abs())),
    _inputs("first row doubled", lambda x: torch.cat([2 * x[:1], x[1:]])),
    _inputs("rows averaged with the last", lambda x: (x + x.roll(1, 0)) / 2),
    _inputs("cumulative rows", lambda x: x.cumsum(0)),
    _outputs("outputs clamped", lambda o: o.clamp(-1, 1)),
    _outputs("outputs rounded", lambda o: torch.round(1e3 * o) / 1e3),
    _outputs("first row lost", lambda o: torch.cat([0 * o[:1], o[1:]])),
    _outputs("outputs with a square", lambda o: o + 0.1 * o * o),
    _outputs("outputs averaged with the last", lambda o: (o + o.roll(1, 0)) / 2),
    _hidden("gradient of the units clamped", _hooked(lambda g: g.clamp(-0.1, 0.1))),
    _hidden("gradient of the units squared", _hooked(lambda g: g * g)),
    _outputs("sign of the gradient", _hooked(torch.sign)),
    in_loss("log cosh", "", _of(lambda o, t: torch.log(torch.cosh((o - t).clamp(-20, 20))).sum())),
    in_loss("cubes", "", _of(lambda o, t: ((o - t).abs() ** 3).sum())),
    in_loss("quantile", "", _of(lambda o, t: torch.maximum(0.9 * (t - o), -0.1 * (t - o)).sum())),
    in_loss("log of squares", "", _of(lambda o, t: torch.log1p((o - t) ** 2).sum())),
    in_loss(
        "rows weighed by their number",
        "",
        _of(
            lambda o, t: (torch.arange(1, len(o) + 1, dtype=o.dtype)[:, None] * (o - t) ** 2).sum()
        ),
    ),
    in_loss("squares of positive residuals", "", _of(lambda o, t: (F.relu(o - t) ** 2).sum())),
    in_loss("largest square", "", _of(lambda o, t: ((o - t) ** 2).max())),
    in_loss("median square", "", _of(lambda o, t: ((o - t) ** 2).median())),
    in_loss(
        "entropy of the outputs added",
        "",
        _of(lambda o, t: ((o - t) ** 2).sum() + 0.1 * (o * o).sum()),
    ),
    in_loss("relative squares", "", _of(lambda o, t: (((o - t) / (t.abs() + 0.1)) ** 2).sum())),
)


def is_stranger(mistake: Mistake) -> bool:
    """Does nobody list it?"""
    return not mistake.says
