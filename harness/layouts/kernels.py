"""Kernels of convolutions in two layouts.

PyTorch stores (outputs, inputs, axes of space), TensorFlow, Keras and Flax (axes of space, inputs,
outputs); see torch.nn.Conv2d, tf.nn.conv2d and flax.linen.Conv. A depthwise kernel is (inputs times
multiplier, 1, axes of space) in PyTorch and (axes of space, inputs, multiplier) in TensorFlow; see
tf.nn.depthwise_conv2d.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.evaluating.state import Shape
from harness.layouts.parts import Part, permuted, reshaped, whole


def list_kernels(name: str, found: Shape, wanted: Shape, last: bool) -> Iterator[Part]:
    """Yield expressions that turn the kernel `name` of the shape `found` into the other layout, if
    that has the shape `wanted`; at most one.

    Both directions fit some shapes. `last` then takes the one to the outputs on the last axis.
    """
    if len(found) < 3 or len(found) != len(wanted):
        return
    axes = len(found)
    to_first = (axes - 1, axes - 2, *range(axes - 2))
    to_last = (*range(2, axes), 1, 0)
    for order in (to_last, to_first) if last else (to_first, to_last):
        if tuple(found[axis] for axis in order) == wanted:
            yield permuted(whole(name), order)
            return
    yield from _list_depthwise(name, found, wanted)


def _list_depthwise(name: str, found: Shape, wanted: Shape) -> Iterator[Part]:
    """Yield the expression for a depthwise kernel in the other layout, if the shapes fit."""
    axes = len(found)
    (inputs, multiplier), space = found[-2:], found[:-2]
    if wanted == (inputs * multiplier, 1, *space):
        order = (axes - 2, axes - 1, *range(axes - 2))
        yield reshaped(permuted(whole(name), order), wanted)
        return
    (inputs, multiplier), space = wanted[-2:], wanted[:-2]
    if found == (inputs * multiplier, 1, *space):
        split = reshaped(whole(name), (inputs, multiplier, *space))
        yield permuted(split, (*range(2, axes), 0, 1))
