"""The JSON Schema of results.json, made of the types that it is written and read by.

`python -m harness.reporting.schema --write` renews results.schema.json.
"""

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from harness.core.report import SCHEMA, Report
from harness.reporting.results import ReportInFile, VerdictInFile
from harness.text.files import replace_whole

FILE = Path(__file__).with_name("results.schema.json")


def make_schema() -> dict[str, Any]:
    """The JSON Schema of results.json, without docstrings, whose indentation Python decides."""
    made = msgspec.json.schema(Report, schema_hook=_describe)
    parts: dict[str, Any] = made["$defs"]
    for part in parts.values():
        part.pop("description", None)
    for name, in_file in (("Report", ReportInFile), ("Verdict", VerdictInFile)):
        required = {*parts[name]["required"], *in_file.__required_keys__}
        parts[name]["required"] = sorted(required)
    said = msgspec.json.schema(VerdictInFile)["$defs"][VerdictInFile.__name__]
    parts["Verdict"]["properties"] |= said["properties"]
    parts["Report"]["properties"]["schema"] = {"const": SCHEMA}
    parts["Report"]["required"] = sorted([*parts["Report"]["required"], "schema"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def _describe(kind: type) -> dict[str, Any]:
    """The schema of a type that msgspec knows none for: an object may be anything.

    Raises NotImplementedError for any other, by which msgspec names it.
    """
    if kind is object:
        return {"title": "anything"}  # msgspec takes an empty one for none
    raise NotImplementedError


def written_schema() -> str:
    """The schema as results.schema.json holds it."""
    return json.dumps(make_schema(), indent=1) + "\n"


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        replace_whole({FILE: written_schema()})
    else:
        print(written_schema(), end="")
