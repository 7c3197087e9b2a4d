"""Describes another order of inputs or outputs in words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from reference.explaining.loss_words import ORDINALS

MOST = 12  # columns that are listed


def describe_outputs(order: Sequence[int], widths: Sequence[int]) -> str:
    """Return a description of outputs in another order; `widths` are those of the heads.

    `order` has, for each output, the number of the right output that it equals.
    """
    parts = _split(range(sum(widths)), widths)
    taken = _split(order, widths)
    for head, columns in enumerate(taken):
        for other, right in enumerate(parts):
            if head != other and columns == right and taken[other] == right:
                return (
                    f"the {ORDINALS[other]} head is used twice: the outputs of the"
                    f" {ORDINALS[head]} head are its outputs"
                )
    return _describe(order, widths, "outputs", "head")


def describe_inputs(order: Sequence[int], widths: Sequence[int]) -> str:
    """Return a description of inputs in another order; `widths` are those of the groups.

    `order` has, for each input, the number of the given input that is read in its place.
    """
    parts = _split(range(sum(widths)), widths)
    taken = _split(order, widths)
    for group, columns in enumerate(taken):
        name = f"the {ORDINALS[group]} input"
        if set(columns) == {-1}:
            return f"{name} is left out"
        for other, right in enumerate(parts):
            if group != other and columns == right and taken[other] == right:
                return (
                    f"the {ORDINALS[other]} input is used twice: it stands in place of {name} too"
                )
    return _describe(order, widths, "inputs", "input")


def _describe(order: Sequence[int], widths: Sequence[int], what: str, part: str) -> str:
    parts = _split(range(sum(widths)), widths)
    taken = _split(order, widths)
    if len(parts) == 2 and taken == parts[::-1]:
        return f"the two {'heads' if part == 'head' else 'inputs'} are exchanged"
    if taken == [each[::-1] for each in parts]:
        each = "" if len(parts) == 1 else f" of each {part}"
        return f"the columns of the {what}{each} are in reverse order"
    if list(order) in _interleave(widths):
        return (
            f"the columns of the two {part}s are interleaved, expected one {part} after the other"
            " (check reshape, stack and [::2])"
        )
    moved = [place for place, column in enumerate(order) if column != place]
    if len(moved) == 2 and [order[place] for place in moved] == moved[::-1]:
        names = " and ".join(_name(place, widths, part) for place in moved)
        return f"columns {names} of the {what} are exchanged"
    left_out = [place for place in moved if order[place] < 0]
    if left_out:
        names = " and ".join(_name(place, widths, part) for place in left_out)
        return f"the {what} lack column {names}"
    listed = ", ".join(map(str, order[:MOST])) + (", ..." if len(order) > MOST else "")
    return f"the columns of the {what} are in another order: {listed}, expected 0, 1, 2, ..."


def _name(place: int, widths: Sequence[int], part: str) -> str:
    """Return the name of a column of inputs or outputs: its number, and the number of its tensor if
    there are several.

    `widths` are the tensors' numbers of columns, and `part` says which of the two it is.
    """
    if len(widths) == 1:
        return str(place)
    ends = list(accumulate(widths))
    number = next(n for n, end in enumerate(ends) if place < end)
    return f"{place - ends[number] + widths[number]} (of the {ORDINALS[number]} {part})"


def _interleave(widths: Sequence[int]) -> list[list[int]]:
    """Return the two orders in which the columns of two groups of equal width alternate."""
    if len(widths) != 2 or widths[0] != widths[1] or widths[0] < 2:
        return []
    columns = list(range(2 * widths[0]))
    by_turns = columns[0::2] + columns[1::2]
    return [by_turns, [by_turns.index(column) for column in columns]]


def _split(columns: Sequence[int], widths: Sequence[int]) -> list[list[int]]:
    ends = list(accumulate(widths))
    return [list(columns[end - width : end]) for end, width in zip(ends, widths, strict=True)]
