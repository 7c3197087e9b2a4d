"""Mistakes in a loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.selfcheck.mistaken.mistake import (
    Mistake,
    in_loss,
    in_own_loss,
    two_heads,
)
from tests.selfcheck.mistaken.nets import LossOf, Net, Spec, subject_of, sum_over


def _of(one: Callable[[Tensor, Tensor], Tensor]) -> LossOf:
    return lambda outputs, targets: sum_over(outputs, targets, one)


def _is_sum(spec: Spec) -> bool:
    return spec.is_squares and spec.loss.reduction == "sum"


def _is_mean(spec: Spec) -> bool:
    return spec.is_squares and spec.loss.reduction == "mean"


def _of_classes(spec: Spec) -> bool:
    return spec.loss.error == "softmax"


def _of_logits(spec: Spec) -> bool:
    return bool(spec.loss.from_logits)


def _two_of_sum(spec: Spec) -> bool:
    return two_heads(spec) and _is_sum(spec)


def _one_output(spec: Spec) -> bool:
    return spec.is_squares and spec.network.outputs == (1,)


def _not_one_output(spec: Spec) -> bool:
    return _is_sum(spec) and spec.network.outputs != (1,)


def _times(factor: float) -> Callable[[LossOf, Spec], LossOf]:
    return lambda loss, spec: lambda o, t: factor * loss(o, t)


def _joined(outputs: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(outputs), dim=1)


def _squares(o: Tensor, t: Tensor) -> Tensor:
    return ((o - t) ** 2).sum()


def _by_head(*factors: float) -> LossOf:
    return lambda outputs, targets: torch.stack(
        [f * _squares(o, t) for f, o, t in zip(factors, outputs, targets, strict=True)]
    ).sum()


def _broadcast(mean: bool) -> LossOf:
    def loss(outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
        apart = (outputs[0].squeeze(-1) - targets[0]) ** 2
        return apart.mean() if mean else apart.sum()

    return loss


def _with_decay(factor: float, only_weights: bool = False) -> Callable[[Spec], object]:
    """A penalty on the parameters that the reference does not have."""

    def make(spec: Spec) -> object:
        built: list[Net] = []

        class Kept(Net):
            def __init__(self) -> None:
                super().__init__()
                built.append(self)

        def loss(outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> Tensor:
            of = [(p**2).sum() for p in built[-1].parameters() if p.ndim > 1 or not only_weights]
            return spec.own_loss(outputs, targets) + factor * torch.stack(of).sum()

        return subject_of(spec, Kept, loss)

    return make


MEAN = r"mean"
HALF = r"half|0\.5\b"

LOSSES: tuple[Mistake, ...] = (
    in_own_loss("one half", HALF, _times(0.5)),
    in_own_loss("twice", r"twice|doubled|\b2 times|factor(=| of )2", _times(2.0)),
    in_own_loss("negated", r"negat|sign", _times(-1.0)),
    in_own_loss("another factor", r"0\.3\b", _times(0.3)),
    in_own_loss("a large factor", r"1,?000\b|1e\+?0?3", _times(1000.0)),
    in_loss("mean", MEAN, _of(F.mse_loss), _is_sum),
    in_loss(
        "mean of all heads together",
        MEAN,
        lambda o, t: F.mse_loss(_joined(o), _joined(t)),
        _two_of_sum,
    ),
    in_loss(
        "mean over rows",
        r"mean over (the )?rows|mean_of_rows",
        _of(lambda o, t: ((o - t) ** 2).sum(1).mean()),
        _not_one_output,
    ),
    in_loss(
        "mean over outputs",
        r"mean over (the |a row's )?outputs",
        _of(lambda o, t: ((o - t) ** 2).mean(1).sum()),
        _not_one_output,
    ),
    in_loss("mean over heads", r"mean.*heads|half|0\.5", _by_head(0.5, 0.5), _two_of_sum),
    in_loss("sum for mean", r"sum", _of(_squares), _is_mean),
    in_loss(
        "half of the mean",
        r"(half|0\.5).*mean|mean.*(half|0\.5)|mean over rows and outputs",
        _of(lambda o, t: 0.5 * F.mse_loss(o, t)),
        _is_sum,
    ),
    in_loss("L1", r"L1|absolute", _of(lambda o, t: (o - t).abs().sum())),
    in_loss("mean L1", r"(L1|absolute)", _of(F.l1_loss)),
    in_loss("Huber", r"Huber|[Ss]mooth", _of(lambda o, t: F.huber_loss(o, t, reduction="sum"))),
    in_loss("mean Huber", r"Huber|[Ss]mooth", _of(F.smooth_l1_loss)),
    in_loss("Huber of 0.1", r"Huber|[Ss]mooth", _of(lambda o, t: F.huber_loss(o, t, delta=0.1))),
    in_loss(
        "root of the mean square", r"root", lambda o, t: F.mse_loss(_joined(o), _joined(t)).sqrt()
    ),
    in_loss(
        "root of the sum",
        r"root|norm",
        lambda o, t: _squares(_joined(o), _joined(t)).sqrt(),
    ),
    in_loss(
        "loss of the first head only", r"(second|last) head.*left out", _by_head(1, 0), _two_of_sum
    ),
    in_loss("loss of the second head only", r"first head.*left out", _by_head(0, 1), _two_of_sum),
    in_loss("second head weighs half", r"second head.*(half|0\.5)", _by_head(1, 0.5), _two_of_sum),
    in_loss("heads weigh 0.3 and 0.7", r"head.*0\.3\b.*0\.7\b", _by_head(0.3, 0.7), _two_of_sum),
    in_loss("second head weighs 10", r"second head.*\b10\b", _by_head(1, 10.0), _two_of_sum),
    in_loss(
        "targets of the heads exchanged",
        r"targets.*(exchanged|order)",
        lambda o, t: _squares(o[0], t[1]) + _squares(o[1], t[0]),
        _two_of_sum,
    ),
    in_loss("targets broadcast", r"broadcast", _broadcast(False), _one_output),
    in_loss("targets broadcast, mean", r"broadcast", _broadcast(True), _one_output),
    Mistake(
        "decay added",
        r"decay|penalty|weight_decay",
        _with_decay(0.01),
    ),
    Mistake(
        "decay of weights added",
        r"decay|penalty|weight_decay",
        _with_decay(0.1, only_weights=True),
    ),
    in_own_loss(
        "sum for a mean of classes",
        r"sum",
        lambda loss, spec: lambda o, t: F.cross_entropy(o[0], t[0], reduction="sum"),
        _of_logits,
    ),
    in_loss(
        "squares for cross entropy",
        r"squares",
        _of(_squares),
        lambda spec: _of_classes(spec) and not _of_logits(spec),
    ),
    in_loss(
        "mean of squares for cross entropy",
        r"squares",
        _of(F.mse_loss),
        lambda spec: _of_classes(spec) and not _of_logits(spec),
    ),
    in_loss(
        "softmax before CrossEntropyLoss",
        r"softmax",
        _of(lambda o, t: F.cross_entropy(torch.softmax(o, 1), t)),
        _of_logits,
    ),
    in_loss(
        "probabilities given to CrossEntropyLoss",
        r"probabilities given",
        _of(lambda o, t: F.cross_entropy(o, t, reduction="sum")),
        lambda spec: _of_classes(spec) and not _of_logits(spec),
    ),
    in_loss(
        "probabilities given to NLLLoss",
        r"logarithm",
        _of(lambda o, t: -(t * o).sum()),
        lambda spec: _of_classes(spec) and not _of_logits(spec),
    ),
    in_loss(
        "mean of the cross entropy",
        MEAN,
        _of(lambda o, t: -(t * o.log()).sum(1).mean()),
        lambda spec: _of_classes(spec) and not _of_logits(spec),
    ),
    in_loss(
        "mean of the binary cross entropy",
        MEAN,
        _of(F.binary_cross_entropy),
        lambda spec: spec.loss.error == "bce",
    ),
    in_loss(
        "squares for binary cross entropy",
        r"squares",
        _of(_squares),
        lambda spec: spec.loss.error == "bce",
    ),
    in_loss(
        "probabilities given to BCEWithLogitsLoss",
        r"probabilities given",
        _of(lambda o, t: F.binary_cross_entropy_with_logits(o, t, reduction="sum")),
        lambda spec: spec.loss.error == "bce",
    ),
)
