"""The README tells the truth: its case runs as it stands, and its failure is what the broken model says."""

import re
import textwrap
from pathlib import Path

import numpy as np
import pytest
from conftest import Mine

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [textwrap.dedent(block) for block in re.findall(r"(?:^(?:    .*)?\n)+", README, re.MULTILINE) if block.strip()]
CASE = next(block.strip() + "\n" for block in BLOCKS if "test_sine = verify" in block)
FAILURE = next(block.strip() for block in BLOCKS if "is outside its rounding" in block)
TWICE = "\n        self[0].bias.register_hook(lambda gradient: 2 * gradient)\n"


def test_the_case_of_the_readme_passes_as_it_stands(mine: Mine, live_r: None) -> None:
    """Every trial passes but R's gradient by the inputs, which nnet does not give."""
    (mine.pytester.path / "test_mine.py").write_text(CASE)
    mine.pytest().assert_outcomes(passed=14, skipped=2)


def test_the_failure_of_the_readme_is_what_is_said(mine: Mine, live_r: None) -> None:
    """With the bias's gradient counted twice the screen shows that block."""
    first, rest = CASE.split("nn.Linear(4, 1))\n", 1)
    (mine.pytester.path / "test_mine.py").write_text(f"{first}nn.Linear(4, 1)){TWICE}{rest}")
    assert FAILURE in mine.pytest().stdout.str()


@pytest.mark.parametrize("path", re.findall(r"\]\((\w+\.md)\)", README))
def test_what_the_readme_links_to_is_there(path: str) -> None:
    """No link leads nowhere."""
    assert (ROOT / path).exists()


def test_the_screen_in_the_readme_is_todays() -> None:
    """Its sentences are those of the code: the questions of the cases, in their order."""
    from cases import test_dual_head, test_sine
    from harness.case import Verification

    values = [value for module in (test_dual_head, test_sine) for value in vars(module).values()]
    found = [value.case.question for value in values if isinstance(value, Verification)]
    places = [README.index(question) for question in dict.fromkeys(found)]
    assert places == sorted(places)
    assert np.all(np.diff(places) > 0)
