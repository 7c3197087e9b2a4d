"""The report as one file without scripts, from results.json alone: `python -m harness.page RESULTS.json OUT.html`."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import MISSING, fields
from pathlib import Path
from reprlib import repr as shown
from typing import Any

from harness.answers import NO_EVIDENCE, answered, costed, counted, printable
from harness.report import SCHEMA, Cost, Report, replace_whole
from harness.verdict import Status, Verdict

CELLS = 1_500  # of the matrix at most: the page stays under 500 KiB
NUMBER, MAYBE = int | float, int | float | None
TYPES = {"str": str, "str | None": str, "int": int, "float": NUMBER, "float | None": NUMBER, "Status": str}


def _shape(kind: Any) -> dict[str, Any]:
    return {f.name + "?" * (f.default is not MISSING): TYPES[str(f.type)] for f in fields(kind)}


# A shape is a type, {name: shape} ("name?" may be missing or null), {str: shape}, [shape], or a pair.
FIT: dict[str, Any] = {"case": str, "trainer": str, "source": str, "starts": int, "compared?": str}
FIT |= {"curve?": [[NUMBER, MAYBE]], "plot?": {"x": [NUMBER], "y": [MAYBE]}, "at?": {str: MAYBE}}
FIT |= {"weights?": {str: NUMBER}, "ended?": {str: int}, "best?": NUMBER, "median?": NUMBER, "floor?": NUMBER}
FIT |= {f"{name}?": NUMBER for name in ("quality", "share", "share_low", "share_high", "seconds")}
CHANGE = {"direction": str, "change": str, "median?": NUMBER, "low?": NUMBER, "high?": NUMBER, "starts": int}
RACE = {"name": str, "subject": str, "device": str, "dtype": str, "ratio": NUMBER, "quartiles?": [NUMBER, NUMBER]}
RACE |= {"aa_ratio?": NUMBER, "share?": NUMBER, "loss?": NUMBER, "rounds": int}
RESULTS = {"schema": str, "complete": bool, "environment": dict, "contracts": {str: str}, "costs": [_shape(Cost)]}
RESULTS |= {"verdicts": [_shape(Verdict)], "points?": {"x": [NUMBER], "y": [NUMBER]}, "devices?": {str: str}}
RESULTS |= {"fits?": [FIT], "changes?": [CHANGE], "races?": [RACE]}


def page(results: dict[str, Any]) -> str:
    """The page of a parsed results.json. Raises ValueError, naming the field, for what is missing or unreadable."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    given = checked(results, RESULTS, "results")
    if given["schema"] != SCHEMA:
        raise ValueError(f"results.schema is {shown(given['schema'])}, expected {SCHEMA!r}")
    verdicts = [_built(Verdict, each | {"status": Status(each["status"])}) for each in given["verdicts"]]
    for number, verdict in enumerate(verdicts):
        if (verdict.status, verdict.expect, verdict.budget_used) == (Status.PASS, "equal", None):
            raise ValueError(f"results.verdicts[{number}].budget_used is missing: a PASS says how near it was")
    costs = [_built(Cost, each) for each in given["costs"]]
    report: Report = _built(Report, results | {"verdicts": verdicts, "costs": costs})
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, loader=FileSystemLoader(Path(__file__).parent)
    )
    environment.trim_blocks = environment.lstrip_blocks = True
    environment.finalize = lambda value: printable(value) if type(value) is str else value
    environment.filters |= {"figure": figure, "place": place, "by": by}
    if given["points"] and not given["points"]["x"]:
        given["points"] = None
    if fits := given["fits"]:
        from harness import figures  # here: matplotlib takes half a second

        environment.globals["draw"] = figures
        numbers = {name: number for number, name in enumerate(dict.fromkeys(fit["trainer"] for fit in fits))}
        for fit in fits:
            fit |= {"series": numbers[fit["trainer"]], "off": figures.farthest(fit, given["points"])}
    notes: dict[str, int] = {}
    return environment.get_template("page.html.j2").render(
        {name: {} if value is None else value for name, value in given.items()} | {"verdicts": verdicts},
        answers=answered(report),
        sentences=[counted(report), *costed(report)],
        counts={status: count for status in Status if (count := report.counts()[status])},
        without_evidence=Counter((v.status, v.why) for v in verdicts if v.status in NO_EVIDENCE).most_common(),
        failures=[v for v in verdicts if v.status.fails],
        tables=matrix(report, given["devices"] or {}, notes),
        notes=notes,
    )


def checked(value: Any, shape: Any, where: str) -> Any:
    """The value, null for what it may lack. Raises ValueError, naming the place, where it is not of its shape."""
    kind: Any = type(shape) if isinstance(shape, dict | list) else shape
    wrong = not isinstance(value, kind) or (type(value) is bool and kind is not bool)
    wrong = wrong or (isinstance(shape, list) and len(shape) not in (1, len(value)))
    if wrong or (isinstance(value, int | float) and not abs(value) < 1e308):
        what = "missing" if value is None else shown(value)
        raise ValueError(f"{where} is {what}, expected {getattr(kind, '__name__', kind)}")
    if isinstance(shape, list):
        return [checked(each, shape[i % len(shape)], f"{where}[{i}]") for i, each in enumerate(value)]
    if not isinstance(shape, dict):
        return value
    if str in shape:
        return {name: checked(each, shape[str], f"{where}.{name}") for name, each in value.items()}
    lacking = {name[:-1] for name in shape if name[-1] == "?" and value.get(name[:-1]) is None}
    inner = {name.removesuffix("?"): part for name, part in shape.items()}
    found = {name: checked(value.get(name), inner[name], f"{where}.{name}") for name in inner if name not in lacking}
    return dict.fromkeys(inner) | found


def _built(kind: Any, record: dict[str, Any]) -> Any:
    return kind(**{f.name: record[f.name] for f in fields(kind) if record.get(f.name) is not None})


def figure(value: float | None) -> str:
    """A number as a person reads it."""
    text = "–" if value is None else f"{value:,.0f}" if 1e3 <= abs(value) < 1e7 else f"{value:.3g}"
    return text.replace("-", "−")


def by(things: Iterable[Any], key: Any) -> list[tuple[Any, list[Any]]]:
    """The things by one of their fields, in the order in which they first come."""
    groups: dict[Any, list[Any]] = {}
    for thing in things:
        groups.setdefault(getattr(thing, key) if isinstance(thing, Verdict) else thing[key], []).append(thing)
    return list(groups.items())


def place(value: float, among: Sequence[float | None]) -> float:
    """Where a number stands among others on a logarithmic scale, in percent."""
    logs = [math.log10(max(each, 1e-30)) for each in (*among, value) if each is not None]
    return round(100 * (logs[-1] - min(logs)) / (max(logs) - min(logs) or 1), 1)


def matrix(report: Report, devices: dict[str, str], notes: dict[str, int]) -> list[Any]:
    """For every question its columns, and rows of cells (kind, text, title, number of the note that says why).

    A device that no trial ran on has a column too.
    """
    ran = {v.device.partition(":")[0] for v in report.verdicts}
    idle = {(name, "", ""): why or "not asked for" for name, why in devices.items()}
    idle = {column: why for column, why in idle.items() if column[0].partition(":")[0] not in ran}
    tables, left = [], CELLS
    for question, verdicts in report.questions().items():
        found: dict[Any, dict[Any, list[Verdict]]] = {}
        for v in verdicts:
            found.setdefault((v.case, v.subject), {}).setdefault((v.device, v.reference, v.dtype), []).append(v)
        columns = sorted({column for row in found.values() for column in row} | set(idle))
        rows = [
            (case, subject, [_cell(row.get(column, []), idle.get(column), notes) for column in columns])
            for (case, subject), row in list(found.items())[: left // len(columns)]
        ]
        left -= len(rows) * len(columns)
        tables.append((question, Counter(v.status for v in verdicts), columns, rows, len(found) - len(rows)))
    return tables


def _cell(found: Sequence[Verdict], idle: str | None, notes: dict[str, int]) -> tuple[str, str, str, int | str]:
    """The worst status that is evidence; a pass with its budget used."""
    if idle:
        return "none", Status.NOT_RUN, idle, notes.setdefault(idle, len(notes) + 1)
    if not found:
        return "", "", "not asked", ""
    order = [status for status in Status if status is not Status.ABSENT] + [Status.ABSENT]
    worst = min(found, key=lambda v: (order.index(v.status), -(v.budget_used or 0.0)))
    if worst.status in NO_EVIDENCE:
        return "none", worst.status, worst.why, notes.setdefault(worst.why, len(notes) + 1)
    at, used = f"{worst.check} {worst.where or ''}", worst.budget_used or 0.0
    if worst.status.fails:
        return "fails", f"✗ {worst.status}", at, ""
    if worst.expect == "differs":
        return "differs", "≠", worst.why, ""
    return f"used{min(4, int(5 * used))}", f"{used:.2g}", at, ""


def main(arguments: Sequence[str]) -> int:
    """Write the page of a results.json; 2, and one line, where that cannot be."""
    try:
        if len(arguments) != 2:
            raise ValueError("expected two paths: RESULTS.json OUT.html")
        replace_whole(Path(arguments[1]), page(json.loads(Path(arguments[0]).read_text(encoding="utf-8"))))
    except (OSError, ValueError) as error:
        print(f"no page: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
