"""Checks and converts the arguments of a network: widths, activations and masks."""

from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

from harness.core.contract import Mask
from harness.text.harmless import shown
from reference.notation.activations import OUTPUTS, Output, expect_activation

LETTERS = "WVU"  # of groups of inputs, and of heads


def widths(name: str, given: object, most: int = len(LETTERS)) -> tuple[int, ...]:
    """Return a width, or one width for each group, as a tuple. Raises ValueError for anything
    else.
    """
    group = tuple(given) if isinstance(given, Iterable) else (given,)
    if 0 < len(group) <= most and all(isinstance(w, Integral) and int(w) > 0 for w in group):
        return tuple(int(w) for w in group)
    raise ValueError(
        f"{name} is {group[0] if len(group) == 1 else group}, expected one to {most} whole numbers"
        " from 1"
    )


def count_hidden(given: object) -> int:
    """Return the number of hidden units. Raises ValueError unless it is a whole number from 0."""
    if isinstance(given, Integral) and not isinstance(given, bool) and int(given) >= 0:
        return int(given)
    expected = "a whole number, 0 for no hidden units"
    if isinstance(given, Iterable):
        expected = (
            "a whole number: a Network has one hidden layer, as R's nnet; for more layers write"
            " Equations(...)"
        )
    raise ValueError(f"hidden is {shown(given, 40)}, expected {expected}")


def settle_outputs(given: object, heads: int) -> Output | tuple[Output, ...]:
    """Return the activation of the outputs: one for all heads, or a tuple with one for each head.

    `given` is the user's argument. Raises ValueError for unknown names, and for another number of
    them.
    """
    if isinstance(given, str) or not isinstance(given, Sequence):
        expect_activation("output", given, OUTPUTS)
        return cast("Output", str(given))
    for name in given:
        expect_activation("output", name, OUTPUTS)
    if len(given) != heads:
        raise ValueError(
            f"output has {len(given)} names, expected one, or one for each of {heads} heads"
        )
    names = tuple(cast("Output", str(name)) for name in given)
    return names[0] if len(set(names)) == 1 else names


def mask(name: str, given: ArrayLike | None, shape: tuple[int, int]) -> Mask:
    """Return a mask of the connections that exist: all, or those of a given mask.

    Raises ValueError for another shape.
    """
    flags = np.ones(shape, dtype=bool) if given is None else np.asarray(given, dtype=bool)
    if flags.shape != shape:
        raise ValueError(f"{name} has shape {flags.shape}, expected {shape}")
    return flags


def mask_skip(given: bool | ArrayLike, hidden: int, shape: tuple[int, int]) -> Mask:
    """Return a mask (all outputs, all inputs) of the skip connections: all, none, or those of a
    given mask.
    """
    if isinstance(given, bool | np.bool_):
        return np.full(shape, bool(given) or not hidden)
    full_mask = mask("skip", given, shape)
    if not hidden and not full_mask.any():
        raise ValueError("hidden is 0 and skip has no connection, expected one or more")
    return full_mask
