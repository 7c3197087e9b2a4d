"""Compares a backward pass that a user wrote by hand with the derivative of its forward pass."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.shadow.adjoint import draw_signs
from harness.shadow.functions import Function
from harness.shadow.places import read_place
from harness.shadow.replay import replay
from harness.shadow.shadow import Shadow
from harness.shadow.watch import watch


def list_wrong_backwards(shadow: Shadow) -> list[Function]:
    """Return the user's own autograd Functions whose backward pass is not the derivative of their
    forward pass, within float64 rounding.
    """
    calls = [
        call for call in shadow.watched.functions if call.gradients_in and not call.leaves
    ]  # a forward pass that leaves torch has no derivative to compare with
    return [call for call in calls if not is_derivative(shadow, call)]


def is_derivative(shadow: Shadow, call: Function) -> bool:
    """Did a Function's backward return the derivative of its forward?

    Autograd differentiates the forward pass, as repeated in float64, by the inputs, for the same
    gradients by the outputs. Both results are bounded by their own operations, and compared as sums
    with random signs. Inputs that share memory are compared together.
    """
    read, versions = shadow.replay.read, {place.version for place in call.inputs}
    inputs = {version: shadow.replay.get(version) for version in versions}
    inputs = {version: each for version, each in inputs.items() if each.is_floating_point()}
    forward = replay(shadow.watched.run, inputs, call.operations)
    outputs, by_outputs = [], []
    for place, gradient in zip(call.outputs, call.gradients_out, strict=False):
        if gradient is not None and forward.read(place).requires_grad:
            outputs.append(forward.read(place))
            by_outputs.append(read(gradient).detach())
    if not outputs:
        return True
    derived = _derive(outputs, [forward.numbers[version] for version in inputs], by_outputs)
    return all(
        _agree(shadow, call, version, derived, str(number)) for number, version in enumerate(inputs)
    )


def _derive(outputs: list[Tensor], inputs: list[Tensor], given: list[Tensor]) -> Shadow:
    """Return the derivatives of the outputs by each input, recorded and repeated in float64; their
    names are the numbers of the inputs.

    `given` are the gradients by the outputs.
    """

    def differentiate() -> dict[str, Tensor]:
        slopes = torch.autograd.grad(
            outputs, inputs, given, retain_graph=True, allow_unused=True, materialize_grads=True
        )
        return {str(number): slope for number, slope in enumerate(slopes)}

    return Shadow(watch(differentiate), "float64")


def _agree(shadow: Shadow, call: Function, version: int, derived: Shadow, name: str) -> bool:
    """Does the gradient that a Function returned equal the derivative, within its bound?

    All inputs are compared together that share the memory `version`. `derived` has the derivative
    by this memory under `name`.
    """
    expected = derived.read(name)
    signs = draw_signs(expected, torch.Generator().manual_seed(0))
    expected_sum = (expected * signs).sum()
    actual_sum = torch.zeros((), dtype=torch.float64, device=expected.device)
    for place, gradient in zip(call.inputs, call.gradients_in, strict=False):
        if place.version == version and gradient is not None:
            actual_sum = (
                actual_sum + (shadow.replay.read(gradient) * read_place(signs, place)).sum()
            )
    (mine,), (theirs,) = shadow.reach([actual_sum]), derived.reach([expected_sum])
    # an error of the gradients that were given moves both sides
    allowed = 2 * mine.in_float64 + theirs.in_float64
    return abs(float(actual_sum.detach() - expected_sum.detach())) <= allowed
