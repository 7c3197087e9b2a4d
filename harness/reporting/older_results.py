"""Reads the findings (failures as data) of older reports, which stored them only as sentences."""

from dataclasses import replace

from harness.core.finding import Finding, Form, Hint, HintKind, Who
from harness.core.verdict import Verdict

# Words of older reports: they are never reworded.
LIKELY = "likely: "
BLAMED = " is the one outside"


def add_finding(verdict: Verdict) -> Verdict:
    """Return the verdict with its finding (the failure as data). If a failed verdict has none, it
    is read from the sentences in `why`.

    `why` stays unchanged. The new finding has no figures.
    """
    if verdict.finding is not None or not verdict.status.fails:
        return verdict
    heading, *lines = (line.strip() for line in verdict.why.split("\n"))
    hints = [line.removeprefix(LIKELY) for line in lines if line.startswith(LIKELY)]
    finding = Finding(
        Form.REASON,
        against=heading.partition(" against ")[2],
        reason=lines[0] if lines else heading,
        blamed=_find_blamed(verdict, lines),
        hints=tuple(Hint(HintKind.LIKELY, cause) for cause in hints),
    )
    return replace(verdict, finding=finding)


def _find_blamed(verdict: Verdict, lines: list[str]) -> tuple[Who, ...]:
    """Return the side that the lines of a failure blame, as ("subject",) or ("reference",); () if
    they blame none.
    """
    for line in lines:
        if line.endswith(BLAMED):
            return ("subject",) if f" {verdict.subject} " in line else ("reference",)
    return ()
