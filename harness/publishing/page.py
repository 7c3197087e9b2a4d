"""The report as an HTML page: one file, which is complete without its script (page.html.j2,
page.js).

`python -m harness.publishing.page RESULTS.json OUT.html` writes the page of an older report.
"""

import sys
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from warnings import catch_warnings

from markupsafe import Markup

from harness.core.report import Report, name_implementation
from harness.core.verdict import Status
from harness.drawing.style import draw_sample, make_style
from harness.publishing.banner import make_banner
from harness.publishing.beside import NOTHING, Beside
from harness.publishing.contracts import group_contracts
from harness.publishing.figures import Room, describe_ends, describe_good, draw_fits, draw_networks
from harness.publishing.links import Links
from harness.publishing.since import describe_since
from harness.publishing.trend import COLUMNS, draw_trend, list_rows
from harness.publishing.trials import (
    describe_result,
    list_questions,
    make_cell,
)
from harness.reporting.answers import list_answers, write_share
from harness.reporting.asked import describe_not_asked, list_asked, list_ways
from harness.reporting.causes import list_causes
from harness.reporting.counts import count_reasons, describe_costs, describe_counts
from harness.reporting.results import read
from harness.reporting.selfcheck_result import Selfcheck, read_beside
from harness.text.files import replace_whole
from harness.text.harmless import printable
from harness.words.template import fill_template

KINDS = {  # of checks, by the class of their cells
    "fails": "fails",
    "u": "passes",
    "differs": "differs, as claimed",
    "none": "no evidence",
}


def page(report: Report, beside: Beside = NOTHING) -> str:
    """Return the HTML page of a report.

    Raises ValueError for curves that cannot be drawn.
    """
    with catch_warnings(action="ignore"):  # of numbers too large to be drawn
        given = _collect(report, beside)
    script = _read_script()
    return fill_template(
        "publishing/page.html.j2",
        printable,
        **dict(vars(report)) | given,
        parts=_name_sections(given, report),
        script=Markup(script),
        script_hash=_hash(script),
        # what the templates call
        describe_ends=describe_ends,
        describe_good=describe_good,
        describe_result=describe_result,
        letter=lambda number: make_style(number).letter,
        make_cell=make_cell,
        name_reference=name_implementation,
        sample=draw_sample,
        write_share=write_share,
    )


def card(report: Report, complaints: Sequence[str], most: int, whole: str) -> str:
    """Return the answers, the counts and `most` failures of a report as HTML for a notebook.

    It is self-contained, and does not affect the rest of its document. It begins with `complaints`
    (sentences on the run). `whole` tells the reader where all failures are listed.
    """
    return fill_template(
        "publishing/card.html.j2",
        printable,
        complaints=complaints,
        devices=report.devices,
        most=most,
        whole=whole,
        **_list_shared_parts(report),
    )


def _list_shared_parts(report: Report) -> dict[str, Any]:
    """Return the template variables that the page and the card share."""
    return {
        "answers": list_answers(report),
        "sentences": [describe_counts(report), *describe_costs(report)],
        "counts": _count_statuses(report),
        "without_evidence": count_reasons(report),
        "causes": list_causes(report.failures()),
    }


def _collect(report: Report, beside: Beside) -> dict[str, Any]:
    """Return the template variables that are computed from a report."""
    shared, room = _list_shared_parts(report), Room()
    links = Links(report.places, shared["causes"], beside.folder, beside.start)
    questions = list_questions(report)
    kinds: Counter[str] = Counter()
    for question in questions:
        for rows in question.trials.values():
            for row in rows:
                links.add_row(row.trials)
                kinds[make_cell(row.trials).kind.rstrip("01234")] += len(row.trials)
    trust, trend = beside.trust, beside.trend
    since = describe_since(beside.comparison, shared["causes"]) if beside.comparison else None
    return shared | {
        "banner": make_banner(report, since.got_worse if since else ""),
        "since": since,
        "trend": trend,
        "measures": draw_trend(trend) if trend else [],
        "trend_rows": list_rows(trend) if trend else [],
        "trend_columns": COLUMNS,
        "links": links,
        "questions": questions,
        "kinds": {kind: (name, kinds[kind]) for kind, name in KINDS.items() if kinds[kind]},
        "networks": draw_networks(report, room),
        "case_fits": draw_fits(report, room),
        "asked": list_asked(report),
        "not_asked": describe_not_asked(report),
        "ways": list_ways(report),
        "contracts": group_contracts(report.contracts),
        "trust": trust,
        "catches": _draw_catches(trust) if trust and trust.rules else None,
    }


def _draw_catches(trust: Selfcheck) -> Markup:
    from harness.drawing.figures import draw_catches

    first, others = trust.rules[0].rule, len(trust.rules) - 1
    label = f"Share of planted faults caught, by their size. {first} and {others} published rules."
    return draw_catches("trust", label, [rule.rates for rule in trust.rules])


def _name_sections(given: Mapping[str, Any], report: Report) -> dict[str, str]:
    """Return the headings of the page's sections by name, in order; "" for an empty section."""
    some = {
        "failures": (given["causes"], "Failures"),
        "comparison": (given["since"], "Since the baseline"),
        "trend": (given["trend"], "Trend over kept runs"),
        "networks": (given["networks"], "The fitted networks"),
        "changes": (report.changes, "One change at a time"),
        "answers": (True, "Answers"),
        "fits": (report.fits, "Fits"),
        "trials": (report.verdicts, "Every check"),
        "formulations": (len(given["questions"]) > 1, "Model by model"),
        "races": (report.races, "The race"),
        "counts": (True, "Counts"),
        "asked": (given["asked"], "What was tried"),
        "contracts": (given["contracts"], "Contracts"),
        "trust": (given["trust"], "How far the judge can be trusted"),
        "environment": (report.environment, "Machine"),
    }
    return {id: heading if content else "" for id, (content, heading) in some.items()}


def _count_statuses(report: Report) -> dict[Status, int]:
    """Return the number of trials by status; a status without trials is left out."""
    counts = report.counts()
    return {status: counts[status] for status in Status if counts[status]}


@cache
def _read_script() -> str:
    return Path(__file__).with_name("page.js").read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """Return the hash of a script in the form of the page's Content-Security-Policy."""
    return f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}"


def main(arguments: Sequence[str]) -> int:
    """Write the page of a results.json. Returns 2, and prints the reason, if this is impossible."""
    try:
        if len(arguments) != 2:
            raise ValueError("expected two paths: RESULTS.json OUT.html")
        results, out = map(Path, arguments)
        report = read(results)
        beside = Beside(read_beside(results.parent, report.commit), folder=out.parent)
        replace_whole({out: page(report, beside)})
    except (OSError, ValueError) as error:
        print(f"no page: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
