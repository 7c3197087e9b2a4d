"""The catalogue of mistakes that real ports make, to test the judge and to name the causes of
failures.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from harness.core.contract import Array
from harness.core.formulation import Family
from harness.core.loss import SUM_OF_SQUARES, Loss
from reference.faults.changes import Named, change_block, multiply_by
from reference.faults.kinds import Fault, Hidden, Misread, OnBlocks, Slope
from reference.mathematics.network import Network
from reference.mistakes import (
    activations,
    answers,
    classifiers,
    data,
    entropies,
    inexact,
    losses,
    parameters,
    wiring,
)

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

# most are of losses other than squares
OF_CLASSIFIERS: tuple[Fault, ...] = (*classifiers.FAULTS, *entropies.FAULTS)

# of one hidden layer: tried to explain a failure, and not planted by the selfcheck
FURTHER: tuple[Fault, ...] = (
    *wiring.FAULTS,
    *activations.OTHERS,
    *parameters.OTHERS,
    *losses.OTHERS,
    *data.OTHERS,
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


def made_in(network: Family, losses: Iterable[Loss] = (SUM_OF_SQUARES,)) -> list[Fault]:
    """Return the faults (planted mistakes) that a network with one of these losses can have."""
    if isinstance(network, Network):
        faults = [*FAULTS, *OF_CLASSIFIERS, *FURTHER]
    else:
        faults = [
            fault
            for fault in (*FAULTS, *OF_CLASSIFIERS, *FURTHER)
            if not isinstance(fault, OnBlocks | Hidden)
        ]
        for block in network.layout.blocks:
            for kind, name, words, change in IN_A_BLOCK:
                change_it = change_block(Named(block.name), change)
                faults.append(kind(f"{block.name}_{name}", words.format(block.name), change_it))
    every = list(losses)
    return [
        fault
        for fault in faults
        if fault.fits(network) and any(fault.suits(loss, network) for loss in every)
    ]
