"""Describes which inputs a run has tried: the numbers of rows, the sizes of numbers, and the ways
of calling the models.
"""

from harness.core.report import Asked, Report, Sizes

# no probe asks it: a verdict says nothing about it
NOT_ASKED = (
    "every size with every number of rows",
    "inputs of one or three dimensions, NaN or infinity",
    "a loss at a perfect fit",
    "second derivatives",
    "autocast",
    "faults that are rarer than once in 1,000 calls",
)


def describe_asked(asked: Asked) -> list[str]:
    """Return sentences on the problems (parameters and data) with which the subjects of a case were
    evaluated, without the ways of calling.
    """
    sentences = [
        f"problems: {asked.draws:,}",
        f"numbers of rows: {', '.join(f'{count:,}' for count in asked.rows)}",
    ]
    for name, sizes in asked.sizes.items():
        sentences.append(f"sizes of {name}: {_describe_sizes(sizes)}")
    return sentences


def list_asked(report: Report) -> dict[str, list[str]]:
    """Return the sentences of `describe_asked` by the names of cases; cases with equal sentences
    share one key.
    """
    cases: dict[tuple[str, ...], list[str]] = {}
    for case, asked in report.asked.items():
        cases.setdefault(tuple(describe_asked(asked)), []).append(case)
    return {", ".join(names): list(sentences) for sentences, names in cases.items()}


def list_ways(report: Report) -> dict[str, list[str]]:
    """Return lists of cases by the ways of calling their subjects; the key is all ways of a case as
    one text.
    """
    cases: dict[str, list[str]] = {}
    for case, asked in report.asked.items():
        if asked.ways:
            cases.setdefault(", ".join(asked.ways), []).append(case)
    return cases


def describe_not_asked(report: Report) -> str:
    """Return a sentence on inputs that were not tried with any subject; "" if no case used random
    problems.
    """
    if not report.asked:
        return ""
    calls = min(asked.draws for asked in report.asked.values())
    state = f"state that begins to matter after {calls:,} calls"
    return f"not asked: other numbers of rows and other sizes, {', '.join(NOT_ASKED)}, {state}"


def summarise_asked(report: Report) -> str:
    """Return a sentence on the inputs that a run has tried; "" if no case used random problems, or
    if cases tried different inputs.
    """
    if len(list_asked(report)) != 1:
        return ""
    asked = next(iter(report.asked.values()))
    plural = "s" if len(asked.rows) > 1 else ""
    parts = [f"{len(asked.rows)} number{plural} of rows up to {asked.rows[-1]:,}"]
    if sizes := asked.sizes.get("inputs"):
        parts.append(f"inputs {_describe_sizes(sizes)}")
    if asked.ways:
        plural = "s" if len(asked.ways) > 1 else ""
        parts.append(f"{len(asked.ways)} way{plural} of calling")
    return ", ".join(parts)


def _describe_sizes(sizes: Sizes) -> str:
    zero = "0 and " if sizes.zero else ""
    return f"{zero}{sizes.smallest:.2g} to {sizes.largest:.2g}"
