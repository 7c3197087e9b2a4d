"""Additions to a report, shown on its page and in its Markdown: selfcheck, comparison with an older
report, trend.
"""

from pathlib import Path
from typing import NamedTuple

from harness.keeping.trend import Trend
from harness.reporting.regressions import Comparison
from harness.reporting.selfcheck_result import Selfcheck


class Beside(NamedTuple):
    """Additions to a report, each None if there is none.

    `trust` is the selfcheck: measurements of how many planted errors the judge finds. `comparison`
    is the comparison with an older report, and `trend` the course over stored runs.

    `folder` is the folder of the page; if it is None, the page has no links to files. Paths in the
    report are relative to the folder `start`, which is the working folder by default.
    """

    trust: Selfcheck | None = None
    comparison: Comparison | None = None
    trend: Trend | None = None
    folder: Path | None = None
    start: Path | None = None


NOTHING = Beside()
