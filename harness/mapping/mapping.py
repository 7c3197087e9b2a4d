"""The map from the reference's tensors to the subject's, its derivative, and its description."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harness.evaluating.state import State
from harness.layouts.parts import Part

Given = Mapping[str, Tensor]
KEPT = "as built: each model keeps its own numbers"
MOST_SHORT = 3  # expressions on the screen; all stand in results.json


@dataclass(frozen=True, eq=False)
class ParameterMap:
    """The map from the reference's tensors to the subject's.

    `make` returns the subject's tensors by name, given those of the reference; tensors that it
    leaves out stay as the subject was built. `text` is a sentence for people, `code` a line of
    Python. `assumed` says that it was found by trying. `parts` has the expression of each tensor of
    the subject, if the map consists of expressions. `as_built` names the subject's tensors without
    a source, `constants` those with values from the user, and `unused` the reference's tensors that
    are not used. `differentiable` is False for a user's function that computes outside torch, as in
    NumPy. `remark` is a further note for the reader. `fallback` says which map this is if none was
    found that makes the outputs agree. `against_names` is a sentence on a map that contradicts the
    names of tensors, with which the outputs of both models would agree. `short` is `text` with the
    first few expressions only.
    """

    make: Callable[[State], State]
    text: str
    code: str = ""
    assumed: bool = False
    parts: Mapping[str, Part] | None = None
    as_built: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    differentiable: bool = True
    remark: str = ""
    fallback: str = ""
    against_names: str = ""
    short: str = ""

    @property
    def said(self) -> str:
        """The sentence `text`, or a shorter one (`short`) if there is one."""
        return self.short or self.text

    @property
    def moves(self) -> bool:
        """Does any of the subject's tensors depend on the reference's?"""
        return self.text != KEPT

    def leave_out(self, names: Sequence[str], remark: str) -> ParameterMap:
        """Return the map without some of the subject's tensors, which stay as built."""
        parts = {name: part for name, part in (self.parts or {}).items() if name not in names}
        return replace(
            self,
            make=make_of_parts(parts),
            parts=parts,
            as_built=(*self.as_built, *names),
            remark="; ".join(filter(None, [remark, self.remark])),
        )

    def convert(self, state: State) -> State:
        """Return the subject's tensors in float64 by name, given those of the reference."""
        with torch.no_grad():
            return {name: each.detach().clone() for name, each in self.make(state).items()}

    def at(self, state: State) -> Carry:
        """Return the derivative of the map at these values of the reference's tensors."""
        return Carry(self, state)


class Carry:
    """The derivative J of a map at given values of the reference's tensors.

    J has a row for each number of the subject and a column for each number of the reference. `push`
    multiplies by J, `pull` by its transpose.
    """

    def __init__(self, mapping: ParameterMap, state: State) -> None:
        self.mapping, self.state = mapping, state

    def push(self, tangents: Given) -> dict[str, Tensor]:
        """Return J w: the changes of the subject's tensors, given changes w of the reference's.

        Tensors that do not change are left out.
        """
        leaves, results = self._trace(tuple(tangents))
        changes = {}
        for name, tensor in results.items():
            if tensor.requires_grad:
                changes[name] = self._push_one(tensor, leaves, tangents)
        return changes

    def _push_one(self, tensor: Tensor, leaves: State, tangents: Given) -> Tensor:
        """Return the change of one tensor of the subject, which depends on `leaves`, given the
        changes `tangents` of the leaves by name.

        J is the derivative of the tensor by the leaves, and w the changes. The result J w is the
        gradient of v^T J w by v, so that two backward passes replace a forward one.
        """
        weights = torch.zeros_like(tensor, requires_grad=True)
        slopes = torch.autograd.grad(
            tensor, list(leaves.values()), weights, create_graph=True, allow_unused=True
        )
        total = torch.zeros((), dtype=tensor.dtype)
        for name, slope in zip(leaves, slopes, strict=True):
            if slope is not None:
                total = total + (slope * tangents[name].to(slope)).sum()
        if not total.requires_grad:
            return torch.zeros_like(tensor)
        (change,) = torch.autograd.grad(total, [weights])
        return change.to(next(iter(tangents.values())).device)

    def pull(self, gradients: Given) -> dict[str, Tensor]:
        """Return J^T g: the gradients by the reference's tensors, given the gradients g by the
        subject's tensors.

        A missing gradient counts as 0.
        """
        names = [name for name, each in self.state.items() if each.is_floating_point()]
        leaves, results = self._trace(tuple(names))
        device = next(iter(gradients.values())).device if gradients else torch.device("cpu")
        outputs, weights = [], []
        for name, tensor in results.items():
            if name in gradients and tensor.requires_grad:
                outputs.append(tensor)
                weights.append(gradients[name].to(tensor).reshape(tensor.shape))
        slopes: list[Tensor | None] = [None] * len(names)
        if outputs:
            slopes = list(
                torch.autograd.grad(outputs, list(leaves.values()), weights, allow_unused=True)
            )
        pulled = {}
        for name, slope in zip(names, slopes, strict=True):
            gradient = torch.zeros_like(self.state[name]) if slope is None else slope
            pulled[name] = gradient.to(device)
        return pulled

    def _trace(self, names: tuple[str, ...]) -> tuple[State, State]:
        """Return copies of the reference's tensors of these names, which need gradients, and the
        subject's tensors that the map computes from them.
        """
        leaves = {name: self.state[name].detach().clone().requires_grad_() for name in names}
        if not self.mapping.differentiable:
            return leaves, {}
        with torch.enable_grad():
            return leaves, self.mapping.make({**self.state, **leaves})


def make_of_parts(parts: Mapping[str, Part]) -> Callable[[State], State]:
    """Return the function that evaluates expressions: it takes the reference's tensors by name, and
    returns the subject's.
    """

    def make(state: State) -> State:
        return {name: part.make(state) for name, part in parts.items()}

    return make


def describe_parts(parts: Mapping[str, Part], most: int = 12) -> str:
    """Return the expressions in words, at most `most` of them; a tensor made from the tensor of its
    own name is left out.
    """
    texts = [f"{name} = {part.text}" for name, part in parts.items() if part.text != name]
    if len(texts) > most:
        texts = [*texts[:most], f"{len(texts) - most} more"]
    return ", ".join(texts)


def shorten_parts(parts: Mapping[str, Part]) -> str:
    """Return the first MOST_SHORT expressions in words, and how many more there are: tensors that
    are joined, cut or turned first, since a map may be wrong there.
    """
    texts = [(part.text in part.sources, name) for name, part in parts.items() if part.text != name]
    ordered = [name for _, name in sorted(texts, key=lambda each: each[0])]
    first = ordered[:MOST_SHORT] if len(texts) > MOST_SHORT + 1 else ordered
    said = describe_parts({name: part for name, part in parts.items() if name in first})
    more = len(texts) - len(first)
    return f"{said}, and {more} more" if more else said


def write_parts(parts: Mapping[str, Part]) -> str:
    """Return the argument `parameters` that a user would write for these expressions."""
    items = [f'"{name}": {part.code}' for name, part in parts.items()]
    return f"parameters=lambda s: {{{', '.join(items)}}}"
