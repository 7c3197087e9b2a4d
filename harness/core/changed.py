"""Copies of frozen dataclasses with other values of some fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def changed(frozen: T, **fields: object) -> T:
    """Return a copy of a frozen dataclass with other values of some fields, unchecked.

    `dataclasses.replace` checks them, and takes five times as long. Values of cached properties are
    left out.
    """
    values = vars(frozen)
    copy = object.__new__(type(frozen))
    kept = {name: values[name] for name in frozen.__dataclass_fields__}
    vars(copy).update(kept, **fields)
    return copy
