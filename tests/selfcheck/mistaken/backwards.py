"""Mistakes in what a gradient goes through."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.selfcheck.mistaken.mistake import Mistake, in_module, in_own_loss, two_heads
from tests.selfcheck.mistaken.nets import LossOf, Net, Spec


def _detach_hidden(self: Net, h: Tensor) -> list[Tensor]:
    return Net.leave(self, h.detach() + 0 * h)


def _detach_second(self: Net, h: Tensor) -> list[Tensor]:
    return [
        self.out_act(self.out(h)),
        self.out_act(self.out2(h.detach() + 0 * h)),
    ]


def _freeze_second(self: Net, outputs: list[Tensor]) -> list[Tensor]:
    return [outputs[0], outputs[1].detach() + 0 * outputs[1]]


def _no_grad_hidden(self: Net, *xs: Tensor) -> Tensor:
    with torch.no_grad():
        return Net.enter(self, *xs)


def _negate_back(loss: LossOf, spec: Spec) -> LossOf:
    def changed(outputs, targets):  # type: ignore[no-untyped-def]
        found = loss(outputs, targets)
        return 2 * found.detach() - found

    return changed


BACKWARDS: tuple[Mistake, ...] = (
    in_module(
        "hidden layer detached",
        r"(hidden layer|W1).*(left out|stopped|detach)|gradient stopped at the hidden",
        leave=_detach_hidden,
    ),
    in_module(
        "second head detached from the hidden layer",
        r"second head.*(detach|stopped|reach)",
        two_heads,
        leave=_detach_second,
    ),
    in_module(
        "second head detached",
        r"second head.*(detach|stopped|left out|gradient)",
        two_heads,
        outputs=_freeze_second,
    ),
    in_module(
        "hidden layer under no_grad",
        r"(no_grad|detach|no gradient|left out|stopped|grad)",
        enter=_no_grad_hidden,
    ),
    in_own_loss("gradient negated", r"negated|sign", _negate_back),
)
