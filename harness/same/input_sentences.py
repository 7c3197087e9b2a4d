"""The sentences on models that write into their inputs."""

from __future__ import annotations

from harness.locating.located import read_line
from harness.mapping.models import Models
from harness.matching.result import Written
from harness.same.evidence import Evidence


def describe_written(models: Models, evidence: Evidence) -> str:
    """Return the first line of a failure: only the subject writes into its inputs; "" if it does
    not.
    """
    given, written = models.given, evidence.written
    if written is None:
        return ""
    return (
        f"{given.name} changes its {_list(written)}; {given.name_reference} does not, so its caller"
        " has other numbers after the call"
    )


def describe_written_theirs(models: Models, evidence: Evidence) -> str:
    """Return the note on a reference that writes into its inputs, where the subject does not; "" if
    it does not.
    """
    given, written = models.given, evidence.written_theirs
    if written is None:
        return ""
    return (
        f"{given.name_reference} changes its {_list(written)}, and {given.name} leaves it as it is"
    )


def _list(written: Written) -> str:
    """Return the names of inputs, and the line that writes into them."""
    names = " and ".join(f"input {name}" for name in written.names)
    line = ": ".join(filter(None, read_line(written.line))) if written.line else ""
    return f"{names} in place ({line})" if line else f"{names} in place"
