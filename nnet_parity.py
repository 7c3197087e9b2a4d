"""The way in, for pytest and for the console: it sees that `harness` and `reference` are ours, then lets harness work.

Both are names that others use too. This one is nobody else's, so it is found whatever stands in the working folder.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
OURS = ("harness", "reference")


def shadowed(name: str) -> str:
    """The sentence for a package of ours, where Python finds somebody else's in its place; "" where it finds ours."""
    found = find_spec(name)
    place = Path([*(found.submodule_search_locations or ()), found.origin][0] or "").resolve() if found else None
    if place == HERE / name:
        return ""
    return (
        f"`import {name}` finds {place or 'nothing'}, expected {HERE / name}: rename yours, or start in another folder "
        "(`pytest` does not look into the working folder as `python -m pytest` does)"
    )


def hidden(name: str) -> str:
    """The sentence for somebody's own package on the path, where Python finds ours in its place; "" without one."""
    for path in (Path(entry, name, "__init__.py") for entry in sys.path):
        theirs = next((p for p in (path, path.parent.with_suffix(".py")) if p.exists()), path)
        if theirs.exists() and not theirs.resolve().is_relative_to(HERE / name):
            return (
                f"`import {name}` finds {HERE / name}, not {theirs}: rename yours, or leave nnet-parity out with "
                "`pytest -p no:nnet_parity`"
            )
    return ""


# Of pytest: what it loads with this plugin. Somebody's harness is theirs to load, not ours.
pytest_plugins = [] if shadowed("harness") else ["harness.plugin"]


def pytest_addoption(parser: Any) -> None:
    """Our options are not known then; pytest shows this with its complaint."""
    if sentence := shadowed("harness"):
        parser.extra_info["nnet-parity"] = sentence


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Where files could not be imported, say which of two packages was."""
    if any(report.when == "collect" for report in terminalreporter.stats.get("error", ())):
        for name in OURS:
            if sentence := shadowed(name) or hidden(name):
                terminalreporter.write_line(f"nnet-parity: {sentence}", red=True)


def main() -> int:
    """The console script: `harness.command`, if it is ours and whole; else 2 and a sentence."""
    sentence = shadowed("harness") or shadowed("reference")
    try:
        if not sentence:
            from harness.command import main as command

            return command()
    except ModuleNotFoundError as error:
        sentence = f"{error}. This mends it: {sys.executable} -m pip install {error.name}"
    print(f"nnet-parity: {sentence}", file=sys.stderr)
    return 2
