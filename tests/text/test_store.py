"""Writers of one folder, in containers of their own, of which one after the other is killed."""

import pytest

from tests.robustness.store import attack

pytest.importorskip("fcntl", reason="there are no locks on folders here")


def test_kills_lose_nothing() -> None:
    """Twenty of them: no file is half written, no report is of two runs, and none is lost."""
    assert [trial for trial in attack(20, seed=0) if trial.found] == []
