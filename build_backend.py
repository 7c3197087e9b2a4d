"""Builds the package, by setuptools; an editable install is seen by type checkers too.

By itself setuptools would install a finder, which only a running Python understands. Here a .pth
file names a folder, EDITABLE, that holds nothing but links to the packages: so neither `tests` nor
`cases` can stand in the way of a user's own.
"""

import os
import shutil
from pathlib import Path

from setuptools import build_meta
from setuptools.build_meta import (
    build_sdist,
    build_wheel,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]
ROOT = Path(__file__).resolve().parent
EDITABLE = ROOT / ".editable"
LINKED = ("harness", "nnet_parity", "reference", "pyproject.toml", "README.md", "LICENSE")
Settings = dict[str, str | list[str] | None]


def build_editable(
    wheel_directory: str,
    config_settings: Settings | None = None,
    metadata_directory: str | None = None,
) -> str:
    """Build a wheel whose .pth file names EDITABLE, or one with a finder where the file system has
    no links; return its name.
    """
    try:
        link_packages()
    except OSError:
        return build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
    start = Path.cwd()
    os.chdir(EDITABLE)
    try:
        return build_meta.build_editable(wheel_directory, config_settings, metadata_directory)
    finally:
        os.chdir(start)


def link_packages() -> None:
    """Make EDITABLE anew. Raises OSError if links cannot be made."""
    shutil.rmtree(EDITABLE, ignore_errors=True)
    EDITABLE.mkdir()
    for name in LINKED:
        (EDITABLE / name).symlink_to(Path("..", name))
