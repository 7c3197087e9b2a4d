"""A few of the attacks by files; `python -m tests.robustness --part files` makes a thousand."""

from pathlib import Path

import numpy as np
import pytest

from tests.robustness.apart import call_apart
from tests.robustness.files import KINDS, attack, judge
from tests.robustness.trial import is_within


@pytest.mark.parametrize("seed", range(2))
def test_hostile_files_are_refused_and_valid_ones_are_read(seed: int) -> None:
    """Of each kind, within two seconds and 256 MB."""
    trials = list(attack(3, seed))
    assert len(trials) == 3 * len(KINDS)
    assert [trial for trial in trials if trial.found or not is_within(trial)] == []


def test_what_does_not_hold_is_found() -> None:
    """Time, memory, an error that is no sentence, an end of the process, a hostile file that is
    read, and a valid one that is read wrongly or refused.
    """
    path = Path("file")
    freed = [bytearray(1 << 20) for _ in range(500)]
    del freed[:-1]  # this process keeps the memory
    memory = call_apart(lambda: np.ones(40_000_000), len)
    assert memory.megabytes > 300
    seconds = call_apart(lambda: sum(range(5_000_000)), int)
    assert seconds.seconds > 0.02
    assert judge(seconds, path, None, may_be_read=False) == "it was read"
    assert judge(seconds, path, 5, may_be_read=True) == "it was read wrongly"
    assert judge(seconds, path, None, may_be_read=True) == ""
    raised = call_apart(lambda: 1 / 0, float)
    assert "ZeroDivisionError" in judge(raised, path, None, may_be_read=True)
    ended = call_apart(lambda: __import__("os")._exit(3), float)
    assert "died" in judge(ended, path, None, may_be_read=True)
    for said, holds in (("file is none", True), ("none", False), ("file\x1b", False)):
        refused = call_apart(lambda said=said: int(_raise(said)), int)
        assert (judge(refused, path, None, may_be_read=False) == "") == holds
        assert "refused" in judge(refused, path, 5, may_be_read=True)


def _raise(said: str) -> str:
    raise ValueError(said)
