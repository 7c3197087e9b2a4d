"""Proposes expressions that give one tensor another shape."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

from harness.evaluating.state import Shape
from harness.layouts.kernels import list_kernels
from harness.layouts.parts import Part, reshaped, transposed, whole


def list_forms(
    name: str, found: Shape, wanted: Shape, turned: bool = False, last: bool = False
) -> Iterator[Part]:
    """Yield expressions that give the tensor `name` (shape `found`) the shape `wanted`.

    `turned` says that square matrices are transposed, and kernels of equal lengths turned; `last`
    in which direction kernels are, if both fit.
    """
    is_square = len(set(found)) == 1 and len(found) > 1
    if found == wanted and not (turned and is_square):
        yield whole(name)
    if len(found) == 2 and found[::-1] == wanted and (turned or not is_square):
        yield transposed(whole(name))
    if found != wanted or (turned and is_square):
        yield from list_kernels(name, found, wanted, last)
    if found != wanted and prod(found) == prod(wanted):
        yield from _list_reshaped(name, found, wanted)


def _list_reshaped(name: str, found: Shape, wanted: Shape) -> Iterator[Part]:
    """Yield the same numbers in another shape, if it is plausible.

    The shapes may differ in axes of length 1, or have an end in common. The matrix of a kernel of
    size 1 may be transposed.
    """
    without, others = _drop_ones(found), _drop_ones(wanted)
    if without == others or _keeps_an_end(found, wanted):
        yield reshaped(whole(name), wanted)
    elif without == others[::-1] and len(without) == 2 and len(found) != len(wanted):
        yield reshaped(transposed(reshaped(whole(name), without)), wanted)


def _drop_ones(shape: Shape) -> Shape:
    return tuple(length for length in shape if length != 1)


def _keeps_an_end(found: Shape, wanted: Shape) -> bool:
    """May two shapes of one array differ in the axes between, as those of a convolution's matrix or
    of a head's?
    """
    if min(len(found), len(wanted)) < 2 or len(found) == len(wanted):
        return False
    return found[0] == wanted[0] or found[-1] == wanted[-1]


def is_flat(shape: Shape) -> bool:
    """Is at most one axis longer than 1?"""
    return sum(length != 1 for length in shape) < 2
