"""The report in sentences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from textwrap import wrap

from harness.report import Report
from harness.verdict import Status, Verdict

LINES = 30  # of the screen, however many trials there were
NARROWEST = 110  # columns: sentences folded more narrowly are hard to read
NO_EVIDENCE = (Status.ABSENT, Status.VACUOUS, Status.UNDEFINED, Status.NOT_RUN)


def screen(report: Report, width: int) -> list[str]:
    """The answers, then what was not judged and why, then what it cost and the counts; at most 30 lines."""
    width = max(width, NARROWEST)
    idle = [f"{name} NOT RUN: {why}" for name, why in report.devices.items() if why]
    last = (*_skips(report), *idle, *costed(report), counted(report))
    rest = [line for text in last for line in fold(text, width)]
    said = [f"{question} {answer}" for question, sentences in answered(report).items() for answer in sentences]
    said.sort(key=lambda sentence: " FAILED: " not in sentence)  # what must be mended first
    answers = [line for text in said for line in fold(text, width)]
    room = LINES - len(rest)
    if len(answers) > room:
        answers = [*answers[: room - 1], f"... and {len(answers) - room + 1} lines more: read them in report.md"]
    return [*answers, *rest]


def fold(text: str, width: int) -> list[str]:
    """At most three lines of the terminal's width, the second and third indented."""
    return wrap(printable(text), width, subsequent_indent="    ", max_lines=3, placeholder=" ...")


def answered(report: Report) -> dict[str, list[str]]:
    """For every question a sentence of what holds, one of what differs, and one of what failed."""
    return {
        question: _answer(verdicts) or ["Not judged: see below."] for question, verdicts in report.questions().items()
    }


def _answer(verdicts: Sequence[Verdict]) -> list[str]:
    failed = [v for v in verdicts if v.status.fails]
    equal = [v for v in verdicts if v.status is Status.PASS and v.expect == "equal"]
    differ = [v for v in verdicts if v.status is Status.PASS and v.expect == "differs"]
    failing = {v.subject for v in failed}
    sentences = []
    if names := _names(v.subject for v in equal if v.subject not in failing):
        sound = [v for v in equal if v.subject not in failing]
        worst = max(sound, key=lambda v: v.budget_used or 0.0)
        sources = _names(map(_source, sorted(sound, key=lambda v: v.source != "live")))
        trials = f"{len(sound)} trial{'s' if len(sound) > 1 else ''}"
        sentences.append(
            f"Yes: {names} ({trials} against {sources}, at most {worst.budget_used:.2g} of what may differ)."
        )
    if names := _names(v.subject for v in differ if v.subject not in failing):
        shown = [v for v in differ if v.subject not in failing]
        best = min(shown, key=lambda v: (v.source != "live", v.dtype != "float64"))
        sentences.append(f"No, not {names}: {best.why}.")
    if failed:
        counts = [
            f"{name} in {sum(v.subject == name for v in failed)}" for name in dict.fromkeys(v.subject for v in failed)
        ]
        of = sum(v.subject in failing for v in verdicts)
        sentences.append(f"FAILED: {_names(counts)} of {of} trials; the first: {_first_finding(failed[0])}.")
    return sentences


def _source(verdict: Verdict) -> str:
    """What a person calls the reference."""
    if verdict.source == "live":
        return "R nnet (live)"
    return "NumPy" if verdict.reference.startswith("numpy_net") else verdict.reference


def _first_finding(verdict: Verdict) -> str:
    """The sentence of a failure after its heading, and what it is likely to be."""
    lines = verdict.why.split("\n")
    likely = [line.strip() for line in lines if line.startswith("  likely: ")]
    return "; ".join([lines[1] if len(lines) > 1 else lines[0], *likely])


def _names(names: Iterable[str]) -> str:
    unique = list(dict.fromkeys(names))
    return unique[0] if len(unique) == 1 else ", ".join(unique[:-1]) + f" and {unique[-1]}" if unique else ""


def unjudged(report: Report) -> list[tuple[tuple[Status, str], int]]:
    """What gave no evidence: status, reason and how often, the most frequent first."""
    return Counter((v.status, v.why) for v in report.verdicts if v.status in NO_EVIDENCE).most_common()


def _skips(report: Report) -> list[str]:
    """What gave no evidence, in sentences, the rarer reasons as a number."""
    ranked = unjudged(report)
    lines = [f"{count} {status}: {why}" for (status, why), count in ranked[:6]]
    if rest := ranked[6:]:
        lines.append(f"{sum(count for _, count in rest)} more without evidence, {len(rest)} reasons: report.md")
    return lines


def costed(report: Report) -> list[str]:
    """What a problem cost, in a sentence, where stacks were large enough to tell."""
    parts = [f"{c.harness * 1e6:.0f} µs in {c.case} (the subject {c.subject * 1e6:.0f})" for c in report.costs]
    return [f"references, bounds and judging cost a problem in one dtype {', '.join(parts)}"] if parts else []


def counted(report: Report) -> str:
    """How many trials came to what."""
    counts = report.counts()
    live = sum(v.source == "live" and v.status is Status.PASS for v in report.verdicts)
    shown = ", ".join(f"{counts[status]} {status}" for status in reversed(Status) if counts[status])
    trials = f"{len(report.verdicts)} trial{'s' if len(report.verdicts) != 1 else ''}"
    return f"{trials}: {shown}; {live} of the passes against live R"


def printable(text: str) -> str:
    """Text without the control characters by which a name could drive a terminal, and without halves of characters."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", "", text)
