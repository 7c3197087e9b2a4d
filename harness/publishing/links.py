"""The links of a page: to its own rows and blocks, and to scripts and source lines in other
files.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from harness.core.report import REPRODUCERS
from harness.core.verdict import Verdict
from harness.reporting.causes import Cause

PLACE = re.compile(r"(?s)(?P<file>.+):(?P<line>\d+)")


class Links:
    """The links of a page in `folder`; paths in its report are relative to the folder `start`.

    Without folders there are no links to files. `places` has the file and line of each case.
    """

    def __init__(
        self,
        places: Mapping[str, str],
        causes: list[Cause],
        folder: Path | None,
        start: Path | None,
    ) -> None:
        self.places = places
        self._folder, self._start = folder, start or Path.cwd()
        self._anchors: dict[tuple[str, str], str] = {}
        self._names: dict[str, str] = {}
        self._rows = 0
        self._causes: dict[tuple[str, str], str] = {}
        for number, cause in enumerate(causes, 1):
            for verdict in (cause.first, *cause.followers):
                self._causes[verdict.case, verdict.id] = f"f{number}"

    def place(self, case: str) -> str:
        """Return the file and line of a case; "" if they are not known."""
        return self.places.get(case, "")

    def add_row(self, verdicts: Sequence[Verdict]) -> None:
        """Store that one row of the page shows all of these trials."""
        self._rows += 1
        for verdict in verdicts:
            self._anchors[verdict.case, verdict.id] = f"t{self._rows}"
            self._names[f"{verdict.case}: {verdict.id}"] = f"t{self._rows}"

    def anchor(self, verdict: Verdict) -> str:
        """Return the id of a trial's row; "" if the row has been left out for lack of room."""
        return self._anchors.get((verdict.case, verdict.id), "")

    def anchor_of_name(self, name: str) -> str:
        """Return the id of the row of a trial, given the trial's name "case: id"; "" if there is
        none.
        """
        return self._names.get(name, "")

    def anchor_of_cause(self, verdict: Verdict) -> str:
        """Return the id of the block on a failure's cause."""
        return self._causes.get((verdict.case, verdict.id), "")

    def script(self, verdict: Verdict) -> str:
        """Return the link to the script of a failure; "" if the script does not exist."""
        parts = Path(verdict.alone).parts
        if self._folder is None or REPRODUCERS not in parts:
            return ""
        tail = parts[parts.index(REPRODUCERS) :]
        return self._link(self._folder.joinpath(*tail)) or self._link(self._start / verdict.alone)

    def source(self, case: str) -> str:
        """Return the link to the line of a case; "" if its file does not exist."""
        found = PLACE.fullmatch(self.place(case))
        link = self._link(self._start / found["file"]) if found else ""
        return f"{link}#L{found['line']}" if found and link else ""

    def _link(self, path: Path) -> str:
        """Return the relative link to a file; "" if there is no such file."""
        if self._folder is None:
            return ""
        try:
            if not path.is_file():
                return ""
            relative = os.path.relpath(path, self._folder)
        except (OSError, ValueError):  # a name that no file can have, or another drive
            return ""
        return quote(Path(relative).as_posix())
