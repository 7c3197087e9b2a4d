"""The gates of an LSTM or GRU in other orders, in the tensors that hold all of them.

PyTorch, cuDNN, Keras and Flax order an LSTM's gates i, f, g, o (input, forget, cell, output).
TensorFlow 1 (BasicLSTMCell) and Haiku have i, g, f, o; ONNX i, o, f, g; Caffe and Core ML i, f, o,
g; Chainer g, i, f, o. PyTorch orders a GRU's gates r, z, n (reset, update, new); Keras and ONNX z,
r, n.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import permutations

from harness.layouts.layout import Layout
from harness.layouts.parts import Named, Part, flattened, reordered, unflattened, whole

USUAL = {4: "ifgo", 3: "rzn"}
OTHERS = {4: ("igfo", "iofg", "ifog", "gifo"), 3: ("zrn",)}
KERAS = "recurrent"  # in the names of Keras' weights, as "recurrent_kernel"


def list_gates(theirs: Sequence[Named], ours: Sequence[Named]) -> Iterator[Layout]:
    """Yield layouts of recurrent tensors of the reference, each with all gates in another order.

    The orders of known frameworks may be assumed. Those of a GRU need evidence: one side alone has
    Keras' names. A port that exchanges reset and update differs in nothing else, and queries, keys
    and values may have the same shapes.
    """
    for gates, size in _list_sizes([*theirs, *ours]):
        held = [one for one in theirs if gates * size in one[1]]
        if not held:
            continue
        keras = [any(KERAS in name for name, _ in side) for side in (theirs, ours)]
        evident = gates == 4 or keras[0] is not keras[1]
        usual, seen = USUAL[gates], {USUAL[gates]}
        either = {(True, False): "{theirs}", (False, True): "{ours}"}.get((keras[0], keras[1]))
        for taken, said in _list_known(gates, either or "{ours} or {theirs}"):
            if taken not in seen:
                seen.add(taken)
                said = said if evident else _say_taken(taken)
                named = evident and gates == 3
                yield replace(_make_layout(held, size, taken, said, evident), named=named)
        for each in permutations(usual):
            taken = "".join(each)
            if taken not in seen:
                yield _make_layout(held, size, taken, _say_taken(taken), False)


def _list_known(gates: int, either: str) -> Iterator[tuple[str, str]]:
    """Yield the gates at the usual places if one model has the order of another framework, and a
    description. `either` says whose order it is, if it may be either's.
    """
    usual = USUAL[gates]
    for order in OTHERS[gates]:
        by_theirs = "".join(usual[order.index(gate)] for gate in usual)
        for taken, owner in ((by_theirs, "{theirs}"), (order, "{ours}")):
            named = owner if by_theirs != order else either
            yield taken, f"{named} stores the gates in the order {', '.join(order)}"


def _say_taken(taken: str) -> str:
    """Say that a model takes gates for others. Thirds may be queries, keys and values too."""
    usual = USUAL[len(taken)]
    if len(taken) == 3:
        order = ", ".join(str(usual.index(gate) + 1) for gate in taken)
        return (
            f"the thirds of fused tensors of {{theirs}} (r, z, n of a GRU, or q, k, v of attention)"
            f" are taken in the order {order}"
        )
    return f"the gates {', '.join(usual)} of {{theirs}} are taken as {', '.join(taken)}"


def _list_sizes(tensors: Sequence[Named]) -> list[tuple[int, int]]:
    """Return the numbers of gates and of units that recurrent matrices may have."""
    sizes: dict[tuple[int, int], None] = {}
    for _, shape in tensors:
        for gates in USUAL:
            if len(shape) == 2 and max(shape) == gates * min(shape) and min(shape) > 1:
                sizes[gates, min(shape)] = None
    return list(sizes)


def _make_layout(held: Sequence[Named], size: int, taken: str, said: str, assumed: bool) -> Layout:
    """Return the layout in which the usual places of gates hold the gates `taken`."""
    order = [USUAL[len(taken)].index(gate) for gate in taken]
    views = {
        name: _reorder(name, shape.index(len(order) * size), size, order) for name, shape in held
    }
    return Layout(said, views, assumed=assumed)


def _reorder(name: str, axis: int, size: int, order: Sequence[int]) -> Part:
    """Return the expression for a tensor with blocks along an axis in another order."""
    blocks = unflattened(whole(name), axis, (len(order), size))
    return flattened(reordered(blocks, axis, order), axis, axis + 1)
