"""A mistake of the selfcheck: what it makes of a right port, and what a right explanation says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.selfcheck.mistaken.nets import LossOf, Net, Spec, subject_of

Fits = Callable[[Spec], bool]
DTYPES = ("float64", "float32")


def always(spec: Spec) -> bool:
    return True


def two_heads(spec: Spec) -> bool:
    return spec.heads > 1


def of_squares(spec: Spec) -> bool:
    return spec.is_squares


def linear_output(spec: Spec) -> bool:
    return spec.output == "identity" and spec.is_squares


def activated_output(spec: Spec) -> bool:
    return spec.output != "identity"


def several_inputs(spec: Spec) -> bool:
    return spec.network.inputs[0] > 1


def several_outputs(spec: Spec) -> bool:
    return spec.network.outputs[0] > 1


@dataclass(frozen=True)
class Mistake:
    """`says` is a regular expression that an explanation of it matches; a mistake that nobody lists
    has none ("").
    """

    name: str
    says: str
    make: Callable[[Spec], Any]
    fits: Fits = always
    dtypes: tuple[str, ...] = DTYPES
    checks: tuple[str, ...] | None = None
    of_reference: bool = False  # is it the reference's? Then the subject is right


def in_reference(mistake: Mistake) -> Mistake:
    """The same mistake, made by the reference."""
    says = f"in the reference Wrong: .*({mistake.says})"
    return replace(mistake, name=f"{mistake.name} (reference)", says=says, of_reference=True)


def in_module(name: str, says: str, fits: Fits = always, **parts: Any) -> Mistake:
    """A mistake in the module: methods that take the place of the right ones."""
    made = type("Port", (Net,), parts)
    return Mistake(name, says, lambda spec: subject_of(spec, made), fits)


def in_loss(name: str, says: str, loss: LossOf, fits: Fits = of_squares) -> Mistake:
    """Another loss of right outputs."""
    return Mistake(name, says, lambda spec: subject_of(spec, Net, loss), fits)


def in_own_loss(
    name: str, says: str, change: Callable[[LossOf, Spec], LossOf], fits: Fits = always
) -> Mistake:
    """A change of the loss that an author has written rightly."""
    return Mistake(
        name, says, lambda spec: subject_of(spec, Net, change(spec.own_loss, spec)), fits
    )
