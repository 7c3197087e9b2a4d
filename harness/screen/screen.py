"""The screen at the end of a run."""

from collections import Counter
from collections.abc import Iterable

from harness.core.report import Report
from harness.core.verdict import Status
from harness.reporting.answers import count_checks, list_caveats, list_sound
from harness.reporting.asked import summarise_asked
from harness.reporting.counts import NO_EVIDENCE, describe_counts, describe_races
from harness.reporting.headline import describe_verdict
from harness.screen.layout import lay_out
from harness.screen.questions import group_questions
from harness.screen.rows import Ending, Group, Line, Row

MOST_REASONS, MOST_CAVEATS = 6, 3
PLAIN = Ending()


def make_title(report: Report) -> str:
    """Return the title of the screen, with the numbers of answered questions and of mismatches."""
    interrupted = "" if report.complete else "interrupted, "
    return f"nnet-parity: {interrupted}{describe_verdict(report)}"


def make_screen(
    report: Report, width: int, ending: Ending = PLAIN, is_verbose: bool = False
) -> list[Line]:
    """Return the lines of the screen, which is `width` columns wide.

    There is a line for each question, failures first. Then come the parts that could not be
    checked, with the reasons. If `is_verbose`, nothing is shortened.
    """
    whole, place, complaints = ending
    groups = [*group_questions(report, whole), *_group_notes(report, whole)]
    groups += _group_reasons(report, whole, is_verbose)
    if races := describe_races(report):
        groups.append(Group("speed", [Row(text, is_whole=True) for text in races]))
    if is_verbose and (asked := summarise_asked(report)):
        groups.append(Group("asked", [Row(asked)]))
    if complaints:
        rows = [Row(text, colour="red", is_whole=True) for text in complaints]
        groups.append(Group("run fails", rows))
    counts = describe_counts(report)
    end = Row(place, tail=counts, is_whole=True) if place else Row(counts, is_whole=True)
    groups.append(Group("report" if place else "total", [end]))
    return lay_out(groups, width, is_verbose)


def _group_notes(report: Report, whole: str) -> list[Group]:
    """Return the limits of the evidence of passed trials, as groups of rows."""
    caveats = list_caveats(list_sound(report.verdicts, "equal"))
    are_whole = len(caveats) <= MOST_CAVEATS
    rows = [Row(caveat, is_whole=are_whole) for caveat in caveats[:MOST_CAVEATS]]
    if left := len(caveats[MOST_CAVEATS:]):
        rows.append(Row(f"… and {left} more: {whole}"))
    return [Group("note", rows)] if rows else []


def _group_reasons(report: Report, whole: str, is_verbose: bool) -> list[Group]:
    """Return the reasons why trials could not be judged and, if `is_verbose`, the devices that this
    machine lacks.
    """
    without = [verdict for verdict in report.verdicts if verdict.status in NO_EVIDENCE]
    never = [v.why for v in without if not v.applicable]
    unclear = [v.why for v in without if v.status in (Status.VACUOUS, Status.UNDEFINED)]
    here = [v.why for v in without if v.applicable and v.status in (Status.ABSENT, Status.NOT_RUN)]
    idle = [Row(f"{name}: {why}") for name, why in report.devices.items() if why and is_verbose]
    groups = {
        "not applicable": _count_reasons(never, whole),
        "unclear": _count_reasons(unclear, whole),
        "not here": [*_count_reasons(here, whole), *idle],
    }
    return [Group(label, rows) for label, rows in groups.items() if rows]


def _count_reasons(reasons: Iterable[str], whole: str) -> list[Row]:
    """Return a row for each reason with the number of its checks, the most frequent first."""
    counted = Counter(reasons).most_common()
    rows = []
    for why, count in counted[:MOST_REASONS]:
        rows.append(Row(f"{count_checks(count)}: {why}", is_whole=True))
    if rest := counted[MOST_REASONS:]:
        number = count_checks(sum(count for _, count in rest))
        rows.append(Row(f"{number} for {len(rest)} more reasons: {whole}"))
    return rows
