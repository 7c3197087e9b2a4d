"""Rows of raw data are read from files, frames, dicts and matrices, bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reference.rds.rows import Rows
from tests.conftest import Approved

TABLE = "a,f\n0.1,u\nNA,\n"
TABLES = {
    "ragged": "a,b\n1,2\n3\n",
    "twice": "a,a\n1,2\n",
    "no rows": "a,b\n",
    "empty": "",
}


def test_a_csv_is_read_as_r_reads_it(tmp_path: Path) -> None:
    """Numbers as float64, texts as texts, NA and nothing as missing."""
    path = tmp_path / "rows.csv"
    path.write_text(TABLE)
    rows = Rows.of(path)
    assert rows.columns["f"] == ("u", None)
    assert np.asarray(rows.columns["a"])[0] == 0.1
    assert np.isnan(np.asarray(rows.columns["a"])[1])


def test_numbers_of_a_csv_are_those_that_r_reads(tmp_path: Path) -> None:
    """What only Python takes for a number stays a text."""
    path = tmp_path / "rows.csv"
    for text in ("1_000", "\u0663", "\u00a01"):
        path.write_text(f"a\n{text}\n2\n")
        assert Rows.of(path).columns == {"a": (text, "2")}


def test_data_that_are_no_rows_are_refused(tmp_path: Path, approved: Approved) -> None:
    """By a sentence that names what is wrong: shapes, lengths, a file or its lines."""
    for given in (np.ones((1, 2, 3)), {"a": np.ones((2, 2))}, {"a": [1], "b": [1, 2]}):
        with approved.raises(ValueError):
            Rows.of(given)
    path = tmp_path / "rows.csv"
    with approved.raises(ValueError):
        Rows.of(path)
    for text in TABLES.values():
        path.write_text(text)
        with approved.raises(ValueError):
            Rows.of(path)
