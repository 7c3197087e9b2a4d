"""Docstrings are plain: odd constructions become fewer, and each is seen by the count."""

from functools import cache

import pytest

from tests.project.docstrings import (
    Docstring,
    count_odd,
    draw_docstrings,
    find_docstrings,
    read_docstrings,
)

find_all = cache(lambda: list(find_docstrings()))
MOST_ODD = 190  # a ratchet: lower it when you mend docstrings, never raise it


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        ("Return the sum of two arrays (R, O).", []),
        ("Is a number finite?", []),
        ("What came to a verdict.", ["what", "came to"]),
        ("Whose weights are judged is the subject.", ["who, whose: a clause as subject"]),
        ("The models, of which one fails.", ["of which"]),
        ("Return the name of the case.\n\nThe judge is told the first.", ["is told"]),
        ("Return the one that fails.", ["the one that"]),
        ("Nor does it round.", ["inverted order"]),
        ("Return the word. " + "And more " * 20 + "words.", ["long sentence"]),
    ],
)
def test_odd_constructions_are_found(text: str, odd: list[str]) -> None:
    """The count can rise: each construction is found in a sentence that uses it."""
    assert Docstring("file.py:1", "module file.py", text).find_odd() == odd


def test_a_docstring_has_its_place_and_signature() -> None:
    """A reader of the sample sees what a caller sees: arguments, the result, fields of a class."""
    source = 'class A:\n    """A."""\n    n: int\n    def f(self, x: int) -> str:\n        """F."""'
    assert list(read_docstrings("room/file.py", source)) == [
        Docstring("room/file.py:1", "class A()\n    n: int", "A."),
        Docstring("room/file.py:4", "def f(self, x: int) -> str", "F."),
    ]


def test_a_sample_is_drawn_by_its_seed() -> None:
    """The same seed draws the same docstrings, another seed others."""
    docstrings = find_all()
    sample = draw_docstrings(docstrings, seed=1, number=30)
    assert sample == draw_docstrings(docstrings, seed=1, number=30)
    assert sample != draw_docstrings(docstrings, seed=2, number=30)
    assert len(set(sample)) == 30


def test_docstrings_become_plainer() -> None:
    """The number of odd constructions is at most the ratchet, and the ratchet is near it."""
    odd = sum(counts.total() for counts in count_odd(find_all()).values())
    assert MOST_ODD - 150 < odd <= MOST_ODD
