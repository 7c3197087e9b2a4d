"""The report as Markdown (report.md.j2), which is also the summary of a job on GitHub."""

import re

from markupsafe import Markup

from harness.core.report import Report
from harness.core.verdict import Verdict
from harness.publishing.banner import make_banner
from harness.publishing.beside import NOTHING, Beside
from harness.publishing.contracts import group_contracts
from harness.publishing.since import describe_since
from harness.publishing.trend import COLUMNS, list_rows
from harness.publishing.trials import make_table
from harness.reporting.answers import list_answers
from harness.reporting.asked import describe_not_asked, list_asked, list_ways
from harness.reporting.causes import Cause, list_causes
from harness.reporting.counts import (
    count_reasons,
    describe_costs,
    describe_counts,
    describe_races,
)
from harness.text.harmless import one_line
from harness.words.template import fill_template

RUNS = 10  # of the trend, the newest
FOLLOWERS = 12  # that are named, at most


def markdown(report: Report, beside: Beside = NOTHING) -> str:
    """Return the report as Markdown.

    The verdict, failures, the comparison with the baseline and the trend come first; then answers
    and tables, trials that could not be judged, the range of inputs tried, contracts (properties of
    the implementations' arithmetic), the selfcheck and the machine.
    """
    failures, causes = [], list_causes(report.failures())
    for cause in causes:
        lines = cause.first.why.split("\n")
        if cause.followers:
            lines.append(_name_followers(cause))
        failures.append((_quote_id(cause.first), [verbatim(line) for line in lines]))
    since = describe_since(beside.comparison, causes) if beside.comparison else None
    return fill_template(
        "publishing/report.md.j2",
        escape,
        report=report,
        banner=make_banner(report, since.got_worse if since else ""),
        since=since,
        trend=beside.trend,
        trend_columns=COLUMNS,
        trend_rows=list_rows(beside.trend)[:RUNS] if beside.trend else [],
        trust=beside.trust,
        answers=list_answers(report),
        tables={name: make_table(verdicts) for name, verdicts in report.questions().items()},
        failures=failures,
        without_evidence=count_reasons(report),
        asked=list_asked(report),
        ways=list_ways(report),
        not_asked=describe_not_asked(report),
        contracts=group_contracts(report.contracts),
        sentences=[*describe_races(report), *describe_costs(report), describe_counts(report)],
    )


def escape(text: str) -> str:
    """Escape a text so that Markdown shows it unchanged, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", str(verbatim(text)))


def verbatim(text: str) -> Markup:
    """Return a text on one line, unescaped, for a code span or block."""
    return Markup(one_line(text))


def _name_followers(cause: Cause) -> str:
    """Return a sentence on the further failures with the same cause as the first."""
    names = ", ".join(verdict.id for verdict in cause.followers[:FOLLOWERS])
    more = ", ..." if len(cause.followers) > FOLLOWERS else ""
    return f"{len(cause.followers)} more by the same cause: {names}{more}"


def _quote_id(verdict: Verdict) -> Markup:
    """Return the id of a trial for a code span."""
    return verbatim(verdict.id.replace("`", ""))
