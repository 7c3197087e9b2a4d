"""The rows of questions: failed, equal, different as claimed, known to fail, or without an
answer.
"""

from collections.abc import Sequence

from harness.core.problem import ORDER
from harness.core.report import Report, name_reference
from harness.core.verdict import R, Verdict
from harness.reporting.answers import (
    count_checks,
    describe_difference,
    describe_failure,
    describe_share,
    get_best_example,
    get_p_value,
    group_known,
    list_sound,
    name_some,
    rank_by_strength,
)
from harness.reporting.causes import Cause, list_causes
from harness.screen.rows import Figures, Group, Row
from harness.text.lines import shorten
from harness.words.naming import distinct_digits

MOST_CAUSES = 8  # of a question
MOST_NAMES, MOST_LETTERS = 2, 13  # of those who answered
SHORT = {"live": "R live", "recorded": "R recorded"}


def group_questions(report: Report, whole: str) -> list[Group]:
    """Return a row for each claim of each question, failures first; no question is left out.

    `whole` names the file of the whole report.
    """
    groups: dict[str, list[Row]] = {
        "failed": [],
        "not checked": [],
        "equal": [],
        "differs, as claimed": [],
        "known to fail": [],
    }
    for question, verdicts in report.questions().items():
        own = report.said.get(question, "")
        failed = [verdict for verdict in verdicts if verdict.status.fails]
        equal, different = list_sound(verdicts, "equal"), list_sound(verdicts, "differs")
        if failed:
            judged = sum(verdict.status.judges for verdict in verdicts)
            groups["failed"] += _list_failed(question, failed, judged, whole)
        elif equal:
            groups["equal"].append(_make_equal(question, equal, own))
        if different and not failed:
            groups["differs, as claimed"].append(_make_different(question, different, own))
        for reason, known in group_known(verdicts).items():
            tail = count_checks(len(known))
            groups["known to fail"].append(Row(f"{question} {reason}", "~", "yellow", tail=tail))
        if not any(verdict.status.judges for verdict in verdicts):
            text = f"{question} {own or verdicts[0].why}"
            groups["not checked"].append(Row(text, "?", "yellow"))
    return [Group(label, rows) for label, rows in groups.items() if rows]


def _list_failed(question: str, failed: Sequence[Verdict], of: int, whole: str) -> list[Row]:
    """Return the rows of a question with failures: the question, and a row for each cause of
    `failed`.

    `of` is the number of all checks of the question, and `whole` names the file of the whole
    report.
    """
    rows = [Row(question, "✗", "red", tail=f"{len(failed)} of {count_checks(of)} failed")]
    causes = list_causes(failed)
    for cause in causes[:MOST_CAUSES]:
        rows.append(_make_cause(cause))
    if left := len(causes[MOST_CAUSES:]):
        rows.append(Row(f"… and {left} more: {whole}", is_part=True))
    return rows


def _make_cause(cause: Cause) -> Row:
    """Return the row of one cause of failures."""
    first, tail = cause.first, ""
    if cause.followers:
        verb = "follows" if len(cause.followers) == 1 else "follow"
        tail = f"({len(cause.followers)} more {verb} from it)"
    text = f"{first.subject}: {describe_failure(first)}"
    return Row(text, tail=tail, is_part=True)


def _make_equal(question: str, sound: Sequence[Verdict], own: str) -> Row:
    """Return the row of a question whose claims of equality hold, from their verdicts `sound`;
    `own` is the case's own sentence, or "".
    """
    if all(verdict.check == "fit" for verdict in sound):
        used = f"p = {get_p_value(sound):.2g}"
    else:
        used = describe_share([verdict for verdict in sound if verdict.check != "fit"])
    figures = Figures(f"{len(sound):,}", used, _name_witnesses(sound))
    names = name_some(verdict.subject for verdict in sound)
    return Row(question, "✓", "green", figures, details=tuple(filter(None, [names, own])))


def _name_witnesses(verdicts: Sequence[Verdict]) -> str:
    """Return the sources of the reference's answers, R first: "R live, NumPy"."""
    names = list(dict.fromkeys(map(_name_witness, rank_by_strength(verdicts))))
    names = [shorten(name, MOST_LETTERS) for name in names]
    if len(names) > MOST_NAMES:
        names = [names[0], f"+{len(names) - 1}"]
    return ", ".join(names)


def _name_witness(verdict: Verdict) -> str:
    if verdict.source in SHORT:
        return SHORT[verdict.source]
    return name_reference(verdict.reference)


def _make_different(question: str, sound: Sequence[Verdict], own: str) -> Row:
    """Return the row of a question whose claimed differences were shown, from their verdicts
    `sound`; `own` is the case's own sentence, or "".
    """
    names = name_some(verdict.subject for verdict in sound)
    text = f"{question} {own or _describe_example(sound, names)}"
    details = [describe_difference(sound)]
    return Row(text, "≠", "green", details=tuple(details))


def _describe_example(sound: Sequence[Verdict], names: str) -> str:
    """Return the figures of the best example of a difference or, for comparisons of trained
    networks, the text `names`.
    """
    best = get_best_example(sound)
    if best.actual is None or best.expected is None or best.allowed is None:
        return names
    by = "R nnet" if best.source in R else _name_witness(best)
    if best.check in ORDER:
        got, wanted = distinct_digits(best.actual, best.expected)
        return f"{best.subject} {got}, {by} {wanted}"
    return f"{best.actual:.2g} ± {best.allowed:.0e}, {by} {best.expected:.2g} ({names})"
