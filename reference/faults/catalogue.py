"""The catalogue: mistakes that real ports make, to test the judge and to name what it finds."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from harness.core.contract import Array
from harness.core.formulation import Family
from reference.faults import activations, answers, data, inexact, losses, parameters
from reference.faults.changes import Named, change_block, multiply_by
from reference.faults.kinds import Fault, Hidden, Misread, OnBlocks, Slope
from reference.mathematics.network import Network

SIZES = (1e-3, 1e-6, 1e-12)  # of numbers that are off, relative to them

OPERATORS: tuple[Fault, ...] = (
    *parameters.FAULTS,
    *data.FAULTS,
    *activations.FAULTS,
    *losses.FAULTS,
    *answers.FAULTS,
    *inexact.NARROW,
    *inexact.SIZED,
)

FAULTS: tuple[Fault, ...] = (
    *(fault for fault in OPERATORS if not fault.sized),
    *(fault.at(size) for fault in OPERATORS if fault.sized for size in SIZES),
)


class InBlock(NamedTuple):
    """A mistake in one block of any network; {} in its description `words` stands for the block's
    name.
    """

    kind: type[OnBlocks]
    name: str
    words: str
    change: Callable[[Array], Array]


IN_A_BLOCK = (
    InBlock(Misread, "dropped", "{} left out", np.zeros_like),
    InBlock(Misread, "negated", "{} negated", np.negative),
    InBlock(Misread, "transposed", "square {} transposed", np.transpose),
    InBlock(Slope, "grad_twice", "gradient of {} counted twice", multiply_by(2)),
    InBlock(Slope, "grad_halved", "gradient of {} halved", multiply_by(0.5)),
    InBlock(Slope, "grad_dropped", "gradient of {} left out", np.zeros_like),
)


def made_in(network: Family) -> list[Fault]:
    """Return the faults that a network can have."""
    if isinstance(network, Network):
        faults = list(FAULTS)
    else:
        faults = [fault for fault in FAULTS if not isinstance(fault, OnBlocks | Hidden)]
        for block in network.layout.blocks:
            for kind, name, words, change in IN_A_BLOCK:
                change_it = change_block(Named(block.name), change)
                faults.append(kind(f"{block.name}_{name}", words.format(block.name), change_it))
    return [fault for fault in faults if fault.fits(network)]
