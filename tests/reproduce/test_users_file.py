"""A script that needs its user's file: the file is run once more, and what fails is said."""

from tests.conftest import Approved, Mine

BEFORE = """
from pathlib import Path

with Path("runs").open("a") as file:
    print(__name__, file=file)
{again}

class Odd:
    by = 2


globals()["ODD"] = Odd()  # no statement gives this name
"""
TWO = "[SineNet, Subject(SineNet, 'other')]"
WRONG = "return ODD.by * self.output(torch.sigmoid(self.hidden(x)))"


def test_the_file_is_run_once_for_all_failures(mine: Mine) -> None:
    """In a process of its own; each of the failures has its script."""
    mine.write_sine(WRONG, before=BEFORE.format(again=""), subjects=TWO)
    mine.pytest().assert_outcomes(failed=2)
    assert (mine.pytester.path / "runs").read_text().split() == ["test_mine", "<run_path>"]
    verdicts = mine.results()["verdicts"]
    assert all(verdict["alone"] for verdict in verdicts if not verdict["follows"])


def test_a_file_that_cannot_be_run_again_is_a_sentence(mine: Mine, approved: Approved) -> None:
    """It is tried once."""
    again = "if __name__ == '<run_path>':\n    raise OSError('it is in use')\n"
    checks = {"checks": '["forward", "loss"]', "dtypes": '["float64"]'}
    mine.write_sine(WRONG, before=BEFORE.format(again=again), subjects=TWO, **checks)
    result = mine.pytest()
    approved(line.strip() for line in result.outlines if "reproduce:" in line)
    assert (mine.pytester.path / "runs").read_text().split() == ["test_mine", "<run_path>"]
