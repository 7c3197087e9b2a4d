"""Forms of what stands around a model's equations: its outputs, and modules around modules."""

from __future__ import annotations

import copy
from collections import OrderedDict, namedtuple
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

Build = Callable[[], nn.Module]
Shell = Callable[[Build], Build]


class Around(nn.Module):
    """A module around a model; subclasses say how it is called."""

    def __init__(self, build: Build) -> None:
        super().__init__()
        self.model = build()

    def forward(self, *xs: Tensor) -> Any:
        return self.model(*xs)


class Recomputed(Around):
    """Computed again on the way back."""

    def forward(self, *xs: Tensor) -> Any:
        return checkpoint(self.model, *xs, use_reentrant=False)


class RowsMapped(Around):
    """One row at a time, by torch.vmap."""

    def forward(self, *xs: Tensor) -> Any:
        def of_row(*rows: Tensor) -> Any:
            heads = self.model(*(row[None] for row in rows))
            if isinstance(heads, Tensor):
                return heads[0]
            return tuple(head[0] for head in heads)

        return torch.vmap(of_row)(*xs)


class Functional(Around):
    """Called by functional_call with its own parameters."""

    def forward(self, *xs: Tensor) -> Any:
        return torch.func.functional_call(self.model, dict(self.model.named_parameters()), xs)


class Packed(Around):
    """What autograd keeps is packed and unpacked."""

    def forward(self, *xs: Tensor) -> Any:
        with torch.autograd.graph.saved_tensors_hooks(torch.clone, torch.clone):
            return self.model(*xs)


class Prepared(Around):
    """Inputs are made flat and contiguous, as a module does that trusts nobody."""

    def forward(self, *xs: Tensor) -> Any:
        return self.model(*(x.reshape(len(x), -1).contiguous() for x in xs))


class InTwo(Around):
    """Rows in two halves, one after the other, side by side again."""

    def forward(self, *xs: Tensor) -> Any:
        halves = [self.model(*part) for part in zip(*(x.chunk(2) for x in xs), strict=True)]
        if isinstance(halves[0], Tensor):
            return torch.cat(halves)
        return tuple(torch.cat(head) for head in zip(*halves, strict=True))


def plain(build: Build) -> Build:
    return build


def around(kind: type[Around]) -> Shell:
    return lambda build: lambda: kind(build)


def copied(build: Build) -> Build:
    """A deep copy of what was built."""
    return lambda: copy.deepcopy(build())


def in_eval(build: Build) -> Build:
    return lambda: build().eval()


def reloaded(build: Build) -> Build:
    """A second module with the state of the first."""

    def make() -> nn.Module:
        module = build()
        module.load_state_dict(copy.deepcopy(build().state_dict()))
        return module

    return make


def hooked(build: Build) -> Build:
    """With hooks that look and change nothing."""

    def make() -> nn.Module:
        module = build()
        module.register_forward_pre_hook(lambda m, xs: tuple(x.view_as(x) for x in xs))
        module.register_forward_hook(lambda m, xs, heads: heads)
        for parameter in module.parameters():
            parameter.register_hook(lambda g: g.clone())
        return module

    return make


def compiled(build: Build) -> Build:
    """By torch.compile, as far as its front end goes."""
    return lambda: torch.compile(build(), backend="eager", dynamic=True)


def traced(build: Build) -> Build:
    """Traced on three rows of ones."""

    def make() -> nn.Module:
        module: Any = build()
        ones = tuple(torch.ones(3, width) for width in module.network.inputs)
        return torch.jit.trace(module, ones)

    return make


# shells that hold the model as a module of their own, named "model"
WITHIN: dict[str, type[Around]] = {
    kind.__name__: kind
    for kind in (Around, Recomputed, RowsMapped, Functional, Packed, Prepared, InTwo)
}
SHELLS: dict[str, Shell] = {
    "plain": plain,
    "copied": copied,
    "in_eval": in_eval,
    "reloaded": reloaded,
    "hooked": hooked,
    **{name: around(kind) for name, kind in WITHIN.items()},
}
COMPILERS: dict[str, Shell] = {"compiled": compiled, "traced": traced}
ONE_OR_TUPLE = ("RowsMapped", "InTwo")  # shells that take no other outputs

# what a model of these heads gives back


def one_or_tuple(heads: Sequence[Tensor]) -> Any:
    return heads[0] if len(heads) == 1 else tuple(heads)


def list_all(heads: Sequence[Tensor]) -> Any:
    return list(heads)


def tuple_all(heads: Sequence[Tensor]) -> Any:
    return tuple(heads)


def in_dict(heads: Sequence[Tensor]) -> Any:
    return {f"o{number}": head for number, head in enumerate(heads)}


def ordered(heads: Sequence[Tensor]) -> Any:
    return OrderedDict((f"o{number}", head) for number, head in enumerate(heads))


One = namedtuple("One", ["left"])
Two = namedtuple("Two", ["left", "right"])


def named(heads: Sequence[Tensor]) -> Any:
    return One(*heads) if len(heads) == 1 else Two(*heads)


OUTPUTS: tuple[Callable[[Sequence[Tensor]], Any], ...] = (
    one_or_tuple,
    list_all,
    tuple_all,
    in_dict,
    ordered,
    named,
)
