"""The additions to a report on its page and in its Markdown: selfcheck, comparison and trend."""

from pathlib import Path
from typing import NamedTuple

from harness.keeping.trend import Trend
from harness.reporting.regressions import Comparison
from harness.reporting.selfcheck_result import Selfcheck


class Beside(NamedTuple):
    """The selfcheck, the comparison with a baseline and the trend over kept runs, each None if
    there is none.

    `folder` is that of the page; if it is None, there are no links to files. Paths in the report
    are relative to the folder `start`, which is the working folder by default.
    """

    trust: Selfcheck | None = None
    comparison: Comparison | None = None
    trend: Trend | None = None
    folder: Path | None = None
    start: Path | None = None


NOTHING = Beside()
