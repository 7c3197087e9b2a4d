"""The options --parity-r-deadline and --parity-training-deadline."""

import pytest

from tests.conftest import Approved, Mine

READS = """
from harness.waiting.deadlines import get_deadlines


def test_read():
    verify(Case("here", Network(1, 4, 1, "logistic"), [SineNet], [numpy_net], probes(0, draws=1)))
    print("read", *get_deadlines())
"""


@pytest.mark.parametrize("option", ["r", "training"])
@pytest.mark.parametrize("given", ["0", "soon", "nan"])
def test_seconds_are_positive(mine: Mine, option: str, given: str, approved: Approved) -> None:
    """Anything else is refused before a test is collected."""
    mine.write_sine()
    result = mine.pytest(f"--parity-{option}-deadline={given}")
    approved([line for line in result.errlines if line.startswith("ERROR")])


def test_a_wrong_number_of_seconds_is_said_where_it_stands(
    mine: Mine, monkeypatch: pytest.MonkeyPatch, approved: Approved
) -> None:
    """In the ini file, or in the environment, which comes first."""
    mine.write_sine()
    (mine.pytester.path / "pytest.ini").write_text("[pytest]\nparity_training_deadline = late\n")
    in_ini_file = mine.pytest().errlines
    monkeypatch.setenv("NNET_PARITY_TRAINING_DEADLINE", "never")
    said = [*in_ini_file, *mine.pytest().errlines]
    approved([line for line in said if line.startswith("ERROR")])


def test_options_come_before_the_ini_file(mine: Mine) -> None:
    """And what neither gives is the default."""
    mine.write_sine(before=READS)
    (mine.pytester.path / "pytest.ini").write_text("[pytest]\nparity_r_deadline = 7\n")
    mine.pytest("-s", "-k", "read").stdout.fnmatch_lines(["*read 7.0 120.0*"])
    options = "--parity-r-deadline=8", "--parity-training-deadline=inf"
    mine.pytest("-s", "-k", "read", *options).stdout.fnmatch_lines(["*read 8.0 inf*"])
