"""The JSON Schema of results.json, made from the types that write and read it.

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
    """Return the JSON Schema of results.json.

    It leaves docstrings out, because their indentation depends on the version of Python.
    """
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
    """Return the schema of a type for which msgspec has none: `object` may be anything.

    Raises NotImplementedError for any other type; msgspec then names the type in an error.
    """
    if kind is object:
        return {"title": "anything"}  # msgspec takes an empty one for none
    raise NotImplementedError


def written_schema() -> str:
    """Return the schema as the text of results.schema.json."""
    return json.dumps(make_schema(), indent=1) + "\n"


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        replace_whole({FILE: written_schema()})
    else:
        print(written_schema(), end="")
