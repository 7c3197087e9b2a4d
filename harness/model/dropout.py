"""Lists the numbers on which torch's dropout decides, and switches all dropout off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

Named = tuple[str, int]  # the argument with the probability: its name and its place
OF_NUMBERS = (
    functional.dropout,
    functional.alpha_dropout,
    torch.dropout,
    torch.dropout_,
    torch.alpha_dropout,
    torch.alpha_dropout_,
)
OF_CHANNELS = (
    functional.dropout1d,
    functional.dropout2d,
    functional.dropout3d,
    functional.feature_alpha_dropout,
    torch.feature_dropout,
    torch.feature_alpha_dropout,
)
ATTENTION = {functional.scaled_dot_product_attention: ("dropout_p", 4)}
HEADS = {functional.multi_head_attention_forward: ("dropout_p", 10)}
RECURRENT = dict.fromkeys((torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu), ("dropout", 5))
ALL: dict[Any, Named] = {
    **dict.fromkeys(OF_NUMBERS + OF_CHANNELS, ("p", 1)),
    **ATTENTION,
    **HEADS,
    **RECURRENT,
}


class Dropped(NamedTuple):
    """One call of dropout: its probability, and on how many numbers it decides.

    `layer` is the module that calls it, and `line` the user's line of source, as "net.py:12".
    """

    probability: float
    numbers: int
    layer: str = ""
    line: str = ""


class Dropout(TorchFunctionMode):
    """Lists torch's dropout in the calls of the forward pass (`dropped`); with `off` its
    probability is 0.

    The first two items that `find` returns are the layer and the line that run.
    """

    def __init__(self, find: Callable[[], Sequence[str]] | None = None, off: bool = False):
        super().__init__()
        self.find, self.off = find, off
        self.dropped: list[Dropped] = []

    def __torch_function__(
        self, called: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        given, kwargs = list(args), dict(kwargs or {})
        named = ALL.get(called)
        if named is None:
            return called(*given, **kwargs)
        probability = _take(called, named, given, kwargs, self.off)
        result = called(*given, **kwargs)
        if probability and torch._C._current_graph_task_id() == -1:  # not computed again
            numbers = _count(called, given, kwargs, result)
            layer, line = self.find()[:2] if self.find else ("", "")
            self.dropped.append(Dropped(probability, numbers, layer, line))
        return result


def _take(called: Any, named: Named, given: list[Any], kwargs: dict[str, Any], off: bool) -> float:
    """Return the probability with which a call drops, 0 outside training; with `off` it is set to
    0 among the arguments.
    """
    name, place = named
    if called in RECURRENT:  # its only real number
        place = next((at for at, each in enumerate(given) if type(each) is float), len(given))
        trains = place + 1 < len(given) and bool(given[place + 1]) and given[place - 1] > 1
    else:
        trains = _is_training(called, given, kwargs)
    by_default = 0.0 if called in ATTENTION else 0.5
    probability = float(given[place] if place < len(given) else kwargs.get(name, by_default))
    if off and place < len(given):
        given[place] = 0.0
    elif off and called not in RECURRENT:
        kwargs[name] = 0.0
    return probability if trains else 0.0


def _is_training(called: Any, given: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    if called in ATTENTION:
        return True
    if "training" in kwargs or "train" in kwargs:
        return bool(kwargs.get("training", kwargs.get("train")))
    place = 13 if called in HEADS else 2
    return bool(given[place]) if place < len(given) else True


def _count(called: Any, given: Sequence[Any], kwargs: dict[str, Any], result: Any) -> int:
    """Return the number of decisions of a call of dropout: one for each number, channel or weight
    of attention, or for each number between two recurrent layers.
    """
    if called in RECURRENT:
        layers = next(each for each in given if type(each) is int)
        return int(result[0].numel()) * (layers - 1)
    first = given[0] if given else next(iter(kwargs.values()))
    if called in OF_NUMBERS:
        return int(first.numel())
    if called in OF_CHANNELS:
        return int(first.shape[:2].numel())
    key = given[1] if len(given) > 1 else kwargs["key"]
    if called in ATTENTION:
        return int(first.shape[:-1].numel()) * int(key.shape[-2])
    heads = given[4] if len(given) > 4 else kwargs["num_heads"]
    return _count_rows(first) * int(key.shape[0]) * int(heads)


def _count_rows(query: Tensor) -> int:
    return int(query.shape[:-1].numel())
