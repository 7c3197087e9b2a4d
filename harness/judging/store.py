"""Values under typed keys, each made once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from harness.pytorch.errors import words_of

T = TypeVar("T")


class Key(Generic[T]):
    """What a value of type T is stored under: a frozen dataclass for each kind of value."""


@dataclass(frozen=True, eq=False)
class Same:
    """An object as part of a key. It equals itself only, however it compares, and stays alive as
    long as the key.
    """

    thing: object

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.thing is self.thing

    def __hash__(self) -> int:
        return id(self.thing)


class _Refusal(NamedTuple):
    """Why a value could not be made: the words of its error, whose frames hold whatever was read
    so far.
    """

    kind: type[ValueError] | type[TypeError]
    words: str


class Store:
    """Values by key."""

    def __init__(self) -> None:
        self._values: dict[Key[Any], Any] = {}

    def get_or_make(self, key: Key[T], make: Callable[[], T]) -> T:
        """The value of a key, made when it is asked for first.

        Raises a ValueError or TypeError of `make` each time, and calls it only once.
        """
        if key not in self._values:
            try:
                self._values[key] = make()
            except (ValueError, TypeError) as error:
                kind = TypeError if issubclass(type(error), TypeError) else ValueError
                self._values[key] = _Refusal(kind, words_of(error))
        value = self._values[key]
        if isinstance(value, _Refusal):
            raise value.kind(value.words)
        found: T = value
        return found

    def get(self, key: Key[T]) -> T | None:
        """The value of a key, None if it has none."""
        value = self._values.get(key)
        return None if isinstance(value, _Refusal) else value

    def put(self, key: Key[T], value: T) -> None:
        """Store a value, in place of the one that the key may have."""
        self._values[key] = value

    def get_all(self, kind: type[Key[T]]) -> list[T]:
        """All values under keys of a kind, in the order in which they were first stored."""
        return [
            value
            for key, value in self._values.items()
            if isinstance(key, kind) and not isinstance(value, _Refusal)
        ]
