"""How pytest shows failures: one block of text for each cause. Further failures with the same cause
are only counted.
"""

from collections.abc import Mapping
from typing import Any

import pytest

from harness.core.verdict import Verdict
from harness.text.harmless import printable

FOLLOWS = "follows"  # the property of a report that names the first failure of its cause
SAME_CAUSE = "more of the same cause"  # as pytest's last line counts them


def show_text(failure: Any, text: str) -> None:
    """Replace the traceback that pytest shows of a failure by a text."""
    entries = failure.reprtraceback.reprentries
    del entries[1:]
    entries[0].lines[:] = [text + "\n"]


def get_status(report: Any) -> tuple[str, str, Any] | None:
    """Return the (category, letter, word) that pytest shows for a test whose failure has the same
    cause as an earlier one; None for any other test.
    """
    properties = getattr(report, "user_properties", ())  # that of a collection has none
    if not (report.failed and any(name == FOLLOWS for name, *_ in properties)):
        return None
    return SAME_CAUSE, "f", ("FAILED (same cause)", {"red": True})


def show_whole_blocks(config: pytest.Config, verdicts: Mapping[str, Verdict]) -> None:
    """Rewrite each block of pytest's failures so that it names all trials with the same cause.

    pytest made the block at the first failure, before the other trials ran. `verdicts` are those of
    all tests, by pytest's id.
    """
    reporter = config.pluginmanager.getplugin("terminalreporter")
    for report in reporter.stats.get("failed", ()) if reporter else ():
        verdict = verdicts.get(report.nodeid)
        if verdict is not None and hasattr(report.longrepr, "reprtraceback"):
            show_text(report.longrepr, printable(verdict.why))
