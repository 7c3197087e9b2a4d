"""Finds free parameters of the subject: it can then compute functions that the reference cannot."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.evaluating.state import State
from harness.mapping.mapping import ParameterMap

SAME = 1e-9  # of a gradient's size: two gradients that are this near are one


@dataclass(frozen=True)
class Free:
    """A parameter of the subject that depends on no number of the reference, or on the same as
    another one.

    `merged` is another parameter of the subject, if the outputs depend only on the sum of both;
    then the two models still have the same functions. `twin` is the parameter that depends on the
    same numbers. `said` says that the user has given it this value.
    """

    name: str
    merged: str = ""
    twin: str = ""
    said: bool = False

    @property
    def widens(self) -> bool:
        """Can the subject compute functions that the reference cannot, without the user having
        stated it?
        """
        return not self.merged and not self.said


def find_free(
    mapping: ParameterMap, acting: Collection[str], gradients: Sequence[Mapping[str, Tensor]]
) -> list[Free]:
    """Return the free parameters among those that influence an output.

    `gradients` are those of the subject by name, at several states.
    """
    lacking = [name for name in mapping.as_built if name in acting]
    stated = [name for name in mapping.constants if name in acting and name not in lacking]
    free = []
    for name in lacking:
        others = [other for other in acting if other not in lacking and other not in stated]
        merged = next((other for other in others if _are_one(name, other, gradients)), "")
        free.append(Free(name, merged))
    free += [Free(name, said=True) for name in stated]
    return free


def _are_one(name: str, other: str, gradients: Sequence[Mapping[str, Tensor]]) -> bool:
    """Are the gradients by two parameters equal at every state?"""
    for of in gradients:
        if name not in of or other not in of or of[name].numel() != of[other].numel():
            return False
        mine, theirs = of[name].reshape(-1), of[other].reshape(-1)
        size = float(abs(theirs).max())
        if not size or float(abs(mine - theirs).max()) > SAME * size:
            return False
    return bool(gradients)


def find_twins(mapping: ParameterMap, state: State, acting: Collection[str]) -> list[Free]:
    """Return the parameters in `acting` that depend on the same numbers as another one."""
    generator = torch.Generator().manual_seed(5)
    numbers = {
        name: torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
        for name, tensor in state.items()
    }
    converted = mapping.convert(numbers)
    free = {*mapping.as_built, *mapping.constants}
    twins: list[Free] = []
    owners: dict[float, str] = {}
    for name, tensor in converted.items():
        if name not in acting or name in free:
            continue
        own = tensor.reshape(-1).tolist()
        twin = next((owners[number] for number in own if number in owners), "")
        if len(set(own)) < len(own):
            twin = name
        if twin:
            twins.append(Free(name, twin=twin))
        owners |= dict.fromkeys(own, name)
    return twins
