"""A failure as data: everything that is told of it can be told of what results.json holds."""

from __future__ import annotations

import ast
import json
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.core.finding import Finding, Form, HintKind
from harness.core.report import Report
from harness.core.verdict import Status, Verdict
from harness.reporting.regressions import compare, summary_lines
from harness.reporting.results import parse, read
from harness.reporting.schema import FILE, make_schema, written_schema
from harness.screen.screen import make_screen
from harness.words.wording import blame, headline, with_finding
from tests.conftest import SINE_NET, Approved, Mine, narrowed
from tests.project.sentences import ROOT

OLDER = Path(__file__).with_name("older_results.json")  # written before findings were data
RAISES = 'raise ValueError("two\\nlines")'
INFINITE = 'return self.output(torch.sigmoid(self.hidden(x))) * float("inf")'
TANH = "return self.output(torch.tanh(self.hidden(x)))"
OFF = """
import numpy as np
from reference import Stated

def off(p, x):
    return 1.01 * (1 / (1 + np.exp(-(x @ p["W1"].T + p["b"]))) @ p["W2"].T + p["b_w"])

"""
NETS = {"SineNet": "return self.output(torch.sigmoid(self.hidden(x)))", "Raises": RAISES}
NETS |= {"Infinite": INFINITE, "Tanh": TANH}
JSON = dict[str, Any]


@pytest.fixture
def results(mine: Mine) -> JSON:
    """results.json of a right model, of three that fail in different ways, and of a reference that
    does not do what it states.
    """
    models = [
        SINE_NET.format(forward=forward).replace("SineNet", name) for name, forward in NETS.items()
    ]
    asked = {"dtypes": '["float64"]', "checks": '["forward", "loss"]'}
    asked |= {"problems": "probes(seed=0, draws=3)"}
    subjects = f"[{', '.join(NETS)}]"
    stated = {"name": '"stated"', "references": '[Stated("off", off, budget=1e-9, why="so")]'}
    cases = [mine.case("test_sine", subjects=subjects, **asked)]
    mine.write(*models, OFF, *cases, mine.case("test_stated", **asked, **stated))
    assert mine.pytest().ret == pytest.ExitCode.TESTS_FAILED
    return mine.results()


def read_back(results: JSON) -> Report:
    """The report that a results.json holds."""
    return parse(json.dumps(results).encode())


def tell(report: Report) -> list[str]:
    """The screen, and what is said if all its failures had passed in an older run."""
    passes = [replace(v, status=Status.PASS, budget_used=0.1) for v in report.verdicts]
    changes = compare(replace(report, verdicts=passes), report)
    lines = [line.text for line in make_screen(report, 250)]
    return [*narrowed(lines), *summary_lines(changes, 110, whole=2)]


def failures(report: Report) -> dict[tuple[str, str], Verdict]:
    """The verdicts that fail, by subject, or by case if the reference is wrong, and check."""
    return {
        (verdict.case if verdict.case == "stated" else verdict.subject, verdict.check): verdict
        for verdict in report.failures()
    }


def test_sentences_are_made_of_what_is_written(results: JSON) -> None:
    """Every failure has a finding; that of the first of a cause gives the same sentences after it
    was written and read.
    """
    found = failures(read_back(results))
    assert set(found) >= {(name, "forward") for name in ("Raises", "Infinite", "Tanh", "stated")}
    for verdict in found.values():
        assert verdict.finding is not None
        if not verdict.follows:
            assert with_finding(replace(verdict, why=""), verdict.finding).why == verdict.why


def test_a_finding_holds_what_its_sentences_say(results: JSON) -> None:
    """Which quantity, by how much, who is blamed, what is likely, and how to see it again."""
    found = {name: verdict.finding for name, verdict in failures(read_back(results)).items()}
    tanh, later, raises = found["Tanh", "forward"], found["Tanh", "loss"], found["Raises", "loss"]
    infinite, stated = found["Infinite", "forward"], found["stated", "forward"]
    assert tanh and later and raises and infinite and stated  # noqa: PT018
    assert (tanh.form, tanh.quantity, tanh.blamed) == (Form.OUTSIDE, "forward", ("subject",))
    assert [hint.kind for hint in tanh.hints] == [HintKind.LIKELY]
    assert tanh.script.endswith("Tanh-forward.py")
    assert tanh.rerun.startswith("pytest ")
    assert later.first_outside and later.first_outside.quantity == "forward"  # noqa: PT018
    assert (raises.form, "ValueError: two" in raises.reason) == (Form.UNANSWERED, True)
    assert (infinite.actual, isinstance(infinite.expected, float)) == ("inf", True)
    assert (stated.blamed, stated.witness) == (("reference",), "off")


def test_an_older_report_is_told_as_it_was(approved: Approved) -> None:
    """Its verdicts have sentences only, which stay as they are."""
    report = read(OLDER)
    written = json.loads(OLDER.read_text(encoding="utf-8"))["verdicts"]
    assert not any("finding" in verdict for verdict in written)
    assert [verdict.why for verdict in report.verdicts] == [verdict["why"] for verdict in written]
    approved(tell(report))


def test_what_a_verdict_without_a_finding_says() -> None:
    """All of it, and nobody is blamed."""
    passed = next(verdict for verdict in read(OLDER).verdicts if verdict.status is Status.PASS)
    assert (headline(passed), blame(passed)) == (passed.why, "")


@pytest.mark.parametrize("form", Form)
def test_a_file_may_leave_out_the_data_of_a_finding(form: Form) -> None:
    """Its sentences say less, and nothing is raised."""
    [failed, *_] = read(OLDER).failures()
    told = with_finding(failed, Finding(form, "R nnet"))
    assert told.why.startswith("sine-1-4-1: Wrong (cpu, float64) against R nnet\n")
    assert headline(told) in told.why


# Nothing reads the sentences.

PARTS = {"partition", "rpartition", "split", "splitlines", "startswith", "endswith", "find"}
PARTS |= {"removeprefix", "removesuffix", "index", "rindex", "strip"}
SHOWN = {"harness/publishing/markdown.py"}  # whose lines are indented one by one
READS = {"harness/reporting/older_results.py"}


def find_reading(source: str) -> list[int]:
    """The lines that take a `why` or an `alone` apart, or look for something in it."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        read: list[ast.expr] = []
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            read = [node.func.value] if node.func.attr in PARTS else []
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            read = node.comparators
        elif isinstance(node, ast.Subscript):
            read = [node.value]
        names = {each.attr for each in read if isinstance(each, ast.Attribute)}
        lines += [node.lineno] if names & {"why", "alone"} else []
    return lines


@pytest.mark.parametrize(
    "source",
    ['v.why.partition("\\n")', "v.why[:3]", '"likely" in v.why', "v.alone.split()[-1]"],
)
def test_reading_a_sentence_is_seen(source: str) -> None:
    """The wall can fail."""
    assert find_reading(source) == [1]
    assert find_reading("print(v.why)") == []


def test_nothing_reads_a_sentence() -> None:
    """Each part of a failure is read from its finding; older reports are read in one place."""
    found = {
        str(path.relative_to(ROOT)): find_reading(path.read_text(encoding="utf-8"))
        for path in sorted((ROOT / "harness").rglob("*.py"))
    }
    assert {name for name, lines in found.items() if lines} == SHOWN | READS


# The schema.


def find_faults(value: Any, schema: JSON, parts: JSON, place: str = "$") -> Iterator[str]:
    """What a value is not, by a JSON Schema of the few words that ours uses."""
    unknown = set(schema) - KEYWORDS
    assert not unknown, unknown
    if "$ref" in schema:
        yield from find_faults(value, parts[schema["$ref"].rpartition("/")[2]], parts, place)
    if "anyOf" in schema and all(any(find_faults(value, s, parts)) for s in schema["anyOf"]):
        yield f"{place} is none of several"
    if "const" in schema and value != schema["const"]:
        yield f"{place} is not {schema['const']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place} is none of {schema['enum']}"
    if "type" in schema and not is_of_type(value, schema["type"]):
        yield f"{place} is no {schema['type']}"
    elif isinstance(value, dict):
        yield from find_faults_of_object(value, schema, parts, place)
    elif isinstance(value, list):
        yield from find_faults_of_array(value, schema, parts, place)
    elif isinstance(value, int | float) and value < schema.get("minimum", value):
        yield f"{place} is less than {schema['minimum']}"


KEYWORDS = {"$ref", "anyOf", "const", "enum", "type", "title", "default", "properties", "required"}
KEYWORDS |= {"additionalProperties", "items", "prefixItems", "minItems", "maxItems", "minimum"}
KEYWORDS |= {"$schema", "$defs"}
TYPES = {"string": str, "boolean": bool, "object": dict, "array": list, "null": type(None)}


def is_of_type(value: Any, name: str) -> bool:
    """Is a value of JSON of this type?"""
    if name in ("number", "integer"):
        kinds = int if name == "integer" else int | float
        return isinstance(value, kinds) and not isinstance(value, bool)
    return isinstance(value, TYPES[name])


def find_faults_of_object(value: JSON, schema: JSON, parts: JSON, place: str) -> Iterator[str]:
    """What is wrong with its members."""
    known = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{place} has no {name}"
    for name, member in value.items():
        of = known.get(name, schema.get("additionalProperties", {}))
        yield from find_faults(member, {} if of is True else of, parts, f"{place}.{name}")


def find_faults_of_array(value: list[Any], schema: JSON, parts: JSON, place: str) -> Iterator[str]:
    """What is wrong with its elements, and with how many there are."""
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{place} has {len(value)} elements"
    first, rest = schema.get("prefixItems", []), schema.get("items", {})
    for number, element in enumerate(value):
        of = first[number] if number < len(first) else rest
        yield from find_faults(element, of or {}, parts, f"{place}[{number}]")


def test_the_schema_in_the_repository_is_that_of_the_code() -> None:
    """`python -m harness.reporting.schema --write` renews it."""
    assert FILE.read_text(encoding="utf-8") == written_schema()


def test_reports_are_what_the_schema_says(results: JSON) -> None:
    """One of today, with findings of several forms, and an older one without."""
    schema = make_schema()
    older = json.loads(OLDER.read_text(encoding="utf-8"))
    assert list(find_faults(results, schema, schema["$defs"])) == []
    assert list(find_faults(older, schema, schema["$defs"])) == []


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("status", "GOOD", "$.verdicts[0].status is none of"),
        ("budget_used", -1, "$.verdicts[0].budget_used is none of several"),
        ("why", None, "$.verdicts[0].why is no string"),
        ("finding", {"form": "outside"}, "$.verdicts[0].finding is none of several"),
    ],
)
def test_what_is_no_report_is_seen(name: str, value: Any, fault: str) -> None:
    """The schema can fail."""
    schema, report = make_schema(), json.loads(OLDER.read_text(encoding="utf-8"))
    report["verdicts"][0][name] = value
    assert [each.startswith(fault) for each in find_faults(report, schema, schema["$defs"])] == [
        True
    ]


def test_the_schema_is_installed() -> None:
    """Whoever has the package has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["harness"]
    assert FILE in {path for pattern in patterns for path in (ROOT / "harness").glob(pattern)}
