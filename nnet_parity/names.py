"""`harness` and `reference` are names that others use too: sentences for the case that Python finds
theirs or ours.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
OURS = ("harness", "reference")


def explain_shadowing(name: str) -> str:
    """The sentence for a package of ours, where Python finds somebody else's in its place; "" where
    it finds ours.
    """
    found = find_spec(name)
    place = (
        Path([*(found.submodule_search_locations or ()), found.origin][0] or "").resolve()
        if found
        else None
    )
    if place == HERE / name:
        return ""
    return (
        f"`import {name}` finds {place or 'nothing'}, expected {HERE / name}: rename yours, or"
        " start in another folder (`pytest` does not look into the working folder as `python -m"
        " pytest` does)"
    )


def explain_hiding(name: str) -> str:
    """The sentence for somebody's own package on the path, where Python finds ours in its place; ""
    without one.
    """
    for path in (Path(entry, name, "__init__.py") for entry in sys.path):
        theirs = next((p for p in (path, path.parent.with_suffix(".py")) if p.exists()), path)
        if theirs.exists() and not theirs.resolve().is_relative_to(HERE / name):
            return (
                f"`import {name}` finds {HERE / name}, not {theirs}: rename yours, or leave"
                " nnet-parity out with `pytest -p no:nnet_parity`"
            )
    return ""
