"""How long the rest of a loop takes, in words."""

import pytest

from harness.waiting.progress import Pace, format_time
from tests.conftest import Approved


def test_the_time_left_follows_from_the_rounds_so_far(
    monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """After 2 of 10 rounds in 10 s there are 40 s left; before the first, nobody knows."""
    clock = iter([100.0, 110.0, 110.0, 145.0, 149.0, 150.0])
    monkeypatch.setattr("harness.waiting.progress.perf_counter", lambda: next(clock))
    pace = Pace(10)
    told = [pace.describe_left(done) for done in (0, 2, 1, 9, 10, 10)][:5]
    assert (told[0], told[4]) == ("", "")
    approved(told[1:4])


def test_times_are_short(approved: Approved) -> None:
    """One or two digits, in the unit that people use."""
    approved(format_time(seconds) for seconds in (2.2, 8.7, 41.3, 59.9, 61, 200, 3500, 9000))
