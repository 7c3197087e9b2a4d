"""The report as Markdown (report.md.j2)."""

import re

from markupsafe import Markup

from harness.core.report import Report
from harness.reporting.answers import list_answers
from harness.reporting.asked import describe_not_asked, list_asked
from harness.reporting.counts import (
    count_reasons,
    describe_costs,
    describe_counts,
    describe_races,
)
from harness.reporting.selfcheck_result import Selfcheck
from harness.reporting.table import table
from harness.text.harmless import one_line
from harness.words.template import fill_template


def markdown(report: Report, trust: Selfcheck | None = None) -> str:
    """Return the report as Markdown, with the results of the selfcheck.

    It has answers, tables, failures, trials without evidence, what was asked, contracts, the
    selfcheck and the machine.
    """
    failures = []
    for verdict in report.failures():
        lines = [verbatim(line) for line in verdict.why.split("\n")]
        failures.append((verbatim(verdict.id.replace("`", "")), lines))
    return fill_template(
        "reporting/report.md.j2",
        escape,
        report=report,
        trust=trust,
        answers=list_answers(report),
        tables={question: table(verdicts) for question, verdicts in report.questions().items()},
        failures=failures,
        without_evidence=count_reasons(report),
        asked=list_asked(report),
        not_asked=describe_not_asked(report),
        sentences=[*describe_races(report), *describe_costs(report), describe_counts(report)],
    )


def escape(text: str) -> str:
    """Escape a text so that Markdown shows it unchanged, on one line."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", str(verbatim(text)))


def verbatim(text: str) -> Markup:
    """Return a text on one line, unescaped, for a code span or block."""
    return Markup(one_line(text))
