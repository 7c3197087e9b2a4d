"""Faults of R as a user meets them: a few attacks of each kind of `tests.robustness.r`."""

import pytest

from reference.r.preflight import what_is_missing
from tests.robustness.r import ATTACKS, find_home, make

if missing := what_is_missing(""):
    pytest.skip(str(missing), allow_module_level=True)

BY_NAME = {each.name: each for each in ATTACKS}
CHOSEN = (
    "endless recursion",
    "a fork, then a crash",
    "R_PROFILE sleeps",
    "nnet where only R_ENVIRON says",
    "SIGKILL to Python, R is stopped, a daemon runs",
)


@pytest.mark.parametrize("name", CHOSEN)
def test_a_fault_of_r(name: str) -> None:
    """Nothing hangs, no process and no file stays, and the numbers are right afterwards."""
    assert find_home().is_dir()
    assert make(BY_NAME[name]).found == ""


def test_attacks_are_many_and_differ() -> None:
    """At least 35, each with a name of its own."""
    assert len(BY_NAME) == len(ATTACKS) >= 35
