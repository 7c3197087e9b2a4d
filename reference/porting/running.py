"""Runs a written port in a process of its own, as its user would."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from harness.core.contract import Array
from reference.rds.rows import Column, Rows

DEADLINE = 300.0  # seconds; torch alone takes two to be imported
PROGRAM = """\
import json, sys
sys.path.insert(0, sys.argv[1])
import torch, model
given = json.load(sys.stdin)
raw, inputs = given["raw"], given["inputs"]
x = torch.tensor(inputs, dtype=torch.float64) if raw is None else model.columns(raw)
with torch.no_grad():
    json.dump(model.Port()(x).tolist(), sys.stdout)
"""


def run_port(files: Mapping[str, str | bytes], rows: Rows | None, inputs: Array) -> Array:
    """Return the predictions (R, O) of a port, of which `files` are model.py and its weights.

    It starts from raw rows, which its own columns() prepares; if there are none, from `inputs`.
    Raises ValueError with the last line of the error if the port cannot be run.
    """
    raw = None
    if rows is not None:
        raw = {name: list_values(column) for name, column in rows.columns.items()}
    given = json.dumps({"raw": raw, "inputs": inputs.tolist()})
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            data = content if isinstance(content, bytes) else content.encode()
            (Path(folder) / name).write_bytes(data)
        command = [sys.executable, "-c", PROGRAM, folder]
        try:
            run = subprocess.run(
                command, input=given, capture_output=True, text=True, timeout=DEADLINE
            )
        except subprocess.TimeoutExpired:
            raise ValueError(f"the port did not answer within {DEADLINE:g} seconds") from None
    if run.returncode:
        last = run.stderr.strip().rpartition("\n")[2]
        mend = ': pip install "nnet-parity[checkpoints]"' if "safetensors" in last else ""
        raise ValueError(f"the port cannot be run: {last}{mend}")
    return np.array(json.loads(run.stdout), dtype=np.float64)


def list_values(column: Column) -> list[Any]:
    """Return a column for JSON; a missing value is None."""
    if isinstance(column, tuple):
        return list(column)
    return [None if np.isnan(value) else value for value in column.tolist()]
