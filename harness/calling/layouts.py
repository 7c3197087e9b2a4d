"""The memory layouts in which a model gets its inputs, its targets and the gradient of its outputs.

In shapes, R counts rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from zlib import crc32

if TYPE_CHECKING:
    from torch import Tensor

TRANSPOSED, STRIDED, EXPANDED = "transposed inputs", "strided inputs", "expanded inputs"
GRADIENT = "a gradient of the outputs that is not contiguous"
LAYOUTS = (TRANSPOSED, STRIDED, GRADIENT)
# of twelve draws in a row, these have another layout than a contiguous one
TURNS = {1: TRANSPOSED, 2: STRIDED, 3: GRADIENT}
OF_DRAWS = 12
# each kind of probes begins elsewhere; with this, the first draws of the default kinds have several
# layouts, and the stacks of few draws have all
SALT = "og"


def choose_layout(kind: str, number: int, shape: tuple[int, int], same_rows: bool) -> str:
    """Return the memory layout of the inputs at a draw; "" if contiguous.

    It follows from `kind`, the kind of the problem's random data, and from `number`, the draw's
    position in its stack. `shape` is the shape (R, I) of the widest input. With one row or one
    column, "transposed" becomes "strided", since there is no other order in memory. With
    `same_rows` all rows of the inputs are equal, and may be one row that is expanded.
    """
    layout = TURNS.get((number + crc32(f"{SALT}{kind}".encode())) % OF_DRAWS, "")
    if layout and same_rows:
        return EXPANDED
    return STRIDED if layout == TRANSPOSED and 1 in shape else layout


def lay_out(tensor: Tensor, layout: str) -> Tensor:
    """Return a tensor with the same numbers in another memory layout; it has two axes (R, ...).

    A tensor with one row or one column stays contiguous if it is transposed, so it becomes strided.
    A single number stays contiguous. A tensor with different rows cannot be expanded from one row;
    it is returned unchanged.
    """
    if layout == EXPANDED:
        expanded = tensor[:1].expand(tensor.shape)
        return expanded if expanded.equal(tensor) else tensor
    if layout != STRIDED:
        turned = tensor.t().contiguous().t()
        if not turned.is_contiguous():
            return turned
    rows, columns = tensor.shape
    larger = tensor.new_full((2 * rows + 1, 2 * columns + 1), float("nan"))
    part = larger[1::2, 1::2]
    part.copy_(tensor)
    return part


def hand_on(heads: Sequence[Tensor]) -> bool:
    """Register hooks that change the memory layout of the gradients by the outputs.

    Return False if no output can have such a hook.
    """
    free = [head for head in heads if head.requires_grad and head.numel() > 1]
    for head in free:
        head.register_hook(lambda gradient: lay_out(gradient, GRADIENT))  # type: ignore[no-untyped-call]
    return bool(free)


def describe_layout(layout: str) -> str:
    """Return the end of the sentence that reports other answers in this layout than in a contiguous
    one.
    """
    if layout == GRADIENT:
        return (
            "where the gradient of its outputs arrives in another layout, expected the same as for"
            " a contiguous one"
        )
    return f"for {layout}, expected the same as for contiguous ones"
