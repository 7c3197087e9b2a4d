"""Detects clashes with other packages that are also called `harness` or `reference`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
OURS = ("harness", "reference")
NAMES_OF_OURS = (*OURS, "harness.py", "reference.py")  # of folders and files


def explain_shadowing(name: str) -> str:
    """Return a sentence if Python imports another package under this name instead of nnet-parity's;
    "" if it imports the right one.
    """
    place = _find_place(name)
    if place == HERE / name:
        return ""
    return (
        f"`import {name}` finds {place or 'nothing'}, expected {HERE / name}: rename yours, or"
        " start in another folder (`pytest` does not look into the working folder as `python -m"
        " pytest` does)"
    )


def explain_hiding(name: str) -> str:
    """Return a sentence if Python imports nnet-parity's package instead of a user's package or
    module of this name.

    Return "" if the user has none.
    """
    for entry in sys.path:
        for theirs in (Path(entry, name, "__init__.py"), Path(entry, f"{name}.py")):
            if not theirs.exists():
                continue
            if theirs.resolve().is_relative_to(HERE / name):
                break  # this entry of the path is ours
            return (
                f"`import {name}` finds {HERE / name}, not {theirs}: rename yours, or leave"
                " nnet-parity out with `pytest -p no:nnet_parity`"
            )
    return ""


def has_names_of_ours(folders: Iterable[Path]) -> bool:
    """Does one of the folders hold a package or module that Python could import instead of
    nnet-parity's `harness` or `reference`?

    pytest puts the folder of a test file on the path only when it imports the file.
    """
    for folder in folders:
        if folder != HERE and any((folder / name).exists() for name in NAMES_OF_OURS):
            return True
    return False


def _find_place(name: str) -> Path | None:
    """Return the folder of the package, or the file of the module, that Python imports under this
    name.

    Return None if Python finds nothing.
    """
    spec = find_spec(name)
    if spec is None:
        return None
    places = [*(spec.submodule_search_locations or ()), spec.origin]
    return Path(places[0] or "").resolve()
