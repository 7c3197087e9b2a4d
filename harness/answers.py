"""The report in sentences: on the terminal and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from textwrap import shorten, wrap

from harness.report import Report
from harness.verdict import Status, Verdict

LINES = 30  # of the screen, however many trials there were
NO_EVIDENCE = (Status.ABSENT, Status.VACUOUS, Status.UNDEFINED, Status.NOT_RUN)


def screen(report: Report, width: int) -> list[str]:
    """The answers, then what was not judged and why, then what it cost and the counts; at most 30 lines."""
    answers = [line for question, verdicts in report.questions().items() for line in _answer(question, verdicts, width)]
    rest = [*_skips(report.verdicts, width), *_costs(report), _counts(report)]
    room = LINES - len(rest)
    if len(answers) > room:
        hidden = len(answers) - room + 1
        answers = [*answers[: room - 1], f"... and {hidden} lines more: read them in report.md"]
    return [*answers, *rest]


def _answer(question: str, verdicts: Sequence[Verdict], width: int) -> list[str]:
    """A question and its answer, one line for what holds and one for what does not."""
    lines = [question]
    passed = [v for v in verdicts if v.status is Status.PASS]
    failed = [v for v in verdicts if v.status.fails]
    equal = [v for v in passed if v.expect == "equal"]
    if equal:
        worst = max(equal, key=lambda v: v.budget_used or 0.0)
        names = _names(v.subject for v in equal if not any(f.subject == v.subject for f in failed))
        if names:
            by = _names("R nnet" if v.source == "live" else "NumPy" for v in equal)
            lines.append(
                f"  yes: {names}: {len(equal)} trials against {by}, at most {worst.budget_used:.2g} of the allowed "
                f"difference ({worst.subject}, {worst.dtype}, {worst.where})"
            )
    for subject in dict.fromkeys(v.subject for v in passed if v.expect == "differs"):
        examples = [v for v in passed if v.subject == subject and v.expect == "differs"]
        best = min(examples, key=lambda v: (v.source != "live", v.dtype != "float64"))
        lines.append(f"  no: {best.why}")
    for subject in dict.fromkeys(v.subject for v in failed):
        mine = [v for v in failed if v.subject == subject]
        lines.append(f"  FAILED: {subject} in {len(mine)} of {sum(v.subject == subject for v in verdicts)} trials")
    if len(lines) == 1:
        lines.append("  not judged: see below")
    return [wrapped for line in lines for wrapped in _fold(line, width)]


def _fold(line: str, width: int) -> list[str]:
    """At most two lines of the terminal's width."""
    indent = "  " if line.startswith(" ") else ""
    folded = wrap(line, width, initial_indent=indent, subsequent_indent=indent + "    ", max_lines=2, placeholder=" ...")
    return folded or [line]


def _names(names: Iterable[str]) -> str:
    unique = list(dict.fromkeys(names))
    return unique[0] if len(unique) == 1 else ", ".join(unique[:-1]) + f" and {unique[-1]}" if unique else ""


def _skips(verdicts: Sequence[Verdict], width: int) -> list[str]:
    """What gave no evidence, grouped by reason."""
    groups: dict[tuple[Status, str], int] = {}
    for verdict in verdicts:
        if verdict.status in NO_EVIDENCE:
            groups[verdict.status, verdict.why] = groups.get((verdict.status, verdict.why), 0) + 1
    ranked = sorted(groups.items(), key=lambda item: -item[1])
    lines = [shorten(f"{count} {status.lower()}: {why}", width) for (status, why), count in ranked[:6]]
    if len(ranked) > 6:
        lines.append(f"{sum(count for _, count in ranked[6:])} more without evidence, {len(ranked) - 6} reasons: report.md")
    return lines


def _costs(report: Report) -> list[str]:
    if not report.costs:
        return []
    parts = [
        f"{cost.harness * 1e6:.0f} µs a problem in {cost.case} (the subject itself {cost.subject * 1e6:.0f})"
        for cost in report.costs
    ]
    return [f"cost of everything but the subject: {'; '.join(parts)}"]


def _counts(report: Report) -> str:
    counts = report.counts()
    live = sum(v.source == "live" and v.status is Status.PASS for v in report.verdicts)
    shown = ", ".join(f"{counts[status]} {status}" for status in reversed(Status) if counts[status])
    return f"{len(report.verdicts)} trials: {shown}; {live} of the passes against live R"


def markdown(report: Report) -> str:
    """The report as Markdown: answers, failures, what gave no evidence, the machine."""
    lines = ["# nnet-parity", ""] + ([] if report.complete else ["**Interrupted: this report is not complete.**", ""])
    for question, verdicts in report.questions().items():
        answer = [line.strip() for line in _answer(question, verdicts, 10_000)]
        lines += [f"## {escape(answer[0])}", "", *(f"- {escape(line)}" for line in answer[1:]), ""]
        lines += _table(verdicts)
    failures = [verdict for verdict in report.verdicts if verdict.status.fails]
    if failures:
        lines += ["## Failures", ""]
        for verdict in failures:
            lines += [f"- `{verdict.id.replace('`', '')}`", "", *(f"      {line}" for line in verdict.why.split("\n")), ""]
    lines += ["## Counts", ""] + [f"- {escape(line)}" for line in (*_skips(report.verdicts, 10_000), *_costs(report))]
    lines += [f"- {escape(_counts(report))}", "", "## Contracts", ""]
    lines += [f"- {escape(name)}: {escape(sentence)}" for name, sentence in report.contracts.items()]
    lines += ["", "## Machine", ""] + [f"- {escape(k)}: {escape(str(v))}" for k, v in report.environment.items()]
    return "\n".join(lines) + "\n"


def _table(verdicts: Sequence[Verdict]) -> list[str]:
    """Budget used by case and subject, the worst of all checks, a column for each reference and dtype."""
    columns = list(dict.fromkeys((v.reference, v.dtype) for v in verdicts))
    lines = [
        "| case | subject | " + " | ".join(f"{escape(ref)} {dtype}" for ref, dtype in columns) + " |",
        "|---|---|" + "---|" * len(columns),
    ]
    for case, subject in dict.fromkeys((v.case, v.subject) for v in verdicts):
        mine = [v for v in verdicts if (v.case, v.subject) == (case, subject)]
        cells = [_cell([v for v in mine if (v.reference, v.dtype) == column]) for column in columns]
        lines.append(f"| {escape(case)} | {escape(subject)} | {' | '.join(cells)} |")
    return [*lines, ""]


def _cell(verdicts: Sequence[Verdict]) -> str:
    """The worst status that is evidence; a pass with its budget used."""
    judged = [v for v in verdicts if v.status is not Status.ABSENT] or list(verdicts)
    worst = min(judged, key=lambda v: list(Status).index(v.status), default=None)
    if worst is None:
        return ""
    if worst.status is Status.PASS:
        return f"{max(v.budget_used or 0.0 for v in judged):.2g}"
    return worst.status


def escape(text: str) -> str:
    """Text that Markdown shows as it is: no markup, no table cell, no line break of its own."""
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f\x1b]", "", text).replace("\n", " ")
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", text)
