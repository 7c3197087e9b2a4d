"""Constants that are rounded where they are created: torch.tensor(0.1) in float32 against 0.1."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harness.locating.frontier import Pool
from harness.rules.precision import precision_of
from harness.shadow.shadow import Shadow

SHORT = 12  # significant bits of a constant that is taken as exact: 0.5, 3, 10


def list_rounded(shadow: Shadow, other: Shadow, module: Any) -> dict[int, Tensor]:
    """Return the rounding errors of a model's constants, by the number of the array in memory that
    holds the constant.

    The numbers are indices of `shadow.watched.run.versions`. Only constants are listed that are
    stored in a dtype narrower than float64, are no parameter of the module, and are not among the
    constants of the other model.
    """
    pool = Pool(other.leaves().values(), 0.0)
    own = {each.untyped_storage().data_ptr() for each in module.parameters()}
    errors = {}
    for version, numbers in shadow.leaves().items():
        stored = shadow.watched.run.versions[version].numbers
        narrow = stored.is_floating_point() and stored.dtype != torch.float64
        if not narrow or stored.untyped_storage().data_ptr() in own:
            continue
        constants = numbers.detach()
        if pool.has(constants):
            continue
        roundoff = precision_of(str(stored.dtype).removeprefix("torch.")).stored
        scaled = torch.frexp(constants).mantissa * 2.0**SHORT
        errors[version] = torch.where(scaled == scaled.round(), 0.0, roundoff * abs(constants))
    return errors
