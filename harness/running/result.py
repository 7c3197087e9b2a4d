"""The result of `check`: verdicts and findings as data, as a screen, and as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from shutil import get_terminal_size
from typing import Any

from harness.core.finding import Finding
from harness.core.report import Report
from harness.core.verdict import Verdict
from harness.reporting.causes import MOST_BLOCKS, list_causes
from harness.screen.rows import Ending
from harness.screen.screen import make_screen, make_title
from harness.text.harmless import printable

ALL = "result.findings"
WHOLE = "report.md, which result.save(FOLDER) writes"


class VerdictFailed(AssertionError):
    """Raised for a verdict that fails, or if nothing could be judged."""

    __module__ = "nnet_parity"  # where users find it, and what a traceback calls it


class Result:
    """The verdicts on some cases, and their report.

    `ok`, which is also its truth value, is True if no trial fails, each case has a trial that
    passes, and there are no `complaints`, which are sentences on everything else that is wrong.
    Printed, it is the screen that pytest shows at the end of a run, after the failures; a notebook
    shows it as HTML.
    """

    def __init__(self, report: Report, complaints: Sequence[str] = ()) -> None:
        self._report, self._complaints = report, tuple(complaints)
        self.was_read = False  # is it known to its user whether it is ok?

    @property
    def ok(self) -> bool:
        """True if no trial fails and every case has a trial that passes."""
        self.was_read = True
        return not self._report.failures() and not self._complaints

    @property
    def complaints(self) -> tuple[str, ...]:
        """A sentence for each reason, other than a failed trial, why the result is not ok."""
        return self._complaints

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts of all trials, in their order."""
        self.was_read = True
        return list(self._report.verdicts)

    @property
    def findings(self) -> list[Finding]:
        """The reason of the first failure of each cause, as data.

        The other failures of a cause name the first one in `Verdict.follows`.
        """
        self.was_read = True
        firsts = [cause.first for cause in list_causes(self._report.failures())]
        return [first.finding for first in firsts if first.finding is not None]

    def record(self) -> dict[str, Any]:
        """Return the result as a dict for JSON, in the schema of results.json."""
        self.was_read = True
        return self._report.record()

    def save(self, folder: str | PathLike[str]) -> None:
        """Write results.json, report.md and index.html into a folder, as pytest does.

        Raises FileExistsError if there are files of these names that are no report's, and OSError
        if they cannot be written.
        """
        from harness.publishing.writing import replace_report

        replace_report(self._report, Path(folder))

    def raise_if_failed(self) -> None:
        """Raise VerdictFailed, with the text of the result, unless it is ok."""
        __tracebackhide__ = True
        if not self.ok:
            raise VerdictFailed(f"{self._summarise()}\n{self}")

    def raise_if_unread(self) -> None:
        """Raise VerdictFailed if it is not ok and its user has not looked at any of its data."""
        __tracebackhide__ = True
        if not self.was_read and not self.ok:
            raise VerdictFailed(
                f"{self._summarise()}, and this test does not look at the result: write assert"
                f" check(...)\n{self}"
            )

    def _summarise(self) -> str:
        """Return the reason why it is not ok, in one sentence."""
        if failed := len(self._report.failures()):
            return f"check() failed: {failed} of {len(self._report.verdicts)} trials"
        return f"check() failed: {self._complaints[0]}"

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        causes = list_causes(self._report.failures())
        blocks = [printable(cause.first.why) for cause in causes[:MOST_BLOCKS]]
        if left := len(causes) - len(blocks):
            blocks.append(f"... and {left} more causes: {ALL} has them all")
        width = get_terminal_size().columns
        ending = Ending(WHOLE, complaints=self._complaints)
        lines = [make_title(self._report)]
        lines += [line.text for line in make_screen(self._report, width, ending)]
        return "\n\n".join([*blocks, "\n".join(lines)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from harness.publishing.page import card  # it takes longer to be imported than a case

        return card(self._report, self._complaints, MOST_BLOCKS, ALL)
