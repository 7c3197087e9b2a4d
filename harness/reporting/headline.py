"""The verdict of a run in one sentence, the beginning of its screen, page and Markdown."""

from harness.core.report import Report
from harness.core.verdict import Status
from harness.reporting.causes import list_causes


def describe_verdict(report: Report) -> str:
    """Return the verdict of a run in words: the numbers of answered questions, and of mismatches
    between implementations.
    """
    questions = len(report.questions())
    if not questions:
        return count(len(report.races), "race") if report.races else "nothing was checked"
    answered = questions - len(list_unanswered(report))
    of = f"{answered} of {questions}" if answered < questions else f"{questions}"
    parts = [f"{of} question{'s' if questions != 1 else ''} answered"]
    mismatches, errors = (_count_causes(report, each) for each in (Status.FAIL, Status.BROKEN))
    if mismatches or not errors:
        parts.append(count(mismatches, "mismatch"))
    if errors:
        parts.append(count(errors, "error"))
    return ", ".join(parts)


def list_unanswered(report: Report) -> list[str]:
    """Return the questions for which no check could be judged."""
    return [
        question
        for question, verdicts in report.questions().items()
        if not any(verdict.status.judges for verdict in verdicts)
    ]


def count(number: int, name: str) -> str:
    """Return a number with its name, in the plural if it is not 1."""
    plural = "es" if name.endswith("ch") else "s"
    return f"{number:,} {name}{'' if number == 1 else plural}"


def _count_causes(report: Report, status: Status) -> int:
    """Return the number of causes of failures with a status."""
    return sum(cause.first.status is status for cause in list_causes(report.failures()))
