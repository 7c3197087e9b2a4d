"""A store of values under typed keys; each value is computed once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from harness.model.errors import words_of

T = TypeVar("T")
K = TypeVar("K")  # a kind of keys


class Key(Generic[T]):
    """Base of all keys; the value stored under a Key[T] is of type T.

    Each kind of value has a frozen dataclass of its own as its key.
    """


@dataclass(frozen=True, eq=False)
class Same:
    """An object as part of a key, compared by identity.

    It equals only a `Same` of the same object, even if that object defines `==`. It keeps the
    object alive as long as the key.
    """

    thing: object

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.thing is self.thing

    def __hash__(self) -> int:
        return id(self.thing)


class _Refusal(NamedTuple):
    """The kind and the words of an error that was raised instead of a value.

    The error itself is not stored, since its frames hold large data.
    """

    kind: type[ValueError] | type[TypeError]
    words: str


_UNKNOWN = object()  # of a key without a value, which may be None


class Store:
    """A store of values by key."""

    def __init__(self) -> None:
        self._values: dict[Key[Any], Any] = {}

    def get_or_make(self, key: Key[T], make: Callable[[], T]) -> T:
        """Return the value of a key; `make` is called on the first use.

        If `make` raises a ValueError or TypeError, this and every later call for the key raises it,
        without calling `make` again.
        """
        value = self._values.get(key, _UNKNOWN)
        if value is _UNKNOWN:
            try:
                value = make()
            except (ValueError, TypeError) as error:
                kind = TypeError if issubclass(type(error), TypeError) else ValueError
                value = _Refusal(kind, words_of(error))
            self._values[key] = value
        if isinstance(value, _Refusal):
            raise value.kind(value.words)
        stored: T = value
        return stored

    def get(self, key: Key[T]) -> T | None:
        """Return the value of a key, or None if it has none."""
        value = self._values.get(key)
        return None if isinstance(value, _Refusal) else value

    def put(self, key: Key[T], value: T) -> None:
        """Store a value under a key, replacing an older value."""
        self._values[key] = value

    def get_all(self, kind: type[Key[T]]) -> list[T]:
        """Return all values whose keys are of a kind, in the order in which they were first
        stored.
        """
        return [value for _, value in self.get_items(kind)]

    def get_items(self, kind: type[K]) -> list[tuple[K, Any]]:
        """Return all keys of a kind with their values, in the order in which they were first
        stored.
        """
        items: list[tuple[K, Any]] = []
        for key, value in self._values.items():
            if isinstance(key, kind) and not isinstance(value, _Refusal):
                items.append((key, value))
        return items
