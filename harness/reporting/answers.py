"""The answers to the questions of a run, in sentences."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from harness.core.finding import Form, HintKind
from harness.core.report import Report, grouped, name_reference
from harness.core.verdict import R, Status, Verdict
from harness.fits.equivalence import LEVEL
from harness.words.naming import format_share
from harness.words.wording import blame, headline

NOT_JUDGED = "Nothing could be checked, see below."
FITTED = "fit"  # the name of a fitted object as a reference
NAMED = 6  # names in a sentence at most


class Said(NamedTuple):
    """A sentence of an answer; `mark` is the CSS class by which the page shows it."""

    text: str
    mark: Literal["", "bad", "no", "open"] = ""


def list_answers(report: Report) -> dict[str, list[Said]]:
    """Return the answers to every question of a run, as sentences by question.

    They may be a case's own sentence, a sentence on claims of equality that hold, one on a
    demonstrated difference, one for each reason why subjects (models under test) are known to fail,
    and one on failures.
    """
    answers = {}
    for question, verdicts in report.questions().items():
        own = [Said(f"{report.said[question]}.")] if question in report.said else []
        answers[question] = own + _answer(verdicts) or [Said(NOT_JUDGED, "open")]
    return answers


def _answer(verdicts: Sequence[Verdict]) -> list[Said]:
    said = []
    if sound := list_sound(verdicts, "equal"):
        said.append(Said(_describe_equal(sound, verdicts)))
    if sound := list_sound(verdicts, "differs"):
        said.append(Said(describe_difference(sound), "no"))
    for known, some in group_known(verdicts).items():
        text = f"Known: {name_some(v.subject for v in some)}, {count_checks(len(some))}: {known}."
        said.append(Said(text))
    if failed := [v for v in verdicts if v.status.fails]:
        counts = Counter(v.subject for v in failed)
        who = name_some(f"{name} in {count}" for name, count in counts.items())
        of = sum(v.subject in counts and v.status.judges for v in verdicts)
        first = describe_failure(failed[0])
        said.append(Said(f"FAILED: {who} of {count_checks(of)}; the first: {first}.", "bad"))
    return said


def _describe_equal(sound: Sequence[Verdict], verdicts: Sequence[Verdict]) -> str:
    """Return a sentence on the claims of equality that hold.

    `sound` are their verdicts, and `verdicts` all verdicts on the same question.
    """
    without = ", without R" if any(v.source == "absent" for v in verdicts) else ""
    sources = name_some(map(_name_source, rank_by_strength(sound)))
    evidence = f"{count_checks(len(sound))} against {sources}"
    caveats = "".join(f" {said}." for said in list_caveats(sound))
    who = _name_subjects(sound)
    return f"Yes{without}: {who}, in {evidence}; {describe_margin(sound)}.{caveats}"


def describe_difference(sound: Sequence[Verdict]) -> str:
    """Return a sentence on claims of a difference that was demonstrated, with one example; `sound`
    are their verdicts.
    """
    best = get_best_example(sound)
    # the general reason, if there is one, comes before the example
    reason = f". {best.caveat}." if best.caveat else ":"
    names = name_some(v.subject for v in sound)
    verb = "differ" if len({v.subject for v in sound}) > 1 else "differs"
    return f"As claimed, {names} {verb}{reason} {best.why}.{_describe_other_networks(sound, best)}"


def get_best_example(sound: Sequence[Verdict]) -> Verdict:
    """Return the verdict whose reference is the strongest evidence (R itself, ...), in float64 if
    there is one.
    """
    return min(sound, key=lambda v: (get_strength(v), v.dtype != "float64"))


def group_known(verdicts: Sequence[Verdict]) -> dict[str, list[Verdict]]:
    """Return the verdicts on subjects that are known to fail, by the reason why they fail."""
    return grouped([v for v in verdicts if v.status is Status.KNOWN], lambda v: v.known)


def list_sound(verdicts: Sequence[Verdict], expect: str) -> list[Verdict]:
    """Return the passing verdicts that claim `expect` ("equal" or "differs"), without those of
    subjects that fail in another trial.
    """
    failing = {v.subject for v in verdicts if v.status.fails or v.status is Status.KNOWN}
    return [
        v
        for v in verdicts
        if v.status is Status.PASS and v.expect == expect and v.subject not in failing
    ]


def list_caveats(verdicts: Sequence[Verdict]) -> list[str]:
    """Return the caveats of verdicts (limits of their evidence), each sentence once."""
    return list(dict.fromkeys(v.caveat for v in verdicts if v.caveat))


def describe_margin(verdicts: Sequence[Verdict]) -> str:
    """Return in words how narrowly claims of equality hold.

    It is the largest share of a rounding bound that an element used or, for comparisons of trained
    networks, the largest p-value.
    """
    if all(verdict.check == "fit" for verdict in verdicts):
        return f"p = {get_p_value(verdicts):.2g} at most"
    return f"the worst element used {describe_share(verdicts)} of its rounding bound"


def get_p_value(verdicts: Sequence[Verdict]) -> float:
    """Return the largest p-value of verdicts that compare the final losses of training."""
    return LEVEL * max(v.budget_used or 0.0 for v in verdicts)


def describe_share(verdicts: Sequence[Verdict]) -> str:
    """Return the largest share of a bound that one of the verdicts used, in percent."""
    return write_share(max((v.budget_used or 0.0 for v in verdicts), default=0.0))


def write_share(share: float) -> str:
    """Return a share in percent; one that is too small for this as "<1 %"."""
    return "<1 %" if 0 < share < 0.01 else format_share(share)


def count_checks(count: int) -> str:
    """Return a number of checks in words."""
    return f"{count:,} check{'s' if count != 1 else ''}"


def get_strength(verdict: Verdict) -> int:
    """Return a rank for the strength of the verdict's reference as evidence: 0 is the strongest."""
    return {"live": 0, "recorded": 1, "stated": 3}.get(verdict.source, 2)


def rank_by_strength(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return verdicts ordered by the strength of their references, the strongest first."""
    return sorted(verdicts, key=get_strength)


def _name_source(verdict: Verdict) -> str:
    """Return the name of the verdict's reference as people know it."""
    if verdict.source in R:
        return f"R nnet ({verdict.source})"
    if verdict.reference == FITTED:
        return "NumPy at the fitted weights"
    if verdict.source == "stated":
        return f"{verdict.reference} (stated)"
    return name_reference(verdict.reference)


def describe_failure(verdict: Verdict) -> str:
    """Return a failure in one sentence: the finding, and the likely cause."""
    said, finding = headline(verdict), verdict.finding
    if finding is not None:
        if finding.form is Form.REASON and finding.blamed == ("reference",):  # of an older report
            said += f"; {blame(verdict)}"
        likely = [hint.cause for hint in finding.hints if hint.kind is HintKind.LIKELY]
        if likely:
            said = f"likely {'; '.join(likely)}: {said}"
    return said


def _name_subjects(verdicts: Sequence[Verdict]) -> str:
    """Return the names of subjects, each with the network as which it was judged if its user has
    stated one.
    """
    groups: list[str] = []
    for taken, some in grouped(verdicts, lambda v: v.taken_as).items():
        names = dict.fromkeys(v.subject for v in some)
        each = "each " if len(names) > 1 else ""
        groups += [f"{name_some(names)} ({each}{taken})"] if taken else names
    return name_some(groups)


def _describe_other_networks(verdicts: Sequence[Verdict], best: Verdict) -> str:
    """Return a sentence on subjects that were judged as another network than the subject of the
    example `best`; "" if there are none.
    """
    others = [v for v in verdicts if v.taken_as and v.taken_as != best.taken_as]
    return f" Likewise {_name_subjects(others)}." if others else ""


def name_some(names: Iterable[str]) -> str:
    """Return names as an enumeration, each once; if there are many, the first ones and the number
    of the rest.
    """
    unique = list(dict.fromkeys(names))
    if len(unique) > NAMED:
        unique = [*unique[: NAMED - 1], f"{len(unique) - NAMED + 1} more"]
    if len(unique) < 2:
        return "".join(unique)
    return f"{', '.join(unique[:-1])} and {unique[-1]}"
