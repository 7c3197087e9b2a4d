"""The README tells the truth: its case runs as it stands, and its outputs are what is printed."""

import os
import re
from pathlib import Path

import pytest

from tests.project.test_tutorials import blocks, programs, ran, shows

__all__ = ["programs"]
ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [text for _, _, text in blocks("../README.md")]
CASE = next(text for text in BLOCKS if "test_sine = verify" in text)
SHOWN = [text.removeprefix("$ pytest test_port.py\n") for text in BLOCKS if text.startswith("$ ")]
FIRST = "super().__init__(nn.Linear(1, 4), nn.Sigmoid(), nn.Linear(4, 1))\n"
TWICE = "        self[0].bias.register_hook(lambda g: 2 * g)\n"
MOST_LINES = 150


def mask(screen: str) -> str:
    """Return a screen without its numbers, its lines of = signs, and the Python of the run."""
    python = re.sub(r"\S*/?python(?= build/)", "python", screen)
    return re.sub(r"\d[\d,.e+-]*", "#", re.sub(r"=+", "=", python))


def test_the_case_of_the_readme_passes_as_it_stands(
    tmp_path: Path, programs: Path, live_r: None
) -> None:
    """And the screen is the one that is shown, but for its figures."""
    (tmp_path / "test_port.py").write_text(CASE)
    screen = ran("pytest test_port.py", tmp_path, programs)
    assert shows(mask(screen), mask(SHOWN[0])), screen


def test_the_failure_of_the_readme_is_what_is_printed(
    tmp_path: Path, programs: Path, live_r: None
) -> None:
    """With the gradient of the bias counted twice, and on as few lines as are promised."""
    assert FIRST in CASE
    (tmp_path / "test_port.py").write_text(CASE.replace(FIRST, FIRST + TWICE))
    screen = ran("pytest test_port.py", tmp_path, programs)
    assert shows(mask(screen), mask(SHOWN[1])), screen


def test_the_readme_is_short() -> None:
    """It is read in a minute; the rest stands in docs."""
    assert len(README.splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", re.findall(r"\]\(([\w./-]+)\)", README))
def test_what_the_readme_links_to_is_there(path: str) -> None:
    """No link leads nowhere."""
    assert os.path.exists(ROOT / path)


def test_the_gallery_in_the_readme_has_todays_questions() -> None:
    """Its lines are questions of the cases, as far as they are shown."""
    from cases import test_classifiers, test_dual_head, test_dual_training
    from harness.judging.verification import Verification

    modules = (test_classifiers, test_dual_head, test_dual_training)
    values = [value for module in modules for value in vars(module).values()]
    questions = [value.case.question for value in values if isinstance(value, Verification)]
    gallery = next(text for text in BLOCKS if "differs, as" in text)
    shown = re.findall(r"[✓≠] (.*?)(?:\?|…)", gallery)
    assert shown
    for question in shown:
        assert any(each.startswith(question) for each in questions), question
