"""A search says what it tries, counts maps with the right noun, and ends in time."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from harness.layouts.parts import Parts
from harness.mapping import proposals, searching
from harness.mapping.fallback import describe_tried
from harness.waiting import progress
from tests.conftest import Approved
from tests.layouts import recurrent as m
from tests.layouts import test_kernels as kernels
from tests.layouts.support import find
from tests.same import models


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What is said on the way, from the first moment on."""
    lines: list[str] = []
    monkeypatch.setattr(progress, "PATIENCE", -1.0)
    progress.listen(lines.append)
    yield lines
    progress.stop_listening()


def test_a_search_says_what_it_tries(said: list[str], approved: Approved) -> None:
    """Each kind of map once here."""
    find(m.ByWordWrong, m.Torchs, m.DATA)
    find(kernels.HeightForWidth, kernels.Hwio, kernels.IMAGE)
    short = [re.sub(r"\d+ maps?|(order|taken as) .*", "...", line) for line in said]
    approved(list(dict.fromkeys(short)), mask_figures=True)


def test_short_searches_say_nothing() -> None:
    """The first two seconds are silent."""
    lines: list[str] = []
    progress.listen(lines.append)
    find(m.Torchs, m.ByGate, m.DATA)
    progress.stop_listening()
    assert lines == []


def test_numbers_have_their_nouns(approved: Approved) -> None:
    """One map, or several; against names, or not."""
    approved([describe_tried(count, against) for count in (1, 2) for against in (False, True)])


def test_a_search_ends_inside_an_alignment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only between two: one may list many joints that fit nothing."""
    calls: list[str] = []
    monkeypatch.setattr(searching, "SECONDS", -1.0)
    align = proposals.align

    def count(*given: Any) -> Iterator[Parts]:
        calls.append("")
        assert list(align(*given)) == []
        return iter(())

    monkeypatch.setattr(proposals, "align", count)
    with pytest.raises(ValueError, match="there are more"):
        find(models.WrongWiring, models.Renamed, models.DATA)
    assert len(calls) <= 3
