"""The report in sentences, and the lines of them that a terminal shows."""

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import IntEnum
from textwrap import wrap
from typing import Literal, NamedTuple

from harness.core.finding import HintKind
from harness.core.report import Report, grouped
from harness.core.verdict import R, Status, Verdict
from harness.fits.equivalence import LEVEL
from harness.reporting.asked import summarise_asked
from harness.text.harmless import printable
from harness.words.wording import blame, headline, hint_sentence

LINES = 30  # of the screen, however many trials there were
NARROWEST = 110  # columns: sentences folded more narrowly are hard to read
NOT_JUDGED = "Not judged: see below."
FITTED = "fit"  # the name of a fitted object as a reference
NAMED = 6  # names in a sentence at most
TWO_MODELS = ("same-function", "well-computed", "precision-kept")  # checks that R has no part in
NO_EVIDENCE = (Status.ABSENT, Status.VACUOUS, Status.UNDEFINED, Status.NOT_RUN)


class Rank(IntEnum):
    """The urgency of an answer; the smallest number is the most urgent."""

    FAILED = 0
    OWN_WORDS = 1
    SUMMARY = 2
    COUNTEREXAMPLE = 3
    HOLDS = 4


MOST_LINES = {
    Rank.FAILED: 8,
    Rank.OWN_WORDS: 6,
    Rank.SUMMARY: 6,
    Rank.COUNTEREXAMPLE: 3,
    Rank.HOLDS: 3,
}


class Said(NamedTuple):
    """A sentence of an answer, its urgency, and the mark by which the page's style sheet shows
    it.
    """

    rank: Rank
    text: str
    mark: Literal["", "bad", "no", "open"] = ""


def screen(report: Report, width: int, whole: str = "report.md") -> list[str]:
    """Return the report as at most LINES lines: answers, trials without evidence, cost and counts.

    If the answers do not fit, the claims that hold share one sentence, and the cost is left out.
    `whole` says where the whole report is.
    """
    width = max(width, NARROWEST)
    idle = [f"{name} NOT RUN: {why}" for name, why in report.devices.items() if why]
    told = [*describe_races(report), *_skips(report, whole), *idle]
    if asked := summarise_asked(report, whole):
        told.append(asked)
    rest = _fold_all(told, width)
    cost = _fold_all(describe_costs(report), width)
    count = fold(describe_counts(report), width)
    said, room = _rank_answers(report), LINES - len(rest) - len(cost) - len(count)
    if sum(len(_fold_answer(each, width)) for each in said) > room:
        brief, room, cost = _briefly(report), room + len(cost), []
        said = [each for each in said if each.rank < Rank.HOLDS] + brief
    return [*_fit_into_room(said, room, width, whole), *rest, *cost, *count]


def _rank_answers(report: Report) -> list[Said]:
    """Return all answers: failures first, then the others in the order of their questions.

    If a case answers its question in its own words, no counterexample to that question is shown.
    """
    said = [
        Said(each.rank, f"{question} {each.text}")
        for question, answers in list_answers(report).items()
        for each in answers
        if each.rank is not Rank.COUNTEREXAMPLE or question not in report.said
    ]
    return sorted(said, key=lambda each: each.rank > Rank.FAILED)


def _briefly(report: Report) -> list[Said]:
    """Return one sentence with every claim that holds; an empty list if there is none."""
    questions, passed = [], list[Verdict]()
    for question, verdicts in report.questions().items():
        if sound := _sound(verdicts, "equal"):
            questions.append(question)
            passed += sound
    if not passed:
        return []
    computed = [verdict for verdict in passed if verdict.check != "fit"]
    evidence = f"{_trials(passed)}, {_describe_margin(computed or passed)}"
    return [Said(Rank.SUMMARY, f"Yes, by {evidence}: {' '.join(questions)}")]


def _fit_into_room(said: Sequence[Said], room: int, width: int, whole: str) -> list[str]:
    """Return at most `room` lines of the answers.

    Each answer gets one line, the most urgent first, as long as there is room. The further lines go
    to urgent answers first, and then to the others, one line each in turn.
    """
    kept = sorted(said, key=lambda each: each.rank)[: room if len(said) <= room else room - 1]
    lines = dict.fromkeys(kept, 1)
    further = [
        (*_turn(each, more), place)
        for place, each in enumerate(kept)
        for more in range(1, len(_fold_answer(each, width)))
    ]
    left = len(said) - len(kept)
    for *_, place in sorted(further)[: room - len(kept) - bool(left)]:
        lines[kept[place]] += 1
    told = [line for each in said if each in lines for line in fold(each.text, width, lines[each])]
    return [*told, f"... and {left} answers more: read them in {whole}"] if left else told


def _turn(said: Said, more: int) -> tuple[bool, int]:
    """Return the key by which the further lines of answers are sorted: the smallest comes first.

    `more` is the number of the line, 1 for an answer's second. Urgent answers have all their lines
    before the others, the summary its first three.
    """
    urgent = said.rank < Rank.SUMMARY or (said.rank is Rank.SUMMARY and more < 3)
    return not urgent, 0 if urgent else more


def _fold_answer(said: Said, width: int) -> list[str]:
    """Return an answer on as many lines as an answer of its urgency may take."""
    return fold(said.text, width, MOST_LINES[said.rank])


def _fold_all(texts: Iterable[str], width: int) -> list[str]:
    return [line for text in texts for line in fold(text, width)]


def fold(text: str, width: int, lines: int = 3) -> list[str]:
    """Return a text on at most `lines` lines of the terminal's width; all lines but the first are
    indented.
    """
    folded = wrap(
        printable(text), width, subsequent_indent="    ", max_lines=lines, placeholder=" ..."
    )
    return [printable(line) for line in folded]  # a new line may begin as a command of GitHub's


def list_answers(report: Report) -> dict[str, list[Said]]:
    """Return the answers to every question, in sentences.

    There may be a case's own words, a sentence on the claims of equality that hold, one on a
    difference that is shown, one for each reason of known failures, and one on failures.
    """
    answers = {}
    for question, verdicts in report.questions().items():
        own = [Said(Rank.OWN_WORDS, f"{report.said[question]}.")] if question in report.said else []
        answers[question] = own + _answer(verdicts) or [Said(Rank.HOLDS, NOT_JUDGED, "open")]
    return answers


def _answer(verdicts: Sequence[Verdict]) -> list[Said]:
    said = []
    without = "without R, " if any(v.source == "absent" for v in verdicts) else ""
    if sound := _sound(verdicts, "equal"):
        sources = _names(map(_source, sorted(sound, key=_strength)))
        evidence = f"{_trials(sound)} against {sources}, {_describe_margin(sound)}"
        said.append(
            Said(
                Rank.HOLDS,
                f"Yes, {without}by {evidence}: {_name_subjects(sound)}.{_caveats(sound)}",
            )
        )
    if sound := _sound(verdicts, "differs"):
        best = min(sound, key=lambda v: (_strength(v), v.dtype != "float64"))
        # the general reason, if there is one, comes before the example
        reason = f".{_caveats([best])}" if best.caveat else ":"
        names = _names(v.subject for v in sound)
        text = f"No, not {names}{reason} {best.why}.{_others_taken(sound, best)}"
        said.append(Said(Rank.COUNTEREXAMPLE, text, "no"))
    for known, some in grouped(
        [v for v in verdicts if v.status is Status.KNOWN], lambda v: v.known
    ).items():
        said.append(
            Said(
                Rank.COUNTEREXAMPLE,
                f"Known: {_names(v.subject for v in some)}, {_trials(some)}: {known}.",
            )
        )
    if failed := [v for v in verdicts if v.status.fails]:
        counts = Counter(v.subject for v in failed)
        who = _names(f"{name} in {count}" for name, count in counts.items())
        of = sum(v.subject in counts for v in verdicts)
        text = f"FAILED: {who} of {of} trials; the first: {_first_finding(failed[0])}."
        said.append(Said(Rank.FAILED, text, "bad"))
    return said


def _sound(verdicts: Sequence[Verdict], expect: str) -> list[Verdict]:
    """Return the passing verdicts on one claim ("equal" or "differs"), of subjects without a failed
    trial.
    """
    failing = {v.subject for v in verdicts if v.status.fails or v.status is Status.KNOWN}
    return [
        v
        for v in verdicts
        if v.status is Status.PASS and v.expect == expect and v.subject not in failing
    ]


def _caveats(verdicts: Sequence[Verdict]) -> str:
    """Return the limits of what verdicts prove, each sentence once."""
    return "".join(f" {said}." for said in dict.fromkeys(v.caveat for v in verdicts if v.caveat))


def _worst(verdicts: Sequence[Verdict]) -> str:
    """Return the largest share of a bound that one of the verdicts used, as text: with more digits
    if two would round it up to 1.
    """
    most = max(v.budget_used or 0.0 for v in verdicts)
    return f"{most:.4g}" if 0.995 <= most < 1 else f"{most:.2g}"


def _describe_margin(verdicts: Sequence[Verdict]) -> str:
    """Return by how much claims of equality hold: the share of what may differ or, if all are of
    ends of training, the largest p-value.
    """
    if all(verdict.check == "fit" for verdict in verdicts):
        return f"with p at most {LEVEL * max(v.budget_used or 0.0 for v in verdicts):.2g}"
    return f"at most {_worst(verdicts)} of what may differ"


def _trials(verdicts: Sequence[Verdict]) -> str:
    return f"{len(verdicts)} trial{'s' if len(verdicts) != 1 else ''}"


def _strength(verdict: Verdict) -> int:
    """Return how strong a witness the verdict's reference is: 0 is the strongest."""
    return {"live": 0, "recorded": 1, "stated": 3}.get(verdict.source, 2)


def _source(verdict: Verdict) -> str:
    """Return the name of the verdict's reference for a person."""
    if verdict.source in R:
        return f"R nnet ({verdict.source})"
    if verdict.reference == FITTED:
        return "NumPy at the fitted weights"
    if verdict.source == "stated":
        return f"{verdict.reference} (stated)"
    return "NumPy" if verdict.reference.startswith("numpy_net") else verdict.reference


def _first_finding(verdict: Verdict) -> str:
    """Return a failure in one sentence: the finding, the side at fault if it is not the subject,
    and the likely cause.
    """
    parts, finding = [headline(verdict)], verdict.finding
    if finding is not None:
        if finding.blamed and "subject" not in finding.blamed:
            parts.append(blame(verdict))
        likely = [hint for hint in finding.hints if hint.kind is HintKind.LIKELY]
        parts += [hint_sentence(verdict, hint) for hint in likely]
    return "; ".join(parts)


def _name_subjects(verdicts: Sequence[Verdict]) -> str:
    """Return the names of subjects, and as which networks of their own they were judged."""
    groups: list[str] = []
    for taken, some in grouped(verdicts, lambda v: v.taken_as).items():
        names = dict.fromkeys(v.subject for v in some)
        each = "each " if len(names) > 1 else ""
        groups += [f"{_names(names)} ({each}{taken})"] if taken else names
    return _names(groups)


def _others_taken(verdicts: Sequence[Verdict], best: Verdict) -> str:
    """Return a sentence on subjects that were taken otherwise than the one in the example, which
    says so itself; "" if there are none.
    """
    others = [v for v in verdicts if v.taken_as and v.taken_as != best.taken_as]
    return f" Likewise {_name_subjects(others)}." if others else ""


def _names(names: Iterable[str]) -> str:
    unique = list(dict.fromkeys(names))
    if len(unique) > NAMED:
        unique = [*unique[: NAMED - 1], f"{len(unique) - NAMED + 1} more"]
    if len(unique) < 2:
        return "".join(unique)
    return f"{', '.join(unique[:-1])} and {unique[-1]}"


def count_reasons(report: Report) -> list[tuple[tuple[Status, str], int]]:
    """Return the reasons why trials gave no evidence, as ((status, reason), number), the most
    frequent first.
    """
    return Counter(
        (v.status, v.why) for v in report.verdicts if v.status in NO_EVIDENCE
    ).most_common()


def _skips(report: Report, whole: str) -> list[str]:
    """Return sentences on the trials that gave no evidence; only the most frequent reasons are
    named.
    """
    ranked = count_reasons(report)
    lines = [f"{count} {status}: {why}" for (status, why), count in ranked[:6]]
    if rest := ranked[6:]:
        lines.append(
            f"{sum(count for _, count in rest)} more without evidence, {len(rest)} reasons: {whole}"
        )
    return lines


def describe_costs(report: Report) -> list[str]:
    """Return a sentence on the time that a problem cost; none if no stack was large enough to
    measure it.
    """
    parts = [
        f"{c.harness * 1e6:.0f} µs in {c.case} (the subject {c.subject * 1e6:.0f})"
        for c in report.costs
    ]
    return (
        [f"references, bounds and judging cost a problem in one dtype {', '.join(parts)}"]
        if parts
        else []
    )


def describe_races(report: Report) -> list[str]:
    """Return a sentence for each speed race: the time of each model as a multiple of R nnet's.

    It also gives the noise of the run: the ratio of the times of a model's own two turns.
    """
    sentences = []
    for name, races in grouped(report.races, lambda one: one.name).items():
        times = [
            f"{one.subject} {one.device} {one.dtype} {one.ratio:.3g}"
            + ("" if one.share is None else f" ({one.share:.0%} reach it)")
            for one in sorted(races, key=lambda one: one.ratio)
        ]
        noise = [one.aa_ratio for one in races if one.aa_ratio is not None]
        spread = f", against themselves {min(noise):.2f} to {max(noise):.2f}" if noise else ""
        sentences.append(f"{name}, times R nnet's time{spread}: {', '.join(times)}")
    return sentences


def describe_counts(report: Report) -> str:
    """Return a sentence on the number of trials by status."""
    if not report.verdicts:
        return f"{len(report.races)} races, no trial" if report.races else "no trial was judged"
    counts = report.counts()
    passes = Counter(v.source for v in report.verdicts if v.status is Status.PASS)
    when, r, nnet = (report.environment.get(name) for name in ("recorded", "R", "nnet"))
    recorded = f"recorded R ({when}; R {r}, nnet {nnet})"
    witnesses = {"live": "live R", "recorded": recorded, "stated": "what is stated"}
    if not passes["live"] and (passes["recorded"] or not _may_ask_r(report)):
        del witnesses["live"]
    told = [
        f"{passes[who]} against {what}"
        for who, what in witnesses.items()
        if passes[who] or who == "live"
    ]
    shown = ", ".join(f"{counts[status]} {status}" for status in reversed(Status) if counts[status])
    of = f"; {', '.join(told)}".replace(" against", " of the passes against", 1)
    return f"{_trials(report.verdicts)}: {shown}{of if passes and told else ''}"


def _may_ask_r(report: Report) -> bool:
    """Is there a trial of which R could be asked? Of two models that are compared it is not."""
    return any(not verdict.check.startswith(TWO_MODELS) for verdict in report.verdicts)
