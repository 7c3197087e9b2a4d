"""Reports of before findings were data: what the sentences of their failures say, as data."""

from dataclasses import replace

from harness.core.finding import Finding, Form, Hint, HintKind, Who
from harness.core.verdict import Verdict

LIKELY = "likely: "
BLAMED = " is the one outside"


def add_finding(verdict: Verdict) -> Verdict:
    """The verdict, with a finding that is read from `why` if it fails and has none.

    `why` stays as it is. The finding has no figures.
    """
    if verdict.finding is not None or not verdict.status.fails:
        return verdict
    heading, *lines = (line.strip() for line in verdict.why.split("\n"))
    hints = [line.removeprefix(LIKELY) for line in lines if line.startswith(LIKELY)]
    finding = Finding(
        Form.REASON,
        against=heading.partition(" against ")[2],
        reason=lines[0] if lines else heading,
        blamed=_blamed(verdict, lines),
        hints=tuple(Hint(HintKind.LIKELY, cause) for cause in hints),
    )
    return replace(verdict, finding=finding)


def _blamed(verdict: Verdict, lines: list[str]) -> tuple[Who, ...]:
    """The sides that a line blames: one that does not name the subject blames the reference."""
    for line in lines:
        if line.endswith(BLAMED):
            return ("subject",) if f" {verdict.subject} " in line else ("reference",)
    return ()
