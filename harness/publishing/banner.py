"""The banner of a report: its verdict in words, the reasons why the run fails, and facts on the
run.
"""

from typing import Literal, NamedTuple

from harness.core.report import Report
from harness.core.verdict import R, Status
from harness.reporting.headline import count, describe_verdict, list_unanswered

UNKNOWN = ("", "unknown")
NAMED = 3  # questions in a sentence, at most


class Banner(NamedTuple):
    """The verdict of a run in words, and the reasons why the run fails.

    `mark` is a CSS class, and `facts` are texts such as the duration, by name.
    """

    mark: Literal["good", "bad", "open"]
    verdict: str
    reasons: list[str]
    facts: dict[str, str]


def make_banner(report: Report, got_worse: str = "") -> Banner:
    """Return the banner of a report; `got_worse` names the changes for the worse since the
    baseline, or is "".
    """
    reasons = [*report.complaints, *([got_worse] if got_worse else [])]
    open_questions = _describe_unanswered(report)
    mark: Literal["good", "bad", "open"] = "good"
    if report.failures() or reasons or not report.complete:
        mark = "bad"
    elif open_questions or not (report.verdicts or report.races):
        mark = "open"
    verdict = describe_verdict(report)
    if not report.complete:
        verdict = f"interrupted, not complete: {verdict}"
    verdict = verdict[0].upper() + verdict[1:]
    return Banner(mark, verdict, reasons + open_questions, list_facts(report))


def _describe_unanswered(report: Report) -> list[str]:
    """Return a list with one sentence that names the questions for which no check was judged; empty
    if there are none.
    """
    unanswered = list_unanswered(report)
    if not unanswered:
        return []
    names = "; ".join(unanswered[:NAMED]) + ("; ..." if len(unanswered) > NAMED else "")
    return [f"Nothing could be checked of {count(len(unanswered), 'question')}: {names}"]


def list_facts(report: Report) -> dict[str, str]:
    """Return the facts of a run by name: checks, duration, time, commit and command."""
    judged = [verdict for verdict in report.verdicts if verdict.status.judges]
    by_r = sum(verdict.source in R for verdict in judged)
    checks = f"{len(judged):,}"
    if by_r:
        checks += f", {by_r:,} of them by R itself" if by_r < len(judged) else ", all by R itself"
    if known := report.counts()[Status.KNOWN]:
        checks += f", {count(known, 'known failure')}"
    facts = {
        "Checks": checks,
        "Duration": write_duration(report.seconds),
        "Ended": write_date(str(report.environment.get("date", ""))),
        "Commit": report.commit,
        "Command": report.command,
    }
    return {name: fact for name, fact in facts.items() if fact not in UNKNOWN}


def write_date(date: str) -> str:
    """Return an ISO date in UTC in a readable form: "2024-05-01 12:00 UTC"."""
    return date.replace("T", " ").replace("+00:00", " UTC")


def write_duration(seconds: float | None) -> str:
    """Return a duration in seconds as a text: "3.2 s" or "2 min 5 s"; "" if it is not known."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.3g} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"
