"""Finds rows that are no evidence: all hidden units are saturated, so weights hardly matter."""

from __future__ import annotations

from harness.core.contract import NNET_CLIP
from harness.shipped.truth import Truth

HIDDEN = 1  # the layer of the hidden units, as blocks of a layout number it
SATURATED = (
    "every hidden unit is beyond nnet's clip in every row, so that most weights do not matter: were"
    " the data scaled before nnet()? give y= or prepare=, or the rows as nnet() was given them"
)


def is_saturated(truth: Truth) -> bool:
    """Is the argument of every hidden unit beyond nnet's clip of the logistic, in all rows of all
    tables?

    False if the network has no hidden units, or if it is not known which numbers enter it.
    """
    if not any(block.layer == HIDDEN for block in truth.network.layout.blocks):
        return False
    for table in truth.tables:
        if table.inputs is None:
            return False
        hidden = truth.network.layers(truth.exact_problem(table))[0][0]
        if not (abs(hidden) > NNET_CLIP).all():
            return False
    return True
