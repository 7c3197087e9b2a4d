"""The report as Markdown (report.md.j2)."""

import re

from markupsafe import Markup

from harness.core.report import Report
from harness.core.template import filled
from harness.core.text import one_line
from harness.reporting.screen import answered, costed, counted, raced, unjudged
from harness.reporting.selfcheck_result import Selfcheck
from harness.reporting.table import table


def markdown(report: Report, trust: Selfcheck | None = None) -> str:
    """Answers, how near each subject was, failures, what gave no evidence, contracts, selfcheck,
    the machine.
    """
    return filled(
        "reporting/report.md.j2",
        escape,
        report=report,
        trust=trust,
        answers=answered(report),
        tables={question: table(verdicts) for question, verdicts in report.questions().items()},
        failures=[
            (verbatim(v.id.replace("`", "")), map(verbatim, v.why.split("\n")))
            for v in report.failures()
        ],
        without_evidence=unjudged(report),
        sentences=[*raced(report), *costed(report), counted(report)],
    )


def escape(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no table cell, no line break of its own."""
    return re.sub(r"([\\`*_{}\[\]<>#|~&$])", r"\\\1", str(verbatim(text)))


def verbatim(text: str) -> Markup:
    """Text for where Markdown obeys nothing: on one line, and there as it is."""
    return Markup(one_line(text))
