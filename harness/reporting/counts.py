"""The numbers of a run in sentences: checks by status, reasons for missing evidence, times."""

from collections import Counter

from harness.core.report import Report, grouped
from harness.core.verdict import Status, Verdict
from harness.reporting.answers import count_checks, get_strength

NO_EVIDENCE = (Status.ABSENT, Status.VACUOUS, Status.UNDEFINED, Status.NOT_RUN)
NOT_APPLICABLE = "not applicable"
WORDS = {  # for people
    Status.PASS: "passed",
    Status.FAIL: "failed",
    Status.BROKEN: "broken",
    Status.KNOWN: "known to fail",
    Status.ABSENT: "without an answer",
    Status.VACUOUS: "unclear",
    Status.UNDEFINED: "out of range",
    Status.NOT_RUN: "not run",
}


def count_reasons(report: Report) -> list[tuple[tuple[Status, str], int]]:
    """Return the reasons why trials could not be judged, as ((status, reason), number of trials),
    the most frequent first.
    """
    return Counter(
        (v.status, v.why) for v in report.verdicts if v.status in NO_EVIDENCE
    ).most_common()


def describe_costs(report: Report) -> list[str]:
    """Return a list with one sentence on the time per problem. It is empty if no stack of problems
    was large enough to measure the time.
    """
    if not report.costs:
        return []
    parts = []
    for cost in report.costs:
        harness, subject = cost.harness * 1e6, cost.subject * 1e6
        parts.append(f"{harness:.0f} µs in {cost.case} (the model itself {subject:.0f})")
    return [
        f"references, bounds and judging took, for one problem in one dtype, {', '.join(parts)}"
    ]


def describe_races(report: Report) -> list[str]:
    """Return a sentence for each speed race: the time of each model as a multiple of R nnet's.

    It also gives the noise: the ratio of the times that the same model takes in its two turns of a
    round.
    """
    sentences = []
    for name, races in grouped(report.races, lambda one: one.name).items():
        times = []
        for one in sorted(races, key=lambda one: one.ratio):
            clock = "" if one.clock == "CPU" else f" by the {one.clock} clock"
            reached = "" if one.share is None else f" ({one.share:.0%} reach it)"
            who = f"{one.subject} {one.device} {one.dtype}"
            times.append(f"{who} {one.ratio:.3g}{clock}{reached}")
        noise = [one.aa_ratio for one in races if one.aa_ratio is not None]
        spread = f"; each against itself {min(noise):.2f} to {max(noise):.2f}" if noise else ""
        nets = max(one.nets for one in races)
        stacks = f", of each of {nets:,} nets at once" if nets > 1 else ""
        sentences.append(f"{name}, times R nnet's CPU time{stacks}: {', '.join(times)}{spread}")
    return sentences


def describe_counts(report: Report) -> str:
    """Return a text with the number of checks by status and, for those that passed, with the
    sources of the reference's answers.
    """
    if not report.verdicts:
        return f"{len(report.races)} races, no check" if report.races else "nothing was checked"
    counts = Counter(map(describe_status, report.verdicts))
    shown = []
    for word in (*WORDS.values(), NOT_APPLICABLE):
        if counts[word]:
            shown.append(f"{counts[word]:,} {word}")
    if counts["passed"]:
        shown[0] += f" ({_describe_witnesses(report)})"
    if counts["passed"] == len(report.verdicts):
        return f"{count_checks(len(report.verdicts))} passed ({_describe_witnesses(report)})"
    return f"{count_checks(len(report.verdicts))}: {', '.join(shown)}"


def describe_status(verdict: Verdict) -> str:
    """Return a verdict's status in words."""
    return WORDS[verdict.status] if verdict.applicable else NOT_APPLICABLE


def _describe_witnesses(report: Report) -> str:
    """Return the number of passed checks by the source of the reference's answers: "6 by R itself,
    8 by NumPy".
    """
    passed = [verdict for verdict in report.verdicts if verdict.status is Status.PASS]
    counted = Counter(map(_get_witness, sorted(passed, key=get_strength)))
    when, r, nnet = (report.environment.get(name) for name in ("recorded", "R", "nnet"))
    names = {
        "live": "R itself",
        "recorded": f"a recording of R ({when}; R {r}, nnet {nnet})",
        "stated": "what is stated",
        "computed": "other models",
    }
    parts = [f"{count:,} by {names.get(who, who)}" for who, count in counted.items()]
    if len(counted) == 1:
        parts = [f"all by {names.get(who, who)}" for who in counted]
    return ", ".join(parts)


def _get_witness(verdict: Verdict) -> str:
    """Return the source of the reference's answers, such as "R itself"; "NumPy" if there is no
    better name.
    """
    return "NumPy" if verdict.reference.startswith("numpy_net") else verdict.source
