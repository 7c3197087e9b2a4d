"""Finds free parameters of the subject: it can then compute functions that the reference cannot."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.evaluating.state import State
from harness.mapping.mapping import ParameterMap


@dataclass(frozen=True)
class Free:
    """A free parameter of the subject: its numbers come from no number of the reference, or from
    the same numbers as another parameter's.

    `merged` is another parameter of the subject, if the outputs depend only on the sum of both;
    then the two models still have the same functions. `twin` is the parameter that comes from the
    same numbers. `said` says that the user has given this value or map.
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
    mapping: ParameterMap,
    acting: Collection[str],
    gradients: Sequence[Mapping[str, Tensor]],
    near: float,
) -> list[Free]:
    """Return the free parameters of the subject that have no source in the reference.

    `acting` names the parameters that influence an output. `gradients` are gradients by the
    subject's parameters, by name, one dict for each of several parameter values; they are equal up
    to the relative difference `near`.
    """
    lacking = [name for name in mapping.as_built if name in acting]
    stated = [name for name in mapping.constants if name in acting and name not in lacking]
    free = []
    for name in lacking:
        others = [other for other in acting if other not in lacking and other not in stated]
        merged = next((other for other in others if _are_one(name, other, gradients, near)), "")
        free.append(Free(name, merged))
    free += [Free(name, said=True) for name in stated]
    return free


def _are_one(name: str, other: str, gradients: Sequence[Mapping[str, Tensor]], near: float) -> bool:
    """Are the gradients by the parameters `name` and `other` equal in every dict of `gradients`?"""
    for of in gradients:
        if name not in of or other not in of or of[name].numel() != of[other].numel():
            return False
        mine, theirs = of[name].reshape(-1), of[other].reshape(-1)
        size = float(abs(theirs).max())
        if not size or float(abs(mine - theirs).max()) > near * size:
            return False
    return bool(gradients)


def find_twins(mapping: ParameterMap, state: State, acting: Collection[str]) -> list[Free]:
    """Return the parameters that the map makes from the same numbers of the reference as another
    parameter.

    `state` has the reference's tensors by name. Only the parameters in `acting` are examined.
    """
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
