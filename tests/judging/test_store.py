"""Values are made once, and stand under keys of their own kind."""

import gc
import weakref
from dataclasses import dataclass

import pytest

from harness.judging.store import Key, Same, Store


@dataclass(frozen=True)
class Length(Key[int]):
    """The length of a word."""

    word: str


@dataclass(frozen=True)
class Upper(Key[str]):
    """A word in capitals."""

    word: str


class Thing:
    """Equals everything of its class, and has no hash."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Thing)


def test_a_value_is_made_once() -> None:
    """However often it is asked for."""
    store, made = Store(), []

    def make() -> int:
        made.append(1)
        return len(made)

    assert [store.get_or_make(Length("a"), make) for _ in range(3)] == [1, 1, 1]
    assert store.get_or_make(Length("b"), make) == 2


def test_keys_of_two_kinds_are_two_keys() -> None:
    """Also where they hold the same."""
    store = Store()
    assert store.get_or_make(Length("a"), lambda: 1) == 1
    assert store.get_or_make(Upper("a"), lambda: "A") == "A"
    store.put(Length("b"), 7)
    assert (store.get_all(Length), store.get_all(Upper)) == ([1, 7], ["A"])


def test_nothing_is_got_of_a_key_without_a_value() -> None:
    """Nor of one whose value could not be made; what is put there counts from then on."""
    store = Store()
    with pytest.raises(ValueError, match="no length"):
        store.get_or_make(Length("a"), lambda: raise_error(ValueError("no length")))
    assert store.get(Length("a")) is store.get(Length("b")) is None
    assert store.get_all(Length) == []
    store.put(Length("a"), 5)
    assert store.get(Length("a")) == store.get_or_make(Length("a"), lambda: 6) == 5


def raise_error(error: Exception) -> int:
    """Raise it."""
    raise error


@pytest.mark.parametrize("kind", [ValueError, TypeError, UnicodeError])
def test_what_cannot_be_made_is_not_tried_again(kind: type[Exception]) -> None:
    """Each time its words are raised, in an error of their own that holds no frame of the first."""
    store, tried = Store(), []

    def make() -> int:
        tried.append(1)
        raise kind("cannot be read")

    errors = []
    for _ in range(2):
        with pytest.raises((ValueError, TypeError), match=r"^cannot be read$") as caught:
            store.get_or_make(Length("a"), make)
        errors.append(caught.value)
    assert len(tried) == 1
    assert errors[0] is not errors[1]
    assert {isinstance(error, TypeError) for error in errors} == {kind is TypeError}


def test_another_error_is_tried_again() -> None:
    """What is raised for a moment's reason may be gone."""
    store = Store()
    with pytest.raises(OSError, match="later"):
        store.get_or_make(Length("a"), lambda: raise_error(OSError("later")))
    assert store.get_or_make(Length("a"), lambda: 3) == 3


def test_an_object_in_a_key_is_the_same_or_another() -> None:
    """However it compares and hashes; the key keeps it alive, so that no other gets its place."""
    one, other = Thing(), Thing()
    assert one == other
    assert Same(one) == Same(one)
    assert Same(one) != Same(other)
    assert len({Same(one), Same(one), Same(other)}) == 2
    alive, key = weakref.ref(one), Same(one)
    del one
    gc.collect()
    assert alive() is key.thing
