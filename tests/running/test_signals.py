"""A real run of pytest that is told to stop leaves nothing that passes for its report."""

from pathlib import Path

import pytest

from tests.robustness.signals import strike


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("how", ["SIGKILL", "SIGINT twice"])
def test_a_signal_leaves_no_older_report(how: str) -> None:
    """Nor a process, nor a file in the temporary folder."""
    assert strike(how, 1.5, is_shared=False, asks_r=False) == ""
