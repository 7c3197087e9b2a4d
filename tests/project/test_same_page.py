"""docs/same.md is true: it is followed to the letter."""

from pathlib import Path

from tests.project.test_tutorials import followed, programs

__all__ = ["programs"]


def test_the_page_of_two_models(tmp_path: Path, programs: Path) -> None:
    """Its files, its commands, and what they print."""
    followed("same.md", tmp_path, programs, {})
