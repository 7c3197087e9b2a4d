"""The README tells the truth: its case runs as it stands, and its failure is what the broken model
says.
"""

import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Approved, Mine, screen_of, unfolded

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [
    textwrap.dedent(block)
    for block in re.findall(r"(?:^(?:    .*)?\n)+", README, re.MULTILINE)
    if block.strip()
]
CASE = next(block.strip() + "\n" for block in BLOCKS if "test_sine = verify" in block)
FAILURE = next(block.strip() for block in BLOCKS if "times its float32 rounding bound" in block)
TRAINING = next(block.strip() + "\n" for block in BLOCKS if "test_sine_fit = verify" in block)
DATA = """
import numpy as np

my_grid = np.linspace(0, 10, 11)[:, None]


def my_data(count):
    x = np.tile(np.linspace(0, 10, 50)[:, None], (count, 1, 1))
    return x, np.sin(x)


"""
TWICE = "\n        self[0].bias.register_hook(lambda gradient: 2 * gradient)\n"


def test_the_case_of_the_readme_passes_as_it_stands(mine: Mine, live_r: None) -> None:
    """Every trial passes but R's gradient by the inputs, which nnet does not give."""
    (mine.pytester.path / "test_mine.py").write_text(CASE)
    mine.pytest().assert_outcomes(passed=14)


def test_the_failure_of_the_readme_is_what_is_said(mine: Mine, live_r: None) -> None:
    """With the bias's gradient counted twice the screen shows that block."""
    first, rest = CASE.split("nn.Linear(4, 1))\n", 1)
    (mine.pytester.path / "test_mine.py").write_text(f"{first}nn.Linear(4, 1)){TWICE}{rest}")
    run = re.compile(r"(?<=reproducers/)[0-9a-f]{8}(?=/)")  # the name of a run is its own
    assert run.sub("", FAILURE) in run.sub("", mine.pytest().stdout.str())


def test_the_training_case_of_the_readme_passes(
    mine: Mine, live_r: None, approved: Approved
) -> None:
    """Adam's claims are right, and it fits less well than nnet, from 12 of its 20 shared starts, of
    1,000 steps.
    """
    model = CASE[: CASE.index("test_sine = verify")]
    imports, case = TRAINING.split("\n\n", 1)
    (mine.pytester.path / "test_mine.py").write_text(f"{imports}\n{model}{DATA}{case}")
    result = mine.pytest("--parity-starts=12", "-v")
    result.assert_outcomes(passed=2)
    assert "from 12 shared starts SineNet_adam ends higher than R nnet" in " ".join(
        unfolded(screen_of(result))
    )
    approved(unfolded(screen_of(result)), mask_figures=True)


@pytest.mark.parametrize("path", re.findall(r"\]\(([\w/-]+\.md)\)", README))
def test_what_the_readme_links_to_is_there(path: str) -> None:
    """No link leads nowhere."""
    assert (ROOT / path).exists()


def test_the_screen_in_the_readme_is_todays() -> None:
    """Its sentences are those of the code: the questions of the cases, in their order."""
    from cases import test_dual_head, test_dual_training, test_sine, test_sine_training
    from harness.judging.verification import Verification

    modules = (test_dual_head, test_dual_training, test_sine, test_sine_training)
    values = [value for module in modules for value in vars(module).values()]
    cases = [value.case for value in values if isinstance(value, Verification)]
    differing = dict.fromkeys(case.question for case in cases if case.expect == "differs")
    screen = re.sub(r"\s+", " ", README)
    places = [screen.index(question) for question in differing]
    assert places == sorted(places)
    assert np.all(np.diff(places) > 0)
