"""Buffers of the reference that are folded into parameters of the subject, as a running mean is
into the bias of a convolution.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch

from harness.evaluating.evaluation import GRADIENT
from harness.matching.carry import Carry, Tensors
from harness.matching.compare import Compared
from harness.shadow.shadow import Shadow


def drop_folded(
    compared: Sequence[Compared],
    buffers: Collection[str],
    subject: Shadow,
    reference: Shadow,
    carry: Carry,
) -> list[Compared]:
    """Return the comparisons without gradients by the reference's `buffers` that come only from
    numbers of the subject that follow from its free parameters too.
    """
    found = {one.answer for one in compared if one.outcome == "only here"}
    folded = found & {GRADIENT + name for name in buffers}
    if folded:
        mine, theirs = _list_gradients(subject), _list_gradients(reference)
        folded -= {GRADIENT + name for name in list_sole(carry, mine, theirs)}
    return [one for one in compared if one.answer not in folded]


def _list_gradients(shadow: Shadow) -> dict[str, torch.Tensor]:
    """Return the gradients of a shadow (an evaluation in float64) by parameters, by their names."""
    names = [name for name in shadow.watched.answers if name.startswith(GRADIENT)]
    return {name.removeprefix(GRADIENT): shadow.read(name).detach() for name in names}


def list_sole(carry: Carry, mine: Tensors, free: Tensors) -> set[str]:
    """Return the reference's tensors from which alone some number of the subject with a gradient
    follows: none of the reference's `free` parameters moves it.

    `mine` are the gradients by the subject's parameters. A bias into which a mean is folded follows
    from another bias too, and moves with that.
    """
    generator = torch.Generator().manual_seed(3)
    tangents = {
        name: torch.rand(each.shape, generator=generator, dtype=torch.float64)
        for name, each in free.items()
    }
    changes = carry.push(tangents) if tangents else {}
    alone = {
        name: torch.where(changes[name].to(each.device) == 0, each, 0.0)
        if name in changes
        else each
        for name, each in mine.items()
    }
    return {name for name, each in carry.pull(alone).items() if bool((each != 0).any())}
